"""Manifests: tables of clips, read row by row.

A manifest is CSV, TSV, JSON lines or a list of paths. Each record names a recording, and optionally
the clip's id, start and end, labels, split and channel. All other columns are carried along as
text.
"""

import dataclasses
import itertools
import posixpath
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import BinaryIO

from transforms.corpus.clips import Clip, Failure, printable
from transforms.corpus.layouts.placing import Placement
from transforms.corpus.layouts.tables import LaidOutTable, LayoutRequest
from transforms.corpus.manifests.columns import ColumnMatcher
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.fields import COLUMNS, RowFields
from transforms.corpus.manifests.label_cells import KnownLabels, LabelReader
from transforms.corpus.manifests.line_reader import BadLine
from transforms.corpus.manifests.mapping import NO_MAPPING, ColumnMapping
from transforms.corpus.manifests.swallowed_lines import find_swallowed_lines
from transforms.corpus.manifests.tables import (
    VALUE_FORMATS,
    Row,
    Table,
    read_table,
)
from transforms.corpus.manifests.templates import ConversionError
from transforms.corpus.times import format_seconds

# Number of rows from which the separator of labels is chosen; fewer if they are long.
SEPARATOR_ROWS = 1000
# Rows of which a check makes clips.
NUM_CHECKED_ROWS = 20
_SEPARATOR_CHARACTERS = 1 << 22


@dataclasses.dataclass(frozen=True)
class ManifestOptions:
    """Options for reading manifests.

    Attributes:
      format: One of `tables.FORMATS`; None to detect it.
      audio_root: Folder to which relative names of recordings refer; None for the manifest's own.
      known_labels: Returns whether a text is a known label, which may contain separators.
      raw_formats: Names of raw formats, in lower case.
      mapping: What the columns mean, where their names do not say it.
      label_separator: Separator of the labels in a cell; `label_cells.NO_SEPARATOR` if a cell is
        one label; None to detect it.
      layout: Name of a known layout, or `catalogue.NO_LAYOUT`; None to recognise it.
      segments_are_cut: Whether recordings that a known layout finds hold the clips only.
    """

    format: str | None = None
    audio_root: str | None = None
    known_labels: KnownLabels | None = None
    raw_formats: frozenset[str] = frozenset()
    mapping: ColumnMapping = NO_MAPPING
    label_separator: str | None = None
    layout: str | None = None
    segments_are_cut: bool = False


@dataclasses.dataclass(frozen=True, order=True)
class ManifestFacts:
    """Properties of a manifest, detected while it was read.

    Attributes:
      uri: Path or URL in valid Unicode.
      format: One of `tables.FORMATS`.
      encoding: As in `TextLines`.
      delimiter: Delimiter between cells; empty for JSON lines.
      label_separator: Separator of the labels in a cell; empty if none was needed.
      columns: Columns that are read; known ones as spelled in `columns.KNOWN_COLUMNS`.
      other_columns: Columns that are carried along as text. For JSON lines both together are
        limited to `columns.MAX_SEEN_COLUMNS`.
      num_rows: Number of rows, valid and invalid.
      meaning: Each field of clips and the template of columns that it comes from.
      notes: How values were read, where that is not plain.
      layout: Name of the known layout as which it was read; empty for none.
    """

    uri: str
    format: str
    encoding: str
    delimiter: str
    label_separator: str
    columns: tuple[str, ...]
    other_columns: tuple[str, ...]
    num_rows: int
    meaning: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    layout: str = ""


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
    opened = _open(file, uri, options)
    matcher = opened.matcher
    builder = _ClipBuilder(uri, options, opened)
    num_rows = 0
    has_raw = False
    for line, record in itertools.chain(opened.first_rows, opened.rows):
        num_rows += 1
        outcome, _ = builder.build(line, record, matcher)
        has_raw = has_raw or (isinstance(outcome, Clip) and outcome.raw_format is not None)
        yield outcome
    yield opened.facts(uri, num_rows, has_raw)


