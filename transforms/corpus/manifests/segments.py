"""Segment lists in AudioSet's format: CSV with unquoted ids and a header in comments.

```
# YTID, start_seconds, end_seconds, positive_labels
--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"
```
"""

import dataclasses
import itertools
import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import BinaryIO

from transforms.corpus.clips import Failure, printable
from transforms.corpus.manifests.delimited import read_csv
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.label_cells import distinct_labels
from transforms.corpus.manifests.line_reader import BadLine, TextLines, read_lines
from transforms.corpus.manifests.swallowed_lines import find_swallowed_lines
from transforms.corpus.times import format_seconds, parse_seconds

MAX_ID_CHARACTERS = 4096

_LAYOUT = 'id, start_seconds, end_seconds, "label,label"'
_COLUMNS = ("id", "start_seconds", "end_seconds", "labels")
_COMMENT = "#"
_ID_COLUMN = "ytid"

_NumberedRow = tuple[int, list[str] | BadLine]


@dataclasses.dataclass(frozen=True)
class Segment:
    """A segment of a YouTube video.

    Attributes:
      id: Id of the video.
      start_seconds: Start, 0 or more.
      end_seconds: End, greater than the start.
      labels: Distinct ids from the ontology, such as `/m/09x0r`.
      manifest: Path or URL of the segment list, in valid Unicode.
      line: Line in the list, from 1.
    """

    id: str
    start_seconds: Decimal
    end_seconds: Decimal
    labels: tuple[str, ...]
    manifest: str
    line: int


def read_segments(file: BinaryIO, uri: str) -> Iterator[Segment | Failure]:
    """Reads a segment list.

    Args:
      file: Read sequentially and lazily; only its `read` is used.
      uri: Path or URL of the list.

    Yields:
      A segment or a failure for each row, in order.

    Raises:
      ManifestError: The file is not a segment list. Raised before anything is yielded.
    """
    manifest = printable(uri)
    for line, cells in _read_rows(file):
        try:
            yield _segment(manifest, line, cells)
        except _SegmentError as error:
            id = error.id or f"{posixpath.basename(manifest)}:{line}"
            yield Failure(id, "", "list", error.reason, error.message, manifest=manifest, line=line)


def check_segments(file: BinaryIO) -> None:
    """Checks the beginning of a segment list.

    Raises:
      ManifestError: The file is not a segment list.
    """
    next(_read_rows(file))


def clip_ids(segments: Iterable[Segment]) -> Iterator[tuple[Segment, str]]:
    """Yields the segments of one video, each with the id of its clip.

    It is the id of the video or, for a video with several segments, followed by the start in
    milliseconds, as `ID_20000`; also by the end, `ID_20000_30000`, where two segments start at the
    same time. It does not depend on the order of the segments.
    """
    segments = list(segments)
    times = {(each.start_seconds, each.end_seconds) for each in segments}
    num_starts = Counter(start for start, _ in times)
    for each in segments:
        id = each.id
        if len(times) > 1:
            id += f"_{_milliseconds(each.start_seconds)}"
        if num_starts[each.start_seconds] > 1:
            id += f"_{_milliseconds(each.end_seconds)}"
        yield each, id


def _milliseconds(seconds: Decimal) -> str:
    return format_seconds(seconds * 1000)


class _SegmentError(Exception):
    def __init__(self, id: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.id = id
        self.reason = reason
        self.message = message


def _read_rows(file: BinaryIO) -> Iterator[_NumberedRow]:
    """Yields at least one row, of which the first has the right number of cells."""
    text = read_lines(file)
    lines = ((number, line) for number, line in text.lines if not _is_comment(line))
    rows = read_csv(TextLines(text.encoding, lines), skip_spaces=True)
    first = next(rows, None)
    if first is not None and _is_header(first[1]):
        first = next(rows, None)
    if first is None:
        raise ManifestError(f"the file has no segment (expected lines: {_LAYOUT})")
    line, cells = first
    if isinstance(cells, BadLine):
        raise ManifestError(f"line {line}, the first segment: {cells.message}")
    if len(cells) != 4:
        raise ManifestError(
            f"line {line}, the first segment, has {len(cells)} cells (expected 4: {_LAYOUT})"
        )
    return itertools.chain([first], rows)


def _is_comment(line: str | None) -> bool:
    return line is not None and line.lstrip().startswith(_COMMENT)


def _is_header(cells: list[str] | BadLine) -> bool:
    return not isinstance(cells, BadLine) and cells[0].strip().casefold() == _ID_COLUMN


def _segment(manifest: str, line: int, cells: list[str] | BadLine) -> Segment:
    if isinstance(cells, BadLine):
        raise _SegmentError("", "invalid_row", cells.message)
    fault = find_swallowed_lines(line, list(zip(_COLUMNS, cells, strict=False)), _COLUMNS)
    if fault:
        raise _SegmentError("", "invalid_row", fault)
    id = cells[0].strip()
    if not 0 < len(id) <= MAX_ID_CHARACTERS:
        message = f"the id has {len(id)} characters (allowed: 1 to {MAX_ID_CHARACTERS})"
        raise _SegmentError("", "invalid_row", message)
    if len(cells) != 4:
        raise _SegmentError(id, "invalid_row", f"{len(cells)} cells (expected 4: {_LAYOUT})")
    try:
        start, end = parse_seconds(cells[1]), parse_seconds(cells[2])
    except ValueError as error:
        raise _SegmentError(id, "invalid_time", str(error)) from None
    if not 0 <= start < end:
        message = f"from {start} to {end} s: the start must be 0 or more, and the end greater"
        raise _SegmentError(id, "invalid_time", message)
    return Segment(id, start, end, distinct_labels(cells[3].split(",")), manifest, line)
