"""Manifests: tables that ask for clips, read row by row.

A manifest is CSV, TSV or JSON lines. Each record names a recording, and may say which part of it
is meant, its labels and its part of the dataset. All else that it says goes with the clip as text.
"""

import dataclasses
import itertools
import posixpath
from collections.abc import Iterator
from decimal import Decimal
from typing import BinaryIO

from transforms.corpus.clips import Clip, Failure, printable
from transforms.corpus.manifests.columns import ColumnMatcher, match_columns
from transforms.corpus.manifests.fields import RowFields
from transforms.corpus.manifests.label_cells import KnownLabels, find_separator
from transforms.corpus.manifests.line_reader import BadLine, ManifestError
from transforms.corpus.manifests.recording_uris import recording_folder
from transforms.corpus.manifests.tables import JSON_LINES, Row, read_table
from transforms.corpus.times import format_seconds

# Rows that are looked at together to find what separates labels; fewer where they are long.
SEPARATOR_ROWS = 1000
_SEPARATOR_CHARACTERS = 1 << 22


@dataclasses.dataclass(frozen=True)
class ManifestOptions:
    """What the user says of manifests.

    Attributes:
      format: One of `tables.FORMATS`; None to tell it from the file.
      audio_root: Folder that relative names of recordings are below; None for the manifest's own.
      known_labels: Tells names of labels, which may hold what else separates them.
      raw_formats: Names, in small letters, of formats without a header.
    """

    format: str | None = None
    audio_root: str | None = None
    known_labels: KnownLabels | None = None
    raw_formats: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, order=True)
class ManifestFacts:
    """What a manifest was found to be.

    Attributes:
      uri: In valid Unicode.
      format: One of `tables.FORMATS`.
      encoding: As in `TextLines`.
      delimiter: Between cells; empty for JSON lines.
      label_separator: Between labels in one cell; empty where none was needed.
      columns: Those that mean something to us, by the names that we know them by.
      other_columns: Those that go with the clip as text. Of JSON lines, the first
        `manifest_columns.MAX_SEEN_COLUMNS` of both.
      num_rows: Good and bad.
    """

    uri: str
    format: str
    encoding: str
    delimiter: str
    label_separator: str
    columns: tuple[str, ...]
    other_columns: tuple[str, ...]
    num_rows: int


def read_manifest(
    file: BinaryIO, uri: str, options: ManifestOptions
) -> Iterator[Clip | Failure | ManifestFacts]:
    """Reads a manifest.

    Args:
      file: Only its `read` is used, from front to back, as results are taken.
      uri: Of the manifest.
      options: The user's.

    Yields:
      For each record, in order, a clip or a failure; then, once, the facts.

    Raises:
      ManifestError: Nothing in the file can be used. It is raised before anything is yielded.
    """
    table = read_table(file, options.format, uri)
    matcher = ColumnMatcher(None if table.format == JSON_LINES else table.columns)
    maker = _ClipMaker(uri, options)
    first_rows = _take_first(table.rows)
    cells = [_label_cell(record, matcher) for _, record in first_rows]
    separator = find_separator(cells, options.known_labels)
    num_rows = 0
    has_raw = False
    for line, record in itertools.chain(first_rows, table.rows):
        num_rows += 1
        # Where no row needed one so far, the first that does decides.
        if not separator and num_rows > len(first_rows):
            separator = find_separator([_label_cell(record, matcher)], options.known_labels)
        outcome = maker.make(line, record, matcher, separator)
        has_raw = has_raw or (isinstance(outcome, Clip) and outcome.raw_format is not None)
        yield outcome
    yield ManifestFacts(
        printable(uri),
        table.format,
        table.encoding,
        table.delimiter,
        separator,
        *matcher.noted(has_raw),
        num_rows,
    )


def check_manifest(file: BinaryIO, uri: str, options: ManifestOptions) -> tuple[str, ...] | None:
    """Reads the beginning of a manifest, at most a few MiB.

    Args:
      file: As for `read_manifest`.
      uri: Of the manifest.
      options: The user's.

    Returns:
      The names in the header; None for JSON lines.

    Raises:
      ManifestError: Nothing in the file can be used.
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
    """Returns a row's labels, if they are text."""
    if isinstance(record, BadLine):
        return ""
    try:
        key = matcher.match(record).keys.get("labels")
    except ManifestError:  # the row will be a failure
        return ""
    cell = None if key is None else record[key]
    return cell if isinstance(cell, str) else ""


class _ClipMaker:
    """Makes clips of the records of one manifest."""

    def __init__(self, uri: str, options: ManifestOptions) -> None:
        self._manifest = printable(uri)
        self._name = posixpath.basename(self._manifest)
        self._options = options
        self._folder = recording_folder(uri, options.audio_root)

    def make(
        self,
        line: int,
        record: dict[str, object] | BadLine,
        matcher: ColumnMatcher,
        separator: str,
    ) -> Clip | Failure:
        if isinstance(record, BadLine):
            return self._failure(line, "invalid_row", record.message)
        try:
            columns = matcher.match(record)
        except ManifestError as error:
            return self._failure(line, "invalid_row", str(error))
        return self._clip(line, RowFields(record, columns), separator)

    def _clip(self, line: int, fields: RowFields, separator: str) -> Clip | Failure:
        uri, recording = fields.recording(self._folder)
        clip_id = fields.id()
        split = fields.split()
        start, end = fields.times()
        raw_format = fields.raw_format(self._options.raw_formats)
        labels = fields.labels(separator, self._options.known_labels)
        others = fields.others(self._options.raw_formats)
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
