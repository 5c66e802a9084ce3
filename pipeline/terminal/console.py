"""What reaches the user: what this program says, and not what libraries print meanwhile.

Libraries in C++ print to the file descriptors 1 and 2, before they can be told not to, and so do
processes that Beam starts. While a command runs, both descriptors lead into a file of its own, from
which its end is shown if the command ends badly. It is a file because a pipe would want a reader,
which waits for the interpreter's lock while a library that holds it waits for the pipe.
"""

import contextlib
import faulthandler
import io
import os
import re
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from typing import TextIO

_MAX_BYTES = 4 * 2**20
_KEPT_BYTES = 2**18
_TRIM_SECONDS = 5
_LAST_LINES = 20
_MAX_WARNINGS = 5
# What TensorFlow says whenever it starts on a machine without a GPU, and what Beam does.
_NOISE = re.compile(
    r"All log messages before absl::InitializeLog|oneDNN custom operations|cuda drivers|cuInit"
    r"|cuda_diagnostics|cudart_stub|Unable to register cu|TF-TRT Warning"
    r"|CPU instructions|rebuild TensorFlow with|cpu_feature_guard"
    r"|Getting build dependencies|Creating isolated environment|Installing packages in isolated"
    r"|Building sdist|Successfully built|^\s*- \S+$|no previously-included (files|directories)"
    r"|^(running|writing|reading|adding|copying|creating|Creating|removing|hard linking|making) "
)
# What a user would want to know of a run that has come to its end all the same.
_WARNINGS = re.compile(
    r"out of memory|out-of-memory|\bOOM\b|bad_alloc|cannot allocate memory|no space left"
    r"|too many open files|disk quota",
    re.IGNORECASE,
)


class _Log:
    """The file that the descriptors lead to meanwhile."""

    def __init__(self) -> None:
        made, self.path = tempfile.mkstemp(f"-{os.getpid()}.log", "beam-audio-embeddings-")
        os.close(made)
        # All that inherit it write behind what is there, also after it was cut short.
        self.fd = os.open(self.path, os.O_RDWR | os.O_APPEND)
        self._lock = threading.Lock()  # no thread may use the descriptor once it is closed
        self._ended = threading.Event()
        threading.Thread(target=self._keep_small, name="console", daemon=True).start()

    def write(self, text: str) -> None:
        with self._lock, contextlib.suppress(OSError):
            if not self._ended.is_set():
                os.write(self.fd, text.encode(errors="replace"))

    def tail(self) -> str:
        size = os.fstat(self.fd).st_size
        start = max(0, size - _KEPT_BYTES)
        return os.pread(self.fd, size - start, start).decode(errors="replace")

    def trim(self) -> None:
        """Keeps the end of what has become too long."""
        with self._lock, contextlib.suppress(OSError):
            if not self._ended.is_set() and os.fstat(self.fd).st_size > _MAX_BYTES:
                kept = self.tail().encode()
                os.ftruncate(self.fd, 0)
                os.write(self.fd, kept)

    def close(self) -> None:
        with self._lock:
            self._ended.set()
            os.close(self.fd)
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    def _keep_small(self) -> None:
        while not self._ended.wait(_TRIM_SECONDS):
            self.trim()


_log: _Log | None = None


@contextlib.contextmanager
def redirect_native_output(verbose: bool = False) -> Iterator[None]:
    """Keeps what libraries and child processes print from the user, in this context.

    `sys.stdout` and `sys.stderr` go on to reach the user. What of the rest matters is shown at the
    end. A fatal error of the interpreter is printed where the user sees it.

    Args:
      verbose: Let everything through.
    """
    global _log
    if verbose or _log is not None:
        yield
        return
    log = _Log()
    with contextlib.ExitStack() as stack:
        stack.callback(log.close)
        for name, fd in (("stdout", 1), ("stderr", 2)):
            with contextlib.suppress(OSError):  # a descriptor that is closed keeps nothing
                stack.enter_context(_led_into(log, name, fd))
        if not faulthandler.is_enabled() and (said := _real_file(sys.stderr)):
            faulthandler.enable(said)
            stack.callback(faulthandler.disable)
        previous, threading.excepthook = threading.excepthook, _keep_traceback
        _log = log
        try:
            yield
        finally:
            _log = None
            threading.excepthook = previous
            for line in _warnings(log.tail()):
                print(f"NOTE: {line}", file=sys.stderr)


def recent_output() -> str:
    """Returns the end of what was kept from the user, without what is always there."""
    if _log is None:
        return ""
    lines = _without_tracebacks(_log.tail().splitlines())
    telling = [line for line in lines if line.strip() and not _NOISE.search(line)]
    return "\n".join(telling[-_LAST_LINES:])


def forget() -> None:
    """Removes the file of what was kept; for who ends the process without further ado."""
    if _log is not None:
        with contextlib.suppress(OSError):
            os.unlink(_log.path)


@contextlib.contextmanager
def threads_kept_quiet(verbose: bool = False) -> Iterator[None]:
    """Keeps from the user what Python prints to `sys.stderr`, too, in this context."""
    if verbose:
        yield
        return
    with contextlib.redirect_stderr(_IntoLog()):
        yield


class _IntoLog(io.TextIOBase):
    """Takes text for as long as it is kept. It is never closed: threads may outlive the job."""

    def write(self, text: str) -> int:
        log = _log
        if log is not None:
            log.write(text)
        return len(text)


def _keep_traceback(died: threading.ExceptHookArgs) -> None:
    """Keeps from the user what threads print that end with an error."""
    traceback.print_exception(died.exc_type, died.exc_value, died.exc_traceback, file=_IntoLog())


@contextlib.contextmanager
def _led_into(log: _Log, name: str, fd: int) -> Iterator[None]:
    """Leads a descriptor into the log, and the stream of this name to where it led before."""
    stream: TextIO = getattr(sys, name)
    stream.flush()
    saved = os.dup(fd)
    user: TextIO | None = None
    if _real_file(stream) and stream.fileno() == fd:
        user = open(  # noqa: SIM115 - it is closed below
            saved, "w", buffering=1, encoding=stream.encoding, errors=stream.errors, closefd=False
        )
        setattr(sys, name, user)
    os.dup2(log.fd, fd)
    try:
        yield
    finally:
        if user is not None:
            with contextlib.suppress(OSError):  # nobody reads any more
                user.flush()
            if getattr(sys, name) is user:
                setattr(sys, name, stream)
        os.dup2(saved, fd)
        os.close(saved)


def _real_file(stream: TextIO) -> TextIO | None:
    """Returns a stream that writes to a descriptor; others stand in for one, as in tests."""
    try:
        stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None
    return stream


def _warnings(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if _WARNINGS.search(line)]
    return [*dict.fromkeys(lines)][:_MAX_WARNINGS]


def _without_tracebacks(lines: list[str]) -> Iterator[str]:
    """Yields lines but not Python's tracebacks: the error's own words are told elsewhere."""
    inside = False
    for line in lines:
        if line.startswith("Traceback (most recent call last)"):
            inside = True
        elif not inside:
            yield line
        elif line and not line.startswith(" "):
            inside = False
            yield line
