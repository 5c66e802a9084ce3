r"""Other readings of a path that nothing has as it is written.

Tables come from other machines: `audio\a.wav`, `sub%20dir/a.wav`, ` a.wav`, `~/a.wav`, and accents
in another normal form of Unicode. A path that exists is never read in another way. Upper and lower
case are kept apart: two videos may differ in nothing else.
"""

import glob
import itertools
import os
import re
import unicodedata
import urllib.parse
from collections.abc import Callable, Iterator

from transforms.storage.globs import is_glob
from transforms.storage.guarding import outside_errors
from transforms.storage.listing import files_below, files_matching, info_or_none
from transforms.storage.schemes import is_local, scheme_of

BLANKS = " \t\r\n\v\f\u00a0\u200b\ufeff"
_SPECIAL = re.compile(rf"^[{BLANKS}~]|[{BLANKS}]$|[\\%]|[^\x00-\x7f]")
_MAX_CHARACTERS = 4096
# More changes at once than this are nobody's spelling.
_MAX_READINGS = 16


def split_path(path: str, name: str) -> tuple[str, str]:
    """Splits a path before the part that was written, as far as that is known.

    Args:
      path: Path or URL.
      name: The relative path from which it was made, or any other name.

    Returns:
      The root with a trailing slash, and the rest.
    """
    written = re.sub(r"^(?:\.{1,2}/)+", "", name)
    if written and path.endswith(written) and path != written:
        return path[: -len(written)], written
    folder, slash, base = path.rpartition("/")
    return folder + slash, base


def has_readings(written: str) -> bool:
    """Tells whether a path has another reading; most paths have none."""
    return len(written) <= _MAX_CHARACTERS and _SPECIAL.search(written) is not None


def find_readings(path: str, name: str = "") -> list[str]:
    """Returns the files that a path may mean that no file has, sorted.

    Args:
      path: Path or URL of a file that does not exist.
      name: See `split_path`.

    Raises:
      OSError: The storage does not answer or refuses.
    """
    return sorted(filter(_is_file, _readings(*split_path(path, name))))


def find_input(path: str) -> str | None:
    """Returns the one file, folder or glob that a path means that matches nothing, or None.

    Raises:
      OSError: The storage does not answer or refuses.
    """
    root = f"{os.getcwd()}/" if is_local(path) else path[: path.index("://") + 3]
    if is_local(path) and not path.startswith(root):
        root = "/"
    found = list(filter(_has_matches, _readings(root, path.removeprefix(root))))
    return found[0] if len(found) == 1 else None


def _readings(root: str, written: str) -> Iterator[str]:
    """Yields other paths that may have been meant."""
    if not has_readings(written):
        return
    found = {written: None}
    for change in _changes(root):
        for each in list(found):
            found.update(dict.fromkeys(change(each)))
    del found[written]
    for each in itertools.islice(found, _MAX_READINGS):
        reading = each if each.startswith("/") and is_local(root) else root + each.lstrip("/")
        if is_local(reading) == is_local(root):
            yield reading


def _changes(root: str) -> Iterator[Callable[[str], tuple[str, ...]]]:
    yield lambda path: (path.strip(BLANKS).removeprefix("./"),)
    yield lambda path: (path.replace("\\", "/").removeprefix("./"),)
    if scheme_of(root) not in ("http", "https"):  # there the server decodes
        yield lambda path: (urllib.parse.unquote(path, errors="surrogateescape"),)
    if is_local(root):
        yield lambda path: (os.path.expanduser(path) if path.startswith("~/") else path,)
    yield _normal_forms


def _normal_forms(path: str) -> tuple[str, ...]:
    if path.isascii():
        return ()
    folder, slash, base = path.rpartition("/")
    folders, bases = _both_forms(folder), _both_forms(base)
    return tuple(first + slash + last for first in folders for last in bases)


def _both_forms(text: str) -> tuple[str, str]:
    return unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)


def _is_file(path: str) -> bool:
    if is_local(path):
        return os.path.lexists(path) and not os.path.isdir(path)
    with outside_errors(path):
        return info_or_none(path) is not None


def _has_matches(path: str) -> bool:
    with outside_errors(path):
        if is_local(path):
            return os.path.lexists(path) or any(glob.iglob(path, recursive=True))
        if not path.endswith("/") and info_or_none(path):
            return True
        inside = files_matching(path) if is_glob(path) else files_below(path)
        return next(inside, None) is not None
