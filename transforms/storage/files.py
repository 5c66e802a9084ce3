"""Files wherever they are: on this machine, on gs:// or s3://, on the web, or behind Beam.

Paths of this machine go through the operating system: Beam's own local listing drops links that
lead nowhere, and none of its globs can be quoted. gs://, s3:// and the web have clients of our own
in `remote`: Beam's fetch 16 MiB for every seek, wait for minutes or for ever, and take a missing
bucket for an empty one.
"""

import bz2
import contextlib
import glob
import gzip
import itertools
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

from transforms.corpus import listing
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.listing import Found
from transforms.storage import ranges
from transforms.storage.choosing import check_reachable as check_reachable
from transforms.storage.choosing import check_spelling, store_of
from transforms.storage.choosing import use_options as use_options
from transforms.storage.listing import below, matches, size_or_none
from transforms.storage.store import Facts

_DECOMPRESSORS: dict[str, Callable[[BinaryIO], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}
# Requests at the same time: most of each is waiting.
_NUM_REQUESTS = 16


def is_local(path: str) -> bool:
    """Tells whether a path is on this machine."""
    return "://" not in path


def absolute(path: str) -> str:
    """Returns a path that means the same in every process; `file://` is taken off."""
    path = path.removeprefix("file://")
    try:
        check_spelling(path)
    except OSError:
        return path  # whoever uses it will be told
    return os.path.abspath(path) if is_local(path) else path


def list_input(
    path: str, limit: int | None = None
) -> Iterator[Clip | Failure | listing.SkippedFile]:
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
            yield from listing.list_paths(os.path.dirname(path), [Found(path)], explicit=True)
            return
        matching = (
            Found(each)
            for each in glob.iglob(path, recursive=True)
            if not os.path.isdir(each) or listing.is_named_like_audio(each)
        )
        yield from listing.list_paths(listing.glob_root(path), matching, explicit=True)
        return
    num_bytes = None if path.endswith("/") else size_or_none(path)
    if num_bytes is not None:
        root = path[: path.rfind("/") + 1]
        yield from listing.list_paths(root, [Found(path, num_bytes)], explicit=True)
        return
    root = path.rstrip("/") + "/"
    in_folder = itertools.islice(below(root), limit)
    first = next(in_folder, None)
    if first is not None or not listing.is_glob(path):
        there = itertools.chain([first] if first else [], in_folder)
        yield from listing.list_paths(root, there, explicit=False)
        return
    found = itertools.islice(matches(path), limit)
    yield from listing.list_paths(listing.glob_root(path), found, explicit=True)


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
    if size_or_none(path) is not None:
        return [path]
    return sorted(each.path for each in matches(path)) if listing.is_glob(path) else []


def open_to_read(path: str, in_parts: bool = False) -> BinaryIO:
    """Opens a file as it is, never decompressed by its suffix.

    Args:
      path: Of the file.
      in_parts: Never fetch all of a remote file for a read of a part: it is read from front to
        back, or its beginning only.

    Raises:
      OSError: It cannot be read, there is no such storage, or it is no file (a device or a pipe
        might never end). What is read later raises it too.
    """
    if not is_local(path):
        return store_of(path).open(path, 0 if in_parts else ranges.WHOLE_BYTES)
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
            file = stack.enter_context(open_to_read(path, in_parts=True))
            decompress = _DECOMPRESSORS.get(posixpath.splitext(path)[1].lower())
            yield stack.enter_context(decompress(file)) if decompress else file
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise OSError(f"cannot be decompressed: {error}") from error


def exists(path: str) -> bool:
    """Tells whether a file is there; on this machine a folder as well."""
    if is_local(path):
        return os.path.exists(path)
    if not path.endswith("/") and size_or_none(path) is not None:
        return True
    return any(True for _ in below(path.rstrip("/") + "/"))


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
        inside = {name: _names_in_folder(f"{folder}/{name}") for name in names}
        return sorted(
            path
            for name in names
            for path in ([f"{name}/{inner}" for inner in inside[name]] or [name])
        )
    root = folder.rstrip("/") + "/"
    return sorted(found.path.removeprefix(root) for found in below(root))


def _names_in_folder(path: str) -> list[str]:
    is_folder = os.path.isdir(path) and not os.path.islink(path)
    return os.listdir(path) if is_folder else []


@contextlib.contextmanager
def created(path: str) -> Iterator[BinaryIO]:
    """Opens a new file for writing, as it is; its folder must be there.

    A remote file is sent when it is complete, and is not there where the block raised.

    Raises:
      OSError: It cannot be written, also when the block ends; it names the file.
    """
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
        with tempfile.TemporaryFile() as spooled:
            yield spooled
            spooled.flush()
            num_bytes = spooled.seek(0, os.SEEK_END)
            store_of(path).upload(path, spooled, num_bytes)


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
    pairs = list(zip(sources, targets, strict=True))
    if not all(is_local(source) for source in sources):
        _at_once(lambda pair: store_of(pair[0]).move(*pair), pairs)
        return
    for source, target in pairs:
        if os.path.lexists(source) or not os.path.lexists(target):
            os.replace(source, target)


def size(path: str) -> int:
    """Returns a file's size in bytes.

    Raises:
      OSError: It is not there, or its storage does not answer.
    """
    if is_local(path):
        return os.path.getsize(path)
    return store_of(path).size(path)


def look_up(path: str) -> Facts:
    """Returns what a storage says of a file: its size, and what changes with its content.

    Raises:
      OSError: It is not there, or its storage does not answer.
    """
    if is_local(path):
        found = os.stat(path)
        return Facts(found.st_size, str(found.st_mtime_ns))
    return store_of(path).look_up(path)


def delete_files(paths: list[str]) -> None:
    """Deletes files; those that are not there are no error."""
    for path in filter(is_local, paths):
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
    remote = [path for path in paths if not is_local(path)]
    _at_once(lambda path: store_of(path).delete(path), remote)


def _at_once(do: Callable[[Any], None], each_of: list[Any]) -> None:
    """Does it to each, several at the same time; raises the first error when all are done."""
    if not each_of:
        return
    with ThreadPoolExecutor(min(_NUM_REQUESTS, len(each_of))) as pool:
        futures = [pool.submit(do, each) for each in each_of]
    for future in futures:
        future.result()


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
