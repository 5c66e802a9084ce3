"""From a URL, a folder, an archive or a storage to a SavedModel folder, once a machine."""

import dataclasses
import errno
import hashlib
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.archives import FILES, archive_bytes, contents, make_zip
from tests.memory_filesystem import MemoryFileSystem
from transforms.model.errors import ModelError
from transforms.model.sources import caching, resolving
from transforms.storage import files
from transforms.storage.store import FileInfo


@pytest.fixture(autouse=True)
def own_cache(cache: Path) -> None:
    pass


@pytest.fixture
def objects() -> Iterator[dict[str, bytes]]:
    """The objects of a storage in memory, which hold a model: `mem://bucket/model`."""
    MemoryFileSystem.objects.clear()
    for name, data in FILES.items():
        MemoryFileSystem.objects[f"mem://bucket/model/{name}"] = data
    MemoryFileSystem.objects["mem://bucket/model.tgz"] = archive_bytes(FILES)
    yield MemoryFileSystem.objects
    MemoryFileSystem.objects.clear()


def test_what_is_no_model_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "model.h5").touch()
    for name, why in [
        ("absent", "does not exist"),
        ("empty", "holds no saved_model.pb"),
        ("model.h5", "neither a folder nor an archive"),
    ]:
        with pytest.raises(ModelError, match=f"{name}.*{why}.*allowed: a hub URL"):
            resolving.check_model(str(tmp_path / name))
    for url in ("https://", "http://[", "https:///vggish", "http://\udcff/m", "http://h/\udcff"):
        with pytest.raises(ModelError, match=r"is not a URL.*allowed: a hub URL"):
            resolving.check_model(url)


def test_a_model_that_only_workers_have_is_not_refused(tmp_path: Path) -> None:
    resolving.check_model("/models/vggish", on_workers=True)
    with pytest.raises(ModelError, match=r"holds no saved_model.pb"):
        resolving.check_model(str(tmp_path), on_workers=True)


def test_a_fingerprint_follows_contents_and_names_only(tmp_path: Path) -> None:
    def fingerprint(name: str, files: dict[str, bytes]) -> str:
        return resolving.fingerprint(resolving.resolve(str(make_zip(tmp_path / name, files))))

    one = fingerprint("1.zip", FILES)
    assert fingerprint("2.zip", {**FILES, "fingerprint.pb": b"a random id"}) == one
    assert fingerprint("3.zip", {**FILES, "assets/a.txt": b"b"}) != one


@pytest.mark.parametrize("model", ["mem://bucket/model", "mem://bucket/model/"])
def test_a_model_is_copied_from_a_storage_once(objects: dict[str, bytes], model: str) -> None:
    objects["mem://bucket/model/"] = b""  # in the place of the folder, as some tools leave it
    objects["mem://bucket/model2/other"] = b"of another model"
    resolving.check_model(model)
    folder = resolving.resolve(model)
    assert contents(folder) == FILES
    (folder / "mark").touch()
    assert (resolving.resolve(model) / "mark").exists()


def test_the_size_of_a_model_is_known_before_it_is_brought_here(
    objects: dict[str, bytes], tmp_path: Path
) -> None:
    size = sum(map(len, FILES.values()))
    archive = make_zip(tmp_path / "model.zip", FILES)
    for model, expected in (
        ("mem://bucket/model", size),
        ("mem://bucket/model.tgz", len(objects["mem://bucket/model.tgz"])),
        (str(archive), archive.stat().st_size),
        (str(resolving.resolve(str(archive))), size),
        ("/models/on/the/workers", 0),
        ("https://hub/model", 0),
    ):
        assert resolving.num_bytes(model) == expected


def test_an_archive_comes_from_a_storage(objects: dict[str, bytes]) -> None:
    resolving.check_model("mem://bucket/model.tgz")
    assert contents(resolving.resolve("mem://bucket/model.tgz")) == FILES


