"""Recognition of the layout of a table by its name and its first lines."""

import csv
import dataclasses
import fnmatch
import itertools
import posixpath
from collections.abc import Sequence

from transforms.corpus.layouts.catalogue import (
    NO_LAYOUT,
    Layout,
    TableLayout,
    expression,
    layouts,
)
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.headerless import format_names
from transforms.corpus.manifests.json_documents import first_objects

_COMPRESSIONS = (".gz", ".bz2", ".xz")
_DELIMITERS = ("\t", ",", ";", "|")
_MAX_LINES = 20


@dataclasses.dataclass(frozen=True)
class Recognised:
    """A table of a known layout.

    Attributes:
      name: Name of the layout.
      table: The kind of table.
    """

    name: str
    table: TableLayout


@dataclasses.dataclass(frozen=True)
class Head:
    """The beginning of a table.

    Attributes:
      uri: Path or URL of the table.
      text: Its first characters.
      names: Names of its columns, where it is known to have them: those of Parquet.
    """

    uri: str
    text: str
    names: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """Name in lower case, without the suffix of a compression."""
        name = posixpath.basename(self.uri).casefold()
        stem, suffix = posixpath.splitext(name)
        return stem if suffix in _COMPRESSIONS else name

    def lines(self) -> list[str]:
        """Returns the first lines that are not blank; all but the last are whole."""
        whole = self.text.splitlines()
        whole = whole[:-1] if len(whole) > 1 and not self.text.endswith(("\n", "\r")) else whole
        return [line for line in whole if line.strip()][:_MAX_LINES]

    def header(self, num_rows: int) -> list[str]:
        """Returns the names of the columns, in a header of one line or of several."""
        lines = [line.lstrip("\ufeff") for line in self.lines()[:num_rows]]
        if len(lines) < num_rows:
            return []
        counts = {each: lines[0].count(each) for each in _DELIMITERS}
        delimiter = max(_DELIMITERS, key=lambda each: counts[each])
        try:
            rows = list(csv.reader(lines, delimiter=delimiter))
        except csv.Error:
            return []
        columns = itertools.zip_longest(*rows, fillvalue="")
        return [".".join(part.strip() for part in parts if part.strip()) for parts in columns]

    def json_names(self) -> list[str]:
        """Returns the names in the first objects of JSON."""
        records = first_objects(self.text)
        return list(dict.fromkeys(name for record in records for name in record))


def recognise(head: Head, name: str | None) -> Recognised | None:
    """Finds the layout of a table.

    Args:
      head: The beginning of the table.
      name: Name of the layout as the user gives it; None to recognise it.

    Raises:
      ManifestError: The table is not of the layout that the user names.
    """
    if name == NO_LAYOUT:
        return None
    if name is not None:
        return _named(head, layouts()[name])
    found = [
        (len(table.header), Recognised(layout.name, table))
        for layout in layouts().values()
        for table in layout.tables
        if table.is_recognised and _has_name(head, table) and _matches(head, table)
    ]
    return max(found, key=lambda each: each[0])[1] if found else None


def _named(head: Head, layout: Layout) -> Recognised:
    by_name = sorted(layout.tables, key=lambda table: not _has_name(head, table))
    for table in by_name:
        if _matches(head, table):
            return Recognised(layout.name, table)
    shown = [_expected(table) for table in by_name]
    raise ManifestError(
        f"not a table of the layout {layout.name}, which has {' or '.join(dict.fromkeys(shown))};"
        f" the file begins with {(head.lines() or ['nothing'])[0].strip()[:80]!r}"
    )


def _expected(table: TableLayout) -> str:
    if table.lines:
        return f"lines of {format_names(table.no_header)} without a header"
    return f"the columns {format_names(table.header)}"


def _has_name(head: Head, table: TableLayout) -> bool:
    return not table.files or any(fnmatch.fnmatch(head.file_name, each) for each in table.files)


def _matches(head: Head, table: TableLayout) -> bool:
    if table.lines:
        lines = head.lines()
        if table.has_root_line:
            root, lines = lines[:1], lines[1:]
            if any("\t" in line for line in root):
                return False
        pattern = expression(table.lines)
        skipped = expression(table.skipped_lines or "(?!)")
        lines = [line for line in lines if not skipped.match(line)]
        return bool(lines) and all(map(pattern.match, lines))
    if head.names:
        return not table.is_json and _is_header(head.names, table)
    if table.is_json:
        records = first_objects(head.text)[:1]
        return bool(records) and _is_header([*records[0]], table)
    return _is_header(head.header(table.header_rows), table)


def _is_header(names: Sequence[str], table: TableLayout) -> bool:
    expected = {name.casefold() for name in table.header}
    found = [name.strip().casefold() for name in names]
    return expected <= set(found) and (
        table.more_columns or (len(found) == len(expected) and set(found) == expected)
    )
