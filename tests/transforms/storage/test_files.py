"""Listing, writing and deleting, on this machine and on an object storage."""

import bz2
import gzip
import lzma
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.memory_filesystem import MemoryFileSystem
from transforms.storage import files, ranges

OBJECTS = [
    "mem://bucket/corpus/a.wav",
    "mem://bucket/corpus/e [live].wav",
    "mem://bucket/out/f.wav",
]


@pytest.fixture(autouse=True)
def objects() -> Iterator[dict[str, bytes]]:
    MemoryFileSystem.objects.clear()
    MemoryFileSystem.objects.update(dict.fromkeys(OBJECTS, b""))
    yield MemoryFileSystem.objects
    MemoryFileSystem.objects.clear()


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    files.write_atomically(f"{tmp_path}/file [1]", [b"first"])
    files.write_atomically(f"{tmp_path}/file [1]", iter([b"sec", b"", b"ond"]))
    assert (tmp_path / "file [1]").read_bytes() == b"second"

    def broken() -> Iterator[bytes]:
        yield b"thi"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        files.write_atomically(f"{tmp_path}/file [1]", broken())
    assert (tmp_path / "file [1]").read_bytes() == b"second"
    files.write_atomically(f"{tmp_path}/empty", [])
    assert (tmp_path / "empty").read_bytes() == b""


@pytest.mark.parametrize("folder", ["local", "mem://bucket/out [1]"])
def test_files_are_made_renamed_and_deleted(
    tmp_path: Path, folder: str, objects: dict[str, bytes]
) -> None:
    if folder == "local":
        folder = f"{tmp_path}/out [1]"
    assert files.list_names(folder) == []
    files.make_folder(folder)
    for name in ("a", "b", "c"):
        files.write_atomically(f"{folder}/{name}", [name.encode()])
    assert files.list_names(folder) == ["a", "b", "c"]
    assert files.size(f"{folder}/a") == 1
    pairs = [f"{folder}/a", f"{folder}/b"], [f"{folder}/d", f"{folder}/e"]
    files.rename(*pairs)
    files.rename(*pairs)  # a retry finds nothing to do
    assert files.list_names(folder) == ["c", "d", "e"]
    files.delete_files([f"{folder}/c", f"{folder}/absent"])
    assert "c" not in files.list_names(folder)
    files.delete_folder(folder)
    files.delete_folder(folder)
    assert files.list_names(folder) == []
    assert set(objects) == set(OBJECTS), "nothing else was touched"


