"""The SavedModel folder on this machine for what `--model` names."""

import functools
import hashlib
import os
from pathlib import Path
from typing import Any

from transforms.model.errors import ModelError, in_one_line
from transforms.model.sources.caching import build_cached
from transforms.model.sources.copying import check_size, copy_files, list_model
from transforms.model.sources.fetching import download
from transforms.model.sources.names import check_model_name, is_archive, is_url
from transforms.model.sources.unpacking import unpack
from transforms.model.sources.writing import MAX_BYTES, READ_BYTES
from transforms.storage import files
from transforms.storage.store import FileInfo


def check_model(model: str, on_workers: bool = False, max_bytes: int = MAX_BYTES) -> None:
    """Refuses what cannot be a model, and a model that is not on its storage; asks no hub.

    Args:
      model: URL or path, as given to `--model`.
      on_workers: The workers are other machines: a path that is absent here may exist there.
      max_bytes: As for `resolve`.

    Raises:
      ModelError: The model cannot be used.
    """
    check_model_name(model, on_workers)
    if _is_stored(model):
        check_size(*_stored_files(model), max_bytes)


def resolve(model: str, max_bytes: int = MAX_BYTES) -> Path:
    """Brings a model to this machine, once for all its processes.

    Args:
      model: Hub URL, SavedModel folder, or archive of one; the last two may be on a storage.
      max_bytes: Limit of what is downloaded, copied or unpacked.

    Returns:
      The SavedModel folder.

    Raises:
      ModelError: It is absent, cannot be brought here, or is not a SavedModel.
    """
    check_model_name(model)
    try:
        if is_url(model):
            return _fetched_before(model) or _fetch(model, max_bytes)
        if _is_stored(model):
            return _copy(model, max_bytes)
        return Path(model) if os.path.isdir(model) else _unpack(Path(model), max_bytes)
    except OSError as error:
        raise ModelError(
            f"cannot bring the model {model} to this machine: {in_one_line(error)}"
        ) from error


def num_bytes(model: str) -> int:
    """Returns the size of a model's files where they are; 0 if it is not known.

    Args:
      model: What `resolve` takes.

    Raises:
      ModelError: The model is not on its storage, or the storage cannot be read.
    """
    if is_url(model):
        return 0
    if _is_stored(model):
        return sum(info.num_bytes for info in _stored_files(model)[1].values())
    path = Path(model)
    paths = path.rglob("*") if path.is_dir() else [path]
    return sum(each.stat().st_size for each in paths if each.is_file())


def fingerprint(saved_model: Path) -> str:
    """Returns the sha256 over names and contents of a SavedModel's graph, weights and assets.

    Without `fingerprint.pb`, which holds a random id that differs between equal exports.
    """
    paths = sorted(path for path in saved_model.rglob("*") if path.is_file())
    statuses = [path.stat() for path in paths]
    # A change of a file changes one of these, whatever time it is given afterwards.
    state = tuple((each.st_ino, each.st_size, each.st_ctime_ns) for each in statuses)
    return _fingerprint(saved_model, tuple(paths), state)


@functools.lru_cache(maxsize=4)
def _fingerprint(saved_model: Path, paths: tuple[Path, ...], state: tuple[Any, ...]) -> str:
    """Hashes 290 MB once in a process: launcher and worker are one on a single machine."""
    digest = hashlib.sha256()
    for path, (_, size, _) in zip(paths, state, strict=True):
        name = path.relative_to(saved_model).as_posix()
        if name == "fingerprint.pb":
            continue
        digest.update(f"{name}\0{size}\0".encode())
        _update(digest, path)
    return digest.hexdigest()


def _update(digest: "hashlib._Hash", path: Path) -> None:
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)


def _fetched_before(url: str) -> Path | None:
    """Returns a model from the user's own cache of tensorflow_hub, if it is complete there."""
    cache = os.environ.get("TFHUB_CACHE_DIR")
    if not cache:
        return None
    # tensorflow_hub renames a folder to this when it is complete.
    folder = Path(cache) / hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
    return folder if (folder / "saved_model.pb").is_file() else None


def _fetch(url: str, max_bytes: int) -> Path:
    """Fetches a model from a hub, where a URL always means the same model."""

    def make(scratch: Path) -> Path:
        archive = scratch / "archive"
        download(url, archive, max_bytes)
        return unpack(archive, scratch / "model", url, max_bytes)

    return build_cached(f"url-{hashlib.sha256(url.encode()).hexdigest()}", make)


def _unpack(archive: Path, max_bytes: int) -> Path:
    """Unpacks an archive of this machine; archives of equal bytes share a folder."""
    digest = hashlib.sha256()
    _update(digest, archive)
    return build_cached(
        f"archive-{digest.hexdigest()}",
        lambda scratch: unpack(archive, scratch / "model", str(archive), max_bytes),
    )


def _copy(model: str, max_bytes: int) -> Path:
    """Copies a model from a storage, into another folder after one of its files has changed."""
    folder, infos = _stored_files(model)
    check_size(folder, infos, max_bytes)

    def make(scratch: Path) -> Path:
        copied = scratch / "copied"
        copy_files(folder, infos, copied, max_bytes)
        if is_archive(model):
            return unpack(copied / next(iter(infos)), scratch / "model", model, max_bytes)
        return copied

    identity = repr((model, sorted(infos.items())))
    return build_cached(f"copy-{hashlib.sha256(identity.encode()).hexdigest()}", make)


def _stored_files(model: str) -> tuple[str, dict[str, FileInfo]]:
    """Returns the folder of a model on a storage, and its files there: one for an archive.

    Raises:
      ModelError: The model is absent, or its storage cannot be read.
    """
    try:
        if is_archive(model):
            folder, _, name = model.rpartition("/")
            return folder, {name: files.info(model)}
        folder = model.rstrip("/")
        return folder, list_model(folder)
    except OSError as error:
        raise ModelError(f"cannot read the model {model}: {in_one_line(error)}") from error


def _is_stored(model: str) -> bool:
    return not is_url(model) and not files.is_local(model)
