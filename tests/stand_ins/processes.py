"""Programs that stand for a service, each in a process of its own on a free port."""

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import pytest


def free_port() -> int:
    """Returns a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(command: list[str], port: int, seconds: float = 300) -> Iterator[str]:
    """Runs a Python module that serves HTTP while the block lasts; gives its address."""
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + seconds
        while not _answers(address):
            if process.poll() is not None or time.monotonic() > until:
                pytest.fail(f"{' '.join(command)} did not start")
            time.sleep(0.05)
        yield address
    finally:
        process.kill()
        process.wait()


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=60).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
