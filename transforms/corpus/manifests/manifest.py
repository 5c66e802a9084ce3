"""Manifests: tables of clips, read row by row.

A manifest is CSV, TSV or JSON lines. Each record names a recording, and optionally the clip's id,
start and end, labels and split. All other columns are carried along as text.
"""

import dataclasses
import itertools
import posixpath
from collections.abc import Iterator
from decimal import Decimal
from typing import BinaryIO

from transforms.corpus.clips import Clip, Failure, printable
from transforms.corpus.manifests.columns import ColumnMatcher, match_columns
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.fields import RowFields
from transforms.corpus.manifests.label_cells import KnownLabels, LabelReader
from transforms.corpus.manifests.line_reader import BadLine
from transforms.corpus.manifests.recording_uris import recording_folder
from transforms.corpus.manifests.swallowed_lines import find_swallowed_lines
from transforms.corpus.manifests.tables import JSON_LINES, Row, Table, read_table
from transforms.corpus.times import format_seconds

# Number of rows from which the separator of labels is chosen; fewer if they are long.
SEPARATOR_ROWS = 1000
_SEPARATOR_CHARACTERS = 1 << 22


@dataclasses.dataclass(frozen=True)
class ManifestOptions:
    """Options for reading manifests.

    Attributes:
      format: One of `tables.FORMATS`; None to detect it.
      audio_root: Folder to which relative names of recordings refer; None for the manifest's own.
      known_labels: Returns whether a text is a known label, which may contain separators.
      raw_formats: Names of raw formats, in lower case.
      label_separator: Separator of the labels in a cell; `label_cells.NO_SEPARATOR` if a cell is
        one label; None to detect it.
    """

    format: str | None = None
    audio_root: str | None = None
    known_labels: KnownLabels | None = None
    raw_formats: frozenset[str] = frozenset()
    label_separator: str | None = None


@dataclasses.dataclass(frozen=True, order=True)
class ManifestFacts:
    """Properties of a manifest, detected while it was read.

    Attributes:
      uri: Path or URL in valid Unicode.
      format: One of `tables.FORMATS`.
      encoding: As in `TextLines`.
      delimiter: Delimiter between cells; empty for JSON lines.
      label_separator: Separator of the labels in a cell; empty if none was needed.
      columns: Known columns, as spelled in `columns.KNOWN_COLUMNS`.
      other_columns: Columns that are carried along as text. For JSON lines both together are
        limited to `columns.MAX_SEEN_COLUMNS`.
      num_rows: Number of rows, valid and invalid.
      notes: How values were read, where that is not plain.
    """

    uri: str
    format: str
    encoding: str
    delimiter: str
    label_separator: str
    columns: tuple[str, ...]
    other_columns: tuple[str, ...]
    num_rows: int
    notes: tuple[str, ...] = ()


def read_manifest(
    file: BinaryIO, uri: str, options: ManifestOptions
) -> Iterator[Clip | Failure | ManifestFacts]:
    """Reads a manifest.

    Args:
      file: Read sequentially and lazily; only its `read` is used.
      uri: Path or URL of the manifest.
      options: How to read it.

    Yields:
      A clip or a failure for each record, in order; finally the facts.

    Raises:
      ManifestError: The file as a whole is unusable. Raised before anything is yielded.
    """
    table = read_table(file, options.format, uri)
    matcher = ColumnMatcher(None if table.format == JSON_LINES else table.columns)
    first_rows = _take_first(table.rows)
    cells = [_label_cell(record, matcher) for _, record in first_rows]
    labels = LabelReader(cells, options.known_labels, options.label_separator)
    builder = _ClipBuilder(uri, options, table, labels)
    num_rows = 0
    has_raw = False
    for line, record in itertools.chain(first_rows, table.rows):
        num_rows += 1
        outcome = builder.build(line, record, matcher)
        has_raw = has_raw or (isinstance(outcome, Clip) and outcome.raw_format is not None)
        yield outcome
    yield ManifestFacts(
        printable(uri),
        table.format,
        table.encoding,
        table.delimiter,
        labels.separator,
        *matcher.seen_columns(has_raw),
        num_rows,
        labels.notes(),
    )


