"""Reading of tables of known layouts: what their columns mean, and where their recordings are."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from transforms.corpus.layouts.catalogue import TableLayout
from transforms.corpus.layouts.placing import Naming, Placement, place_recordings
from transforms.corpus.layouts.recognition import Head, Recognised, recognise
from transforms.corpus.layouts.rows import LINE, RECORDING, ROOT, LayoutRows, find_same_stem
from transforms.corpus.manifests.column_names import ColumnNames
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.headerless import format_names
from transforms.corpus.manifests.line_reader import BadLine, decode_head
from transforms.corpus.manifests.mapping import END, NO_MAPPING, URI, ColumnMapping
from transforms.corpus.manifests.parquet_tables import parquet_columns
from transforms.corpus.manifests.peeked_file import PeekedFile
from transforms.corpus.manifests.recording_uris import recording_folder
from transforms.corpus.manifests.tables import CSV, Row

HEAD_BYTES = 1 << 16
_NUM_CHECKED = 20
_WHOLE_VIDEOS = (
    "recordings are whole videos, from which the segments are cut (--segments_are_cut: they hold"
    " the segments only)"
)
_COLUMN = re.compile(r"\{([^:{}]+)")


@dataclasses.dataclass(frozen=True)
class LayoutRequest:
    """What the user says of the layout of tables.

    Attributes:
      name: Name of a layout, or `NO_LAYOUT`; None to recognise it.
      mapping: What the user says of columns. Beside it, a layout counts only by its name.
      audio_root: As of `ManifestOptions`.
      segments_are_cut: Whether files hold the clips only, if their names do not tell.
    """

    name: str | None = None
    mapping: ColumnMapping = NO_MAPPING
    audio_root: str | None = None
    segments_are_cut: bool = False


class LaidOutTable:
    """A table whose layout is known, or that has none.

    Args:
      file: Only its `read` is used.
      uri: Path or URL of the table.
      request: What the user says.

    Attributes:
      file: The table, from the first line that is read.
      name: Name of the layout; empty for none.
      mapping: What the columns mean, but for the recording.
      label_separator: Separator of labels in a cell, as of `TableLayout`; None to detect it.
      format: Format of the table; None to detect it.
      added: Columns that rows get besides their own.

    Raises:
      ManifestError: The table is not of the layout that the user names, or its layout needs
        another file that is absent.
    """

    def __init__(self, file: BinaryIO, uri: str, request: LayoutRequest) -> None:
        self.file = PeekedFile(file, HEAD_BYTES)
        head = Head(uri, decode_head(self.file.head), parquet_columns(self.file))
        self._request = request
        self._base = recording_folder(uri, request.audio_root)
        self._rows: LayoutRows | None = None
        self._num_lines_before = 0
        self.name = ""
        self.mapping = request.mapping
        self.label_separator: str | None = None
        self.format: str | None = None
        self.added: tuple[str, ...] = ()
        is_told = bool(request.mapping.templates or request.mapping.header)
        found = None if is_told and request.name is None else recognise(head, request.name)
        if found is not None:
            self._find(found, head)

    def _find(self, found: Recognised, head: Head) -> None:
        table = found.table
        names = _names(head, table)
        is_named = self._request.name is not None
        if unread := _unread_times(names, table):
            if is_named:
                raise ManifestError(
                    f"the layout {found.name} has no column {format_names(unread)}, which looks"
                    " like times: --layout none reads the table by the names of its columns"
                )
            return
        given: dict[str, str] = {}
        if _needs_recording(names, table):
            recording = find_same_stem(table, head.uri, self._base)
            if recording is None:
                if is_named:
                    raise ManifestError(
                        f"the layout {found.name} needs a recording with the table's name beside it"
                    )
                return
            given[RECORDING] = recording
        if table.has_root_line:
            root = decode_head(self.file.read_line()).strip().rstrip("/")
            given[ROOT] = "./" if self._request.audio_root else f"{root}/"
            self._num_lines_before = 1
        elif table.header_rows > 1:
            self._num_lines_before = table.header_rows
            for _ in range(table.header_rows):
                self.file.read_line()
        self.name, self._table = found.name, table
        self._rows = LayoutRows(found.name, table, head.uri, given)
        self.added = self._rows.added
        self._names = [*names, *self.added]
        self.mapping = self._request.mapping.over(_own_mapping(table, self._names))
        self.label_separator = table.label_separator
        if table.words:  # a tab separates words, too
            self.format = CSV

    def header(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Returns the columns of prepared rows."""
        return (*(name for name in columns if name != LINE), *self.added)

    def prepared(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yields the rows with the columns that they get; those that contradict as bad lines."""
        return self._rows.prepared(rows, self._num_lines_before) if self._rows else rows

    def place(self, header: Sequence[str] | None, first_rows: Sequence[Row]) -> Placement:
        """Finds the recordings of the first rows, and with them the folder and the template.

        Args:
          header: Names of the columns, the added ones included; None for JSON.
          first_rows: The first rows, prepared.

        Raises:
          ManifestError: The first rows contradict the layout.
        """
        if self._request.segments_are_cut and not (self._rows and self._table.cut_uris):
            raise ManifestError(
                "--segments_are_cut is for the layouts of YouTube segments, and this table has none"
                " of these"
            )
        if self._rows is None:
            return Placement(self.mapping, self._base)
        first = first_rows[:_NUM_CHECKED]
        faults = [(line, row.message) for line, row in first if isinstance(row, BadLine)]
        if faults and len(faults) == len(first):
            raise ManifestError(
                f"read as the layout {self.name}, and all of its first rows are invalid: line"
                f" {faults[0][0]}: {faults[0][1]}; --layout none reads it by the names of its"
                " columns"
            )
        records = [row for _, row in first_rows if not isinstance(row, BadLine)]
        placement = place_recordings(
            self._namings(), self._table.folders, self._base, self.mapping, header, records
        )
        if self._table.cut_uris and any(
            field == END and text for field, text in placement.mapping.templates
        ):
            return dataclasses.replace(placement, notes=(_WHOLE_VIDEOS,))
        return placement

    def _namings(self) -> list[Naming]:
        if any(field == URI for field, _ in self._request.mapping.templates):
            return []
        are_cut = self._request.segments_are_cut
        return [
            *(Naming(text, True) for text in _usable(self._table.cut_uris, self._names)),
            *(Naming(text, are_cut) for text in _usable(self._table.uris, self._names)),
        ]


def _needs_recording(names: Sequence[str], table: TableLayout) -> bool:
    """Returns whether the recording is named by the table's own name only."""
    return (
        bool(table.same_stem)
        and not _usable(table.uris, names)
        and not ColumnNames(names).recordings()
    )


def _usable(templates: Iterable[str], names: Iterable[str]) -> list[str]:
    """Returns the templates whose columns are all there."""
    folded = {name.strip().casefold() for name in names}
    return [
        text
        for text in templates
        if all(name in folded or name.split(".")[0] in folded for name in _columns(text))
    ]


def _columns(template: str) -> list[str]:
    return [name.casefold() for name in _COLUMN.findall(template)]


def _names(head: Head, table: TableLayout) -> list[str]:
    """Returns the names of a table's own columns."""
    if head.names:
        return [*head.names]
    if table.is_json:
        return head.json_names()
    if table.lines:
        return [*table.words, *table.no_header]
    return head.header(table.header_rows)


def _unread_times(names: Iterable[str], table: TableLayout) -> list[str]:
    """Returns columns of times that the layout does not know."""
    known = {name.casefold() for name in (*table.header, *table.no_header, *table.unread)}
    texts = (*table.columns, *table.if_there, *table.uris)
    known |= {name for text in texts for name in _columns(text)}
    others = [name for name in names if name.strip().casefold() not in known]
    return ColumnNames(others).all_times()


def _own_mapping(table: TableLayout, names: Sequence[str]) -> ColumnMapping:
    columns = [*table.columns, *_usable(table.if_there, names)]
    if RECORDING in names:
        columns.append(f"uri={{{RECORDING}}}")
    header = table.no_header
    if table.words:
        header = (LINE,)
    elif table.header_rows > 1:
        header = tuple(name for name in names if not name.startswith("@"))
    return dataclasses.replace(
        ColumnMapping.of(columns), header=header, rest_in_last=table.rest_in_last
    )
