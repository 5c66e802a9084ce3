"""A job on Flink that makes no progress, although Flink reports that it runs."""

import time
from collections.abc import Mapping

from pipeline.runners.flink.rest import Cluster

_LOOK_SECONDS = 15.0
_STALLED_SECONDS = 120.0


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
        """Returns what may be wrong, once nothing has changed for two minutes."""
        now = time.monotonic()
        if state != "RUNNING" or not tasks["running"]:
            self._seen, self._note = None, ""
        elif now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            seen = (tasks["running"], tasks["finished"], self._records())
            if seen != self._seen:
                self._seen, self._changed, self._note = seen, now, ""
            elif now - self._changed >= _STALLED_SECONDS and not self._note:
                self._note = self._words()
        return self._note

    def _records(self) -> int:
        """Returns the number of records that all tasks have read and written."""
        vertices = self._flink.get(f"jobs/{self._id}")["vertices"]
        metrics = [vertex["metrics"] for vertex in vertices]
        return sum(each["read-records"] + each["write-records"] for each in metrics)

    def _words(self) -> str:
        words = (
            "no progress for 2 minutes (Flink notices a worker that was killed after about 3, and"
            " starts its step again)"
        )
        number = self._flink.get("overview")["taskmanagers"]
        if self._pool and number > 1:
            words += (
                f"; if the {number} task managers share the worker pool {self._pool}, they stop"
                " each other's workers, and the job may not end: give each a pool of its own"
            )
        return words
