"""A job on a Flink cluster, as its REST interface reports it."""

import base64
import collections
import json
import re
import time
from collections.abc import Mapping
from typing import Any

from apache_beam.runners.runner import PipelineState

from pipeline.runners import causes
from pipeline.runners.flink import rest
from pipeline.runners.flink.rest import Cluster
from pipeline.runners.flink.stalls import Watch
from pipeline.runners.monitoring import counters
from pipeline.runners.waiting import Status, UnknownJobError

_STATES = {
    "INITIALIZING": PipelineState.STARTING,
    "CREATED": PipelineState.STARTING,
    "CANCELLING": PipelineState.CANCELLING,
    "CANCELED": PipelineState.CANCELLED,
    "FAILED": PipelineState.FAILED,
    "FINISHED": PipelineState.DONE,
}
_WORDS = {
    "INITIALIZING": "starting",
    "CREATED": "starting",
    "SUSPENDED": "suspended: the job manager has lost its leadership",
}
# Each step is without slots for a moment.
_WITHOUT_SLOTS_SECONDS = 5.0
_EXCEPTIONS_SECONDS = 3.0
_COUNTS_SECONDS = 5.0
# Flink's web.refresh-interval is 3 s by default.
_CACHED_SECONDS = 3.5
_NUM_CAUSE_TRIES = 3
_LOST = "lost task manager"
_PARTITION = re.compile(r"\bPartition(Connection|NotFound)Exception\b")
_METRICS = "__metricscontainers"


class FlinkJob:
    """A job that was submitted to a Flink cluster; see `waiting.RemoteJob`."""

    def __init__(self, cluster: Cluster, job_id: str, pool: str) -> None:
        self.where = f"{cluster.url}/#/job/{job_id}"
        self.cluster = str(cluster)
        # Seen with Beam's runner 2.70, also after tasks were started again.
        self.remains = (
            f"workers of the job may live on in the pool {pool}, idle, until their task manager or"
            " the pool is restarted; each holds up to 1 GB"
            if pool
            else ""
        )
        self._flink = cluster
        self._id = job_id
        self._restarts = _Restarts(cluster, job_id, pool)
        self._watch = Watch(cluster, job_id, pool)
        self._waiting_since: float | None = None
        self._counted, self._counted_at = 0, 0.0
        self._counts: Mapping[str, int] = {}

    def status(self) -> Status:
        with rest.understood():
            state, tasks = self._overview()
        beam_state = _STATES.get(state, PipelineState.RUNNING)
        if not PipelineState.is_terminal(beam_state):
            with rest.optional():
                self._count(tasks["finished"])
        return Status(
            beam_state,
            self._words(state, tasks),
            tasks["finished"],
            tasks["total"],
            self._counts,
        )

    def cause(self) -> str:
        for _ in range(_NUM_CAUSE_TRIES):
            # Flink gives what it gave a moment ago: before the job had failed, perhaps.
            time.sleep(_CACHED_SECONDS)
            with rest.understood():
                text = _stacktrace(_latest(self._flink.get(f"jobs/{self._id}/exceptions")))
            if text:
                return text
        return ""

    def cancel(self) -> None:
        try:
            self._flink.cancel(self._id)
        except OSError:
            if not self.status().is_final:
                raise

    def _overview(self) -> tuple[str, Mapping[str, int]]:
        """Returns the job's state and its number of tasks by state, and their `total`."""
        try:
            # A tenth of what it gives about the job alone.
            jobs = self._flink.get("jobs/overview")["jobs"]
        except (FileNotFoundError, PermissionError):  # a gateway may hide other jobs
            return self._alone()
        for job in jobs:
            if job["jid"] == self._id:
                return job["state"], collections.Counter(job["tasks"])
        raise UnknownJobError("does not know the job")

    def _alone(self) -> tuple[str, Mapping[str, int]]:
        try:
            job = self._flink.get(f"jobs/{self._id}")
        except FileNotFoundError as error:
            raise UnknownJobError("does not know the job") from error
        tasks: collections.Counter[str] = collections.Counter()
        for vertex in job.get("vertices", ()):
            tasks.update({state.lower(): number for state, number in vertex["tasks"].items()})
        tasks["total"] = tasks.total()
        return job["state"], tasks

    def _words(self, state: str, tasks: Mapping[str, int]) -> str:
        words = _WORDS.get(state, state.lower())
        if state in {"RUNNING", "RESTARTING", "FAILING"}:
            why = self._restarts.why(state, tasks)
            action = "failing" if state == "FAILING" else "restarting"
            words = f"{action}: {why}" if why else words
            notes = []
            with rest.optional():
                notes.append(self._without_slots(tasks))
            with rest.optional():
                notes.append(self._watch.note(state, tasks))
            words = "; ".join([words, *filter(None, notes)])
        return words

    def _without_slots(self, tasks: Mapping[str, int]) -> str:
        """Returns that tasks wait for slots, once they have done so for a while."""
        if not tasks["scheduled"]:
            self._waiting_since = None
            return ""
        now = time.monotonic()
        self._waiting_since = self._waiting_since or now
        if now - self._waiting_since < _WITHOUT_SLOTS_SECONDS:
            return ""
        vertices = self._flink.get(f"jobs/{self._id}")["vertices"]
        overview = self._flink.get("overview")
        # Tasks of different steps share a slot.
        number = max(vertex["tasks"]["SCHEDULED"] for vertex in vertices)
        if overview["jobs-running"] == 1:
            used = overview["slots-total"] - overview["slots-available"]
            needed = max(sum(vertex["tasks"].values()) for vertex in vertices)
            number = max(1, min(number, needed - used))
        return (
            f"waiting for {number} {'slot' if number == 1 else 'slots'}: the cluster has"
            f" {overview['slots-available']} free of {overview['slots-total']}, in"
            f" {overview['taskmanagers']} task managers"
        )

    def _count(self, finished: int) -> None:
        """Reads Beam's counters, which change where a task ends."""
        now = time.monotonic()
        if finished == self._counted or now - self._counted_at < _COUNTS_SECONDS:
            return
        self._counted, self._counted_at = finished, now
        found = self._flink.get(f"jobs/{self._id}/accumulators")["user-task-accumulators"]
        for accumulator in found:
            if accumulator["name"] == _METRICS:
                infos = json.loads(accumulator["value"])["metrics"].get("attempted", ())
                self._counts = counters(
                    (info["urn"], info["labels"], base64.b64decode(info.get("payload", "")))
                    for info in infos
                )


