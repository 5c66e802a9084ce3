"""A Flink session cluster on this machine, with a pool of workers for each task manager."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from tests import optional
from tests.stand_ins.java_engines import java
from tests.stand_ins.portable import free_port, running

_FOLDER = Path(__file__).parent
_START_SECONDS = 180
# The address of a pool as every task manager knows it: the name is another address in each of them.
_POOL_HOST = "workers"
# As in deploy/flink: a worker then outlives its steps, for as long as the job says.
_BEAM_OF_THE_CLUSTER = "classloader.resolve-order=parent-first"


class FlinkCluster:
    """A job manager and task managers, each a process; use it in a `with` statement.

    Attributes:
      url: Address of the REST interface.
      pool: Address of the pool of workers, as `--environment_config` takes it.
      processes: All of them, by name: `jobmanager`, `taskmanager1`, `pool1` and so on.
    """

    def __init__(self, folder: Path, num_task_managers: int = 2, **settings: str) -> None:
        self._folder = folder
        self._class_path = java.class_path("flink_cluster")
        self._num_task_managers = num_task_managers
        rest, self._pool_port = free_port(), free_port()
        self._settings = {
            "rest.address": "localhost",
            "rest.bind-address": "localhost",
            "rest.port": str(rest),
            "jobmanager.rpc.address": "localhost",
            "jobmanager.rpc.port": str(free_port()),
            "jobmanager.bind-host": "localhost",
            "blob.server.port": str(free_port()),
            "taskmanager.host": "localhost",
            "taskmanager.bind-host": "localhost",
            **settings,
        }
        self.url = f"http://localhost:{rest}"
        self.pool = f"{_POOL_HOST}:{self._pool_port}"
        self.processes: dict[str, psutil.Popen] = {}

    def __enter__(self) -> "FlinkCluster":
        self._folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(_FOLDER / "flink.yaml", self._folder / "config.yaml")
        try:
            self._start_flink(
                "jobmanager",
                "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
                *("--executionMode", "cluster"),
            )
            for number in range(1, self._num_task_managers + 1):
                self.start_pool(number)
                self.start_task_manager(number)
            self.wait_for_task_managers(self._num_task_managers)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self.processes):
            self.kill(name)

    def start_task_manager(self, number: int) -> None:
        """Starts a task manager, for the first time or after it was killed."""
        hosts = self._folder / f"hosts{number}"
        hosts.write_text(
            f"127.0.0.1 localhost {socket.gethostname()}\n{self._host(number)} {_POOL_HOST}\n"
        )
        name = f"taskmanager{number}"
        self._start_flink(
            name,
            "org.apache.flink.runtime.taskexecutor.TaskManagerRunner",
            *("-D", f"taskmanager.resource-id={name}", "-D", _BEAM_OF_THE_CLUSTER),
            java_options=[f"-Djdk.net.hosts.file={hosts}"],
            class_path=f"{self._class_path}:{job_server_jar()}",
        )

    def start_pool(self, number: int) -> None:
        """Starts the pool of workers of a task manager."""
        command = [str(optional.BIN / "python"), str(_FOLDER / "worker_pool.py")]
        environment = os.environ | {"PATH": f"{optional.BIN}{os.pathsep}{os.environ['PATH']}"}
        self._start(
            f"pool{number}", [*command, f"{self._host(number)}:{self._pool_port}"], environment
        )

    def kill(self, name: str) -> None:
        """Kills a process, and what it has started."""
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def workers(self) -> list[psutil.Process]:
        """Returns the workers that the pools have started and that still live."""
        pools = [each for name, each in self.processes.items() if name.startswith("pool")]
        children = [child for pool in pools for child in pool.children()]
        return [each for each in children if each.status() != psutil.STATUS_ZOMBIE]

    def num_started_workers(self) -> int:
        """Returns how many workers the pools have started since the cluster was."""
        logs = self._folder.glob("pool*.log")
        return sum(log.read_text().count("Starting worker with command") for log in logs)

    def get(self, path: str) -> Any:
        """Returns an answer of the REST interface."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=30) as answer:
            return json.load(answer)

    def wait_for_task_managers(self, number: int) -> None:
        """Waits until so many task managers are registered."""
        until = time.monotonic() + _START_SECONDS
        while self._num_registered() != number:
            assert time.monotonic() < until, self.logs()
            assert self.processes["jobmanager"].poll() is None, self.logs()
            time.sleep(0.2)

    def logs(self) -> str:
        """Returns the ends of all logs."""
        logs = sorted(self._folder.glob("*.log"))
        return "\n".join(f"{log.name}:\n{log.read_text()[-4_000:]}" for log in logs)

    def _num_registered(self) -> int:
        with contextlib.suppress(OSError):
            return self.get("/v1/overview")["taskmanagers"]
        return -1

    def _host(self, number: int) -> str:
        return f"127.0.0.{number + 1}"

    def _start_flink(
        self,
        name: str,
        main: str,
        *arguments: str,
        java_options: Sequence[str] = (),
        class_path: str = "",
    ) -> None:
        settings = [word for pair in self._settings.items() for word in ("-D", "=".join(pair))]
        temporary = self._folder / "tmp"
        temporary.mkdir(exist_ok=True)
        command = java.command("640m", f"-Djava.io.tmpdir={temporary}", *java_options)
        command += ["-cp", class_path or self._class_path, main, "--configDir", str(self._folder)]
        self._start(name, [*command, *settings, *arguments], dict(os.environ))

    def _start(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            self.processes[name] = psutil.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
                env=environment,
            )


@contextlib.contextmanager
def job_server(cluster: FlinkCluster, folder: Path) -> Iterator[str]:
    """Starts Beam's job server in front of a cluster; gives its address."""
    port = free_port()
    command = java.command("512m", f"-Djava.io.tmpdir={folder}")
    command += ["-jar", str(job_server_jar()), f"--flink-master={cluster.url.partition('//')[2]}"]
    command += ["--job-host=localhost", f"--job-port={port}", f"--artifact-port={free_port()}"]
    command += ["--expansion-port=0", f"--artifacts-dir={folder}"]
    with running(command, folder / "job_server.log", port):
        yield f"localhost:{port}"


def job_server_jar() -> Path:
    """Returns Beam's job server for the version of Flink that is run here."""
    return java.built() / "flink_job_server" / "job_server.jar"
