"""Leases: one run at a time writes into a folder.

A lease is a file in the folder that names its holder. It is created atomically, the holder touches
it every minute, and it gives way when the holder is dead: at once where the holder was on this
machine, else when it has not been touched for some minutes by the clock of the storage.
"""

import contextlib
import dataclasses
import datetime
import io
import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import psutil

from transforms.storage.choosing import store_of
from transforms.storage.lease_files import FoundLease, LeaseFile, LocalLeaseFile, StoredLeaseFile
from transforms.storage.retries import PREFLIGHT_RETRY
from transforms.storage.schemes import is_local
from transforms.storage.store import ConflictError

FILE_NAME = ".beam-audio-embeddings.lease"
REFRESH_SECONDS = 60.0
# A lease of another machine that was not touched for this long is a dead one's.
DEAD_SECONDS = 300.0
# Processes that are killed end within this.
_WORKERS_SECONDS = 20.0
# In the environment of all processes of a run.
_VARIABLE = "BEAM_AUDIO_EMBEDDINGS_RUN"
_NUM_TRIES = 5


class HeldError(Exception):
    """Another run holds the lease; the message names it."""


@dataclasses.dataclass(frozen=True)
class Holder:
    """The run that holds a lease.

    Attributes:
      token: Differs between runs.
      host: Name of the machine of the launcher.
      machine: Differs between machines, their restarts, and containers.
      pid: The launcher's process there.
      started: Start of that process, by whatever clock the system has for it.
      since: Start of the run, for people.
      job: The runner, if the launcher does not wait for the job.
    """

    token: str
    host: str
    machine: str
    pid: int
    started: float
    since: str
    job: str = ""

    @classmethod
    def this_process(cls, job: str = "") -> "Holder":
        now = datetime.datetime.now(datetime.timezone.utc)
        return cls(
            token=uuid.uuid4().hex,
            host=platform.node(),
            machine=_machine(),
            pid=os.getpid(),
            started=_start_of(os.getpid()) or 0.0,
            since=f"{now:%Y-%m-%d %H:%M:%S} UTC",
            job=job,
        )

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


class Lease:
    """The lease of a folder, held until it is released.

    Attributes:
      is_lost: Whether another run has taken it over, as this one did not touch it in time.
      before: The holder that has given way, if any.
    """

    def __init__(
        self, file: LeaseFile, holder: Holder, version: str, before: Holder | None = None
    ) -> None:
        self.is_lost = False
        self.before = before
        self._file = file
        self._holder = holder
        self._version = version
        self._ended = threading.Event()

    def keep(self, when_lost: Callable[[], None]) -> None:
        """Touches the lease from a thread until it is released.

        Args:
          when_lost: Called by the thread when another run has taken over.
        """

        def touch() -> None:
            while not self._ended.wait(REFRESH_SECONDS):
                # A storage that does not answer may do so in a minute.
                with contextlib.suppress(OSError):
                    if not self._touch():
                        self.is_lost = True
                        when_lost()
                        return

        threading.Thread(target=touch, name="lease", daemon=True).start()

    def release(self) -> None:
        """Removes the lease, unless another run has taken over."""
        self._ended.set()
        if os.environ.get(_VARIABLE) == self._holder.token:
            del os.environ[_VARIABLE]
        with contextlib.suppress(OSError):
            found = self._file.read()
            if found is not None and _holder(found.data) == self._holder:
                self._file.delete()

    def leave(self, job: str = "") -> None:
        """Leaves the lease to a job that runs on; see `release_job`.

        Args:
          job: What runs it, unless the lease was taken for it.
        """
        self._ended.set()
        if job:
            self._holder = dataclasses.replace(self._holder, job=job)
            with contextlib.suppress(OSError):
                self._touch()

    def _touch(self) -> bool:
        try:
            self._version = self._file.write(_to_json(self._holder), replaces=self._version)
        except ConflictError:
            # A repeated request finds its own first try.
            found = self._file.read()
            if found is None or _holder(found.data) != self._holder:
                return False
            self._version = found.version
        return True


