"""Dialects of CSV: what stands before the header, delimiters, and blanks behind them."""

import dataclasses
import posixpath
import re
from collections.abc import Iterator, Sequence

from transforms.corpus.listing import AUDIO_SUFFIXES
from transforms.corpus.manifests.errors import ManifestError

NumberedLine = tuple[int, str | None]

# In order: the first of these that a header has.
_DELIMITERS = (",", ";", "|")
_QUOTED = re.compile(r'"[^"]*"')
_QUOTE_MARK = "\x01"
# Excel's way to name the delimiter.
_SEPARATOR_LINE = re.compile(r'"?sep=([,;|\t])"?\s*', re.IGNORECASE)
_NO_LINES = (
    "the file is empty; write a header with a column uri and then one line per clip, or JSON"
    ' lines: {"uri": …}'
)


@dataclasses.dataclass(frozen=True)
class Preamble:
    """The lines before the header or the first row.

    Attributes:
      start: The first line behind them.
      delimiter: The delimiter that they name; empty if none.
      num_comments: Number of lines with comments.
    """

    start: NumberedLine
    delimiter: str = ""
    num_comments: int = 0

    def notes(self) -> tuple[str, ...]:
        """Returns what was skipped."""
        if not self.num_comments:
            return ()
        return (f"{self.num_comments} line{'s' * (self.num_comments > 1)} of comments skipped",)


def skip_preamble(lines: Iterator[NumberedLine]) -> Preamble:
    """Skips blank lines, comments, which begin with `#`, and Excel's line `sep=;`.

    Raises:
      ManifestError: There is no other line.
    """
    delimiter = ""
    num_comments = 0
    for number, line in lines:
        if line is None:
            return Preamble((number, line), delimiter, num_comments)
        if not line.strip():
            continue
        named = None if delimiter or num_comments else _SEPARATOR_LINE.fullmatch(line)
        if named:
            delimiter = named[1]
        elif _is_comment(line):
            num_comments += 1
        else:
            return Preamble((number, line), delimiter, num_comments)
    raise ManifestError(_NO_LINES)


def detect_delimiter(header: str) -> str:
    """Returns the delimiter of a header that has no tab; a comma if there is only one column."""
    names = _QUOTED.sub("", header)
    return next((delimiter for delimiter in _DELIMITERS if delimiter in names), ",")


def is_without_tabs(header: str) -> bool:
    """Returns whether a header has a delimiter, and no tab."""
    names = _QUOTED.sub("", header)
    return "\t" not in names and any(delimiter in names for delimiter in _DELIMITERS)


def has_blanks(lines: Sequence[str], delimiter: str) -> bool:
    """Returns whether delimiters are followed by blanks that are no part of the cells.

    They are all of a header's, or stand between a delimiter and a quote, as no writer of CSV writes
    them within a cell.

    Args:
      lines: The header and the first rows.
      delimiter: Delimiter between cells.
    """
    names = _QUOTED.sub("", lines[0])
    if 0 < names.count(delimiter) == names.count(f"{delimiter} "):
        return True
    quoted = re.compile(
        rf"{re.escape(delimiter)} +{_QUOTE_MARK}(?={re.escape(delimiter)}|[\r\n]*$)"
    )
    return any(quoted.search(_QUOTED.sub(_QUOTE_MARK, line)) for line in lines if '"' in line)


def name_columns(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of all columns, with `column 3` for the third one if it has none."""
    return tuple(
        name or _unused(f"column {number}", names) for number, name in enumerate(names, start=1)
    )


def _unused(name: str, names: Sequence[str]) -> str:
    return _unused(f"{name}'", names) if name in names else name


def _is_comment(line: str) -> bool:
    text = line.strip()
    if not text.startswith("#"):
        return False
    # A list of paths may begin with `#1.wav`.
    is_recording = posixpath.splitext(text.casefold())[1] in AUDIO_SUFFIXES
    return text == "#" or text[1].isspace() or not is_recording
