"""Folders of the cache: each is built once on a machine, even if processes are killed."""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from transforms.model.errors import ModelError

_SCRATCH = ".tmp"
_LOCK = ".lock"


def cache_directory() -> Path:
    """Returns the folder of fetched and unpacked models, which is kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not os.path.isabs(base):  # without a home folder expanduser returns the tilde
        base = tempfile.gettempdir()
    return Path(base) / "beam-audio-embeddings"


def build_cached(
    name: str, make: Callable[[Path], Path], is_usable: Callable[[Path], bool] = Path.is_dir
) -> Path:
    """Returns a folder of the cache, built now or by another process on this machine.

    The builder holds a lock of the operating system, which ends with its process. The folder is
    renamed into place at the end, so that it is complete or absent.

    Args:
      name: Identifies the contents.
      make: Receives an empty folder, which is deleted afterwards, and returns the one inside it to
        keep.
      is_usable: Whether a folder of the cache is complete; one that is not is built again.

    Raises:
      OSError: The cache cannot be written.
      Exception: Any error of `make`; nothing is kept then.
    """
    folder = cache_directory() / "models"
    target = folder / name
    if is_usable(target):  # without a lock, so that a cache may be read-only
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(name + _LOCK)):
        if not is_usable(target):
            _delete(target)
            scratch = target.with_name(name + _SCRATCH)
            _delete(scratch)
            _clear(folder)
            scratch.mkdir()
            try:
                os.rename(make(scratch), target)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    return target


@contextlib.contextmanager
def _locked(path: Path, wait: bool = True) -> Iterator[bool]:
    """Holds the lock of a file; without `wait` gives False if another process holds it."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True  # closing the file releases the lock


def _delete(path: Path) -> None:
    """Deletes a folder, or what is in its place."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def _clear(folder: Path) -> None:
    """Deletes what killed processes left: scratch folders that are not locked."""
    for scratch in folder.glob(f"*{_SCRATCH}"):
        with _locked(scratch.with_suffix(_LOCK), wait=False) as mine:
            if mine:
                shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def require_disk_space(num_bytes: int, folder: Path, what: str) -> Iterator[None]:
    """Checks free disk space, and explains a disk that becomes full within the block.

    Args:
      num_bytes: Least number of bytes that will be written.
      folder: Where they are written.
      what: What is written, for the message.

    Raises:
      ModelError: The disk is full, now or within the block.
    """
    hint = "$XDG_CACHE_HOME names a folder on another disk"
    free = shutil.disk_usage(folder).free
    if num_bytes > free:
        raise ModelError(
            f"{what} needs {num_bytes} bytes in {folder}, where {free} are free; {hint}"
        )
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ModelError(
            f"the disk of {folder} is full: {what} needs {num_bytes} bytes or more; {hint}"
        ) from error
