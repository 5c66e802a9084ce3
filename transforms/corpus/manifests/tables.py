"""Reader of tables: CSV, TSV, JSON lines, JSON documents, Parquet, and plain lists of paths.

The format is detected by content first and by suffix second.
"""

import collections
import dataclasses
import itertools
import posixpath
from collections.abc import Iterator
from typing import BinaryIO

from transforms.corpus.manifests.delimited import read_csv, read_tsv
from transforms.corpus.manifests.dialects import (
    detect_delimiter,
    has_blanks,
    is_without_tabs,
    name_columns,
    skip_preamble,
)
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.headerless import (
    find_delimiter,
    format_names,
    is_path_list,
    refuse_without_header,
)
from transforms.corpus.manifests.json_documents import is_document, read_json_document
from transforms.corpus.manifests.json_lines import read_json_lines
from transforms.corpus.manifests.line_reader import (
    BadLine,
    decode_head,
    read_blocks,
    read_lines,
)
from transforms.corpus.manifests.parquet_tables import is_parquet, parquet_columns, read_parquet
from transforms.corpus.manifests.peeked_file import PeekedFile
from transforms.corpus.manifests.swallowed_lines import count_line_ends

CSV = "csv"
TSV = "tsv"
JSON_LINES = "jsonl"
JSON = "json"  # one array or object of objects
PARQUET = "parquet"
PATHS = "paths"  # one path a line, and nothing else
FORMATS = (CSV, TSV, JSON_LINES, JSON, PARQUET, PATHS)
# Formats without a delimiter, and without a header of their own but for Parquet.
VALUE_FORMATS = (JSON_LINES, JSON, PARQUET)

_FORMAT_OF_SUFFIX = {
    ".jsonl": JSON_LINES,
    ".ndjson": JSON_LINES,
    ".json": JSON_LINES,
    ".tsv": TSV,
    ".tab": TSV,
}
_COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst", ".deflate")
URI = "uri"
_FIRST_CHARACTERS = 1 << 14
_HEAD_BYTES = 1 << 16


# Number of the first line, from 1, and the values by column: text, or for JSON lines values of
# any type, with `Decimal` for numbers with a decimal point.
Row = tuple[int, dict[str, object] | BadLine]


@dataclasses.dataclass(frozen=True)
class Table:
    """An open table.

    Attributes:
      format: One of `FORMATS`.
      encoding: As in `TextLines`.
      delimiter: Delimiter between cells; empty for JSON lines, and where a line is one cell.
      columns: Distinct names in the header; empty for JSON lines.
      rows: Rows, read from the file lazily. Blank lines are skipped.
      notes: How the file was read, where that is not plain.
    """

    format: str
    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    rows: Iterator[Row]
    notes: tuple[str, ...] = ()


def read_table(
    file: BinaryIO | PeekedFile,
    format: str | None,
    uri: str,
    header: tuple[str, ...] = (),
    rest_in_last: bool = False,
) -> Table:
    """Opens a table and reads its header.

    Args:
      file: Must stay open while rows are read; only its `read` is used.
      format: One of `FORMATS`; None to detect it by content and suffix.
      uri: Path or URL of the file, for its suffix.
      header: Names of the columns of a table without a header; empty for a table with one.
      rest_in_last: Whether further cells of a row belong to the last column, as a list.

    Raises:
      ManifestError: The file is not a table.
      ValueError: The format is unknown.
    """
    if format is not None and format not in FORMATS:
        raise ValueError(f"format={format!r} is not one of {FORMATS}")
    file = PeekedFile(file, _HEAD_BYTES)
    if format == PARQUET or (format is None and is_parquet(file)):
        return Table(PARQUET, "", "", parquet_columns(file), read_parquet(file))
    if not header and _is_document(file, format):
        encoding, blocks = read_blocks(file)
        objects = read_json_document(blocks, encoding)
        first_object = next(objects, None)
        if first_object is None:
            raise ManifestError("a JSON array or object without any object in it")
        return Table(JSON, encoding, "", (), itertools.chain([first_object], objects))
    text = read_lines(file)
    preamble = skip_preamble(text.lines)
    start = preamble.start
    first = list(_first_lines(start, text.lines))
    lines = [line for _, line in first if line is not None and line.strip()]
    text = dataclasses.replace(text, lines=itertools.chain(first, text.lines))
    if not header and format in (None, PATHS) and (format == PATHS or is_path_list(lines, uri)):
        rows = _as_rows(read_tsv(text, ""), (URI,), False)
        return Table(PATHS, text.encoding, "", (URI,), rows, preamble.notes())
    if format == PATHS:
        raise ManifestError("a list of paths has no columns for --no_header to name")
    format = format or _detect_format(start[1] or "", uri, preamble.delimiter)
    if format == JSON_LINES:
        if header:
            raise ManifestError("JSON lines need no header: --no_header is for CSV and TSV")
        _check_one_object_per_line((start[1] or "").strip())
        return Table(format, text.encoding, "", (), read_json_lines(text), preamble.notes())
    if format == TSV:
        delimiter = "\t"
    elif header and not preamble.delimiter:
        delimiter = find_delimiter(lines, len(header))
    else:
        delimiter = preamble.delimiter or detect_delimiter(start[1] or "")
    is_csv = delimiter in (",", ";")
    blanks = is_csv and bool(lines) and has_blanks(lines, delimiter)
    cells = read_csv(text, delimiter, blanks) if is_csv else read_tsv(text, delimiter)
    if header:
        cells = _without_header(cells, header)
    columns = header or _read_header(*next(cells))
    rows = _as_rows(cells, columns, rest_in_last)
    notes = preamble.notes()
    if blanks:
        notes += ("blanks behind delimiters skipped",)
    return Table(format, text.encoding, delimiter, columns, rows, notes)


