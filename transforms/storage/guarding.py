"""Errors of other people's code on hostile paths, as the `OSError` that callers expect.

Clients and parsers raise whatever they meet: a ValueError for `http://[::1/x`, a NameError where
Beam lacks Azure's package, a re.error for a glob. Such an error must fail a clip or refuse a flag,
not end the job. An error that is raised in this package is a bug and stays as it is.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])
_OWN_PACKAGE = __name__.partition(".")[0]
_MAX_SHOWN = 200


@contextlib.contextmanager
def outside_errors(path: str) -> Iterator[None]:
    """Turns errors that other packages raise within the block into `OSError`.

    Args:
      path: What the block reads, writes or looks for.

    Raises:
      FileNotFoundError: The path has NUL or cannot be encoded, so no file can have it.
      OSError: Another package raised an error; the message names its type.
    """
    try:
        yield
    except (OSError, MemoryError):
        raise
    except Exception as error:
        shown = f"{path!a}" if len(path) <= _MAX_SHOWN else f"{path[:_MAX_SHOWN]!a}…"
        if _is_impossible(path):
            raise FileNotFoundError(f"{shown} is not the path of any file: {error}") from error
        if _is_own(error.__traceback__):
            raise
        words = " ".join(str(error).split())[:_MAX_SHOWN]
        raise OSError(f"{shown} cannot be used: {type(error).__name__}: {words}") from error


def guarded(function: _Function) -> _Function:
    """Decorates a function of a path, or of paths, with `outside_errors`."""

    @functools.wraps(function)
    def call(path: Any, *arguments: Any, **named: Any) -> Any:
        with outside_errors(path if isinstance(path, str) else next(iter(path), "")):
            return function(path, *arguments, **named)

    return call  # type: ignore[return-value]


def _is_impossible(path: str) -> bool:
    try:
        return b"\0" in os.fsencode(path)
    except UnicodeEncodeError:
        return True


def _is_own(traceback: TracebackType | None) -> bool:
    """Tells whether the innermost frame, in which an error was raised, is of this package."""
    while traceback and traceback.tb_next:
        traceback = traceback.tb_next
    name = str(traceback.tb_frame.f_globals.get("__name__", "")) if traceback else ""
    return name.partition(".")[0] == _OWN_PACKAGE