class _Restarts:
    """Why Flink starts tasks of a job again."""

    def __init__(self, flink: Cluster, job_id: str, pool: str) -> None:
        self._flink = flink
        self._id = job_id
        self._pool = pool
        self._asked, self._state = 0.0, ""
        self._timestamp = 0
        self._why = ""

    def why(self, state: str, tasks: Mapping[str, int]) -> str:
        """Returns the latest cause until the tasks run again."""
        now = time.monotonic()
        if now - self._asked >= _EXCEPTIONS_SECONDS or state != self._state:
            self._asked, self._state = now, state
            with rest.optional():
                latest = _latest(self._flink.get(f"jobs/{self._id}/exceptions"))
                if latest.get("timestamp", 0) > self._timestamp:
                    self._timestamp = latest["timestamp"]
                    self._why = self._reason(_stacktrace(latest))
                    return self._why
        if state == "RUNNING" and tasks["running"] and not tasks["scheduled"]:
            self._why = ""
        return self._why

    def _reason(self, stacktrace: str) -> str:
        if name := causes.lost_task_manager(stacktrace):
            return f"{_LOST} {name}"
        # Other tasks miss what was there.
        if self._why.startswith(_LOST) and _PARTITION.search(stacktrace):
            return self._why
        return " ".join(causes.explanation(stacktrace, self._pool).splitlines()[-1:])


def _latest(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the latest of the exceptions of a job; empty if there is none."""
    # Flink 1 has `root-exception` and `all-exceptions` as well, which Flink 2 has not.
    entries = answer["exceptionHistory"]["entries"]
    return max(entries, key=lambda entry: entry["timestamp"], default={})


def _stacktrace(entry: Mapping[str, Any]) -> str:
    return entry.get("stacktrace") or entry.get("exceptionName") or ""
