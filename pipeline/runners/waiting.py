"""Waiting for the end of a job on a cluster."""

import dataclasses
import datetime
import time
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from apache_beam.runners.runner import PipelineState

from pipeline.errors import JobGoesOnError, RunnerLostError
from pipeline.terminal.progress import duration

POLL_SECONDS = 1.0
# A job manager that is restarted, or moved to another machine, is back within a minute or so.
OUTAGE_SECONDS = 90.0
# A job that is cancelled ends within this, or is left alone.
CANCEL_SECONDS = 20.0
_INSIST_SECONDS = 10.0

_Result = TypeVar("_Result")


class NoAnswerError(Exception):
    """A cluster does not respond, or cannot now, which may pass; the message begins with a verb."""


class UnknownJobError(NoAnswerError):
    """A cluster does not know the job: it has restarted, and may not have recovered it yet."""


@dataclasses.dataclass(frozen=True)
class Status:
    """What a cluster reports about a job.

    Attributes:
      state: One of Beam's `PipelineState`.
      words: The state for people; each new one is printed.
      tasks_done: Number of tasks that have ended, of `tasks`; 0 where the cluster does not tell.
      tasks: Number of tasks of the job.
      counts: Beam's counters by name, as in `live_counts`.
    """

    state: str
    words: str
    tasks_done: int = 0
    tasks: int = 0
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def is_final(self) -> bool:
        return bool(PipelineState.is_terminal(self.state))


class RemoteJob(Protocol):
    """A submitted job.

    Attributes:
      where: Where to look after it.
      cluster: What runs it, in words.
      remains: What may be left of it after it is cancelled, in words; empty if nothing is known.
    """

    where: str
    cluster: str
    remains: str

    def status(self) -> Status:
        """Returns the present status.

        Raises:
          NoAnswerError: The cluster does not respond, or does not know the job.
        """

    def cause(self) -> str:
        """Returns why the job has failed, as the cluster reports it."""

    def cancel(self) -> None:
        """Asks the cluster to cancel the job."""


def await_end(
    job: RemoteJob,
    say: Callable[[str], None],
    shows_states: bool = True,
    show: Callable[[Status], None] | None = None,
) -> Status:
    """Waits for the end of a job, through passing outages of its cluster.

    Args:
      job: The job.
      say: Prints a line: each new state, the beginning and the end of an outage.
      shows_states: Print each new state.
      show: Called with each status.

    Returns:
      The final status.

    Raises:
      JobGoesOnError: The cluster has not responded for too long.
      RunnerLostError: The cluster has lost the job.
    """
    outage = Outage(job.cluster, say)
    printed = ""
    status = Status(PipelineState.UNKNOWN, "")
    while True:
        try:
            status = job.status()
        except NoAnswerError as error:
            if gone := outage.note(error):
                raise _lost(job, gone, error) from error
            if show is not None:
                show(dataclasses.replace(status, words="no answer"))
        else:
            outage.end()
            if status.is_final:
                return status
            if show is not None:
                show(status)
            if shows_states and status.words and status.words != printed:
                say(f"{status.words}  {job.where}")
            printed = status.words
        time.sleep(POLL_SECONDS)


def insist(call: Callable[[], _Result]) -> _Result:
    """Calls a function again for some seconds where the cluster does not respond.

    Raises:
      NoAnswerError: The cluster has not responded.
    """
    until = time.monotonic() + _INSIST_SECONDS
    while True:
        try:
            return call()
        except NoAnswerError:
            if time.monotonic() > until:
                raise
        time.sleep(POLL_SECONDS)


def cancel(job: RemoteJob, say: Callable[[str], None]) -> None:
    """Cancels a job and waits a little for its end, so that nothing of it is written later."""
    say("cancelling the job")
    try:
        insist(job.cancel)
        until = time.monotonic() + CANCEL_SECONDS
        while not insist(job.status).is_final:
            if time.monotonic() > until:
                say(f"the job has not ended yet: {job.where}")
                return
            time.sleep(POLL_SECONDS)
        if job.remains:
            say(f"NOTE: {job.remains}")
    except KeyboardInterrupt:
        say(f"interrupted again: the job may not have ended: {job.where}")
        raise
    except Exception as error:
        why = f"{job.cluster} {error}" if isinstance(error, NoAnswerError) else error
        say(f"the job could not be cancelled: {why}; stop it yourself: {job.where}")


class Outage:
    """The time in which a cluster does not respond, or does not know the job.

    Args:
      cluster: The cluster in words.
      say: Prints a line: the beginning and the end.
    """

    def __init__(self, cluster: str, say: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._say = say
        self._since: float | None = None
        self._clock = ""

    def note(self, error: NoAnswerError) -> str:
        """Notes a request without an answer; returns words about it after too many seconds."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            self._clock = f"{datetime.datetime.now():%H:%M:%S}"
            self._say(f"{self._cluster} {error}; waiting for up to {duration(OUTAGE_SECONDS)}")
        if now - self._since <= OUTAGE_SECONDS:
            return ""
        return f"the runner is gone: since {self._clock} {self._cluster} {error}"

    def end(self) -> None:
        """Notes an answer."""
        if self._since is not None:
            passed = duration(time.monotonic() - self._since)
            self._say(f"{self._cluster} responds again after {passed}")
            self._since = None


def _lost(job: RemoteJob, gone: str, error: NoAnswerError) -> RunnerLostError:
    if isinstance(error, UnknownJobError):
        return RunnerLostError(f"{gone}: it was restarted without the job")
    return JobGoesOnError(
        f"{gone}. The job may go on there: when it responds again, see {job.where}", job.where
    )
