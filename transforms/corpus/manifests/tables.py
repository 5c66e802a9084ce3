"""Tables in text files: CSV, TSV and JSON lines, as records with names.

What kind of table a file holds is told by its content first and its suffix second.
"""

import collections
import dataclasses
import itertools
import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from transforms.corpus.manifests.delimited import read_csv, read_tsv
from transforms.corpus.manifests.json_lines import read_json_lines
from transforms.corpus.manifests.line_reader import BadLine, ManifestError, TextLines, read_lines

CSV = "csv"
TSV = "tsv"
JSON_LINES = "jsonl"
FORMATS = (CSV, TSV, JSON_LINES)

_FORMAT_OF_SUFFIX = {
    ".jsonl": JSON_LINES,
    ".ndjson": JSON_LINES,
    ".json": JSON_LINES,
    ".tsv": TSV,
    ".tab": TSV,
}
_COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst", ".deflate")
_QUOTED = re.compile(r'"[^"]*"')
_MAX_NAMES_SHOWN = 20
_MAX_NAME_SHOWN = 40


# Number of a record's first line, from 1, and its values by column: text, or for JSON lines any
# of its types, numbers with a point as `Decimal`.
Row = tuple[int, dict[str, object] | BadLine]


@dataclasses.dataclass(frozen=True)
class Table:
    """A table that is being read.

    Attributes:
      format: One of `FORMATS`.
      encoding: As in `TextLines`.
      delimiter: Between cells; empty for JSON lines.
      columns: Names in the header, different from each other; empty for JSON lines.
      rows: Read from the file as they are taken. Blank lines are left out.
    """

    format: str
    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    rows: Iterator[Row]


def read_table(file: BinaryIO, format: str | None, uri: str) -> Table:
    """Opens a table and reads its header.

    Args:
      file: Only its `read` is used. It must stay open as long as rows are taken.
      format: One of `FORMATS`; None to tell it by content and suffix.
      uri: Of the file, for its suffix.

    Raises:
      ManifestError: The file is no table.
      ValueError: An unknown format.
    """
    if format is not None and format not in FORMATS:
        raise ValueError(f"format={format!r} is not one of {FORMATS}")
    text = read_lines(file)
    start = _skip_blank_lines(text)
    format = format or _tell_format(start[1] or "", uri)
    text = dataclasses.replace(text, lines=itertools.chain([start], text.lines))
    if format == JSON_LINES:
        _check_is_lines((start[1] or "").strip())
        return Table(format, text.encoding, "", (), read_json_lines(text))
    delimiter = "\t" if format == TSV else _tell_delimiter(start[1] or "")
    cells = read_tsv(text) if format == TSV else read_csv(text, delimiter)
    columns = _read_header(*next(cells))
    return Table(format, text.encoding, delimiter, columns, _as_rows(cells, columns))


def format_names(names: Sequence[str]) -> str:
    """Writes names for a message, which must not become as long as a hostile header."""
    shown = [
        name[:_MAX_NAME_SHOWN] + "…" if len(name) > _MAX_NAME_SHOWN else name or "(empty)"
        for name in names[:_MAX_NAMES_SHOWN]
    ]
    if len(names) > _MAX_NAMES_SHOWN:
        shown.append(f"and {len(names) - _MAX_NAMES_SHOWN} more")
    return ", ".join(shown) or "(none)"


def _skip_blank_lines(text: TextLines) -> tuple[int, str | None]:
    for number, line in text.lines:
        if line is None or line.strip():
            return number, line
    raise ManifestError(
        "the file is empty; write a header line with a column uri and below it one line a clip,"
        ' or JSON lines: {"uri": …}'
    )


def _tell_format(line: str, uri: str) -> str:
    if line.lstrip().startswith(("{", "[")):
        return JSON_LINES
    path = uri.lower()
    stem, suffix = posixpath.splitext(path)
    if suffix in _COMPRESSIONS:
        suffix = posixpath.splitext(stem)[1]
    return _FORMAT_OF_SUFFIX.get(suffix, TSV if "\t" in line else CSV)


def _tell_delimiter(line: str) -> str:
    names = _QUOTED.sub("", line)
    return ";" if ";" in names and "," not in names else ","


def _check_is_lines(start: str) -> None:
    if start.startswith("["):
        raise ManifestError(
            "a JSON array, which would have to be read as a whole; write one object a line, as"
            " jq -c '.[]' does"
        )
    if start == "{":
        raise ManifestError(
            "a JSON object over several lines; write one object a line, as jq -c . does"
        )


def _read_header(number: int, cells: list[str] | BadLine) -> tuple[str, ...]:
    if isinstance(cells, BadLine):
        raise ManifestError(f"line {number}, the header: {cells.message}")
    names = tuple(cell.strip() for cell in cells)
    if len(set(names)) < len(names):
        again = [name for name, count in collections.Counter(names).items() if count > 1]
        raise ManifestError(
            f"line {number}, the header: names that occur more than once:"
            f" {format_names(again)}; give each column a name of its own"
        )
    return names


def _as_rows(
    numbered_cells: Iterator[tuple[int, list[str] | BadLine]], columns: tuple[str, ...]
) -> Iterator[Row]:
    num_columns = len(columns)
    for number, cells in numbered_cells:
        if isinstance(cells, BadLine):
            yield number, cells
        elif len(cells) != num_columns:
            yield number, BadLine(f"{len(cells)} cells, and the header has {num_columns}")
        else:
            yield number, dict(zip(columns, cells, strict=True))