@dataclasses.dataclass(frozen=True)
class ManifestReading:
    """How a manifest is read, as its beginning shows.

    Attributes:
      facts: Its properties so far, with the number of `outcomes`.
      header: Names in the header; None for JSON lines.
      others: Names of the columns that are carried along as text.
      outcomes: Clips and failures of the first rows.
    """

    facts: ManifestFacts
    header: tuple[str, ...] | None
    others: frozenset[str]
    outcomes: tuple[Clip | Failure, ...]


def check_manifest(file: BinaryIO, uri: str, options: ManifestOptions) -> ManifestReading:
    """Checks the beginning of a manifest, at most a few MiB.

    Args:
      file: As for `read_manifest`.
      uri: Path or URL of the manifest.
      options: How to read it.

    Returns:
      How it is read.

    Raises:
      ManifestError: The file as a whole is unusable, or its columns are misunderstood: all of its
        first rows are invalid because of a column that is read by the mapping or by a name that is
        not in `columns.KNOWN_COLUMNS`.
    """
    opened = _open(file, uri, options)
    table, matcher = opened.table, opened.matcher
    builder = _ClipBuilder(uri, options, opened)
    outcomes: list[Clip | Failure] = []
    misread: list[Failure] = []
    doubtful = {COLUMNS, *matcher.fields_to_doubt}
    for line, record in opened.first_rows[:NUM_CHECKED_ROWS]:
        outcome, field = builder.build(line, record, matcher)
        outcomes.append(outcome)
        if isinstance(outcome, Failure) and field in doubtful:
            misread.append(outcome)
    _refuse_bad_lines([record for _, record in opened.first_rows[:NUM_CHECKED_ROWS]], table)
    if outcomes and len(misread) == len(outcomes):
        raise ManifestError(
            f"the first {len(misread)} rows are all invalid; line {misread[0].line}:"
            f" {misread[0].message}; say what the columns mean with --columns FIELD=TEMPLATE"
            " (FIELD= for none)"
        )
    has_raw = any(isinstance(each, Clip) and each.raw_format is not None for each in outcomes)
    facts = opened.facts(uri, len(outcomes), has_raw)
    header = None if table.format in VALUE_FORMATS else table.columns
    return ManifestReading(facts, header, matcher.others, tuple(outcomes))


def _refuse_bad_lines(first: Sequence[dict[str, object] | BadLine], table: Table) -> None:
    """Refuses a table of which several rows have been read, none of which is one."""
    messages = [each.message for each in first if isinstance(each, BadLine)]
    if len(first) < 2 or len(messages) < len(first):
        return
    hint = (
        ""
        if table.format in VALUE_FORMATS
        else (
            "; if the first cells are the numbers of the rows, as R's write.table writes them, give"
            " them a name in the header, or write the table with row.names=FALSE"
        )
    )
    raise ManifestError(f"none of the first {len(first)} rows can be read: {messages[0]}{hint}")


@dataclasses.dataclass(frozen=True)
class _OpenManifest:
    """A manifest of which the first rows have been read: all decisions are made by them."""

    table: Table
    matcher: ColumnMatcher
    first_rows: list[Row]
    rows: Iterator[Row]
    labels: LabelReader
    placement: Placement
    layout: str

    def facts(self, uri: str, num_rows: int, has_raw: bool) -> ManifestFacts:
        """Returns the properties that the rows so far have shown."""
        return ManifestFacts(
            printable(uri),
            self.table.format,
            self.table.encoding,
            self.table.delimiter,
            self.labels.separator,
            *self.matcher.seen_columns(has_raw),
            num_rows,
            self.matcher.meaning(has_raw),
            (*self.table.notes, *self.labels.notes(), *self.placement.notes, *self._raw(has_raw)),
            self.layout,
        )

    def _raw(self, has_raw: bool) -> Iterator[str]:
        fields = () if has_raw else self.matcher.given_raw_fields
        if fields:
            yield (
                f"{', '.join(fields)} of --columns have no effect: no row so far has the format of"
                " a file without a header"
            )