def check_manifest(file: BinaryIO, uri: str, options: ManifestOptions) -> tuple[str, ...] | None:
    """Checks the beginning of a manifest, at most a few MiB.

    Args:
      file: As for `read_manifest`.
      uri: Path or URL of the manifest.
      options: How to read it.

    Returns:
      The names in the header; None for JSON lines.

    Raises:
      ManifestError: The file as a whole is unusable.
    """
    table = read_table(file, options.format, uri)
    if table.format == JSON_LINES:
        return None
    match_columns(table.columns)
    return table.columns


def _take_first(rows: Iterator[Row]) -> list[Row]:
    first: list[Row] = []
    num_characters = 0
    for row in itertools.islice(rows, SEPARATOR_ROWS):
        first.append(row)
        num_characters += len(repr(row))
        if num_characters > _SEPARATOR_CHARACTERS:
            break
    return first


def _label_cell(record: dict[str, object] | BadLine, matcher: ColumnMatcher) -> str:
    """Returns the text of a row's label cell; empty if there is none."""
    if isinstance(record, BadLine):
        return ""
    try:
        key = matcher.match(record).keys.get("labels")
    except ManifestError:  # the row becomes a failure
        return ""
    cell = None if key is None else record[key]
    return cell if isinstance(cell, str) else ""


class _ClipBuilder:
    """Builds the clips of one manifest from its records."""

    def __init__(
        self, uri: str, options: ManifestOptions, table: Table, labels: LabelReader
    ) -> None:
        self._manifest = printable(uri)
        # Only these have cells whose line ends may be there by mistake.
        self._has_quoted_cells = table.format != JSON_LINES
        self._decimal_commas = table.delimiter == ";"
        self._labels = labels
        self._name = posixpath.basename(self._manifest)
        self._options = options
        self._folder = recording_folder(uri, options.audio_root)

    def build(
        self,
        line: int,
        record: dict[str, object] | BadLine,
        matcher: ColumnMatcher,
    ) -> Clip | Failure:
        if isinstance(record, BadLine):
            return self._failure(line, "invalid_row", record.message)
        try:
            columns = matcher.match(record)
        except ManifestError as error:
            return self._failure(line, "invalid_row", str(error))
        if self._has_quoted_cells:
            fault = find_swallowed_lines(line, list(record.items()), columns.keys.values())
            if fault:
                return self._failure(line, "invalid_row", fault)
        return self._clip(line, RowFields(record, columns, self._decimal_commas))

    def _clip(self, line: int, fields: RowFields) -> Clip | Failure:
        uri, recording = fields.recording(self._folder)
        clip_id = fields.id()
        split = fields.split()
        start, end = fields.times()
        raw_format = fields.raw_format(self._options.raw_formats)
        labels = fields.labels(self._labels)
        others = fields.other_columns(self._options.raw_formats)
        if fields.reason:
            return self._failure(
                line,
                fields.reason,
                fields.message,
                id=clip_id,
                uri=uri,
                split=split,
                columns=others,
            )
        return Clip(
            clip_id or _default_id(recording, start, end),
            uri,
            start or Decimal(0),
            end,
            labels=labels,
            split=split,
            recording=recording,
            raw_format=raw_format,
            columns=others,
            manifest=self._manifest,
            line=line,
        )

    def _failure(
        self,
        line: int,
        reason: str,
        message: str,
        id: str = "",
        uri: str = "",
        split: str = "",
        columns: tuple[tuple[str, str], ...] = (),
    ) -> Failure:
        id = id or f"{self._name}:{line}"
        return Failure(
            id, uri, "list", reason, message, split, columns, manifest=self._manifest, line=line
        )


def _default_id(recording: str, start: Decimal | None, end: Decimal | None) -> str:
    if start is None and end is None:
        return recording
    times = format_seconds(start or Decimal(0))
    return f"{recording}#{times}" if end is None else f"{recording}#{times}-{format_seconds(end)}"