def take(folder: str, job: str = "") -> Lease:
    """Takes the lease of an existing folder.

    Args:
      folder: Anywhere.
      job: The runner of a job that the launcher does not wait for: the lease is the job's, which
        releases it with `release_job`. It gives way to any run, as nobody knows whether that job
        has ended: see `Lease.before`.

    Raises:
      HeldError: Another run holds it.
      OSError: The storage refuses, so that nobody can hold a lease there.
    """
    file = _file(folder)
    holder = Holder.this_process(job)
    for _ in range(_NUM_TRIES):
        before = _replaceable(folder, file)
        dead = _holder(before.data) if before else None
        if dead is not None and dead.machine == _machine() and not dead.job:
            _end_workers(dead)
        try:
            version = file.write(_to_json(holder), before.version if before else "")
        except ConflictError:
            found = file.read()
            if found is None or _holder(found.data) != holder:
                continue  # another run was faster, or has just released it
            version = found.version
        os.environ[_VARIABLE] = holder.token
        return Lease(file, holder, version, dead)
    raise OSError(f"{file.path} changes again and again")


def check_free(folder: str) -> None:
    """Checks that no run holds the lease of a folder, which may be absent.

    Raises:
      HeldError: A run holds it.
    """
    with contextlib.suppress(OSError):  # whoever takes it will tell
        _replaceable(folder, _file(folder))


def release_job(folder: str) -> None:
    """Removes the lease of a job that no launcher waits for, at the end of the job."""
    file = _file(folder)
    with contextlib.suppress(OSError):
        found = file.read()
        holder = _holder(found.data) if found else None
        if holder is not None and holder.job:
            file.delete()


def _replaceable(folder: str, file: LeaseFile) -> FoundLease | None:
    """Returns the lease of a dead holder, or None where there is no lease.

    Raises:
      HeldError: The holder is alive, or may be.
    """
    found = file.read()
    if found is None:
        return None
    holder = _holder(found.data)
    if holder is None:
        who, alive = "another run", _is_young(folder, found.modified_seconds)
    elif holder.job:
        return found
    elif holder.machine == _machine():
        who, alive = str(holder), _start_of(holder.pid) == holder.started
    else:
        who, alive = str(holder), _is_young(folder, found.modified_seconds)
    if alive:
        raise HeldError(who)
    return found


def _file(folder: str) -> LeaseFile:
    path = f"{folder.rstrip('/')}/{FILE_NAME}"
    return LocalLeaseFile(path) if is_local(path) else StoredLeaseFile(path)


def _is_young(folder: str, modified_seconds: float) -> bool:
    """Returns whether a file was written some minutes ago; compares times of the storage only."""
    now = _now(folder)
    return not (now and modified_seconds) or now - modified_seconds < DEAD_SECONDS


def _now(folder: str) -> float:
    """Returns the time by the clock of a folder's storage, of a new file in it."""
    path = f"{folder.rstrip('/')}/.probe-{uuid.uuid4().hex}"
    if is_local(path):
        with open(path, "xb") as file:
            modified = os.fstat(file.fileno()).st_mtime
        os.unlink(path)
        return modified
    store = store_of(path, PREFLIGHT_RETRY)
    store.upload(path, io.BytesIO(), 0)
    modified = store.info(path).modified_seconds
    store.delete(path)
    return modified


def _machine() -> str:
    """Returns what differs between machines, their restarts, and the processes' namespaces."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return f"{platform.node()} {uuid.getnode():x}"


def _end_workers(holder: Holder) -> None:
    """Ends the worker processes of a launcher that was killed: they wait a minute for it.

    Meanwhile they may write into the folder, and nobody wants what they write.

    Raises:
      HeldError: They cannot be ended.
    """
    until = time.monotonic() + _WORKERS_SECONDS
    while workers := [*_workers(holder)]:
        if time.monotonic() > until:
            raise HeldError(f"{holder}; its worker processes {workers} do not end")
        for process in workers:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(0.1)


def _start_of(pid: int) -> float | None:
    """Returns the start of a process, which tells it from a later one of this id; None if ended."""
    if os.path.exists("/proc/self/stat"):
        # psutil's times move with the system's clock.
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
            state, *fields = file.read().rpartition(b")")[2].split()
            return None if state in b"XZ" else float(fields[18])
        return None
    with contextlib.suppress(psutil.Error):
        return float(psutil.Process(pid).create_time())
    return None


def _workers(holder: Holder) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        # Processes of other users do not show their environment.
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(_VARIABLE) == holder.token:
                yield process


def _to_json(holder: Holder) -> bytes:
    return json.dumps(dataclasses.asdict(holder)).encode()


def _holder(data: bytes) -> Holder | None:
    try:
        return Holder(**json.loads(data))
    except (TypeError, ValueError):
        return None
