"""How long a storage is waited for, and what is worth another try."""

import dataclasses
import time
from collections.abc import Callable
from typing import TypeVar

from google.api_core import retry
from google.api_core.exceptions import RetryError

_Result = TypeVar("_Result")
# Between tries: random up to this, doubled each time up to the longest.
_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 16.0


class TransientError(OSError):
    """A fault that may be over soon: no answer, an answer cut off, or "come again later"."""


@dataclasses.dataclass(frozen=True)
class RetryPolicy:
    """Deadlines.

    Attributes:
      connect_seconds: For a connection.
      read_seconds: Without a byte; then the connection is dead.
      total_seconds: For an operation: after that no further try begins.
    """

    connect_seconds: float = 5.0
    read_seconds: float = 20.0
    total_seconds: float = 100.0

    def call(self, function: Callable[[], _Result], extra_seconds: float = 0.0) -> _Result:
        """Calls a function, again where that may help; it must be one that may be repeated.

        Args:
          function: Raises `TransientError` where that is so.
          extra_seconds: Added to the whole, for an operation that is long by itself.

        Raises:
          OSError: Of the last try, with the number of tries.
        """
        tries = 0
        begun = time.monotonic()

        def counted() -> _Result:
            nonlocal tries
            tries += 1
            return function()

        patiently = retry.Retry(
            predicate=retry.if_exception_type(TransientError),
            initial=_FIRST_WAIT_SECONDS,
            maximum=_LONGEST_WAIT_SECONDS,
            timeout=self.total_seconds + extra_seconds,
        )
        try:
            return patiently(counted)()
        except RetryError as error:
            seconds = time.monotonic() - begun
            number = "1 try" if tries == 1 else f"{tries} tries"
            raise TransientError(f"{error.cause} ({number} in {seconds:.0f} s)") from error.cause


# In the middle of a run, where a storage that is away for a minute must not fail a clip.
DEFAULT_RETRY = RetryPolicy()
# Before a run, where somebody waits for the answer.
PREFLIGHT_RETRY = RetryPolicy(connect_seconds=4.0, read_seconds=8.0, total_seconds=10.0)