@pytest.fixture(params=["local", "mem://bucket/out [1]"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{tmp_path}/out [1]" if request.param == "local" else request.param


def _fill(folder: str, *names: str) -> None:
    for name in names:
        files.make_folder(os.path.dirname(f"{folder}/{name}"))
        files.write_atomically(f"{folder}/{name}", [name.encode()])


def test_names_in_a_folder_and_in_the_folders_there_are_listed_in_order(folder: str) -> None:
    _fill(folder, "b/2", "a", "b/1", "c.d/e", "b-")
    assert files.list_names(folder) == ["a", "b-", "b/1", "b/2", "c.d/e"]
    assert files.list_names(folder + "/") == files.list_names(folder)
    assert files.list_names(f"{folder}/b") == ["1", "2"]
    assert files.exists(f"{folder}/b")
    assert not files.exists(f"{folder}/absent")


def test_names_on_this_machine_are_listed_one_folder_deep_and_not_behind_links(
    tmp_path: Path,
) -> None:
    (tmp_path / "x/a/b/c").mkdir(parents=True)
    (tmp_path / "x/empty").mkdir()
    (tmp_path / "x/link").symlink_to(tmp_path / "x/a")
    assert files.list_names(f"{tmp_path}/x") == ["a/b", "empty", "link"]


def test_names_are_deleted_with_the_folders_that_this_leaves_empty(
    folder: str, objects: dict[str, bytes]
) -> None:
    _fill(folder, "a", "b/1", "b/2", "c/1", "c/mine")
    files.delete_names(folder, iter(["a", "b/1", "b/2", "c/1", "absent", "d/absent"]))
    assert files.list_names(folder) == ["c/mine"]
    assert files.exists(folder)
    assert set(objects) >= set(OBJECTS), "nothing else was touched"
    files.delete_names(folder, ["c/mine"])
    assert files.list_names(folder) == []


def test_a_path_or_else_a_glob_matches_files(folder: str) -> None:
    _fill(folder, "b.csv", "a.csv", "a [2].csv", "a 2.csv", "c/d.csv", "c.csv.txt")
    # The name of the folder itself would be taken for a glob.
    any_of = folder.replace("[1]", "*")
    assert files.matching_files(f"{folder}/a.csv") == [f"{folder}/a.csv"]
    assert files.matching_files(f"{folder}/a [2].csv") == [f"{folder}/a [2].csv"]
    assert files.matching_files(f"{any_of}/a [2].csv") == [f"{folder}/a 2.csv"]
    top = [f"{folder}/{name}" for name in ("a 2.csv", "a [2].csv", "a.csv", "b.csv")]
    assert files.matching_files(f"{any_of}/*.csv") == top
    assert files.matching_files(f"{any_of}/**/*.csv") == sorted([*top, f"{folder}/c/d.csv"])
    assert files.matching_files(f"{folder}/absent.csv") == []
    assert files.matching_files(f"{any_of}/absent*") == []


def test_a_file_that_cannot_be_read_is_matched_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "nowhere.csv").symlink_to("absent")
    (tmp_path / "folder.csv").mkdir()
    assert files.matching_files(f"{tmp_path}/nowhere.csv") == [f"{tmp_path}/nowhere.csv"]
    assert files.matching_files(f"{tmp_path}/*.csv") == [f"{tmp_path}/nowhere.csv"]


def test_an_unknown_storage_is_named_in_an_os_error() -> None:
    for ask in (files.open_to_read, files.size, files.exists, files.matching_files):
        for path in ("nope://bucket/a.csv", "nope://bucket/*.csv"):
            with pytest.raises(OSError, match="no storage is known for nope://"):
                ask(path)
    with pytest.raises(OSError, match="no storage is known for nope://"):
        files.list_names("nope://bucket/a")


DATA = bytes(range(256)) * 300


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


def test_a_file_is_decompressed_by_its_suffix(folder: str) -> None:
    files.make_folder(folder)
    for suffix, compress in (COMPRESS | {".GZ": gzip.compress, "": bytes, ".zip": bytes}).items():
        path = f"{folder}/m.csv{suffix}"
        files.write_atomically(path, [compress(DATA)])
        with files.open_decompressed(path) as file:
            assert file.read(300) + file.read() == DATA


def test_damaged_compressed_data_is_an_os_error(tmp_path: Path) -> None:
    for suffix, compress in COMPRESS.items():
        path = tmp_path / f"m.csv{suffix}"
        for num_bytes in (-20, -1, 5):
            path.write_bytes(compress(DATA)[:num_bytes])
            with pytest.raises(OSError, match="cannot be decompressed"):  # noqa: SIM117 - as read
                with files.open_decompressed(str(path)) as file:
                    file.read()
        path.write_bytes(b"uri\na.wav\n")
        with pytest.raises(OSError, match=r"."):  # noqa: SIM117 - as it is read
            with files.open_decompressed(str(path)) as file:
                file.read()


def test_an_error_of_what_reads_a_file_passes(tmp_path: Path) -> None:
    (tmp_path / "m.csv").touch()
    with pytest.raises(ZeroDivisionError), files.open_decompressed(f"{tmp_path}/m.csv"):
        raise ZeroDivisionError
    with pytest.raises(FileNotFoundError), files.open_decompressed(f"{tmp_path}/absent.gz"):
        pytest.fail("there is no such file")


def test_devices_and_pipes_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(OSError, match="a device, a socket or a pipe"):
        files.open_to_read(f"{tmp_path}/pipe.wav")
    with pytest.raises(FileNotFoundError, match=r"'/a\\x00b' is not the path of any file"):
        files.open_to_read("/a\0b")
    with pytest.raises(IsADirectoryError):
        files.open_to_read(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        files.open_to_read(f"{tmp_path}/absent")


@pytest.mark.parametrize("limit", [3, 6, 100])
@pytest.mark.parametrize("in_parts", [False, True])
def test_remote_objects_read_the_same_whole_and_in_parts(
    objects: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, limit: int, in_parts: bool
) -> None:
    monkeypatch.setattr(ranges, "WHOLE_BYTES", limit)
    objects["mem://bucket/object"] = b"object"
    with files.open_to_read("mem://bucket/object", in_parts) as file:
        assert file.seek(0, os.SEEK_END) == 6
        file.seek(1)
        assert file.read() == b"bject"
    with pytest.raises(FileNotFoundError):
        files.open_to_read("mem://bucket/absent")


def test_a_compressed_suffix_is_not_decompressed(tmp_path: Path) -> None:
    (tmp_path / "a.wav.gz").write_bytes(b"RIFF, not gzip")
    with files.open_to_read(f"{tmp_path}/a.wav.gz") as file:
        assert file.read() == b"RIFF, not gzip"


def test_absolute_paths_mean_the_same_in_every_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert files.absolute("a/../b") == f"{tmp_path}/b"
    assert files.absolute(f"file://{tmp_path}/b") == f"{tmp_path}/b"
    assert files.absolute("gs://bucket/b") == "gs://bucket/b"


def test_only_surely_absent_files_are_called_absent(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert files.is_absent(str(tmp_path / "absent"))
    assert files.is_absent(str(tmp_path / "absent/too"))
    for name in ("there", "link", "there/below a file", "x" * 300, "\0"):
        assert not files.is_absent(str(tmp_path / name))
    assert not files.is_absent("mem://bucket/absent")
