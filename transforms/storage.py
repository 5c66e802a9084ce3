"""Files on whatever Beam's FileSystems knows, and what Beam leaves to be put right.

Paths of this machine go through the operating system: Beam's own local listing drops links that
lead nowhere, and none of its globs can be quoted.
"""

import contextlib
import glob
import io
import os
import shutil
import stat
import uuid
import warnings
from collections.abc import Iterator
from typing import BinaryIO

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from transforms.corpus import listing
from transforms.corpus.clips import Clip, Failure

# A remote object up to this size is read at once: decoders seek, and each seek is a request.
_WHOLE_BYTES = 64 * 2**20


def is_local(path: str) -> bool:
    """Tells whether a path is on this machine."""
    return "://" not in path


def absolute(path: str) -> str:
    """Returns a path that means the same in every process; `file://` is taken off."""
    path = path.removeprefix("file://")
    return os.path.abspath(path) if is_local(path) else path


def list_input(path: str, limit: int | None = None) -> Iterator[Clip | Failure | listing.LeftOut]:
    """Lists what an input holds: a file, a folder, or else a glob.

    Args:
      path: Absolute.
      limit: A storage need not look for more than so many.

    Raises:
      OSError: The storage does not answer or refuses. An input that is not there gives nothing.
    """
    if is_local(path):
        if os.path.isdir(path):
            yield from listing.list_folder(path)
            return
        if os.path.lexists(path):
            yield from listing.list_paths(os.path.dirname(path), [path], explicit=True)
            return
        found = (
            each
            for each in glob.iglob(path, recursive=True)
            if not os.path.isdir(each) or listing.is_named_like_audio(each)
        )
        yield from listing.list_paths(listing.glob_root(path), found, explicit=True)
        return
    if FileSystems.exists(path) and not path.endswith("/"):
        yield from listing.list_paths(path[: path.rfind("/") + 1], [path], explicit=True)
        return
    root = path.rstrip("/") + "/"
    in_folder = _below(root, limit)
    if in_folder or not listing.is_glob(path):
        yield from listing.list_paths(root, in_folder, explicit=False)
        return
    # Beam's `**/` wants a folder in its place, everybody else's may stand for none.
    matched = {*_match(path, limit), *_match(path.replace("**/", ""), limit)}
    yield from listing.list_paths(listing.glob_root(path), matched, explicit=True)


def _below(root: str, limit: int | None = None) -> list[str]:
    """Returns the objects whose path begins with `root`."""
    pattern = listing.GLOB_CHARACTERS.sub("?", root) + "**"
    return [path for path in _match(pattern, limit) if path.startswith(root)]


def _match(pattern: str, limit: int | None = None) -> list[str]:
    (result,) = FileSystems.match([pattern], [limit])
    return [metadata.path for metadata in result.metadata_list]


def open_to_read(path: str) -> BinaryIO:
    """Opens a file as it is, never decompressed by its suffix.

    Raises:
      OSError: It cannot be read, or it is no file (a device or a pipe might never end).
    """
    if not is_local(path):
        with _open_remote(path) as file:
            data = file.read(_WHOLE_BYTES + 1)
        return io.BytesIO(data) if len(data) <= _WHOLE_BYTES else _open_remote(path)
    if not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path):
        raise OSError(f"{path} is a device, a socket or a pipe")
    return open(path, "rb")


def _open_remote(path: str) -> BinaryIO:
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def exists(path: str) -> bool:
    """Tells whether a file is there; on this machine a folder as well."""
    if is_local(path):
        return os.path.exists(path)
    return bool(FileSystems.exists(path)) or bool(list_names(path))


def make_folder(path: str) -> None:
    """Makes a folder and those above it, where the storage has folders."""
    if is_local(path):
        os.makedirs(path, exist_ok=True)


def list_names(folder: str) -> list[str]:
    """Returns the names in a folder, sorted; on an object storage those of its objects.

    A folder that is not there is empty.
    """
    if is_local(folder):
        return sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    root = folder.rstrip("/") + "/"
    return sorted(path.removeprefix(root) for path in _below(root))


@contextlib.contextmanager
def created(path: str) -> Iterator[BinaryIO]:
    """Opens a new file for writing, as it is; its folder must be there."""
    if is_local(path):
        # Beam would make the folder again, also one that an interrupted run has just removed.
        try:
            with open(path, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if error.filename is None:  # a full disk is reported without saying of which file
                error.filename = path
            raise
    else:
        with FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            yield file


def write_at_once(path: str, data: bytes) -> None:
    """Writes a file under a temporary name and renames it, so that it is whole or not there."""
    temporary = temporary_name(path)
    with created(temporary) as file:
        file.write(data)
    rename([temporary], [path])


def temporary_name(path: str) -> str:
    """Returns a name beside `path` that no other attempt uses."""
    return f"{path}.{uuid.uuid4().hex}.tmp"


def rename(sources: list[str], targets: list[str]) -> None:
    """Renames files; what is in the way is replaced.

    A source that is gone while its target is there was renamed by an attempt before this one.
    """
    pairs = [
        (source, target)
        for source, target in zip(sources, targets, strict=True)
        if FileSystems.exists(source) or not FileSystems.exists(target)
    ]
    if not pairs:
        return
    if is_local(pairs[0][0]):
        for source, target in pairs:
            os.replace(source, target)
    else:
        FileSystems.rename([source for source, _ in pairs], [target for _, target in pairs])


def size(path: str) -> int:
    """Returns a file's size in bytes."""
    if is_local(path):
        return os.path.getsize(path)
    return int(FileSystems.get_filesystem(path).size(path))


def delete_files(paths: list[str]) -> None:
    """Deletes files; those that are not there are no error."""
    there = [path for path in paths if FileSystems.exists(path)]
    for path in filter(is_local, there):
        os.remove(path)
    remote = [path for path in there if not is_local(path)]
    if remote:
        with warnings.catch_warnings():
            # Beam matches before it deletes, so glob characters have to be quoted, and then makes
            # a regular expression of which Python warns.
            warnings.simplefilter("ignore", FutureWarning)
            FileSystems.delete([listing.quote_glob(path) for path in remote])


def delete_folder(path: str) -> None:
    """Deletes a folder and what is in it; one that is not there is no error."""
    if is_local(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        delete_files([f"{path.rstrip('/')}/{name}" for name in list_names(path)])
