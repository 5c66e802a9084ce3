"""Runs on packed corpora: the same records as of the recordings unpacked."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests import packing, reading
from tests.packing import equal_rows, webdataset, write_shard
from tests.running import embed

NAMES = ("x.tar", "x.tar.gz", "x.tgz", "x.tar.bz2", "x.tar.xz", "x.tar.zst", "x.zip")
KINDS_AND_NAMES = (("tar", "x.tar"), ("tar", "y.tgz"), ("zip", "z.zip"))


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
    capsys: pytest.CaptureFixture[str],
    raw: list[str],
    tmp_path: Path,
    members: dict[str, bytes],
    unpacked: dict[str, Any],
) -> None:
    for name in NAMES:
        write_shard(tmp_path / "shards" / name, members)
    output = tmp_path / "out"
    capsys.readouterr()
    assert embed(output, *raw, "--input", tmp_path / "shards") == 0
    told = capsys.readouterr()
    for line in ("  read      labels of .cls", "  read      no labels in .txt"):
        assert line in told.err.splitlines()
    num_recordings = 6 * len(NAMES)
    assert f"packed    labels of .cls: {num_recordings}" in told.out.splitlines()
    assert reading.info(output)["packed"] == {
        "labels of .cls": num_recordings,
        "no labels in .txt": num_recordings,
    }
    rows = reading.float_rows(output)
    wanted = {f"{name}/{each}": unpacked[each] for name in NAMES for each in unpacked}
    assert equal_rows(rows, wanted)
    labels = {
        clip_id: list(each.context.feature["labels"].int64_list.value)
        for clip_id, each in reading.records_by_id(output).items()
    }
    assert labels == {clip_id: [int(clip_id[-6]) % 2] for clip_id in rows}
    assert failures_of(output) == []


def test_rows_and_records_give_the_rows_of_their_recordings(
    raw: list[str], tmp_path: Path, members: dict[str, bytes], unpacked: dict[str, Any]
) -> None:
    sounds = {name: data for name, data in members.items() if name.endswith(".flac")}
    names = [f"class {index % 2}" for index in range(len(sounds))]
    audio = packing.audio_structs(sounds.values(), sounds)
    (tmp_path / "in").mkdir()
    packing.write_parquet(tmp_path / "in/x.parquet", {"audio": audio, "label": names})
    examples = [
        packing.example(audio=data, label=name.encode())
        for data, name in zip(sounds.values(), names, strict=True)
    ]
    packing.write_tfrecord(tmp_path / "in/y.tfrecord", examples)
    packing.write_tfrecord(tmp_path / "in/z.tfrecord.gz", examples)
    output = tmp_path / "out"
    assert embed(output, *raw, "--input", tmp_path / "in") == 0
    wanted = {
        f"{shard}/{row}": unpacked[name]
        for shard in ("x.parquet", "y.tfrecord", "z.tfrecord.gz")
        for row, name in enumerate(sounds)
    }
    assert equal_rows(reading.float_rows(output), wanted)
    labels = {
        clip_id: list(each.context.feature["labels"].int64_list.value)
        for clip_id, each in reading.records_by_id(output).items()
    }
    assert labels == {clip_id: [int(clip_id[-1]) % 2] for clip_id in wanted}


@pytest.mark.slow
def test_a_table_may_name_members(
    raw: list[str], tmp_path: Path, members: dict[str, bytes], unpacked: dict[str, Any]
) -> None:
    for name in ("x.tar", "y.tgz", "z.zip"):
        write_shard(tmp_path / name, members)
    rows = [f"{kind}://0001.flac::{tmp_path}/{name},{name}" for kind, name in KINDS_AND_NAMES]
    rows += ["tar://0002.flac::x.tar,relative"]  # below the folder of the table
    rows += [f"tar://absent.flac::{tmp_path}/x.tar,absent", f"zip://a.wav::{tmp_path}/no.zip,no"]
    (tmp_path / "m.csv").write_text("uri,id\n" + "\n".join(rows) + "\n")
    output = tmp_path / "out"
    assert embed(output, *raw, "--manifest", tmp_path / "m.csv") == 3
    rows_of = reading.float_rows(output)
    wanted = {name: unpacked["0001.flac"] for _, name in KINDS_AND_NAMES}
    wanted["relative"] = unpacked["0002.flac"]
    assert equal_rows(rows_of, wanted)
    failures = {each["id"]: (each["reason"], each["message"]) for each in failures_of(output)}
    assert failures == {
        "absent": ("not_found", "the packed file has no such member"),
        "no": (
            "not_found",
            "No such file or directory; its folder has 4 files, and none of this name",
        ),
    }


def test_damaged_shards_cost_only_what_is_lost(
    raw: list[str], tmp_path: Path, members: dict[str, bytes], unpacked: dict[str, Any]
) -> None:
    damaged = dict(members)
    damaged["0002.flac"] = damaged["0002.flac"][:2_000]
    damaged["0003.flac"] = b""
    tar = write_shard(tmp_path / "in/x.tar", damaged)
    packing.write_shard(tmp_path / "in/y.tar.gz", damaged)
    tar.write_bytes(tar.read_bytes()[:-30_000])  # within 0005.flac
    output = tmp_path / "out"
    assert embed(output, *raw, "--input", tmp_path / "in") == 3
    wanted = {f"x.tar/{index:04}.flac": unpacked[f"{index:04}.flac"] for index in (0, 1, 4)}
    wanted |= {f"y.tar.gz/{index:04}.flac": unpacked[f"{index:04}.flac"] for index in (0, 1, 4, 5)}
    assert equal_rows(reading.float_rows(output), wanted)
    failures = {each["id"]: each for each in failures_of(output)}
    assert {name: each["reason"] for name, each in failures.items()} == {
        "x.tar": "unreadable",
        "x.tar/0002.flac": "decode_error",
        "x.tar/0003.flac": "empty",
        "x.tar/0005.flac": "unreadable",
        "y.tar.gz/0002.flac": "decode_error",
        "y.tar.gz/0003.flac": "empty",
    }
    assert failures["x.tar/0005.flac"]["uri"] == f"tar://0005.flac::{tmp_path}/in/x.tar"
    counts = reading.info(output)["counts"]
    assert counts["clips"] == counts["records"] + counts["failures"] == 13


def test_a_packed_file_without_audio_is_refused_before_the_run(
    capsys: pytest.CaptureFixture[str], raw: list[str], tmp_path: Path
) -> None:
    write_shard(tmp_path / "x.tar", {"a.md": b"x"})
    packing.write_parquet(tmp_path / "x.parquet", {"text": ["a"]})
    (tmp_path / "x.zip").write_bytes(b"no zip")
    for name, message in (
        ("x.tar", "none of its 1 members is audio"),
        ("x.parquet", "no column of it holds audio (there are: text)"),
        ("x.zip", "no directory of a zip archive"),
    ):
        assert embed(tmp_path / "out", *raw, "--input", tmp_path / name) == 2
        assert message in capsys.readouterr().err
    many = {f"{index}.json": b"{}" for index in range(300)} | {"z.wav": packing.wav(1)}
    write_shard(tmp_path / "many.tar", many)
    assert embed(tmp_path / "out", *raw, "--input", tmp_path / "many.tar") == 0


@pytest.mark.slow
def test_shards_and_tables_of_the_field(raw: list[str], tmp_path: Path) -> None:
    folder = Path(__file__).resolve().parents[2] / "shared/data/field/32-archives"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    output = tmp_path / "out"
    assert embed(output, *raw, "--input", folder) == 3
    assert [*reading.float_rows(output)] == ["shard-000.tar/#1.wav"]
    assert [each["id"] for each in failures_of(output)] == ["x.parquet"]
