"""Hints at what a path may have meant that does not exist.

A folder is listed once and kept for a while, and only in part if it is large: a hint must not cost
more than the failure that it explains.
"""

import contextlib
import functools
import itertools
import os
import posixpath
import re
import time
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from transforms.storage.choosing import store_of
from transforms.storage.guarding import outside_errors
from transforms.storage.schemes import is_local, scheme_of
from transforms.storage.spellings import split_path

_MAX_LOCAL_NAMES = 100_000
_MAX_REMOTE_NAMES = 1_000  # what one request lists
_MAX_FOLDERS = 1_000
_MAX_SEARCHED_FOLDERS = 20
_MAX_SHOWN = 120
_KEPT_SECONDS = 60
_OTHER_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".webm", ".mp4", ".aac")
_DRIVE = re.compile(r"/*[A-Za-z]:[\\/]|\\\\")


class _Folder(NamedTuple):
    """The contents of a folder.

    Attributes:
      names: Names of the files by how they look alike; of several, those of one look.
      folders: Names of the first folders in it, sorted.
      num_files: Number of files.
      is_whole: Whether all of it was listed.
      below: On a storage, the first paths below it; None for a local folder.
    """

    names: dict[str, tuple[str, ...]]
    folders: tuple[str, ...]
    num_files: int
    is_whole: bool
    below: frozenset[str] | None = None

    @property
    def size(self) -> str:
        """The number of files, in words."""
        least = "" if self.is_whole else "more than "
        return f"{least}{self.num_files:,} file{'s' * (self.num_files != 1)}"

    def alike(self, name: str) -> tuple[str, ...]:
        return self.names.get(_look(name), ()) if self.is_whole else ()


def hint(path: str, name: str = "", base: str = "") -> str:
    """Returns what may have been meant by the path of a file that does not exist.

    Args:
      path: Path or URL of the file.
      name: See `spellings.split_path`.
      base: Folder of the table that names it; empty if there is none.

    Returns:
      A hint such as "there is Case.wav in its folder"; empty without one. An error of the storage
      is no hint either.
    """
    with contextlib.suppress(OSError, ValueError), outside_errors(path):
        return next(_hints(path, name, base), "")
    return ""


def _hints(path: str, name: str, base: str) -> Iterator[str]:
    folder, _, file = path.rpartition("/")
    root, written = split_path(path, name)
    listed = _listed(folder)
    if listed is not None:
        yield from _hints_in_folder(file, listed)
    if name and root not in ("", "/"):
        inside, above = root.rstrip("/"), posixpath.dirname(root.rstrip("/"))
        yield from _hints_of_folders(inside, written, "its folder has {}, and ")
        if is_local(path):
            yield from _hints_of_folders(above, written, "")
    if is_local(path) and name:
        yield from _hints_by_tail(root, written, base)
    if listed is None and is_local(path):
        yield _absent_folder(folder)
    if listed is not None:
        yield f"its folder has {listed.size}, and none of this name"


def _hints_in_folder(file: str, listed: _Folder) -> Iterator[str]:
    if alike := [each for each in listed.alike(file) if each != file]:
        is_form = any(_same_form(each) == _same_form(file) for each in alike)
        how = "in another normal form of Unicode" if is_form else "upper and lower case differ"
        yield f"there is {' and '.join(map(_shown, alike))} in its folder ({how})"
    stem, suffix = posixpath.splitext(file)
    for other in _OTHER_SUFFIXES:
        if other != suffix.lower() and (alike := list(listed.alike(stem + other))):
            yield f"there is {_shown(alike[0])} in its folder"


def _hints_of_folders(root: str, written: str, size: str) -> Iterator[str]:
    """Finds the folder in the root that has the file below it."""
    listed = _listed(root)
    if listed is None:
        return
    for folder in listed.folders[:_MAX_SEARCHED_FOLDERS]:
        inner, path = f"{root}/{folder}", f"{folder}/{written}"
        if os.path.lexists(f"{root}/{path}") if listed.below is None else path in listed.below:
            yield (
                f"{size.format(listed.size)}{_shown(folder)}/ holds this one:"
                f" --audio_root {_shown(inner)}"
            )


