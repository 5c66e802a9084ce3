"""Reading of tables of known layouts: what their columns mean, and where their recordings are."""

import csv
import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from transforms.corpus.layouts.catalogue import TableLayout
from transforms.corpus.layouts.placing import Naming, Placement, place_recordings
from transforms.corpus.layouts.recognition import Head, Recognised, recognise
from transforms.corpus.layouts.rows import LINE, RECORDING, ROOT, LayoutRows, find_same_stem
from transforms.corpus.manifests import column_names
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.line_reader import BadLine, decode_head
from transforms.corpus.manifests.mapping import NO_MAPPING, URI, ColumnMapping
from transforms.corpus.manifests.recording_uris import recording_folder
from transforms.corpus.manifests.tables import Row

HEAD_BYTES = 1 << 16
_NUM_CHECKED = 20
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
      added: Columns that rows get besides their own.

    Raises:
      ManifestError: The table is not of the layout that the user names, or its layout needs
        another file that is absent.
    """

    def __init__(self, file: BinaryIO, uri: str, request: LayoutRequest) -> None:
        start = _read_head(file)
        head = Head(uri, decode_head(start))
        self._request = request
        self._base = recording_folder(uri, request.audio_root)
        self._rows: LayoutRows | None = None
        self._num_lines_before = 0
        self.file: BinaryIO = _Resumed(start, file)  # type: ignore[assignment]
        self.name = ""
        self.mapping = request.mapping
        self.label_separator: str | None = None
        self.added: tuple[str, ...] = ()
        is_told = bool(request.mapping.templates or request.mapping.header)
        found = None if is_told and request.name is None else recognise(head, request.name)
        if found is None:
            return
        given: dict[str, str] = {}
        if _needs_recording(head, found.table):
            recording = find_same_stem(found.table, uri, self._base)
            if recording is None and request.name is None:
                return
            if recording is None:
                raise ManifestError(
                    f"the layout {found.name} needs a recording with the table's name"
                )
            given[RECORDING] = recording
        if found.table.has_root_line:
            line, _, rest = start.partition(b"\n")
            given[ROOT] = "" if request.audio_root else decode_head(line).strip()
            self.file = _Resumed(rest, file)  # type: ignore[assignment]
            self._num_lines_before = 1
        self._use(found, uri, head, given)

    def _use(self, found: Recognised, uri: str, head: Head, given: dict[str, str]) -> None:
        self.name, self._table = found.name, found.table
        self._rows = LayoutRows(found.name, found.table, uri, given)
        self.added = self._rows.added
        self.mapping = self._request.mapping.over(_own_mapping(head, found.table, self.added))
        self.label_separator = found.table.label_separator

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
        records = [row for _, row in first if not isinstance(row, BadLine)]
        return place_recordings(
            self._namings(), self._table.folders, self._base, self.mapping, header, records
        )

    def _namings(self) -> list[Naming]:
        if any(field == URI for field, _ in self._request.mapping.templates):
            return []
        are_cut = self._request.segments_are_cut
        return [
            *(Naming(text, is_cut=True) for text in self._table.cut_uris),
            *(Naming(text, is_cut=are_cut) for text in self._table.uris),
        ]


class _Resumed:
    """A file of which the beginning has been read already."""

    def __init__(self, start: bytes, file: BinaryIO) -> None:
        self._start = start
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if not self._start:
            return self._file.read(size)
        if size < 0:
            start, self._start = self._start, b""
            return start + self._file.read()
        start, self._start = self._start[:size], self._start[size:]
        return start


def _read_head(file: BinaryIO) -> bytes:
    head = bytearray()
    while len(head) < HEAD_BYTES and (block := file.read(HEAD_BYTES - len(head))):
        head += block
    return bytes(head)


def _needs_recording(head: Head, table: TableLayout) -> bool:
    """Returns whether the recording is named by the table's own name only."""
    return bool(table.same_stem) and not column_names.recording_columns(_names(head, table))


def _names(head: Head, table: TableLayout) -> list[str]:
    if table.is_json:
        return head.json_names()
    if table.lines:
        return [*table.no_header]
    lines = head.lines()
    delimiter = next((each for each in "\t,;|" if lines and each in lines[0]), ",")
    return [name.strip() for name in next(csv.reader(lines[:1], delimiter=delimiter), [])]


def _own_mapping(head: Head, table: TableLayout, added: Sequence[str]) -> ColumnMapping:
    names = {name.casefold() for name in (*_names(head, table), *added)}
    columns = [
        *table.columns,
        *(
            text
            for text in table.if_there
            if all(name.split(".")[0].casefold() in names for name in _COLUMN.findall(text))
        ),
        *([f"uri={{{RECORDING}}}"] if RECORDING in added else []),
    ]
    header = (LINE,) if table.words else table.no_header
    return dataclasses.replace(
        ColumnMapping.of(columns), header=header, rest_in_last=table.rest_in_last
    )
