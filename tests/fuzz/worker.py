"""A process that runs cases one after the other: `python -m tests.fuzz.worker`.

It reads the number of a case from a line of its standard input, and answers with a line of JSON.
Whatever ends it or stops it costs the one case that it is at.
"""

import argparse
import contextlib
import ctypes
import faulthandler
import importlib
import json
import os
import pickle
import resource
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from tests.fuzz import cases
from tests.fuzz.corpus import CANARY, PORT
from tests.fuzz.targets import Target

# Keeps a runaway from taking the machine; what a case may take is measured, and far less.
_MOST_ADDRESS_SPACE = 6 * 2**30
_IN_OPEN = 0x20
_AUDITED = ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.exec")


def main() -> None:
    """Runs cases until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target", help="module and name of a Target, as tests.fuzz.targets:decode")
    parser.add_argument("seed", type=int)
    parser.add_argument("folder", type=Path, help="with the file `seeds`; the worker's own below")
    arguments = parser.parse_args()
    # Native libraries print to the standard output, too.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    seeds = pickle.loads((arguments.folder / "seeds").read_bytes())
    module, _, name = arguments.target.partition(":")
    target: Target = getattr(importlib.import_module(module), name)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_ADDRESS_SPACE, _MOST_ADDRESS_SPACE))
    faulthandler.enable()  # says where a crash or a hang is
    folder = arguments.folder / str(os.getpid())
    folder.mkdir()
    os.chdir(folder)
    watch = _Watch(folder)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        case = cases.make(seeds, arguments.seed, int(line))
        print(json.dumps(_run(target, case, folder, watch)), file=answers, flush=True)


def _run(target: Target, case: cases.Case, folder: Path, watch: "_Watch") -> dict[str, Any]:
    path = folder / f"mutated{case.suffix}"
    path.write_bytes(case.data.replace(PORT, b":%05d/" % watch.port))
    watch.opened(path.name)  # those of writing it
    _forget_peak()
    began = time.perf_counter()
    answer: dict[str, Any] = {"outcomes": {}, "fault": ""}
    try:
        answer["outcomes"] = target(case, path)
    except Exception:
        answer["fault"] = traceback.format_exc()
    answer["seconds"] = time.perf_counter() - began
    answer["peak_mb"] = _peak_mb()
    if opened := watch.opened(path.name):
        answer["fault"] += f"opened besides the file: {', '.join(opened)}"
    path.unlink()
    return answer


def _forget_peak() -> None:
    """Makes the peak of this process that of what follows, where the system can do that."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1_024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


class _Watch:
    """Notices what is opened: files of the folder, by whomever, a port, and calls of Python.

    Attributes:
      port: A port of this machine that is watched.
    """

    def __init__(self, folder: Path) -> None:
        (folder / CANARY.decode()).write_bytes(b"RIFF")
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setblocking(False)
        self.port: int = self._server.getsockname()[1]
        library = ctypes.CDLL(None, use_errno=True)
        self._inotify = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        watched = library.inotify_add_watch(self._inotify, os.fsencode(folder), _IN_OPEN)
        if self._inotify < 0 or watched < 0:
            raise OSError(ctypes.get_errno(), "inotify")
        self._calls: list[str] = []
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _AUDITED:
            self._calls.append(f"{event}{arguments}")

    def opened(self, allowed: str) -> list[str]:
        """Returns what was opened since the last call, without the file that may be."""
        opened, self._calls = self._calls, []
        try:
            events = os.read(self._inotify, 2**16)
        except BlockingIOError:
            events = b""
        while events:
            length = int.from_bytes(events[12:16], sys.byteorder)
            opened.append(os.fsdecode(events[16 : 16 + length].rstrip(b"\0")))
            events = events[16 + length :]
        try:
            connection, _ = self._server.accept()
            connection.close()
            opened.append(f"port {self.port}")
        except BlockingIOError:
            pass
        # Of an empty name: the folder itself, which whoever looks for a name opens.
        return [each for each in opened if each not in (allowed, "")]


if __name__ == "__main__":
    main()
