"""Standard streams that cannot break a command: a full disk, a closed pipe, no descriptor at all.

The output tells of the work and is not the work: whoever pipes it into `head` or closes it still
gets the dataset, and the exit status of the job.
"""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, cast


class _Forgiving:
    """A stream that is silent after it has failed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with self._silent_after_errors():
            try:
                self._stream.write(text)
            except UnicodeEncodeError as error:
                known = text.encode(error.encoding, "backslashreplace").decode(error.encoding)
                self._stream.write(known)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with self._silent_after_errors():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _silent_after_errors(self) -> Iterator[None]:
        try:
            yield
        except BlockingIOError:
            pass  # the reader is slow, and may read on
        except (OSError, ValueError):
            # What is in the buffer would fail again when the interpreter ends.
            with contextlib.suppress(OSError, ValueError):
                _to_nowhere(self._stream.fileno())
                self._stream.flush()


def forgiving(stream: TextIO) -> TextIO:
    """Returns a stream whose writes do not fail: after the first error it writes to nowhere."""
    return cast(TextIO, _Forgiving(stream))


@contextlib.contextmanager
def kept_open() -> Iterator[None]:
    """Lets `sys.stdout` and `sys.stderr` accept anything in this context, without errors."""
    # A file that is opened later would get the number of a closed descriptor, and with it what
    # libraries print.
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            _to_nowhere(fd)
    previous = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    for fd, (name, stream) in enumerate(previous.items(), 1):
        # Python has none where the descriptor was closed.
        opened = open(fd, "w", closefd=False) if stream is None else stream  # noqa: SIM115
        setattr(sys, name, forgiving(opened))
    try:
        yield
    finally:
        for name, stream in previous.items():
            getattr(sys, name).flush()
            setattr(sys, name, stream)


def _to_nowhere(fd: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere == fd:  # it is the lowest that is free
        os.set_inheritable(fd, True)
        return
    os.dup2(nowhere, fd)
    os.close(nowhere)
