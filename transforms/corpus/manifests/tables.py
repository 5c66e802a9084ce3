"""Reader of tables in text files: CSV, TSV and JSON lines.

The format is detected by content first and by suffix second.
"""

import collections
import dataclasses
import itertools
import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from transforms.corpus.manifests.delimited import read_csv, read_tsv
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.json_lines import read_json_lines
from transforms.corpus.manifests.line_reader import BadLine, TextLines, read_lines
from transforms.corpus.manifests.swallowed_lines import count_line_ends

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


# Number of the first line, from 1, and the values by column: text, or for JSON lines values of
# any type, with `Decimal` for numbers with a decimal point.
Row = tuple[int, dict[str, object] | BadLine]


@dataclasses.dataclass(frozen=True)
class Table:
    """An open table.

    Attributes:
      format: One of `FORMATS`.
      encoding: As in `TextLines`.
      delimiter: Delimiter between cells; empty for JSON lines.
      columns: Distinct names in the header; empty for JSON lines.
      rows: Rows, read from the file lazily. Blank lines are skipped.
    """

    format: str
    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    rows: Iterator[Row]


def read_table(file: BinaryIO, format: str | None, uri: str) -> Table:
    """Opens a table and reads its header.

    Args:
      file: Must stay open while rows are read; only its `read` is used.
      format: One of `FORMATS`; None to detect it by content and suffix.
      uri: Path or URL of the file, for its suffix.

    Raises:
      ManifestError: The file is not a table.
      ValueError: The format is unknown.
    """
    if format is not None and format not in FORMATS:
        raise ValueError(f"format={format!r} is not one of {FORMATS}")
    text = read_lines(file)
    start = _skip_blank_lines(text)
    format = format or _detect_format(start[1] or "", uri)
    text = dataclasses.replace(text, lines=itertools.chain([start], text.lines))
    if format == JSON_LINES:
        _check_one_object_per_line((start[1] or "").strip())
        return Table(format, text.encoding, "", (), read_json_lines(text))
    delimiter = "\t" if format == TSV else _detect_delimiter(start[1] or "")
    cells = read_tsv(text) if format == TSV else read_csv(text, delimiter)
    columns = _read_header(*next(cells))
    return Table(format, text.encoding, delimiter, columns, _as_rows(cells, columns))


def format_names(names: Sequence[str]) -> str:
    """Formats names for a message, with limits for hostile headers."""
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
        "the file is empty; write a header with a column uri and then one line per clip, or JSON"
        ' lines: {"uri": …}'
    )


def _detect_format(line: str, uri: str) -> str:
    if line.lstrip().startswith(("{", "[")):
        return JSON_LINES
    path = uri.lower()
    stem, suffix = posixpath.splitext(path)
    if suffix in _COMPRESSIONS:
        suffix = posixpath.splitext(stem)[1]
    return _FORMAT_OF_SUFFIX.get(suffix, TSV if "\t" in line else CSV)


def _detect_delimiter(line: str) -> str:
    names = _QUOTED.sub("", line)
    return ";" if ";" in names and "," not in names else ","


def _check_one_object_per_line(start: str) -> None:
    if start.startswith("["):
        raise ManifestError(
            "a JSON array, which cannot be read line by line; write one object per line, as"
            " jq -c '.[]' does"
        )
    if start == "{":
        raise ManifestError(
            "a JSON object over several lines; write one object per line, as jq -c . does"
        )


def _read_header(number: int, cells: list[str] | BadLine) -> tuple[str, ...]:
    if isinstance(cells, BadLine):
        raise ManifestError(f"line {number}, the header: {cells.message}")
    names = tuple(cell.strip() for cell in cells)
    if len(set(names)) < len(names):
        duplicates = [name for name, count in collections.Counter(names).items() if count > 1]
        raise ManifestError(
            f"line {number}, the header: duplicate columns {format_names(duplicates)}; give each"
            " column a unique name"
        )
    return names


def _wrong_number(number: int, cells: list[str], num_columns: int) -> str:
    num_ends = sum(map(count_line_ends, cells))
    lines = f"; lines {number} to {number + num_ends} are one row by their quotes"
    return (
        f"{len(cells)} cells (expected {num_columns}, as in the header){lines if num_ends else ''}"
    )


def _as_rows(
    numbered_cells: Iterator[tuple[int, list[str] | BadLine]], columns: tuple[str, ...]
) -> Iterator[Row]:
    num_columns = len(columns)
    for number, cells in numbered_cells:
        if isinstance(cells, BadLine):
            yield number, cells
        elif len(cells) != num_columns:
            yield number, BadLine(_wrong_number(number, cells, num_columns))
        else:
            yield number, dict(zip(columns, cells, strict=True))
