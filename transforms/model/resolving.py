"""From what `--model` names to a SavedModel folder on this machine."""

import hashlib
import http.client
import os
import socket
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from transforms.model.errors import ModelError

ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".zip")
# A socket that says nothing for this long is given up: tensorflow_hub itself waits for ever.
FETCH_TIMEOUT_SECONDS = 60.0
# Bounds on what an archive may unpack to: the largest audio models are a tenth of this.
MAX_UNPACKED_BYTES = 16 * 2**30
MAX_UNPACKED_FILES = 10_000
_READ_BYTES = 2**20


def cache_directory() -> Path:
    """Returns the folder where fetched and unpacked things are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not os.path.isabs(base):  # no home folder: expanduser gives the tilde back
        base = tempfile.gettempdir()
    return Path(base) / "beam-audio-embeddings"


def is_url(model: str) -> bool:
    """Tells whether `model` is to be fetched from a hub."""
    return model.startswith(("http://", "https://"))


def check_model_name(model: str) -> None:
    """Refuses what cannot be a model, without TensorFlow and without the network.

    Raises:
      ModelError: `model` is neither a URL, nor an existing SavedModel folder or archive.
    """
    if is_url(model):
        return
    allowed = (
        f"allowed: a hub URL, a SavedModel folder, or an archive ({' '.join(ARCHIVE_SUFFIXES)})"
    )
    if "://" in model:
        raise ModelError(f"{model!r} is on a storage that models cannot be read from; {allowed}")
    if not os.path.exists(model):
        raise ModelError(f"{model!r} does not exist; {allowed}")
    if os.path.isdir(model):
        if not os.path.isfile(os.path.join(model, "saved_model.pb")):
            raise ModelError(f"the folder {model!r} holds no saved_model.pb; {allowed}")
    elif not model.endswith(ARCHIVE_SUFFIXES):
        raise ModelError(f"{model!r} is neither a folder nor an archive; {allowed}")


def resolve(model: str) -> Path:
    """Brings a model to this machine, once.

    Args:
      model: Hub URL, SavedModel folder, or archive of one (.tar.gz, .tgz, .zip).

    Returns:
      The SavedModel folder.

    Raises:
      ModelError: It is not there, cannot be fetched, or is not a SavedModel.
    """
    check_model_name(model)
    if is_url(model):
        return _fetch(model)
    if os.path.isdir(model):
        return Path(model)
    return _unpack(Path(model))


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
        while block := file.read(_READ_BYTES):
            digest.update(block)


def _fetch(url: str) -> Path:
    """Fetches a model through tensorflow_hub, which caches it in $TFHUB_CACHE_DIR."""
    import tensorflow as tf
    import tensorflow_hub as hub

    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(FETCH_TIMEOUT_SECONDS)
    try:
        folder = Path(hub.resolve(url))
    except (
        OSError,
        EOFError,
        ValueError,
        http.client.HTTPException,
        tarfile.TarError,
        tf.errors.OpError,
    ) as error:
        raise ModelError(
            f"cannot fetch {url}: {error}. Download it where the network allows, and name the"
            " archive or its folder with --model"
        ) from error
    finally:
        socket.setdefaulttimeout(previous)
    return _saved_model_in(folder, url)


def _unpack(archive: Path) -> Path:
    """Unpacks an archive into the cache, under its own sha256, and returns the SavedModel."""
    digest = hashlib.sha256()
    try:
        _update(digest, archive)
        target = cache_directory() / "models" / digest.hexdigest()
        if not target.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            # A folder of its own and one rename: no other process ever sees half a model.
            with tempfile.TemporaryDirectory(dir=target.parent, prefix="unpacking-") as temporary:
                _unpack_into(archive, Path(temporary) / "model")
                try:
                    os.rename(Path(temporary) / "model", target)
                except OSError:
                    if not target.is_dir():  # else another process was first, with equal bytes
                        raise
    except (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
        raise ModelError(f"cannot unpack the model archive {archive}: {error}") from error
    return _saved_model_in(target, str(archive))


def _unpack_into(archive: Path, folder: Path) -> None:
    """Writes the archive's regular files below `folder`, and refuses anything else."""
    root = folder.resolve()
    root.mkdir()
    left = MAX_UNPACKED_BYTES
    for number, (name, file) in enumerate(_members(archive)):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name:
            raise ModelError(f"{archive}: the member {name!r} would be written outside its folder")
        if number >= MAX_UNPACKED_FILES:
            raise ModelError(f"{archive} holds more than {MAX_UNPACKED_FILES} files")
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            while block := file.read(_READ_BYTES):
                left -= len(block)
                if left < 0:
                    raise ModelError(f"{archive} unpacks to more than {MAX_UNPACKED_BYTES} bytes")
                out.write(block)


def _members(archive: Path) -> Iterator[tuple[str, BinaryIO]]:
    """Yields names and contents of an archive's files; links and devices are refused."""
    if archive.name.endswith(".zip"):
        with zipfile.ZipFile(archive) as bundle:
            for entry in bundle.infolist():
                if not entry.is_dir():
                    with bundle.open(entry) as file:
                        yield entry.filename, file  # type: ignore[misc]
        return
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            if member.isdir():
                continue
            opened = tar.extractfile(member) if member.isreg() else None
            if opened is None:
                raise ModelError(f"{archive}: the member {member.name!r} is not a regular file")
            with opened as file:
                yield member.name, file  # type: ignore[misc]


def _saved_model_in(folder: Path, origin: str) -> Path:
    """Returns the one folder that holds a saved_model.pb, at the top or below."""
    found = sorted(path.parent for path in folder.rglob("saved_model.pb"))
    if (folder / "saved_model.pb").is_file():
        return folder
    if len(found) != 1:
        raise ModelError(f"{origin} holds {len(found)} SavedModels (saved_model.pb), wanted one")
    return found[0]