def _open(file: BinaryIO, uri: str, options: ManifestOptions) -> _OpenManifest:
    request = LayoutRequest(
        options.layout, options.mapping, options.audio_root, options.segments_are_cut
    )
    laid_out = LaidOutTable(file, uri, request)
    mapping = laid_out.mapping
    format = options.format or laid_out.format
    table = read_table(laid_out.file, format, uri, mapping.header, mapping.rest_in_last)
    header = None if table.format in VALUE_FORMATS else laid_out.header(table.columns)
    if header is not None and not laid_out.name:
        ColumnMatcher(header, mapping)  # refuses a header before rows are read
    rows = laid_out.prepared(table.rows)
    first_rows = _take_first(rows)
    placement = laid_out.place(header, first_rows)
    records = [record for _, record in first_rows if not isinstance(record, BadLine)]
    matcher = ColumnMatcher(header, placement.mapping, records)
    cells = [cell for _, record in first_rows for cell in _label_cells(record, matcher)]
    separator = options.label_separator or laid_out.label_separator
    labels = LabelReader(cells, options.known_labels, separator)
    return _OpenManifest(table, matcher, first_rows, rows, labels, placement, laid_out.name)


def _take_first(rows: Iterator[Row]) -> list[Row]:
    first: list[Row] = []
    num_characters = 0
    for row in itertools.islice(rows, SEPARATOR_ROWS):
        first.append(row)
        num_characters += len(repr(row))
        if num_characters > _SEPARATOR_CHARACTERS:
            break
    return first


def _label_cells(record: dict[str, object] | BadLine, matcher: ColumnMatcher) -> list[str]:
    """Returns the texts of a row's label cells."""
    if isinstance(record, BadLine):
        return []
    try:
        values = [template.value(record) for template in matcher.match(record).labels]
    except (ManifestError, ConversionError):  # the row becomes a failure
        return []
    return [value for value in values if isinstance(value, str)]


class _ClipBuilder:
    """Builds the clips of one manifest from its records."""

    def __init__(self, uri: str, options: ManifestOptions, opened: _OpenManifest) -> None:
        self._manifest = printable(uri)
        # Only these have cells whose line ends may be there by mistake.
        self._has_quoted_cells = opened.table.format not in VALUE_FORMATS
        self._decimal_commas = opened.table.delimiter == ";"
        self._labels = opened.labels
        self._name = posixpath.basename(self._manifest)
        self._options = options
        self._folder = opened.placement.folder

    def build(
        self,
        line: int,
        record: dict[str, object] | BadLine,
        matcher: ColumnMatcher,
    ) -> tuple[Clip | Failure, str]:
        """Returns the clip or failure of a row, and the field that is invalid, if any."""
        if isinstance(record, BadLine):
            return self._failure(line, "invalid_row", record.message), ""
        try:
            columns = matcher.match(record)
        except ManifestError as error:
            return self._failure(line, "invalid_row", str(error)), COLUMNS
        if self._has_quoted_cells:
            fault = find_swallowed_lines(line, list(record.items()), columns.keys)
            if fault:
                return self._failure(line, "invalid_row", fault), ""
        fields = RowFields(record, columns, self._decimal_commas)
        return self._clip(line, fields), fields.field

    def _clip(self, line: int, fields: RowFields) -> Clip | Failure:
        uri, recording = fields.recording(self._folder)
        clip_id = fields.id()
        split = fields.split()
        start, end = fields.times()
        raw_format = fields.raw_format(self._options.raw_formats)
        channel = fields.channel()
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
            clip_id or _default_id(recording, start, end, channel),
            uri,
            start or Decimal(0),
            end,
            labels=labels,
            split=split,
            recording=recording,
            raw_format=raw_format,
            columns=others,
            channel=channel,
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


def _default_id(
    recording: str, start: Decimal | None, end: Decimal | None, channel: int | None
) -> str:
    name = recording if channel is None else f"{recording}@{channel}"
    if start is None and end is None:
        return name
    times = format_seconds(start or Decimal(0))
    return f"{name}#{times}" if end is None else f"{name}#{times}-{format_seconds(end)}"
