"""Tables without a header, and lists of paths."""

import posixpath
import re
from collections.abc import Sequence

from transforms.corpus.listing import AUDIO_SUFFIXES
from transforms.corpus.manifests.errors import ManifestError

_MAX_NAMES_SHOWN = 20
_MAX_NAME_SHOWN = 40
_LIST_SUFFIXES = (".txt", ".lst", ".list", "")
_DELIMITERS = ("\t", "|", ";", ",", " ")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]*)?(?:[eE][+-]?[0-9]+)?")
_QUOTED = re.compile(r'"[^"]*"')


def format_names(names: Sequence[str]) -> str:
    """Formats names for a message, with limits for hostile headers."""
    shown = [
        name[:_MAX_NAME_SHOWN] + "…" if len(name) > _MAX_NAME_SHOWN else name or "(empty)"
        for name in names[:_MAX_NAMES_SHOWN]
    ]
    if len(names) > _MAX_NAMES_SHOWN:
        shown.append(f"and {len(names) - _MAX_NAMES_SHOWN} more")
    return ", ".join(shown) or "(none)"


def is_path_list(lines: Sequence[str], uri: str) -> bool:
    """Returns whether the first lines of a file are paths of recordings, one a line.

    Args:
      lines: At least one line.
      uri: Path or URL of the file: by its suffix, a comma may be part of a path.
    """
    stem, suffix = posixpath.splitext(posixpath.basename(uri.lower()))
    if suffix in (".gz", ".bz2", ".xz", ".zst"):
        suffix = posixpath.splitext(stem)[1]
    others = "\t" if suffix in _LIST_SUFFIXES else "\t,;|"
    return bool(lines) and all(
        is_recording(line) and line.lstrip()[0] not in "{[#" and not set(others) & set(line)
        for line in lines
    )


def find_delimiter(lines: Sequence[str], num_columns: int) -> str:
    """Returns the delimiter that gives the most lines a number of cells.

    Args:
      lines: The first lines of a table without a header.
      num_columns: Number of cells in a row. A single cell has no delimiter.

    Raises:
      ManifestError: No delimiter gives any line this number.
    """
    if num_columns == 1:
        return ""
    counts = {
        delimiter: sum(_num_cells(line, delimiter) == num_columns for line in lines)
        for delimiter in _DELIMITERS
    }
    best = max(_DELIMITERS, key=lambda delimiter: counts[delimiter])
    if not counts[best]:
        raise ManifestError(
            f"--no_header names {num_columns} columns, and no delimiter (tab, |, ;, comma, blanks)"
            f" gives the first line as many cells: {lines[0].strip()[:80]!r}"
        )
    return best


def looks_like_data(cells: Sequence[str]) -> bool:
    """Returns whether a first row cannot be a header: it has a number or names a recording."""
    return any(_NUMBER.fullmatch(cell.strip()) or is_recording(cell) for cell in cells)


def refuse_without_header(cells: Sequence[str]) -> None:
    """Refuses a first row that cannot be a header.

    Raises:
      ManifestError: Says how to name the columns.
    """
    if looks_like_data(cells):
        raise ManifestError(f"found columns {format_names(cells)}: {header_hint(cells)}")


def header_hint(cells: Sequence[str]) -> str:
    """Returns how to name the columns of a table that may have no header."""
    names = ["uri", "start", "labels", "split"][: len(cells)]
    names += [f"c{number}" for number in range(len(names) + 1, min(len(cells), 9) + 1)]
    hint = f"name its columns, as --no_header {','.join(names)}"
    if looks_like_data(cells):
        return f"the first line is data, no header line? Then {hint}"
    return f"if the file has no header line, {hint}"


def _num_cells(line: str, delimiter: str) -> int:
    if delimiter == " ":
        return len(line.split())
    text = _QUOTED.sub("", line) if delimiter in ",;" else line
    return text.count(delimiter) + 1


def is_recording(cell: str) -> bool:
    """Returns whether a text ends like the path of a recording."""
    return posixpath.splitext(cell.strip().casefold())[1] in AUDIO_SUFFIXES
