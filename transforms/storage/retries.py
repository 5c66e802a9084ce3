"""What is worth another try, and for how long."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

_Result = TypeVar("_Result")
# Between tries: random up to this, doubled each time up to the longest.
_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 16.0
# A server's own Retry-After counts up to this.
_MAX_RETRY_AFTER_SECONDS = 60.0
RETRYABLE_STATUSES = (408, 425, 429, 500, 502, 503, 504)


class TransientError(OSError):
    """A fault that may pass: no answer, an incomplete answer, or a status that says so.

    Attributes:
      retry_after_seconds: The pause that the server requests; 0 if it requests none.
    """

    def __init__(self, message: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class UnknownHostError(TransientError):
    """The name of a host does not resolve: it is misspelt, or there is no network."""


@dataclasses.dataclass(frozen=True)
class RetryPolicy:
    """Deadlines of an operation and of its tries.

    Attributes:
      connect_seconds: Limit of each connection attempt.
      read_seconds: Without a byte for this long a connection is dead.
      total_seconds: No try begins later than this.
      max_tries: No more tries than this; None for any number.
      retry_unknown_host: Whether a name that does not resolve is tried again.
    """

    connect_seconds: float = 5.0
    read_seconds: float = 20.0
    total_seconds: float = 100.0
    max_tries: int | None = None
    retry_unknown_host: bool = True

    def call(self, function: Callable[[], _Result], extra_seconds: float = 0.0) -> _Result:
        """Calls a function until it returns or its error is final.

        Args:
          function: Safe to repeat; raises `TransientError` for what may pass.
          extra_seconds: Added to `total_seconds`, for an operation that is long by itself.

        Raises:
          OSError: The error of the last try; a transient one with the number of tries.
        """
        # Takes 0.3 s to import, which is too long for the refusal of a flag.
        from google.api_core import exceptions, retry

        started = time.monotonic()
        errors: list[TransientError] = []

        def waits() -> Iterator[float]:
            generated = retry.exponential_sleep_generator(
                _FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS
            )
            for wait in generated:
                wanted = min(errors[-1].retry_after_seconds, _MAX_RETRY_AFTER_SECONDS)
                yield max(wait, wanted)

        def is_retryable(error: Exception) -> bool:
            if not isinstance(error, TransientError):
                return False
            errors.append(error)
            is_known = self.retry_unknown_host or not isinstance(error, UnknownHostError)
            return is_known and len(errors) != self.max_tries

        try:
            return retry.retry_target(
                function, is_retryable, waits(), timeout=self.total_seconds + extra_seconds
            )
        except (TransientError, exceptions.RetryError) as error:
            tries = "1 try" if len(errors) == 1 else f"{len(errors)} tries"
            seconds = time.monotonic() - started
            raise type(errors[-1])(f"{errors[-1]} ({tries} in {seconds:.0f} s)") from error


# In the middle of a run, where a storage that is away for a minute must not fail a clip.
DEFAULT_RETRY = RetryPolicy()
# Before a run, where somebody waits for the answer.
PREFLIGHT_RETRY = RetryPolicy(
    connect_seconds=4.0, read_seconds=8.0, total_seconds=10.0, retry_unknown_host=False
)
# For files that take minutes: it is the tries that are counted.
DOWNLOAD_RETRY = RetryPolicy(
    connect_seconds=10.0,
    read_seconds=60.0,
    total_seconds=float("inf"),
    max_tries=6,
    retry_unknown_host=False,
)
