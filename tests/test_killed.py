"""Runs that are killed while they publish: what is left, and the next run."""

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.folders.output_folder import OutputFolder
from tests import publishing
from tests.memory_filesystem import MemoryFileSystem
from transforms.publish_dataset import _PublishFn
from transforms.storage import files, leases


def _kill_points(folder: Path, every: int) -> list[int]:
    """Returns the number of kills of each case, after all of which the checks held."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.kill_points", str(folder), str(every)],
        capture_output=True,
        text=True,
        timeout=1_200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [int(number) for number in re.findall(r"(\d+) kills", done.stdout)]


def test_what_a_kill_leaves_verifies_and_the_next_run_gives_the_same_bytes(tmp_path: Path) -> None:
    kills = _kill_points(tmp_path / "x", every=17)
    assert len(kills) == 8
    assert min(kills) > 1


@pytest.mark.slow
def test_the_same_after_a_kill_at_any_change_of_files(tmp_path: Path) -> None:
    kills = _kill_points(tmp_path / "x", every=1)
    assert len(kills) == 8
    assert min(kills) > 25


class Killed(BaseException):
    """Ends a run at one of its requests, and all requests that other threads make then."""


_REQUESTS = ("create", "copy", "delete")


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int | None], None]]:
    """Sets the number of requests after which a run on `mem://` is killed; None for no kill."""
    left: list[int | None] = [None]
    lock = threading.Lock()

    def counted(request: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            with lock:
                if left[0] is not None:
                    left[0] -= 1
                    if left[0] < 0:
                        raise Killed
            return request(*arguments, **options)

        return call

    def rename(self: Any, sources: list[str], targets: list[str]) -> None:
        """Renames as object storages do."""
        self.copy(sources, targets)
        self.delete(sources)

    MemoryFileSystem.objects.clear()
    for name in _REQUESTS:
        monkeypatch.setattr(MemoryFileSystem, name, counted(getattr(MemoryFileSystem, name)))
    monkeypatch.setattr(MemoryFileSystem, "rename", rename)
    yield lambda number: left.__setitem__(0, number)
    MemoryFileSystem.objects.clear()


def _publish(given: Callable[[str], dict[str, Any]], overwrite: bool) -> None:
    """Publishes as the command does; a killed process cleans nothing up."""
    output = OutputFolder("mem://bucket/out", "audio", overwrite)
    output.check()
    output.prepare()
    parts = given(output.staging)
    number, collections = publishing.FixedNumShards(parts), publishing.for_process(parts)
    _ = [
        *_PublishFn(publishing.ORIGIN, output.path, output.staging, number).process(
            None, **collections
        )
    ]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("new", [publishing.one_part, publishing.splits])
def test_the_next_run_succeeds_after_a_kill_at_any_request_to_a_storage(
    kill: Callable[[int | None], None], new: Callable[[str], dict[str, Any]], overwrite: bool
) -> None:
    objects = MemoryFileSystem.objects
    if overwrite:
        _publish(publishing.splits, overwrite=False)
        objects["mem://bucket/out/notes.txt"] = b"mine"
    before = dict(objects)
    _publish(new, overwrite)
    expected = dict(objects)
    for number in range(1_000):
        objects.clear()
        objects.update(before)
        kill(number)
        try:
            _publish(new, overwrite)
            break
        except Killed:
            pass
        if overwrite and "mem://bucket/out/dataset.json" not in objects:
            left = [name for name in objects if name.endswith("dataset.json")]
            assert all("/out/.audio" in name or _is_described(name) for name in left)
        kill(None)
        if overwrite or "mem://bucket/out/dataset.json" not in objects:
            _publish(new, overwrite)
            assert objects == expected, f"after {number} requests"
        else:
            assert {**expected, **objects} == objects, "complete, and not to be overwritten"
    assert number > 20
    assert objects == expected


def _is_described(path: str) -> bool:
    """Returns whether the files that a split's `dataset.json` lists are there."""
    folder = path.rpartition("/")[0]
    names = publishing.listed_shards(MemoryFileSystem.objects[path])
    return all(f"{folder}/{name}" in MemoryFileSystem.objects for name in names)


LEFT_BEHIND = [
    ".audio.incomplete/00000.1.tmp",
    ".other.incomplete/00000.1.tmp",
    ".other.check-0a1b2c3d/report.json",
    f".probe-{'0' * 32}",
    f"dataset.json.{'0' * 32}.tmp",
    f"train/audio-00000-of-00001.tfrecord.{'0' * 32}.tmp",
    f"other-failures.jsonl.{'f' * 32}.tmp",
]


@pytest.mark.parametrize("where", ["local", "mem://bucket/out"])
def test_temporary_files_of_any_run_are_removed(tmp_path: Path, where: str) -> None:
    MemoryFileSystem.objects.clear()
    path = f"{tmp_path}/out" if where == "local" else where
    for name in LEFT_BEHIND:
        files.make_folder(f"{path}/{name}".rpartition("/")[0])
        files.write_atomically(f"{path}/{name}", [b"half"])
    output = OutputFolder(path, "audio", overwrite=False)
    output.check()
    with output.staged():
        assert set(files.list_names(path)) <= {".audio.incomplete", leases.FILE_NAME}
    for name in (
        "x.tmp",
        f"mine.{'0' * 32}.tmp",
        ".incomplete/x",
        f"a/b/schema.pbtxt.{'0' * 32}.tmp",
    ):
        files.make_folder(f"{path}/{name}".rpartition("/")[0])
        files.write_atomically(f"{path}/{name}", [b"mine"])
        with pytest.raises(UsageError, match="is not empty"):
            OutputFolder(path, "audio", overwrite=False).check()
        files.delete_files([f"{path}/{name}"])
    MemoryFileSystem.objects.clear()