def _is_document(file: PeekedFile, format: str | None) -> bool:
    return format == JSON or (format is None and is_document(decode_head(file.head)))


def _first_lines(
    start: tuple[int, str | None], lines: Iterator[tuple[int, str | None]]
) -> Iterator[tuple[int, str | None]]:
    """Yields the first lines, as many as are needed to see what the file is."""
    yield start
    num_characters = len(start[1] or "")
    while num_characters < _FIRST_CHARACTERS:
        numbered = next(lines, None)
        if numbered is None:
            return
        yield numbered
        num_characters += len(numbered[1] or "") + 1


def _without_header(
    cells: Iterator[tuple[int, list[str] | BadLine]], header: tuple[str, ...]
) -> Iterator[tuple[int, list[str] | BadLine]]:
    """Returns all rows, of which the first is not a header after all."""
    first = next(cells)
    if not isinstance(first[1], BadLine):
        names = {
            (name, cell.strip().casefold()) for name, cell in zip(header, first[1], strict=False)
        }
        if any(name.casefold() == cell for name, cell in names):
            raise ManifestError(
                f"line {first[0]} is a header, {format_names(first[1])}: leave --no_header out"
            )
    return itertools.chain([first], cells)


def _detect_format(line: str, uri: str, delimiter: str) -> str:
    if delimiter:
        return TSV if delimiter == "\t" else CSV
    if line.lstrip().startswith(("{", "[")):
        return JSON_LINES
    path = uri.lower()
    stem, suffix = posixpath.splitext(path)
    if suffix in _COMPRESSIONS:
        suffix = posixpath.splitext(stem)[1]
    format = _FORMAT_OF_SUFFIX.get(suffix, TSV if "\t" in line else CSV)
    return CSV if format == TSV and is_without_tabs(line) else format


def _check_one_object_per_line(start: str) -> None:
    if start == "{":
        raise ManifestError(
            "a JSON object over several lines; write one object per line, as jq -c . does"
        )


def _read_header(number: int, cells: list[str] | BadLine) -> tuple[str, ...]:
    if isinstance(cells, BadLine):
        raise ManifestError(f"line {number}, the header: {cells.message}")
    names = name_columns([cell.strip() for cell in cells])
    if len(set(names)) < len(names):
        refuse_without_header(names)
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


def _num_named(columns: tuple[str, ...]) -> int:
    """Returns the number of columns up to the last one that has a name in the header."""
    return max(
        (number for number, name in enumerate(columns, 1) if name != f"column {number}"), default=0
    )


def _as_rows(
    numbered_cells: Iterator[tuple[int, list[str] | BadLine]],
    columns: tuple[str, ...],
    rest_in_last: bool,
) -> Iterator[Row]:
    num_columns = len(columns)
    num_named = 0 if rest_in_last else _num_named(columns)
    for number, cells in numbered_cells:
        if isinstance(cells, BadLine):
            yield number, cells
        elif len(cells) == num_columns and not rest_in_last:
            yield number, dict(zip(columns, cells, strict=True))
        elif len(cells) >= num_columns and rest_in_last:
            values = [*cells[: num_columns - 1], cells[num_columns - 1 :]]
            yield number, dict(zip(columns, values, strict=True))
        elif num_named <= len(cells) < num_columns and num_named < num_columns:
            yield number, dict(itertools.zip_longest(columns, cells, fillvalue=""))
        elif len(cells) > num_columns and not any(map(str.strip, cells[num_columns:])):
            yield number, dict(zip(columns, cells, strict=False))  # by a trailing delimiter
        else:
            yield number, BadLine(_wrong_number(number, cells, num_columns))
