"""Known layouts: how public data sets and annotation tools name their recordings and labels.

A layout is one JSON file beside this module: data, not code. `Layout`, `TableLayout`,
`FolderLayout` and `Lookup` name its keys; docs/layouts.md lists all layouts.
"""

import dataclasses
import functools
import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
# In place of a name: tables are read by the names of their columns only.
NO_LAYOUT = "none"


@dataclasses.dataclass(frozen=True)
class Lookup:
    """A second table beside the first one, from which columns are added.

    Attributes:
      key: Column of the first table whose value is looked up.
      into: Name of the added column.
      files: Names of the second table; the first that exists is read.
      replace: Part of the first table's name, and what stands there in the second one's; instead of
        `files`.
      is_required: Whether every row must be found.
      format: `words` (key, blank, value) or `jsonl` (objects whose key is `id`).
    """

    key: str
    into: str
    files: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    is_required: bool = True
    format: str = "words"


@dataclasses.dataclass(frozen=True)
class TableLayout:
    """One kind of table of a layout.

    Attributes:
      files: Patterns of the names of files that are recognised, in lower case and without the
        suffix of a compression; empty for any name.
      is_recognised: Whether a table is recognised without `--layout`.
      header: Columns that the table has.
      more_columns: Whether the table may have further columns.
      is_json: Whether the table is JSON, and `header` the names in its first object.
      no_header: Names of the columns of a table without a header; `lines` is needed.
      lines: Expression that every line matches at its beginning.
      header_rows: Number of lines of the header, more than one if names are in parts: `set.split`.
      words: Names of the first words of a line and of the rest of it; instead of a header.
      skipped_lines: Expression of lines that are no row.
      has_root_line: Whether the first line is the folder of the recordings.
      columns: What the columns mean, as in `--columns`.
      if_there: The same for columns that not every table has; left out where they are absent.
      unread: Columns that look like times and have no meaning for clips.
      uris: Templates of the recording's name, tried in order; the suffix `.*` stands for several.
      cut_uris: Templates of files that hold the clip only, so that times are those of another file;
        tried before `uris`.
      folders: Folders of the recordings relative to the table's own, tried in order.
      same_stem: Expression for the end of the table's name; what is before it is the name of its
        recording without suffix. Used where no column names the recording.
      prefixes: Column, and texts that are removed from its beginning.
      label_separator: Separator of the labels in a cell, `none` if a cell is one label.
      rest_in_last: Whether further cells of a row belong to the last column.
      cells: Column, and the expression that its values match; other values contradict the layout.
      refused: Column, expression of values with which a row cannot be read, and why not.
      length: Columns whose difference is the column `@length` of rows.
      one_recording: Columns that have one value in all rows: their times are those of several
        recordings together otherwise.
      lookups: Further tables.
    """

    files: tuple[str, ...] = ()
    is_recognised: bool = True
    header: tuple[str, ...] = ()
    more_columns: bool = False
    is_json: bool = False
    no_header: tuple[str, ...] = ()
    lines: str = ""
    header_rows: int = 1
    words: tuple[str, ...] = ()
    skipped_lines: str = ""
    has_root_line: bool = False
    columns: tuple[str, ...] = ()
    if_there: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    cut_uris: tuple[str, ...] = ()
    folders: tuple[str, ...] = (".",)
    same_stem: str = ""
    prefixes: tuple[tuple[str, str], ...] = ()
    label_separator: str | None = None
    rest_in_last: bool = False
    cells: tuple[tuple[str, str], ...] = ()
    refused: tuple[tuple[str, str, str], ...] = ()
    length: tuple[str, ...] = ()
    one_recording: tuple[str, ...] = ()
    lookups: tuple[Lookup, ...] = ()


@dataclasses.dataclass(frozen=True)
class FolderLayout:
    """A layout of recordings below a folder.

    Attributes:
      path: Expression of the whole path below the input; its named groups are columns.
      shown: The same for people, as `GENRE/GENRE.00000.wav`.
      columns: What the groups mean: templates of `id`, `labels` and `split`.
    """

    path: str
    shown: str
    columns: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Layout:
    """A known layout.

    Attributes:
      name: Name, as `--layout` takes it.
      description: A line about the data set or tool, and what the labels are.
      source: URL of its own description.
      commands: Flags of `embed` that read it, for the documents.
      tables: Its tables.
      folders: Its folders of recordings; the first whose expression matches a path counts.
    """

    name: str
    description: str
    source: str
    commands: tuple[str, ...]
    tables: tuple[TableLayout, ...] = ()
    folders: tuple[FolderLayout, ...] = ()


@functools.cache
def layouts() -> dict[str, Layout]:
    """Returns all layouts by name, in the order of their names."""
    found = (
        _layout(path.stem, json.loads(path.read_text("utf-8"))) for path in FOLDER.glob("*.json")
    )
    return {layout.name: layout for layout in sorted(found, key=lambda layout: layout.name)}


def table_names() -> tuple[str, ...]:
    """Returns the names of layouts with tables."""
    return tuple(name for name, layout in layouts().items() if layout.tables)


def folder_names() -> tuple[str, ...]:
    """Returns the names of layouts with folders."""
    return tuple(name for name, layout in layouts().items() if layout.folders)


@functools.cache
def expression(text: str) -> "re.Pattern[str]":
    """Returns the compiled expression of a layout."""
    return re.compile(text)


def _layout(name: str, values: dict[str, Any]) -> Layout:
    tables = tuple(_table(each) for each in values.pop("tables", ()))
    folders = tuple(FolderLayout(**_tuples(each)) for each in values.pop("folders", ()))
    return Layout(name=name, tables=tables, folders=folders, **_tuples(values))


def _table(values: dict[str, Any]) -> TableLayout:
    lookups = tuple(Lookup(**_tuples(each)) for each in values.pop("lookups", ()))
    return TableLayout(lookups=lookups, **_tuples(values))


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _tuple(value) for name, value in values.items()}


def _tuple(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(value.items())
    return tuple(map(_tuple, value)) if isinstance(value, list) else value
