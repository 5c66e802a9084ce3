"""The rows of a table of a known layout: what they get besides their own columns, and faults."""

import posixpath
from collections.abc import Iterator, Mapping

from transforms.corpus.clips import printable
from transforms.corpus.layouts.catalogue import TableLayout, expression
from transforms.corpus.layouts.lookups import read_lookup
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.json_lines import json_text
from transforms.corpus.manifests.line_reader import BadLine
from transforms.corpus.manifests.recording_uris import RecordingFolder
from transforms.corpus.manifests.tables import Row
from transforms.corpus.manifests.templates import Placeholder, find_value
from transforms.corpus.times import parse_seconds
from transforms.storage import files

# Names of columns that rows get; no column of a table has an @.
RECORDING = "@recording"
ROOT = "@root"
LENGTH = "@length"
# The whole line, where its first word is a column and the rest another.
LINE = "@line"
# Suffixes that are tried where a name has none, in this order.
SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".mp4", ".webm", ".mkv", ".aac")
_MAX_SHOWN = 80


class LayoutRows:
    """Prepares the rows of a table.

    Args:
      name: Name of the layout.
      table: Kind of the table.
      uri: Path or URL of the table.
      given: Columns that every row gets, and their values.

    Attributes:
      added: Names of the columns that rows get.

    Raises:
      ManifestError: A further table of the layout is invalid or absent.
    """

    def __init__(self, name: str, table: TableLayout, uri: str, given: Mapping[str, str]) -> None:
        self._name = name
        self._table = table
        self._given = dict(given)
        found = [(lookup, read_lookup(lookup, uri)) for lookup in table.lookups]
        self._lookups = [(lookup, values) for lookup, values in found if values is not None]
        self.added = (
            *given,
            *(lookup.into for lookup, _ in self._lookups),
            *table.words,
            *([LENGTH] if table.length else []),
        )
        self._firsts: dict[str, object] = {}
        self._cells = [(column, expression(text)) for column, text in table.cells]
        self._refused = [
            (_key(column), expression(text), why) for column, text, why in table.refused
        ]
        self._skipped = expression(table.skipped_lines) if table.skipped_lines else None

    def prepared(self, rows: Iterator[Row], num_lines_before: int = 0) -> Iterator[Row]:
        """Yields the rows; a row that is not as in the layout as a bad line.

        Args:
          rows: Rows as the table has them.
          num_lines_before: Number of lines before the first one that was read.
        """
        for number, record in rows:
            line = number + num_lines_before
            if isinstance(record, BadLine):
                yield line, record
            elif not self._skipped or not self._skipped.match(str(next(iter(record.values()), ""))):
                yield line, self._prepared(record)

    def _prepared(self, record: dict[str, object]) -> dict[str, object] | BadLine:
        table = self._table
        if table.words:
            words = str(record.pop(LINE, "")).split(maxsplit=len(table.words) - 1)
            if len(words) < len(table.words):
                return BadLine(f"{len(words)} words (expected {' '.join(table.words)})")
            record |= zip(table.words, (word.strip() for word in words), strict=True)
        record |= self._given
        for column, prefix in table.prefixes:
            value = record.get(column)
            if isinstance(value, str):
                record[column] = value.removeprefix(prefix)
        for lookup, values in self._lookups:
            key = find_value(record, _key(lookup.key))
            found = values.get(key) if isinstance(key, str) else None
            if found is None and lookup.is_required:
                return BadLine(f"{lookup.key}={str(key)[:_MAX_SHOWN]!r} has no {lookup.into}")
            record[lookup.into] = found
        if table.length:
            record[LENGTH] = _difference(*(record.get(name) for name in table.length))
        fault = self._fault(record)
        return BadLine(fault) if fault else record

    def _fault(self, record: dict[str, object]) -> str:
        for column, pattern in self._cells:
            value = record.get(column)
            text = value.strip() if isinstance(value, str) else json_text(value)
            if not pattern.fullmatch(text):
                return f"{column}={text[:_MAX_SHOWN]!r} is not as in the layout {self._name}"
        for column in self._table.one_recording:
            if column in record and record[column] != self._firsts.setdefault(
                column, record[column]
            ):
                return (
                    f"{column} is not that of the first row: the times may be those of all"
                    " recordings together, which the column File Offset (s) would tell"
                )
        for placeholder, pattern, why in self._refused:
            value = find_value(record, placeholder)
            if value not in (None, "", [], {}) and pattern.search(
                value if isinstance(value, str) else json_text(value)
            ):
                return f"{why} ({placeholder.column} of the layout {self._name})"
        return ""


def find_same_stem(table: TableLayout, uri: str, folder: RecordingFolder) -> str | None:
    """Returns the name of the recording with a table's own name; None if there is none.

    Args:
      table: Kind of the table.
      uri: Path or URL of the table.
      folder: Folder of the recording.

    Raises:
      ManifestError: There are several.
    """
    name = posixpath.basename(uri)
    match = expression(table.same_stem).search(name)
    if match is None:
        return None
    stem = name[: match.start()]
    names = [stem + suffix for each in SUFFIXES for suffix in (each, each.upper())]
    found = [each for each in names if files.exists(folder.find(each)[0])]
    if len(found) > 1:
        shown = ", ".join(map(printable, found))
        raise ManifestError(f"several recordings have the table's name ({shown}): rename one")
    return found[0] if found else None


def _difference(start: object, end: object) -> str | None:
    """Returns the difference of two times in seconds; None if one is invalid."""
    try:
        return str(parse_seconds(str(end)) - parse_seconds(str(start)))
    except ValueError:
        return None


def _key(column: str) -> Placeholder:
    return Placeholder(column, (), column)
