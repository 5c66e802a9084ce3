"""Quoted cells that swallow the lines after them: a stray quote up to the next one."""

import re
from collections.abc import Collection, Sequence

from transforms.corpus.manifests.label_lists import parse_list

# Those of `line_reader`.
_LINE_END = re.compile(r"\r\n|\r|\n")
_MAX_SHOWN = 40


def count_line_ends(text: str) -> int:
    """Returns the number of line ends in a text, as the reader of lines counts them."""
    return len(_LINE_END.findall(text))


def find_swallowed_lines(
    line: int, cells: Sequence[tuple[str, object]], understood: Collection[str]
) -> str:
    """Returns why a row of CSV is invalid: a cell with a line end in an understood column.

    No id, path, time, label or split has a line end, but a stray quote makes a cell of all that
    follows up to the next quote, rows included. Free text in other columns may have line ends, and
    so may a list of labels, which NumPy prints over several lines.

    Args:
      line: Number of the row's first line.
      cells: Column and text of each cell, in order.
      understood: Columns with a meaning.

    Returns:
      Explanation for people; empty if the row has no such cell.
    """
    for column, cell in cells:
        if not isinstance(cell, str) or ("\n" not in cell and "\r" not in cell):
            continue
        num_ends = count_line_ends(cell)
        if num_ends and column in understood and not _is_list(cell):
            shown = cell if len(cell) <= _MAX_SHOWN else cell[:_MAX_SHOWN] + "…"
            return (
                f"{column.strip()}={shown!r} is a quoted cell from line {line} to line"
                f" {line + num_ends}, so these lines are one row (allowed: a cell in one line);"
                f" remove the quote in line {line} or close it there, or write JSON lines if the"
                " value has line ends"
            )
        line += num_ends
    return ""


def _is_list(cell: str) -> bool:
    try:
        return parse_list(cell.strip()) is not None
    except ValueError:
        return False
