"""Files on whatever Beam's FileSystems knows, and what Beam leaves to be put right.

Paths of this machine go through the operating system: Beam's own local listing drops links that
lead nowhere, and none of its globs can be quoted.
"""

import bz2
import contextlib
import glob
import gzip
import io
import lzma
import os
import posixpath
import shutil
import stat
import uuid
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from transforms.corpus import listing
from transforms.corpus.clips import Clip, Failure

# A remote object up to this size is read at once: decoders seek, and each seek is a request.
_WHOLE_BYTES = 64 * 2**20
_DECOMPRESSORS: dict[str, Callable[[BinaryIO], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}


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
    if _is_object(path) and not path.endswith("/"):
        yield from listing.list_paths(path[: path.rfind("/") + 1], [path], explicit=True)
        return
    root = path.rstrip("/") + "/"
    in_folder = _below(root, limit)
    if in_folder or not listing.is_glob(path):
        yield from listing.list_paths(root, in_folder, explicit=False)
        return
    yield from listing.list_paths(listing.glob_root(path), _match_any(path, limit), explicit=True)


def matching_files(path: str) -> list[str]:
    """Returns the file of this exact path, or else those that match it as a glob, sorted.

    Raises:
      OSError: The storage does not answer or refuses.
    """
    if is_local(path):
        if os.path.lexists(path):
            return [path]
        found = glob.iglob(path, recursive=True)
        return sorted(each for each in found if not os.path.isdir(each))
    if _is_object(path):
        return [path]
    return sorted(_match_any(path)) if listing.is_glob(path) else []


def _below(root: str, limit: int | None = None) -> list[str]:
    """Returns the objects whose path begins with `root`."""
    pattern = listing.GLOB_CHARACTERS.sub("?", root) + "**"
    return [path for path in _match(pattern, limit) if path.startswith(root)]


def _match_any(pattern: str, limit: int | None = None) -> set[str]:
    # Beam's `**/` wants a folder in its place, everybody else's may stand for none.
    return {*_match(pattern, limit), *_match(pattern.replace("**/", ""), limit)}


def _match(pattern: str, limit: int | None = None) -> list[str]:
    _check_storage(pattern)
    (result,) = FileSystems.match([pattern], [limit])
    return [metadata.path for metadata in result.metadata_list]


def open_to_read(path: str) -> BinaryIO:
    """Opens a file as it is, never decompressed by its suffix.

    Raises:
      OSError: It cannot be read, there is no such storage, or it is no file (a device or a pipe
        might never end).
    """
    if not is_local(path):
        with _open_remote(path) as file:
            data = file.read(_WHOLE_BYTES + 1)
        return io.BytesIO(data) if len(data) <= _WHOLE_BYTES else _open_remote(path)
    if not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path):
        raise OSError(f"{path} is a device, a socket or a pipe")
    return open(path, "rb")


@contextlib.contextmanager
def open_decompressed(path: str) -> Iterator[BinaryIO]:
    """Opens a file, decompressed where its suffix is one of `.gz`, `.bz2` and `.xz`.

    Raises:
      OSError: As `open_to_read`; while it is open also for what cannot be decompressed.
    """
    try:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(open_to_read(path))
            decompress = _DECOMPRESSORS.get(posixpath.splitext(path)[1].lower())
            yield stack.enter_context(decompress(file)) if decompress else file
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise OSError(f"cannot be decompressed: {error}") from error


def _open_remote(path: str) -> BinaryIO:
    _check_storage(path)
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def _is_object(path: str) -> bool:
    _check_storage(path)
    return bool(FileSystems.exists(path))


def _check_storage(path: str) -> None:
    try:
        FileSystems.get_filesystem(path)
    except ValueError as error:
        scheme = path.partition("://")[0]
        raise OSError(f"no storage is known for {scheme}://") from error


def exists(path: str) -> bool:
    """Tells whether a file is there; on this machine a folder as well."""
    if is_local(path):
        return os.path.exists(path)
    return _is_object(path) or bool(list_names(path))


def is_absent(path: str) -> bool:
    """Tells that a file is not there, where that costs nothing: on this machine."""
    if not is_local(path):
        return False
    try:
        os.lstat(path)
    except FileNotFoundError:
        return True
    except OSError:
        pass  # whatever it is, it is not known to be absent: opening it will tell
    return False


def make_folder(path: str) -> None:
    """Makes a folder and those above it, where the storage has folders."""
    if is_local(path):
        os.makedirs(path, exist_ok=True)


def list_names(folder: str) -> list[str]:
    """Returns the names in a folder and in the folders there, sorted: `a`, `b/c`.

    On an object storage these are the names of all objects below. A folder that is not there is
    empty.
    """
    if is_local(folder):
        names = os.listdir(folder) if os.path.isdir(folder) else []
        below = {name: _names_in_folder(f"{folder}/{name}") for name in names}
        return sorted(
            path
            for name in names
            for path in ([f"{name}/{inner}" for inner in below[name]] or [name])
        )
    root = folder.rstrip("/") + "/"
    return sorted(path.removeprefix(root) for path in _below(root))


def _names_in_folder(path: str) -> list[str]:
    is_folder = os.path.isdir(path) and not os.path.islink(path)
    return os.listdir(path) if is_folder else []


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


def write_at_once(path: str, parts: Iterable[bytes]) -> None:
    """Writes a file under a temporary name and renames it, so that it is whole or not there."""
    temporary = temporary_name(path)
    with created(temporary) as file:
        for part in parts:
            file.write(part)
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
    """Returns a file's size in bytes.

    Raises:
      OSError: It is not there, or its storage does not answer.
    """
    if is_local(path):
        return os.path.getsize(path)
    _check_storage(path)
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


def delete_names(folder: str, names: Iterable[str]) -> None:
    """Deletes files below a folder, `a` or `b/c`, and the folders inside that this leaves empty."""
    names = list(names)
    delete_files([f"{folder}/{name}" for name in names])
    if is_local(folder):
        for inner in {posixpath.dirname(name) for name in names} - {""}:
            with contextlib.suppress(OSError):  # something else is there
                os.rmdir(f"{folder}/{inner}")


def delete_folder(path: str) -> None:
    """Deletes a folder and what is in it; one that is not there is no error."""
    if is_local(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        delete_files([f"{path.rstrip('/')}/{name}" for name in list_names(path)])
