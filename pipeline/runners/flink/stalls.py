"""A job on Flink that may make no progress, although Flink reports that it runs."""

import time
from collections.abc import Mapping

from pipeline.runners.flink.rest import Cluster

_LOOK_SECONDS = 15.0
_STALLED_SECONDS = 120.0
# Flink has noticed by then what it notices.
_HANGING_SECONDS = 300.0


class Watch:
    """Watches what the tasks of a job read and write."""

    def __init__(self, cluster: Cluster, job_id: str, pool: str) -> None:
        self._flink = cluster
        self._id = job_id
        self._pool = pool
        self._looked = 0.0
        self._seen: object = None
        self._changed = 0.0
        self._note = ""

    def note(self, state: str, tasks: Mapping[str, int]) -> str:
        """Returns what may be wrong, once nothing has changed for some minutes."""
        now = time.monotonic()
        if state != "RUNNING" or not tasks["running"]:
            self._seen, self._note = None, ""
        elif now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            seen = (tasks["running"], tasks["finished"], self._records())
            if seen != self._seen:
                self._seen, self._changed, self._note = seen, now, ""
            elif now - self._changed >= _STALLED_SECONDS:
                self._note = self._words(now - self._changed >= _HANGING_SECONDS)
        return self._note

    def _records(self) -> int:
        """Returns the number of records that all tasks have read and written."""
        vertices = self._flink.get(f"jobs/{self._id}")["vertices"]
        metrics = [vertex["metrics"] for vertex in vertices]
        return sum(each["read-records"] + each["write-records"] for each in metrics)

    def _words(self, is_hanging: bool) -> str:
        # Beam's workers send what they make when it is 10 MB: some 20,000 rows.
        words = (
            "no new records for 2 minutes. Workers may be busy, since they send rows in parts of"
            " 10 MB; one that is killed is noticed after about 3, and its step starts again"
        )
        if is_hanging:
            words = (
                "no new records for 5 minutes. Workers may be busy, since they send rows in parts"
                " of 10 MB. If they use no CPU, one was killed, or could not start, before it had"
                " connected, and Flink waits for it without end: see the log of"
                f" {self._pool or 'the workers'}, and cancel the job"
            )
        number = self._flink.get("overview")["taskmanagers"]
        if self._pool and number > 1:
            words += (
                f". If the {number} task managers share the worker pool {self._pool}, they stop"
                " each other's workers: give each a pool of its own"
            )
        return words