def _hints_by_tail(root: str, written: str, base: str) -> Iterator[str]:
    """Finds the file by the end of its path, below the root or the table's folder or above."""
    parts = [each for each in re.split(r"[\\/]", written) if each not in ("", ".", "..")]
    bases = dict.fromkeys(each.rstrip("/") for each in (base, root) if each not in ("", "/"))
    for below in bases:
        for above in (below, posixpath.dirname(below)):
            for start in range(len(parts)):
                tail = "/".join(parts[start:])
                if not os.path.lexists(f"{above}/{tail}"):
                    continue
                if not start and root != "/":
                    yield f"{_shown(above)} has it: --audio_root {_shown(above)}"
                    continue
                first = _shown("/".join(parts[:start]) + "/")
                lead = "" if _DRIVE.match(written) or root != "/" else "/"
                yield (
                    f"the table's paths begin with {lead}{first}, and this machine has"
                    f" {_shown(tail)} below {_shown(above)}"
                )
    if _DRIVE.match(written):
        yield "it is a path of Windows, and there is nothing of its end below the table's folder"


def _absent_folder(folder: str) -> str:
    above = folder
    while above and not os.path.isdir(above):
        folder, above = above, posixpath.dirname(above) if above != "/" else ""
    wanted = posixpath.basename(folder)
    listed = _listed(above)
    alike = [each for each in (listed.folders if listed else ()) if _look(each) == _look(wanted)]
    if alike:
        return f"there is {_shown(alike[0])}/ in {_shown(above)}, and no {_shown(wanted)}/"
    return f"there is no folder {_shown(folder)}"


def _listed(folder: str) -> _Folder | None:
    return _list_for_a_while(folder, int(time.monotonic() / _KEPT_SECONDS))


@functools.lru_cache(maxsize=16)
def _list_for_a_while(folder: str, _: int) -> _Folder | None:
    """Lists a folder; None if there is none, or if its storage cannot be listed cheaply."""
    try:
        with outside_errors(folder):
            if is_local(folder):
                return _list_local(folder or "/")
            if scheme_of(folder) in ("gs", "s3") and folder.count("/") > 1:
                return _list_remote(folder)
    except OSError:
        pass
    return None


def _list_local(folder: str) -> _Folder:
    with os.scandir(folder) as entries:
        found = [(each.name, each.is_dir()) for each in itertools.islice(entries, _MAX_LOCAL_NAMES)]
        is_whole = next(entries, None) is None
    return _folder(found, is_whole)


def _list_remote(folder: str) -> _Folder | None:
    prefix = f"{folder.rstrip('/')}/"
    infos = list(itertools.islice(store_of(prefix).list_prefix(prefix), _MAX_REMOTE_NAMES))
    below = [info.path.removeprefix(prefix) for info in infos]
    found = dict.fromkeys((name.partition("/")[0], "/" in name) for name in below)
    is_whole = len(infos) < _MAX_REMOTE_NAMES
    return _folder(list(found), is_whole)._replace(below=frozenset(below)) if found else None


def _folder(found: list[tuple[str, bool]], is_whole: bool) -> _Folder:
    names: dict[str, tuple[str, ...]] = {}
    for name in sorted(name for name, is_folder in found if not is_folder):
        names[_look(name)] = (*names.get(_look(name), ()), name)
    folders = sorted(name for name, is_folder in found if is_folder and not name.startswith("."))
    num_files = sum(not is_folder for _, is_folder in found)
    return _Folder(names, tuple(folders[:_MAX_FOLDERS]), num_files, is_whole)


def _same_form(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _look(name: str) -> str:
    return _same_form(name.strip().casefold())


def _shown(name: str) -> str:
    shown = name if name.isprintable() else ascii(name)[1:-1]
    return shown if len(shown) <= _MAX_SHOWN else f"…{shown[-_MAX_SHOWN:]}"
