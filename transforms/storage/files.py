"""Files anywhere: on this machine, on gs:// or s3://, on the web, or behind Beam.

Local paths go through the operating system: Beam's local listing drops dangling links, and its
globs cannot be quoted. gs://, s3:// and the web have backends here: Beam's fetch 16 MiB for every
seek, wait for minutes or without end, and list a missing bucket as an empty one.
"""

import bz2
import contextlib
import glob
import gzip
import lzma
import os
import posixpath
import shutil
import stat
import tempfile
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

from transforms.storage import ranges, spellings
from transforms.storage.choosing import store_of
from transforms.storage.choosing import use_options as use_options
from transforms.storage.globs import is_glob
from transforms.storage.guarding import guarded, outside_errors
from transforms.storage.listing import files_below, files_matching, info_or_none
from transforms.storage.reachability import check_reachable as check_reachable
from transforms.storage.retries import PREFLIGHT_RETRY
from transforms.storage.schemes import absolute as absolute
from transforms.storage.schemes import is_local as is_local
from transforms.storage.store import FileInfo

_DECOMPRESSORS: dict[str, Callable[[BinaryIO], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}
# Requests at the same time: they mostly wait.
_NUM_REQUESTS = 16


@guarded
def matching_files(path: str) -> list[str]:
    """Returns the file of exactly this path, or else those that match it as a glob, sorted.

    Of a path that matches nothing, the only other reading that does counts.

    Raises:
      OSError: The storage does not answer or refuses.
    """
    found = _matching_exactly(path)
    if not found and (reading := spellings.find_input(path)) is not None:
        found = _matching_exactly(reading)
    return found


def _matching_exactly(path: str) -> list[str]:
    if is_local(path):
        if os.path.lexists(path):
            return [path]
        found = glob.iglob(path, recursive=True)
        return sorted(each for each in found if not os.path.isdir(each))
    if info_or_none(path):
        return [path]
    return sorted(info.path for info in files_matching(path)) if is_glob(path) else []


@guarded
def open_to_read(path: str, in_parts: bool = False) -> BinaryIO:
    """Opens a file as it is, not decompressed.

    Args:
      path: Path of the file.
      in_parts: Fetch parts even of a small remote file, for a reader that goes from front to back
        or wants the beginning only.

    Raises:
      OSError: It cannot be read, no storage has this scheme, or it is not a regular file (a device
        or a pipe might never end). Reading raises it too.
    """
    if not is_local(path):
        return store_of(path).open(path, 0 if in_parts else ranges.WHOLE_BYTES)
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(f"{path} is a device, a socket or a pipe")
    return open(path, "rb")


@contextlib.contextmanager
def open_decompressed(path: str) -> Iterator[BinaryIO]:
    """Opens a file, decompressed if its suffix is `.gz`, `.bz2` or `.xz`.

    Raises:
      OSError: As `open_to_read`; within the block also for damaged compressed data.
    """
    try:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(open_to_read(path, in_parts=True))
            decompress = _DECOMPRESSORS.get(posixpath.splitext(path)[1].lower())
            yield stack.enter_context(decompress(file)) if decompress else file
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise OSError(f"cannot be decompressed: {error}") from error


@guarded
def exists(path: str) -> bool:
    """Tells whether a file or folder exists."""
    if is_local(path):
        return os.path.exists(path)
    if not path.endswith("/") and info_or_none(path):
        return True
    return any(True for _ in files_below(path))


def is_absent(path: str) -> bool:
    """Tells that a file is surely absent, without a request: always false for remote files."""
    if not is_local(path):
        return False
    try:
        os.lstat(path)
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        pass  # opening it will tell what is wrong
    return False


@guarded
def make_folder(path: str) -> None:
    """Makes a folder and its parents, on a storage that has folders."""
    if is_local(path):
        os.makedirs(path, exist_ok=True)


@guarded
def list_names(folder: str) -> list[str]:
    """Returns the names in a folder and in its folders, sorted, such as `a` and `b/c`.

    On an object storage these are the names of all objects below. An absent folder is empty.
    """
    if is_local(folder):
        names = os.listdir(folder) if os.path.isdir(folder) else []
        inside = {name: _names_in_folder(f"{folder}/{name}") for name in names}
        return sorted(
            path
            for name in names
            for path in ([f"{name}/{inner}" for inner in inside[name]] or [name])
        )
    root = folder.rstrip("/") + "/"
    return sorted(info.path.removeprefix(root) for info in files_below(root))


def _names_in_folder(path: str) -> list[str]:
    is_folder = os.path.isdir(path) and not os.path.islink(path)
    return os.listdir(path) if is_folder else []


@contextlib.contextmanager
def created(path: str) -> Iterator[BinaryIO]:
    """Opens a new file for writing, in an existing folder.

    A remote file is uploaded at the end of the block, and not at all if the block raises.

    Raises:
      OSError: It cannot be written, also at the end of the block; the error names the file.
    """
    if is_local(path):
        # Beam would make the folder again, even one that an interrupted run has just removed.
        try:
            with _new_file(path) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if error.filename is None:  # a full disk is reported without the file's name
                error.filename = path
            raise
    else:
        with tempfile.TemporaryFile() as spooled:
            yield spooled
            spooled.flush()
            num_bytes = spooled.seek(0, os.SEEK_END)
            with outside_errors(path):
                store_of(path).upload(path, spooled, num_bytes)


@guarded
def _new_file(path: str) -> BinaryIO:
    return open(path, "xb")


def write_atomically(path: str, parts: Iterable[bytes], staging: str | None = None) -> None:
    """Writes a file under a temporary name and renames it: it is complete or absent.

    Args:
      path: Path of the file.
      parts: Its contents.
      staging: Existing folder of the temporary file, on the same storage; None for that of `path`.
    """
    beside = path if staging is None else f"{staging}/{posixpath.basename(path)}"
    temporary = temporary_name(beside)
    with created(temporary) as file:
        for part in parts:
            file.write(part)
    rename([temporary], [path])


def temporary_name(path: str) -> str:
    """Returns a name beside `path` that no other attempt uses."""
    return f"{path}.{uuid.uuid4().hex}.tmp"


@guarded
def rename(sources: list[str], targets: list[str]) -> None:
    """Renames files, and replaces existing targets.

    An absent source whose target exists counts as renamed by an earlier attempt.
    """
    pairs = list(zip(sources, targets, strict=True))
    if not all(is_local(source) for source in sources):
        _in_parallel(lambda pair: store_of(pair[0]).move(*pair), pairs)
        return
    for source, target in pairs:
        if os.path.lexists(source) or not os.path.lexists(target):
            os.replace(source, target)


def size(path: str) -> int:
    """Returns a file's size in bytes; raises as `info`."""
    return info(path).num_bytes


@guarded
def info(path: str) -> FileInfo:
    """Returns what a storage says of a file: its size, and what changes with its content.

    Raises:
      OSError: The file is absent, or its storage does not answer.
    """
    if is_local(path):
        status = os.stat(path)
        version = str(status.st_mtime_ns)
        return FileInfo(path, status.st_size, version, modified_seconds=status.st_mtime)
    return store_of(path).info(path)


@guarded
def info_soon(path: str) -> FileInfo | None:
    """Returns `info` of a remote file, None for an absent one, within seconds and before a job.

    Raises:
      OSError: Its storage does not answer.
    """
    try:
        return store_of(path, PREFLIGHT_RETRY).info(path)
    except FileNotFoundError:
        return None


@guarded
def delete_files(paths: list[str]) -> None:
    """Deletes files; absent ones are no error."""
    for path in filter(is_local, paths):
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
    remote = [path for path in paths if not is_local(path)]
    _in_parallel(lambda path: store_of(path).delete(path), remote)


def _in_parallel(function: Callable[[Any], None], arguments: list[Any]) -> None:
    """Calls a function on each argument in threads; raises the first error at the end."""
    if not arguments:
        return
    with ThreadPoolExecutor(min(_NUM_REQUESTS, len(arguments))) as pool:
        futures = [pool.submit(function, each) for each in arguments]
    for future in futures:
        future.result()


def delete_names(folder: str, names: Iterable[str]) -> None:
    """Deletes files below a folder, such as `a` and `b/c`, and its folders that become empty."""
    names = list(names)
    delete_files([f"{folder}/{name}" for name in names])
    if is_local(folder):
        for inner in {posixpath.dirname(name) for name in names} - {""}:
            with contextlib.suppress(OSError):  # it is not empty
                os.rmdir(f"{folder}/{inner}")


@guarded
def delete_folder(path: str) -> None:
    """Deletes a folder and its contents; an absent one is no error."""
    if is_local(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        delete_files([f"{path.rstrip('/')}/{name}" for name in list_names(path)])
