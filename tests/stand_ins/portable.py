"""A portable engine on this machine: Beam's Prism, and pools of workers in other processes.

Both programs are Beam's own, written in Go: `prism`, and `container`, which Beam's images start as
/opt/apache/beam/boot.
"""

import contextlib
import importlib.metadata
import os
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path

from tests import optional

# Where Beam keeps its programs in Go, and how they are brought into this environment.
_FOLDERS = {"prism": "go/cmd/prism", "container": "python/container"}
_INSTALL = (
    f"GOBIN={optional.BIN} go install"
    f" github.com/apache/beam/sdks/v2/{{}}@v{importlib.metadata.version('apache-beam')}"
)


def program(name: str) -> str:
    """Returns where one of Beam's programs is, or skips the test."""
    return optional.program(name, _INSTALL.format(_FOLDERS[name]))


@contextlib.contextmanager
def prism(log: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Starts the engine; gives its address and its process."""
    port = free_port()
    command = [program("prism"), f"-job_port={port}", "-serve_http=false"]
    with running(command, log, port) as process:
        yield f"localhost:{port}", process


@contextlib.contextmanager
def worker_pool(log: Path, boot: Path | None = None) -> Iterator[str]:
    """Starts a pool of workers; gives its address.

    Args:
      log: File for what it prints.
      boot: A new folder for Beam's boot, which installs there what the job has staged; None for
        workers that take what is installed.
    """
    port = free_port()
    module = "apache_beam.runners.worker.worker_pool_main"
    bin_folder = optional.BIN if boot is None else _environment_without_us(boot)
    command = [str(bin_folder / "python"), "-m", module, f"--service_port={port}"]
    environment = os.environ | {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    if boot is not None:
        script = boot / "boot.sh"
        container = program("container")
        script.write_text(f'#!/bin/sh\nexec {container} --semi_persist_dir={boot} "$@"\n')
        script.chmod(0o755)
        command.append(f"--container_executable={script}")
        environment["RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT"] = "1"
    # In another folder: nothing may come from where the program was started.
    with running(command, log, port, cwd="/", env=environment):
        yield f"localhost:{port}"


def _environment_without_us(folder: Path) -> Path:
    """Makes an environment that has our requirements and not us; returns its programs' folder."""
    venv.create(folder / "environment")
    (site,) = (folder / "environment").glob("lib/python*/site-packages")
    # Of a folder that is named in a .pth the .pth files do not count, and we are there by one.
    folders = [path for path in sys.path if Path(path).name == "site-packages"]
    (site / "requirements.pth").write_text("\n".join(folders))
    return folder / "environment" / "bin"


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("localhost", 0))
        return listening.getsockname()[1]


@contextlib.contextmanager
def running(
    command: list[str], log: Path, port: int, **options: object
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, start_new_session=True, **options
        )  # type: ignore[call-overload]
        try:
            _wait_for(port, process, log)
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(6_000):
        with contextlib.suppress(OSError), socket.create_connection(("localhost", port)):
            return
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(log.read_text())
