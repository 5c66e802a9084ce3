"""Listing, writing and deleting, on this machine and on an object storage."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.memory_filesystem import MemoryFileSystem
from transforms import storage
from transforms.corpus.clips import Clip
from transforms.corpus.listing import LeftOut

OBJECTS = [
    "mem://bucket/corpus/a.wav",
    "mem://bucket/corpus/b/c.FLAC",
    "mem://bucket/corpus/b/notes.txt",
    "mem://bucket/corpus/.hidden/d.wav",
    "mem://bucket/corpus/e [live].wav",
    "mem://bucket/corpus2/f.wav",
]


@pytest.fixture(autouse=True)
def objects() -> Iterator[dict[str, bytes]]:
    MemoryFileSystem.objects.clear()
    MemoryFileSystem.objects.update(dict.fromkeys(OBJECTS, b""))
    yield MemoryFileSystem.objects
    MemoryFileSystem.objects.clear()


def _listed(path: str) -> tuple[list[str], list[str]]:
    """Returns the ids, and why the others are left out."""
    found = list(storage.list_input(path))
    clips = [each for each in found if isinstance(each, Clip)]
    assert all(each.uri.endswith(each.id) for each in clips)
    left_out = [each.why for each in found if isinstance(each, LeftOut)]
    return sorted(each.id for each in clips), sorted(left_out)


@pytest.mark.parametrize(
    ("path", "ids", "left_out"),
    [
        ("mem://bucket/corpus", ["a.wav", "b/c.FLAC", "e [live].wav"], ["hidden", "other"]),
        ("mem://bucket/corpus/", ["a.wav", "b/c.FLAC", "e [live].wav"], ["hidden", "other"]),
        ("mem://bucket/corpus/a.wav", ["a.wav"], []),
        ("mem://bucket/corpus/e [live].wav", ["e [live].wav"], []),
        ("mem://bucket/corpus/b/*", ["c.FLAC", "notes.txt"], []),
        ("mem://bucket/corpus/**/*.wav", [".hidden/d.wav", "a.wav", "e [live].wav"], []),
        (
            "mem://bucket/corpus*/*.wav",
            ["corpus/a.wav", "corpus/e [live].wav", "corpus2/f.wav"],
            [],
        ),
        ("mem://bucket/absent", [], []),
        ("mem://bucket/corp", [], []),
    ],
)
def test_inputs_on_an_object_storage(path: str, ids: list[str], left_out: list[str]) -> None:
    assert _listed(path) == (ids, left_out)


def test_inputs_on_this_machine(tmp_path: Path) -> None:
    for name in ("x[1]/a.wav", "x[1]/b/c.flac", "x1/d.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert _listed(f"{tmp_path}/x[1]") == (["a.wav", "b/c.flac"], []), "a folder of that name"
    assert _listed(f"{tmp_path}/x[1]/a.wav") == (["a.wav"], [])
    assert _listed(f"{tmp_path}/x[12]/*.wav") == (["x1/d.wav"], [])
    assert _listed(f"{tmp_path}/*/*.wav") == (["x1/d.wav", "x[1]/a.wav"], [])
    assert _listed(f"{tmp_path}/absent*") == ([], [])


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    storage.write_at_once(f"{tmp_path}/file [1]", b"first")
    storage.write_at_once(f"{tmp_path}/file [1]", b"second")
    assert (tmp_path / "file [1]").read_bytes() == b"second"
    assert sorted(os.listdir(tmp_path)) == ["file [1]"]


@pytest.mark.parametrize("folder", ["local", "mem://bucket/out [1]"])
def test_files_are_made_renamed_and_deleted(
    tmp_path: Path, folder: str, objects: dict[str, bytes]
) -> None:
    if folder == "local":
        folder = f"{tmp_path}/out [1]"
    assert storage.list_names(folder) == []
    storage.make_folder(folder)
    for name in ("a", "b", "c"):
        storage.write_at_once(f"{folder}/{name}", name.encode())
    assert storage.list_names(folder) == ["a", "b", "c"]
    assert storage.size(f"{folder}/a") == 1
    pairs = [f"{folder}/a", f"{folder}/b"], [f"{folder}/d", f"{folder}/e"]
    storage.rename(*pairs)
    storage.rename(*pairs)  # a retry finds nothing to do
    assert storage.list_names(folder) == ["c", "d", "e"]
    storage.delete_files([f"{folder}/c", f"{folder}/absent"])
    assert "c" not in storage.list_names(folder)
    storage.delete_folder(folder)
    storage.delete_folder(folder)
    assert storage.list_names(folder) == []
    assert set(objects) == set(OBJECTS), "nothing else was touched"


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(OSError, match="a device, a socket or a pipe"):
        storage.open_to_read(f"{tmp_path}/pipe.wav")
    with pytest.raises(IsADirectoryError):
        storage.open_to_read(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        storage.open_to_read(f"{tmp_path}/absent")


@pytest.mark.parametrize("limit", [3, 6, 100])
def test_remote_objects_read_the_same_whole_and_in_parts(
    objects: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(storage, "_WHOLE_BYTES", limit)
    objects["mem://bucket/object"] = b"object"
    with storage.open_to_read("mem://bucket/object") as file:
        assert file.seek(0, os.SEEK_END) == 6
        file.seek(1)
        assert file.read() == b"bject"
    with pytest.raises(FileNotFoundError):
        storage.open_to_read("mem://bucket/absent")


def test_a_compressed_suffix_is_not_decompressed(tmp_path: Path) -> None:
    (tmp_path / "a.wav.gz").write_bytes(b"RIFF, not gzip")
    with storage.open_to_read(f"{tmp_path}/a.wav.gz") as file:
        assert file.read() == b"RIFF, not gzip"


def test_paths_hold_in_every_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert storage.absolute("a/../b") == f"{tmp_path}/b"
    assert storage.absolute(f"file://{tmp_path}/b") == f"{tmp_path}/b"
    assert storage.absolute("gs://bucket/b") == "gs://bucket/b"