@pytest.mark.parametrize("version", ["checksum", "last_updated"])
def test_a_model_that_changes_on_its_storage_is_copied_again(
    objects: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    before = resolving.resolve("mem://bucket/model")
    objects["mem://bucket/model/saved_model.pb"] = b"GRAPH"
    monkeypatch.setattr(MemoryFileSystem, version, lambda *_: 2)
    after = resolving.resolve("mem://bucket/model")
    assert contents(after) == {**FILES, "saved_model.pb": b"GRAPH"}
    assert contents(before) == FILES, "who uses it is not disturbed"


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("mem://bucket/absent", "the folder .* holds no saved_model.pb"),
        ("mem://bucket/absent.zip", "cannot read the model mem://bucket/absent.zip"),
        ("nowhere://bucket/model", "no storage is known for nowhere://"),
        ("nowhere://bucket/model.tar", "no storage is known for nowhere://"),
    ],
)
@pytest.mark.usefixtures("objects")
def test_a_model_that_is_not_on_its_storage_is_refused(model: str, why: str) -> None:
    for refuse in (resolving.check_model, resolving.resolve):
        with pytest.raises(ModelError, match=why):
            refuse(model)


@pytest.mark.usefixtures("objects")
def test_a_model_that_is_larger_than_allowed_is_refused_before_it_is_copied(cache: Path) -> None:
    for refuse in (resolving.check_model, resolving.resolve):
        with pytest.raises(ModelError, match=r"holds \d+ bytes .allowed: 5; --max_model_bytes"):
            refuse("mem://bucket/model", max_bytes=5)
    assert not list(cache.rglob("saved_model.pb"))


def test_an_object_cannot_be_written_outside_the_folder(objects: dict[str, bytes]) -> None:
    objects["mem://bucket/model/../../outside"] = b"x"
    with pytest.raises(ModelError, match="outside its folder"):
        resolving.resolve("mem://bucket/model")


@pytest.mark.usefixtures("objects")
def test_what_does_not_arrive_as_it_is_stored_is_refused(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info, versions = files.info, map(str, itertools.count())
    changes: list[tuple[Callable[[], dict[str, Any]], str]] = [
        (lambda: {"num_bytes": 7}, "came as 1 bytes, its storage says 7"),
        (lambda: {"crc32c": "A="}, r"came with the CRC32C .*, its storage says A="),
        (lambda: {"version": next(versions)}, "changed while it was read"),
    ]
    for change, why in changes:

        def changed(path: str, change: Callable[[], dict[str, Any]] = change) -> FileInfo:
            return dataclasses.replace(info(path), **change())

        monkeypatch.setattr(files, "info", changed)
        with pytest.raises(ModelError, match=why):
            resolving.resolve("mem://bucket/model")
    assert {path.suffix for path in cache.iterdir()} == {".lock"}


def test_a_cache_of_tensorflow_hub_is_used_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "http://127.0.0.1:9/google/vggish/1"
    folder = make_folder(tmp_path / hashlib.sha1(url.encode()).hexdigest())
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    assert resolving.resolve(url) == folder


def make_folder(folder: Path) -> Path:
    folder.mkdir()
    (folder / "saved_model.pb").touch()
    return folder


def test_a_disk_that_fills_up_is_an_error_that_names_folder_and_size(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    archive = make_zip(tmp_path / "model.zip", FILES)
    with pytest.raises(
        ModelError, match=rf"disk of {cache}.* is full: .*zip needs {archive.stat().st_size} bytes"
    ):
        resolving.resolve(str(archive))
    assert {path.suffix for path in cache.iterdir()} == {".lock"}


def test_a_cache_that_cannot_be_made_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    archive = make_zip(tmp_path / "model.zip", FILES)
    with pytest.raises(ModelError, match=r"cannot bring the model .*zip to this machine"):
        resolving.resolve(str(archive))


def make_folder_in(scratch: Path) -> Path:
    return make_folder(scratch / "model")


def test_threads_make_a_model_once() -> None:
    made = []

    def make(scratch: Path) -> Path:
        made.append(scratch)
        time.sleep(0.1)
        return make_folder_in(scratch)

    threads = [threading.Thread(target=caching.build_cached, args=("a", make)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


@pytest.mark.parametrize("is_link", [False, True])
def test_what_is_in_the_place_of_a_folder_gives_way(
    cache: Path, tmp_path: Path, is_link: bool
) -> None:
    folder = caching.cache_directory() / "models"
    folder.mkdir(parents=True)
    other = tmp_path / "other"
    other.mkdir()
    if is_link:
        (folder / "made").symlink_to(other)
    else:
        (folder / "made").touch()

    def make(scratch: Path) -> Path:
        (scratch / "new").mkdir()
        (scratch / "new/file").touch()
        return scratch / "new"

    found = caching.build_cached("made", make, lambda target: (target / "file").exists())
    assert os.listdir(found) == ["file"]
    assert other.is_dir(), "what a link names is not the cache's"
