"""Runs on packed corpora: the same records as of the recordings unpacked."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests import packing, reading
from tests.packing import equal_rows, webdataset, write_shard
from tests.running import embed

NAMES = ("x.tar", "x.tar.gz", "x.tgz", "x.tar.bz2", "x.tar.xz", "x.tar.zst", "x.zip")


def failures_of(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "audio-failures.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def members() -> dict[str, bytes]:
    return webdataset()


@pytest.fixture
def unpacked(raw: list[str], tmp_path: Path, members: dict[str, bytes]) -> dict[str, Any]:
    folder = packing.unpack(tmp_path / "files", members)
    assert embed(tmp_path / "unpacked", *raw, "--input", folder) == 0
    return reading.float_rows(tmp_path / "unpacked")


def test_every_archive_gives_the_rows_of_its_recordings(
    raw: list[str], tmp_path: Path, members: dict[str, bytes], unpacked: dict[str, Any]
) -> None:
    for name in NAMES:
        write_shard(tmp_path / "shards" / name, members)
    output = tmp_path / "out"
    assert embed(output, *raw, "--input", tmp_path / "shards") == 0
    rows = reading.float_rows(output)
    wanted = {f"{name}/{each}": unpacked[each] for name in NAMES for each in unpacked}
    assert equal_rows(rows, wanted)
    labels = {
        clip_id: list(each.context.feature["labels"].int64_list.value)
        for clip_id, each in reading.records_by_id(output).items()
    }
    assert labels == {clip_id: [int(clip_id[-6]) % 2] for clip_id in rows}
    assert failures_of(output) == []
