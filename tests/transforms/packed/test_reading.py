"""Reading of packed files: how often, from where, and how much at once."""

import io
import random
from collections import Counter
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.memory_filesystem import MemoryFileSystem
from tests.packing import contents, example, wav, write_parquet, write_shard, write_tfrecord
from transforms.corpus import packed, recordings
from transforms.corpus.clips import Clip, unit_of
from transforms.packed import address, members, zip
from transforms.packed.address import Address
from transforms.storage import files

SOUNDS = {f"{index}.wav": wav(0.2, index) for index in range(8)}
ARCHIVES = ("x.tar", "x.tar.gz", "x.tar.bz2", "x.tar.xz", "x.tar.zst", "x.zip")


def clips_in(path: object) -> list[Clip]:
    return [each for each in packed.list_recordings(str(path)) if isinstance(each, Clip)]


def _write_rows(folder: Path) -> None:
    write_parquet(folder / "x.parquet", {"audio": [*SOUNDS.values()]}, row_group_size=8)
    write_tfrecord(folder / "x.tfrecord", [example(audio=each) for each in SOUNDS.values()])


@pytest.fixture
def num_opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    counts: Counter[str] = Counter()
    original = files.open_to_read

    def counting(path: str, in_parts: bool = False) -> BinaryIO:
        counts[Path(path).name] += 1
        return original(path, in_parts)

    monkeypatch.setattr(files, "open_to_read", counting)
    return counts


def test_a_shard_is_opened_once_to_list_it_and_once_for_all_of_its_recordings(
    tmp_path: Path, num_opened: Counter[str]
) -> None:
    _write_rows(tmp_path)
    for name in ARCHIVES:
        write_shard(tmp_path / name, SOUNDS)
    for path in sorted(tmp_path.iterdir()):
        clips = clips_in(path)
        assert num_opened.pop(path.name) == 1
        assert len({unit_of(clip) for clip in clips}) == 1
        assert contents(clips) == [*SOUNDS.values()]
        assert num_opened[path.name] == 1


@pytest.mark.parametrize("name", ARCHIVES)
def test_any_of_the_members_can_be_read(tmp_path: Path, name: str) -> None:
    clips = clips_in(write_shard(tmp_path / name, SOUNDS))
    for seed in range(9):
        chance = random.Random(seed)
        wanted = sorted(chance.sample(range(8), chance.randrange(1, 8)))
        found = contents([clips[index] for index in wanted])
        assert found == [SOUNDS[f"{index}.wav"] for index in wanted]


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.zip"])
def test_large_members_are_read_in_pieces(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "UNIT_BYTES", 1_000)
    monkeypatch.setattr(members, "MEMORY_BYTES", 1_000)
    monkeypatch.setattr(zip, "MEMORY_BYTES", 1_000)
    clips = clips_in(write_shard(tmp_path / name, SOUNDS))
    for clip in clips:
        data = SOUNDS[clip.id.rpartition("/")[2]]
        with recordings.open_recording_file(clip) as file:
            assert file.seek(0, io.SEEK_END) == len(data)
            for at in (3_000, 10, 5_000, 0, len(data) - 5, len(data) + 9):
                file.seek(at)
                assert file.read(700) == data[at : at + 700]


def test_packed_files_on_a_storage(tmp_path: Path) -> None:
    _write_rows(tmp_path)
    for name in ARCHIVES:
        write_shard(tmp_path / name, SOUNDS)
    names = [path.name for path in tmp_path.iterdir()]
    MemoryFileSystem.objects.update(
        {f"mem://bucket/in/{name}": (tmp_path / name).read_bytes() for name in names}
    )
    try:
        clips = clips_in("mem://bucket/in")
        assert len(clips) == 8 * len(names)
        for name in names:
            own = [clip for clip in clips if clip.id.startswith(f"{name}/")]
            assert own[0].uri.endswith(f"::mem://bucket/in/{name}")
            assert contents(own) == [*SOUNDS.values()]
            assert clips_in(f"mem://bucket/in/{name}") == own
    finally:
        MemoryFileSystem.objects.clear()


@pytest.mark.parametrize(
    "member", ["a.wav", "a::b.wav", "tar://a:%3A.wav", "a\nb\x00.wav", "#1 [x].wav", "ä\udcff.wav"]
)
@pytest.mark.parametrize("shard", ["/data/x.tar", "s3://b/a::b#c.tar", "/d/%41 x.zip"])
def test_addresses_are_read_back(member: str, shard: str) -> None:
    found = Address("tar", member, shard)
    assert address.parse(found.uri) == found
    assert address.suffix_of(found.uri) == ".wav"


@pytest.mark.parametrize("path", ["/a/tar", "/a::b.wav", "s3://b/a::c.wav", "tar://x"])
def test_paths_are_no_addresses(path: str) -> None:
    assert address.parse(path) is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("a/x.TAR", "tar"), ("x.tgz", "tar"), ("x.tar.zst", "tar"), ("x.gz", None)),
        *(("x.zip", "zip"), ("x.parquet", "parquet"), ("x.tfrecord-00001-of-00002", "tfrecord")),
        *(("tar", None), (".tar", "tar"), ("x.tar.wav", None), ("x.tfrecord.gz", "tfrecord")),
    ],
)
def test_kinds_are_told_by_names(name: str, kind: str | None) -> None:
    assert address.kind_of(name) == kind
