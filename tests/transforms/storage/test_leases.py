"""Leases of folders on this machine."""

import contextlib
import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.memory_filesystem import MemoryFileSystem
from tests.stand_ins.object_storages import ADDRESSES, STAND_INS
from transforms.storage import files, leases
from transforms.storage.leases import FILE_NAME, Holder


@pytest.fixture(scope="session")
def address_of() -> Iterator[Callable[[str], str]]:
    """Starts the stand-in of a scheme once, and returns its address."""
    with contextlib.ExitStack() as stack:
        yield functools.cache(lambda scheme: stack.enter_context(STAND_INS[scheme].running()))


@pytest.fixture(params=["local", "gs", "s3", "mem"])
def folder(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    address_of: Callable[[str], str],
) -> Iterator[str]:
    scheme = request.param
    if scheme == "local":
        yield str(tmp_path)
    elif scheme == "mem":  # behind Beam, without conditions
        MemoryFileSystem.objects.clear()
        yield "mem://bucket/out"
        MemoryFileSystem.objects.clear()
    else:
        STAND_INS[scheme].empty(address_of(scheme))
        monkeypatch.setenv(ADDRESSES[scheme], address_of(scheme))
        yield f"{scheme}://{STAND_INS[scheme].BUCKET}/out"


def _write(folder: str, data: bytes) -> None:
    files.write_atomically(f"{folder}/{FILE_NAME}", [data])


def _dead_holder(**changes: object) -> bytes:
    """Returns the lease of a process of this machine that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    holder = dataclasses.replace(Holder.this_process(), pid=process.pid, token="other")
    return json.dumps(dataclasses.asdict(holder) | changes).encode()


def test_a_lease_is_held_until_it_is_released(folder: str) -> None:
    lease = leases.take(folder)
    for _ in range(2):
        with pytest.raises(leases.HeldError, match=rf"process {os.getpid()} on .*, since 20.* UTC"):
            leases.take(folder)
    with pytest.raises(leases.HeldError):
        leases.check_free(folder)
    assert lease._touch()
    assert lease._touch()
    lease.release()
    assert files.list_names(folder) == []
    leases.check_free(folder)
    leases.take(folder).release()
    assert files.list_names(folder) == []


def test_a_dead_process_of_this_machine_gives_way_at_once(folder: str) -> None:
    _write(folder, _dead_holder())
    leases.check_free(folder)
    lease = leases.take(folder)
    with pytest.raises(leases.HeldError, match=f"process {os.getpid()} "):
        leases.take(folder)
    lease.release()
    # Another process has the id of the dead one by now.
    _write(folder, _dead_holder(pid=os.getpid(), started=1.0))
    leases.take(folder).release()


@pytest.mark.parametrize("data", [_dead_holder(machine="of another"), b"", b"[]", b"{}"])
def test_a_lease_of_another_machine_gives_way_with_time(
    folder: str, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(folder, data)
    with pytest.raises(leases.HeldError, match=r"^(process \d+ on .* since|another run)"):
        leases.take(folder)
    assert files.list_names(folder) == [FILE_NAME], "and no probe"
    monkeypatch.setattr(leases, "DEAD_SECONDS", -3.0)
    leases.take(folder).release()


def test_a_lease_that_was_taken_over_is_lost_and_stays_the_others(folder: str) -> None:
    lease = leases.take(folder)
    _write(folder, _dead_holder())
    other = leases.take(folder)
    assert not lease._touch()
    lease.release()
    assert other._touch()
    other.release()
    assert not other._touch(), "gone"


def test_the_thread_touches_it_and_tells_that_it_is_lost(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "REFRESH_SECONDS", 0.05)
    lost = threading.Event()
    lease = leases.take(folder)
    before = files.info(f"{folder}/{FILE_NAME}").modified_seconds
    lease.keep(lost.set)
    assert not lost.wait(2.0)
    assert files.info(f"{folder}/{FILE_NAME}").modified_seconds > before
    files.delete_files([f"{folder}/{FILE_NAME}"])
    assert lost.wait(60)
    assert lease.is_lost


def test_the_lease_of_a_job_is_released_by_the_job_and_gives_way_by_name(folder: str) -> None:
    leases.take(folder, job="FlinkRunner").leave()
    leases.check_free(folder)
    before = leases.take(folder, job="DataflowRunner").before
    assert before is not None
    assert (before.job, before.pid) == ("FlinkRunner", os.getpid())
    leases.release_job(folder)
    lease = leases.take(folder)
    assert lease.before is None
    leases.release_job(folder)
    assert files.list_names(folder) == [FILE_NAME], "the launcher waits, and releases it itself"
    lease.release()


def test_workers_that_outlive_their_launcher_are_ended(tmp_path: Path) -> None:
    folder = str(tmp_path)
    _write(folder, _dead_holder())
    tokens = ("other", "another", "")
    of_it, of_another, of_nobody = (
        subprocess.Popen(
            [sys.executable, "-c", "print(1, flush=True); input()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"BEAM_AUDIO_EMBEDDINGS_RUN": token},
        )
        for token in tokens
    )
    for process in (of_it, of_another, of_nobody):
        assert process.stdout is not None
        assert process.stdout.read(1) == b"1", "it runs"
    leases.check_free(folder)
    assert of_it.poll() is None, "who only looks ends nobody"
    leases.take(folder).release()
    of_it.communicate(timeout=60)
    assert of_it.returncode == -signal.SIGKILL
    for process in (of_another, of_nobody):
        process.communicate(b"\n")
        assert process.returncode == 0


@pytest.mark.parametrize("folder", ["local", "gs", "s3"], indirect=True)
@pytest.mark.parametrize("is_there", [False, True])
def test_one_of_many_gets_it(folder: str, is_there: bool) -> None:
    """Threads: for the storage they are as good as processes."""
    for _ in range(5):
        if is_there:
            _write(folder, _dead_holder())
        start = threading.Barrier(8)
        taken: list[leases.Lease] = []

        def take(start: threading.Barrier, taken: list[leases.Lease]) -> None:
            start.wait()
            with contextlib.suppress(leases.HeldError):
                taken.append(leases.take(folder))

        threads = [threading.Thread(target=take, args=(start, taken)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == 1
        taken[0].release()
        assert files.list_names(folder) == []


@pytest.fixture(autouse=True)
def _no_run() -> Iterator[None]:
    yield
    os.environ.pop("BEAM_AUDIO_EMBEDDINGS_RUN", None)
