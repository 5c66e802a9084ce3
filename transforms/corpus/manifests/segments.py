"""AudioSet's files of segments: CSV without quotes around ids, and comments for a header.

```
# YTID, start_seconds, end_seconds, positive_labels
--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"
```
"""

import dataclasses
import itertools
import posixpath
from collections.abc import Iterator
from decimal import Decimal
from typing import BinaryIO

from transforms.corpus.clips import Failure, printable
from transforms.corpus.manifests.delimited import read_csv
from transforms.corpus.manifests.label_cells import distinct_labels
from transforms.corpus.manifests.line_reader import BadLine, ManifestError, TextLines, read_lines
from transforms.corpus.times import parse_seconds

MAX_ID_CHARACTERS = 4096

_LAYOUT = 'id, start_seconds, end_seconds, "label,label"'
_COMMENT = "#"
_NAME_OF_ID = "ytid"

_NumberedRow = tuple[int, list[str] | BadLine]


@dataclasses.dataclass(frozen=True)
class Segment:
    """A part of a recording of YouTube.

    Attributes:
      id: The video's.
      start_seconds: 0 or more.
      end_seconds: More than the start.
      labels: Ids out of the ontology, as `/m/09x0r`, each once.
      manifest: The file, in valid Unicode.
      line: In the file, from 1.
    """

    id: str
    start_seconds: Decimal
    end_seconds: Decimal
    labels: tuple[str, ...]
    manifest: str
    line: int


def read_segments(file: BinaryIO, uri: str) -> Iterator[Segment | Failure]:
    """Reads a file of segments.

    Args:
      file: Only its `read` is used, from front to back, as results are taken.
      uri: Of the file.

    Yields:
      For each row, in order, a segment or a failure.

    Raises:
      ManifestError: It is no such file. It is raised before anything is yielded.
    """
    manifest = printable(uri)
    for line, cells in _read_rows(file):
        try:
            yield _segment(manifest, line, cells)
        except _SegmentError as bad:
            id = bad.id or f"{posixpath.basename(manifest)}:{line}"
            yield Failure(id, "", "list", bad.reason, bad.message, manifest=manifest, line=line)


def check_segments(file: BinaryIO) -> None:
    """Reads the beginning of a file of segments.

    Raises:
      ManifestError: It is no such file.
    """
    next(_read_rows(file))


class _SegmentError(Exception):
    def __init__(self, id: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.id = id
        self.reason = reason
        self.message = message


def _read_rows(file: BinaryIO) -> Iterator[_NumberedRow]:
    """Yields at least one row; the first one has as many cells as it must."""
    text = read_lines(file)
    lines = ((number, line) for number, line in text.lines if not _is_comment(line))
    rows = read_csv(TextLines(text.encoding, lines), skip_spaces=True)
    first = next(rows, None)
    if first is not None and _is_header(first[1]):
        first = next(rows, None)
    if first is None:
        raise ManifestError(f"there is no segment; each is a line: {_LAYOUT}")
    line, cells = first
    if isinstance(cells, BadLine):
        raise ManifestError(f"line {line}, the first segment: {cells.message}")
    if len(cells) != 4:
        raise ManifestError(
            f"line {line}, the first segment, has {len(cells)} cells and not 4: {_LAYOUT}"
        )
    return itertools.chain([first], rows)


def _is_comment(line: str | None) -> bool:
    return line is not None and line.lstrip().startswith(_COMMENT)


def _is_header(cells: list[str] | BadLine) -> bool:
    return not isinstance(cells, BadLine) and cells[0].strip().casefold() == _NAME_OF_ID


def _segment(manifest: str, line: int, cells: list[str] | BadLine) -> Segment:
    if isinstance(cells, BadLine):
        raise _SegmentError("", "invalid_row", cells.message)
    id = cells[0].strip()
    if not 0 < len(id) <= MAX_ID_CHARACTERS:
        message = f"an id has 1 to {MAX_ID_CHARACTERS} characters, and this one {len(id)}"
        raise _SegmentError("", "invalid_row", message)
    if len(cells) != 4:
        raise _SegmentError(id, "invalid_row", f"{len(cells)} cells and not 4: {_LAYOUT}")
    try:
        start, end = parse_seconds(cells[1]), parse_seconds(cells[2])
    except ValueError as error:
        raise _SegmentError(id, "invalid_time", str(error)) from None
    if not 0 <= start < end:
        message = f"from {start} to {end} s: it must start at 0 or later, and end after that"
        raise _SegmentError(id, "invalid_time", message)
    return Segment(id, start, end, distinct_labels(cells[3].split(",")), manifest, line)
