"""Kills a publishing program at every change that it makes to files, and runs it again.

`python -m tests.kill_points FOLDER EVERY` kills it at every EVERYth change of each case. It forks a
process for each kill: importing takes longer than all of them. SIGKILL lets no handler run.
"""

import builtins
import dataclasses
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import google_crc32c

from pipeline.folders.output_folder import OutputFolder
from tests import publishing
from transforms.dataset.shards import Shard
from transforms.publish_dataset import _PublishFn
from transforms.storage import leases

# What changes files or makes them durable. Of `open` only what creates a file counts.
_CHANGES = ("fsync", "link", "mkdir", "remove", "rename", "replace", "rmdir", "truncate", "unlink")
KILLED = 137
MINE = "notes.txt"
Change = Callable[..., dict[str, Any]]


def kill_at(number: int) -> None:
    """Lets this process be killed before its change of files of this number, from 1."""
    left = [number]

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            mode = arguments[1] if function is real_open and len(arguments) > 1 else "w"
            if isinstance(mode, str) and not set(mode).isdisjoint("wxa"):
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call

    real_open = builtins.open
    for name in _CHANGES:
        setattr(os, name, counted(getattr(os, name)))
    builtins.open = counted(real_open)


def publish(folder: str, given: Change, overwrite: bool, name: str = "audio") -> None:
    """Publishes as the command does, without a runner."""
    output = OutputFolder(folder, name, overwrite)
    output.check()
    with output.staged():
        parts = given(output.staging)
        number, collections = publishing.FixedNumShards(parts), publishing.for_process(parts)
        collections["written"] = [
            _with_crc(each) if isinstance(each, Shard) else each for each in collections["written"]
        ]
        origin = dataclasses.replace(publishing.ORIGIN, name=name)
        _ = [*_PublishFn(origin, output.path, output.staging, number).process(None, **collections)]


def in_child(function: Callable[[], object], die_at: int = 0) -> int:
    """Calls a function in a process of its own; returns its exit status."""
    child = os.fork()
    if not child:
        status = 1
        try:
            if die_at:
                kill_at(die_at)
            function()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return KILLED if status == -signal.SIGKILL else status


def verify(folder: Path) -> int:
    """Checks what stands under each `dataset.json` against it; returns the number of those."""
    found = [*folder.glob("dataset.json"), *folder.glob("*/dataset.json")]
    for path in found:
        info = json.loads(path.read_bytes())
        for split in info.get("splits", ()):
            assert json.loads((folder / split["folder"] / "dataset.json").read_bytes())
        for shard in info.get("shards", ()):
            data = (path.parent / shard["name"]).read_bytes()
            assert len(data) == shard["bytes"], f"{path}: {shard}"
            assert f"{google_crc32c.value(data):08x}" == shard["crc32c"], f"{path}: {shard}"
        if "shards" in info:
            shards = {shard["name"] for shard in info["shards"]}
            stem = f"{info['name']}-*.tfrecord"
            assert {each.name for each in path.parent.glob(stem)} == shards, "and no others"
            table = (path.parent / f"{info['name']}-failures.jsonl").read_bytes()
            assert len(table.splitlines()) == info["counts"]["failures"], str(path)
            assert (path.parent / "schema.pbtxt").stat().st_size
    return len(found)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(e.relative_to(folder)): e.read_bytes() for e in folder.rglob("*") if e.is_file()}


def _with_crc(shard: Any) -> Any:
    data = Path(shard.path).read_bytes()
    sums = dataclasses.replace(shard.sums, num_bytes=len(data))
    return dataclasses.replace(shard, sums=sums, crc32c=google_crc32c.value(data))


def main(root: Path, every: int) -> None:
    """Prints the number of kills of each case; fails at the first that leaves something wrong."""
    cases = {
        f"{old} -> {new}": (old, new)
        for old in ("nothing", "one", "splits", "another name")
        for new in ("one", "splits")
    }
    for number, (case, (old, new)) in enumerate(cases.items()):
        kills = _try_all(root / str(number), old, KINDS[new], every)
        print(f"{case}: {kills} kills", flush=True)


def _try_all(root: Path, old: str, new: Change, every: int) -> int:
    """Kills at changes until a run ends before; returns the number of kills."""
    before, expected = root / "before", root / "expected"
    before.mkdir(parents=True)
    overwrite = old != "nothing"
    if overwrite:
        name = "former" if old == "another name" else "audio"
        kind = publishing.splits if old == "splits" else publishing.one_part
        publish(str(before), lambda staging: _other(kind(staging)), overwrite=False, name=name)
        (before / MINE).write_bytes(b"mine")
    shutil.copytree(before, expected)
    publish(str(expected), new, overwrite)
    folder = root / "out"

    def again() -> None:
        publish(str(folder), new, overwrite)

    for number in range(1_000):
        die_at = 1 + number * every
        shutil.copytree(before, folder)
        status = in_child(again, die_at)
        is_complete = verify(folder) and (folder / "dataset.json").exists()
        if status == 0:
            return number
        assert status == KILLED, status
        left = {k: v for k, v in contents(folder).items() if k != leases.FILE_NAME}
        is_new = is_complete and left == contents(expected)
        # Without --overwrite a run that was killed when it had published is not repeated.
        if not (is_new and not overwrite):
            assert in_child(again) == 0, f"at {die_at}"
            left = contents(folder)
        assert verify(folder)
        assert left == contents(expected), f"at {die_at}"
        shutil.rmtree(folder)
    raise AssertionError("it never ended")


def _other(given: dict[str, Any]) -> dict[str, Any]:
    """Returns the same with shards of other bytes."""
    for shard in given["written"]:
        if shard.sums.num_records:
            Path(shard.path).write_bytes(b"9876543210")
    return given


KINDS: dict[str, Change] = {"one": publishing.one_part, "splits": publishing.splits}

if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
