"""From what `--model` names to a SavedModel folder on this machine."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from transforms.model.errors import ModelError, in_one_line
from transforms.model.sources.caching import build_cached
from transforms.model.sources.copying import RemoteFiles, StoredFile, copy_files, stored_files
from transforms.model.sources.fetching import download
from transforms.model.sources.unpacking import ARCHIVE_SUFFIXES, unpack
from transforms.model.sources.writing import READ_BYTES

DEFAULT_MODEL = "https://tfhub.dev/google/vggish/1"
_ALLOWED = (
    "allowed: a hub URL, or a SavedModel folder or an archive of one"
    f" ({' '.join(ARCHIVE_SUFFIXES)}), on this machine or on a storage"
)


def is_url(model: str) -> bool:
    """Tells whether `model` is to be fetched from a hub."""
    return model.startswith(("http://", "https://"))


def check_model_name(
    model: str, remote: RemoteFiles | None = None, on_workers: bool = False
) -> None:
    """Refuses what cannot be a model, without TensorFlow and without a hub.

    Args:
      model: What `--model` names.
      remote: Looks whether a model on a storage is there; None leaves that to the workers.
      on_workers: The workers are other machines: a path that is not here may be there.

    Raises:
      ModelError: `model` is neither a URL, nor an existing SavedModel folder or archive.
    """
    if is_url(model):
        _check_url(model)
    elif "://" in model:
        if remote:
            _look_up(model, remote)
    elif not os.path.exists(model):
        if not on_workers:
            raise ModelError(f"{model!r} does not exist; {_ALLOWED}")
    elif os.path.isdir(model):
        if not os.path.isfile(os.path.join(model, "saved_model.pb")):
            raise ModelError(f"the folder {model!r} holds no saved_model.pb; {_ALLOWED}")
    elif not model.endswith(ARCHIVE_SUFFIXES):
        raise ModelError(f"{model!r} is neither a folder nor an archive; {_ALLOWED}")


def _check_url(url: str) -> None:
    try:
        host = urlsplit(url).hostname
    except ValueError as error:
        raise ModelError(f"{url!r} is not a URL: {error}; {_ALLOWED}") from error
    if not host:
        raise ModelError(f"{url!r} is not a URL: it names no host; {_ALLOWED}")


def resolve(model: str, remote: RemoteFiles | None = None) -> Path:
    """Brings a model to this machine, once for all its processes.

    Args:
      model: Hub URL, SavedModel folder, or archive of one; the last two may be on a storage.
      remote: Reads storages; without it there are none.

    Returns:
      The SavedModel folder.

    Raises:
      ModelError: It is not there, cannot be brought here, or is not a SavedModel.
    """
    check_model_name(model)
    try:
        if is_url(model):
            return _fetched_before(model) or _fetch(model)
        if "://" in model:
            return _copy(model, remote)
        return Path(model) if os.path.isdir(model) else _unpack(Path(model))
    except OSError as error:
        raise ModelError(
            f"cannot bring the model {model} to this machine: {in_one_line(error)}"
        ) from error


def num_bytes(model: str, remote: RemoteFiles) -> int:
    """Returns the size of a model's files, without bringing it here; 0 where it is not known.

    Args:
      model: What `resolve` takes.
      remote: Reads storages.

    Raises:
      ModelError: A storage has no SavedModel there.
      OSError: A storage cannot be read.
    """
    if is_url(model):
        return 0
    if "://" in model:
        return sum(file.size for file in _look_up(model, remote)[1].values())
    path = Path(model)
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def fingerprint(saved_model: Path) -> str:
    """Returns the sha256 over names and contents of a SavedModel's graph, weights and assets.

    `fingerprint.pb` is left out: it holds a random id that differs between equal exports.
    """
    digest = hashlib.sha256()
    for path in sorted(path for path in saved_model.rglob("*") if path.is_file()):
        name = path.relative_to(saved_model).as_posix()
        if name == "fingerprint.pb":
            continue
        digest.update(f"{name}\0{path.stat().st_size}\0".encode())
        _update(digest, path)
    return digest.hexdigest()


def _update(digest: "hashlib._Hash", path: Path) -> None:
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)


def _fetched_before(url: str) -> Path | None:
    """Returns what tensorflow_hub has fetched into a cache that the user keeps, if it is whole."""
    cache = os.environ.get("TFHUB_CACHE_DIR")
    if not cache:
        return None
    # The name that tensorflow_hub gives, last of all, to what it has fetched.
    folder = Path(cache) / hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
    return folder if (folder / "saved_model.pb").is_file() else None


def _fetch(url: str) -> Path:
    """Fetches a model from a hub, where a URL means the same model for ever."""

    def make(scratch: Path) -> Path:
        archive = scratch / "archive"
        download(url, archive)
        return unpack(archive, scratch / "model", url)

    return build_cached(f"url-{hashlib.sha256(url.encode()).hexdigest()}", make)


def _unpack(archive: Path) -> Path:
    """Unpacks an archive of this machine; equal bytes are the same model."""
    digest = hashlib.sha256()
    _update(digest, archive)
    return build_cached(
        f"archive-{digest.hexdigest()}",
        lambda scratch: unpack(archive, scratch / "model", str(archive)),
    )


def _copy(model: str, remote: RemoteFiles | None) -> Path:
    """Copies a model from a storage; it is another model when one of its files has changed."""
    if remote is None:
        raise ModelError(f"{model!r} is on a storage, and nothing reads storages here")
    folder, files = _look_up(model, remote)

    def make(scratch: Path) -> Path:
        copied = scratch / "copied"
        copy_files(folder, files, copied, remote)
        if _is_archive(model):
            return unpack(copied / next(iter(files)), scratch / "model", model)
        return copied

    identity = repr((model, sorted(files.items())))
    return build_cached(f"copy-{hashlib.sha256(identity.encode()).hexdigest()}", make)


def _look_up(model: str, remote: RemoteFiles) -> tuple[str, Mapping[str, StoredFile]]:
    """Returns the folder of a model on a storage, and its files there: one for an archive.

    Raises:
      ModelError: It is not there, or its storage cannot be read.
    """
    try:
        if _is_archive(model):
            folder, _, name = model.rpartition("/")
            return folder, {name: remote.look_up(model)}
        folder = model.rstrip("/")
        return folder, stored_files(folder, remote)
    except OSError as error:
        raise ModelError(f"cannot read the model {model}: {in_one_line(error)}") from error


def _is_archive(model: str) -> bool:
    return model.endswith(ARCHIVE_SUFFIXES)
