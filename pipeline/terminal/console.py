"""Output for the user: this program's messages, without the output of libraries.

C++ libraries print to the file descriptors 1 and 2 before they can be configured, and so do
processes that Beam starts. While a command runs, both descriptors write to a temporary file, whose
end is shown if the command fails. A pipe would need a reader, which waits for the interpreter's
lock while a library that holds the lock waits for the pipe.
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

from pipeline.terminal import streams

_MAX_BYTES = 4 * 2**20
_KEPT_BYTES = 2**18
_TRIM_SECONDS = 5
_LAST_LINES = 20
_MAX_WARNINGS = 5
# Messages of TensorFlow on a machine without a GPU, and of Beam, in every run.
_NOISE = re.compile(
    r"All log messages before absl::InitializeLog|oneDNN custom operations|cuda drivers|cuInit"
    r"|cuda_diagnostics|cudart_stub|Unable to register cu|TF-TRT Warning"
    r"|CPU instructions|rebuild TensorFlow with|cpu_feature_guard"
    r"|Getting build dependencies|Creating isolated environment|Installing packages in isolated"
    r"|Building sdist|Successfully built|^\s*- \S+$|no previously-included (files|directories)"
    r"|^(running|writing|reading|adding|copying|creating|Creating|removing|hard linking|making) "
)
# Messages that matter to the user even of a run that succeeds.
_WARNINGS = re.compile(
    r"out of memory|out-of-memory|\bOOM\b|bad_alloc|cannot allocate memory|no space left"
    r"|too many open files|disk quota",
    re.IGNORECASE,
)


class _Log:
    """The file that the descriptors write to."""

    def __init__(self) -> None:
        made, self.path = tempfile.mkstemp(f"-{os.getpid()}.log", "beam-audio-embeddings-")
        os.close(made)
        # All that inherit it append, also after it was truncated.
        self.fd = os.open(self.path, os.O_RDWR | os.O_APPEND)
        self._lock = threading.Lock()  # no thread may use the descriptor after it is closed
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
        """Drops the beginning of a file that has become too long."""
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
    """Hides the output of libraries and child processes from the user, in this context.

    `sys.stdout` and `sys.stderr` still reach the user, and so do a fatal error of the interpreter
    and, at the end, the messages of libraries that matter.

    Args:
      verbose: Hide nothing.
    """
    global _log
    if verbose or _log is not None:
        yield
        return
    log = _Log()
    with contextlib.ExitStack() as stack:
        stack.callback(log.close)
        for name, fd in (("stdout", 1), ("stderr", 2)):
            with contextlib.suppress(OSError):  # a closed descriptor has no output
                stack.enter_context(_redirected(log, name, fd))
        if not faulthandler.is_enabled() and (said := _real_file(sys.stderr)):
            faulthandler.enable(said)
            stack.callback(faulthandler.disable)
        previous, threading.excepthook = threading.excepthook, _hide_traceback
        stderr = sys.stderr
        _log = log
        try:
            yield
        finally:
            _log = None
            threading.excepthook = previous
            sys.stderr = stderr
            for line in _warnings(log.tail()):
                print(f"NOTE: {line}", file=sys.stderr)


def recent_output() -> str:
    """Returns the end of the hidden output, without the messages of every run."""
    if _log is None:
        return ""
    hidden = _without_tracebacks(_log.tail().splitlines())
    lines = [line for line in hidden if line.strip() and not _NOISE.search(line)]
    return "\n".join(lines[-_LAST_LINES:])


def forget() -> None:
    """Removes the temporary file, before the process ends immediately."""
    if _log is not None:
        with contextlib.suppress(OSError):
            os.unlink(_log.path)


@contextlib.contextmanager
def hide_stderr(verbose: bool = False) -> Iterator[None]:
    """Hides the output of Python to `sys.stderr` as well, in this context.

    Threads that were started in it stay hidden until `redirect_native_output` ends: when one worker
    thread of a runner has failed the job, another may print its traceback later.
    """
    if verbose:
        yield
        return
    user, sys.stderr = sys.stderr, _IntoLog()
    try:
        yield
    finally:
        sys.stderr = user if _log is None else _OfMainThread(user)


class _OfMainThread(io.TextIOBase):
    """Writes the output of the main thread to a stream, and that of others to the log."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._log = _IntoLog()

    def write(self, text: str) -> int:
        is_main = threading.current_thread() is threading.main_thread()
        return (self._stream if is_main else self._log).write(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()


class _IntoLog(io.TextIOBase):
    """Writes to the log while there is one; never closed, as threads may outlive the job."""

    def write(self, text: str) -> int:
        log = _log
        if log is not None:
            log.write(text)
        return len(text)


def _hide_traceback(died: threading.ExceptHookArgs) -> None:
    """Hides the traceback of a thread that ends with an error."""
    traceback.print_exception(died.exc_type, died.exc_value, died.exc_traceback, file=_IntoLog())


@contextlib.contextmanager
def _redirected(log: _Log, name: str, fd: int) -> Iterator[None]:
    """Redirects a descriptor to the log, and its stream to the old target of the descriptor."""
    stream: TextIO = getattr(sys, name)
    stream.flush()
    saved = os.dup(fd)
    user: TextIO | None = None
    if _real_file(stream) and stream.fileno() == fd:
        opened = open(  # noqa: SIM115 - it shall not close the descriptor
            saved, "w", buffering=1, encoding=stream.encoding, errors=stream.errors, closefd=False
        )
        user = streams.forgiving(opened)
        setattr(sys, name, user)
    os.dup2(log.fd, fd)
    try:
        yield
    finally:
        if user is not None:
            user.flush()
            if getattr(sys, name) is user:
                setattr(sys, name, stream)
        os.dup2(saved, fd)
        os.close(saved)


def _real_file(stream: TextIO) -> TextIO | None:
    """Returns the stream if it writes to a descriptor, which stand-ins in tests do not."""
    try:
        stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None
    return stream


def _warnings(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if _WARNINGS.search(line)]
    return [*dict.fromkeys(lines)][:_MAX_WARNINGS]


def _without_tracebacks(lines: list[str]) -> Iterator[str]:
    """Yields lines without Python's tracebacks, whose errors are printed elsewhere."""
    inside = False
    for line in lines:
        if line.startswith("Traceback (most recent call last)"):
            inside = True
        elif not inside:
            yield line
        elif line and not line.startswith(" "):
            inside = False
            yield line
