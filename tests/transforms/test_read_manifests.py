"""ReadManifests."""

import bz2
import gzip
import lzma
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.memory_filesystem import MemoryFileSystem
from tests.running import outputs
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.manifests.manifest import ManifestFacts, ManifestOptions
from transforms.dataset.table_files import FAILURES
from transforms.read_manifests import MANIFESTS, ReadManifests


@pytest.fixture(autouse=True)
def objects() -> Iterator[dict[str, bytes]]:
    MemoryFileSystem.objects.clear()
    yield MemoryFileSystem.objects
    MemoryFileSystem.objects.clear()


def _read(
    *patterns: Path | str, options: ManifestOptions | None = None
) -> tuple[list[Clip], list[Failure], list[ManifestFacts]]:
    encoded = list(map(os.fsencode, patterns))
    transform = ReadManifests(options or ManifestOptions())
    found: list[list[Any]] = outputs(transform, encoded, "clips", FAILURES, MANIFESTS)
    clips, failures, facts = found
    return sorted(clips, key=lambda clip: clip.id), sorted(failures), sorted(facts)


def test_every_row_of_every_manifest_is_a_clip_or_a_failure(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("uri,labels\na.wav,x;y\nb.wav\nc.wav,\n")
    (tmp_path / "b.jsonl").write_text('{"uri": "/d.wav", "start_seconds": 1.5}\n')
    clips, failures, facts = _read(tmp_path / "a.csv", tmp_path / "b.jsonl")
    assert [(clip.id, clip.uri, clip.labels) for clip in clips] == [
        ("a.wav", f"{tmp_path}/a.wav", ("x", "y")),
        ("c.wav", f"{tmp_path}/c.wav", ()),
        ("d.wav#1.5", "/d.wav", ()),
    ]
    assert [(clip.manifest, clip.line) for clip in clips] == [
        (f"{tmp_path}/a.csv", 2),
        (f"{tmp_path}/a.csv", 4),
        (f"{tmp_path}/b.jsonl", 1),
    ]
    (failure,) = failures
    assert (failure.id, failure.step, failure.reason) == ("a.csv:3", "list", "invalid_row")
    assert [(each.uri, each.format, each.num_rows) for each in facts] == [
        (f"{tmp_path}/a.csv", "csv", 3),
        (f"{tmp_path}/b.jsonl", "jsonl", 1),
    ]


def test_options_reach_the_workers(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text('uri\tlabels\tformat\tsample_rate\na\t"x,y"\tS16LE\t8000\n')
    options = ManifestOptions("tsv", "/root", {"x,y"}.__contains__, frozenset({"s16le"}))
    (clip,), _, (facts,) = _read(tmp_path / "m.csv", options=options)
    assert (clip.uri, clip.labels, facts.format) == ("/root/a", ("x,y",), "tsv")
    assert clip.raw_format is not None
    assert clip.raw_format.sample_rate_hz == 8000


def test_a_manifest_that_several_patterns_match_is_read_once(tmp_path: Path) -> None:
    for name in ("a.csv", "b/c.csv", "d [1].csv", "other.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"uri,id\nx.wav,{name}\n")
    patterns = (f"{tmp_path}/*.csv", f"{tmp_path}/**/*.csv", f"{tmp_path}/d [1].csv")
    clips, failures, facts = _read(*patterns)
    assert [clip.id for clip in clips] == ["a.csv", "b/c.csv", "d [1].csv"]
    assert failures == []
    assert len(facts) == 3


def test_manifests_on_an_object_storage_name_recordings_beside_them(
    objects: dict[str, bytes],
) -> None:
    objects["mem://bucket/m/a.csv"] = b"uri\nx.wav\n"
    objects["mem://bucket/m/n/b.csv.gz"] = gzip.compress(b"uri\nmem://bucket/y.wav\n")
    objects["mem://bucket/m/notes.txt"] = b"uri\nz.wav\n"
    clips, failures, facts = _read("mem://bucket/m/*.csv", "mem://bucket/m/**/*.csv.gz")
    assert [clip.uri for clip in clips] == ["mem://bucket/y.wav", "mem://bucket/m/x.wav"]
    assert failures == []
    assert [each.uri for each in facts] == ["mem://bucket/m/a.csv", "mem://bucket/m/n/b.csv.gz"]


GOOD = b"uri\na.wav\n"
BAD = {
    "sound.csv": (b"RIFF\x24\0\0\0WAVEfmt ", "invalid_manifest", "it looks like WAV"),
    "no_uri.csv": (b"id,labels\na,b\n", "invalid_manifest", "none of them names the recording"),
    "empty.csv": (b"", "invalid_manifest", "empty"),
    "gzipped.csv": (gzip.compress(GOOD), "invalid_manifest", "it looks like gzip"),
    "plain.csv.gz": (GOOD, "unreadable", "Not a gzipped file"),
    "cut.csv.gz": (gzip.compress(GOOD)[:-9], "unreadable", "cannot be decompressed"),
    "cut.csv.xz": (lzma.compress(GOOD)[:-9], "unreadable", "cannot be decompressed"),
    "cut.csv.bz2": (bz2.compress(GOOD)[:-9], "unreadable", "cannot be decompressed"),
}


def test_a_manifest_that_is_none_is_one_failure_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_bytes(GOOD)
    for name, (data, _, _) in BAD.items():
        (tmp_path / name).write_bytes(data)
    clips, failures, facts = _read(f"{tmp_path}/*")
    assert len(failures) == len(BAD)
    for failure in failures:
        assert failure.id == failure.uri == failure.manifest
        assert (failure.step, failure.line) == ("list", 0)
        _, reason, message = BAD[failure.id.removeprefix(f"{tmp_path}/")]
        assert failure.reason == reason
        assert message in failure.message
    assert [clip.id for clip in clips] == ["a.wav"]
    assert [each.uri for each in facts] == [f"{tmp_path}/good.csv"]


def test_rows_before_the_place_where_a_manifest_is_cut_off_are_clips(tmp_path: Path) -> None:
    rows = b"uri\n" + b"".join(b"%032x.wav\n" % (n * 7**60 % 2**128) for n in range(50_000))
    (tmp_path / "m.csv.gz").write_bytes(gzip.compress(rows, 1)[:-1000])
    clips, (failure,), facts = _read(tmp_path / "m.csv.gz")
    assert 25_000 < len(clips) < 50_000
    assert len({clip.line for clip in clips}) == len(clips)
    assert (failure.reason, failure.id) == ("unreadable", f"{tmp_path}/m.csv.gz")
    assert facts == []


ABSENT = {
    "/absent/m.csv": ("not_found", "No such file or directory"),
    "/absent/*.csv": ("not_found", "No such file or directory"),
    "mem://bucket/absent.csv": ("not_found", "mem://bucket/absent.csv does not exist"),
    "mem://bucket/absent*": ("not_found", "does not exist"),
    "nope://bucket/m.csv": ("unreadable", "no storage is known for nope://"),
    "/": ("unreadable", "Is a directory"),
}


def test_each_manifest_that_cannot_be_opened_is_one_failure() -> None:
    clips, failures, facts = _read(*ABSENT)
    assert (clips, facts) == ([], [])
    assert sorted(failure.id for failure in failures) == sorted(ABSENT)
    for failure in failures:
        reason, message = ABSENT[failure.id]
        assert (failure.manifest, failure.reason) == (failure.id, reason)
        assert message in failure.message


def test_a_manifest_whose_name_is_not_utf_8_is_read(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.csv"
    with open(path, "wb") as file:
        file.write(b"uri\na.wav\n,\n")
    (clip,), (failure,), (facts,) = _read(os.fsdecode(path), f"{tmp_path}/caf*")
    assert clip.manifest == failure.manifest == facts.uri == f"{tmp_path}/caf\\xe9.csv"
    _, (failure,), _ = _read(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.csv"))
    assert failure.id == f"{tmp_path}/\\xff.csv"
    assert os.fsencode(failure.uri).endswith(b"/\xff.csv")
