"""Mutated packed files: failures, never an exception, and nothing read but the file itself."""

import gzip
import io
import itertools
import random
import tracemalloc
import zipfile
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.packing import audio_structs, example, tar_bytes, wav, write_parquet, write_tfrecord
from transforms.corpus import packed, recordings
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.listing import Shard
from transforms.packed.address import kind_of
from transforms.storage import files

_MAX_FOUND = 20_000
_READ_BYTES = 2**20
_MAX_MEMORY = 200 * 2**20
NAMES = ("x.tar", "x.tar.gz", "x.zip", "x.parquet", "x.tfrecord", "x.tfrecord.gz")
# Values that formats take for lengths, counts, types or ends.
_NASTY = (
    *(b"\0", b"\xff", b"\xff\xff\xff\xff", b"\xff" * 8, b"\x80" + bytes(10) + b"\x10"),
    *(b"../../etc/passwd\0", b"7777777777777", b"S", b"x", b"L", b"g", b"2", bytes(512)),
    *(
        b"PK\x01\x02",
        b"PK\x05\x06",
        b"PK\x03\x04",
        b"\x7f" * 4,
        b"\0\0\0\x80",
        b"99999999 path=a\n",
    ),
)


def _originals(folder: Path) -> dict[str, bytes]:
    sounds = [wav(0.05, seed) for seed in range(5)]
    members = {f"{index}.wav": sound for index, sound in enumerate(sounds)}
    members |= {"0.cls": b"1", "1.json": b'{"label": ["a", "b"]}', "2.txt": b"word", "n" * 150: b""}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        for index, (name, data) in enumerate(members.items()):
            bundle.writestr(name, data, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)[index % 2])
    records = [example(audio=sound, label=index) for index, sound in enumerate(sounds)]
    records.append(example(audio=[1, -2, 3], sample_rate=8_000))
    parquet = write_parquet(
        folder / "o.parquet",
        {"audio": audio_structs([*sounds, None], ["a.wav"] * 6), "labels": [["a"], [], None] * 2},
        row_group_size=2,
    )
    tfrecord = write_tfrecord(folder / "o.tfrecord", records)
    tar = tar_bytes(members)
    return {
        "x.tar": tar,
        "x.tar.gz": gzip.compress(tar),
        "x.zip": buffer.getvalue(),
        "x.parquet": parquet.read_bytes(),
        "x.tfrecord": tfrecord.read_bytes(),
        "x.tfrecord.gz": gzip.compress(tfrecord.read_bytes()),
    }


def _mutated(data: bytes, chance: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(found) + 1) if found else 0
        kind = chance.randrange(6)
        if kind == 0 and found:
            found[min(at, len(found) - 1)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            nasty = chance.choice(_NASTY)
            found[at : at + len(nasty)] = nasty
        elif kind == 2:
            del found[at:]
        elif kind == 3:
            del found[at : at + chance.choice((1, 7, 512, 3_000))]
        elif kind == 4:
            other = chance.randrange(len(found) + 1)
            found[at:at] = found[other : other + chance.choice((1, 512, 3_000))]
        else:
            found[at:at] = chance.choice(_NASTY)
    return bytes(found)


def _read(path: Path) -> int:
    """Lists a file and reads what it lists; returns the number of recordings and failures."""
    kind = kind_of(path.name)
    assert kind is not None
    shard = Shard(path.name, str(path), kind, True)
    found = list(itertools.islice(packed.list_shard(shard), _MAX_FOUND))
    assert len(found) < _MAX_FOUND
    clips = [each for each in found if isinstance(each, Clip) and each.place is not None]
    for _, unit in itertools.groupby(clips, key=lambda clip: clip.place and clip.place.unit):
        for _, open_file in recordings.open_all(sorted(unit, key=lambda clip: clip.place or ())):
            try:
                with open_file() as file:
                    file.seek(0, io.SEEK_END)
                    file.seek(0)
                    file.read(_READ_BYTES)
            except OSError:
                pass
    told = [each for each in found if isinstance(each, Clip | Failure)]
    assert told  # a file is never passed over in silence
    for each in told:
        each.id.encode()
    return len(told)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are opened."""
    paths: list[str] = []
    original = files.open_to_read

    def remembering(path: str, in_parts: bool = False) -> BinaryIO:
        paths.append(path)
        return original(path, in_parts)

    monkeypatch.setattr(files, "open_to_read", remembering)
    return paths


def _check(folder: Path, opened: list[str], seeds: range) -> None:
    originals = _originals(folder)
    for name, data in originals.items():
        (folder / name).write_bytes(data)
        assert _read(folder / name) >= 5
    tracemalloc.start()
    for seed in seeds:
        chance = random.Random(seed)
        name = NAMES[seed % len(NAMES)]
        (folder / name).write_bytes(_mutated(originals[name], chance))
        try:
            _read(folder / name)
        except BaseException as error:
            raise AssertionError(f"{name}, seed {seed}") from error
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < _MAX_MEMORY
    allowed = {str(folder / name) for name in (*NAMES, "features.json")}
    assert all(path in allowed or path.endswith(".labels.txt") for path in opened)
    assert all(Path(path).parent == folder for path in opened)


def test_mutated_files_are_failures(tmp_path: Path, opened: list[str]) -> None:
    _check(tmp_path, opened, range(600))


@pytest.mark.slow
def test_ten_thousand_mutated_files_are_failures(tmp_path: Path, opened: list[str]) -> None:
    _check(tmp_path, opened, range(1_000, 11_000))
