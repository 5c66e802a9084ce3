"""Cells that contain several labels, with a separator between them.

The separator is chosen once per manifest, not per cell: if one cell is `speech;music`, a comma in
another cell is part of a label.
"""

from collections.abc import Callable, Iterable

# In order of preference: commas occur in labels more often than the others.
SEPARATORS = (";", "|", ",")

KnownLabels = Callable[[str], bool]


def find_separator(cells: Iterable[str], is_known: KnownLabels | None = None) -> str:
    """Finds the separator of labels.

    Args:
      cells: Label cells of the manifest.
      is_known: Returns whether a text is a known label. A cell that is one contains no separator.

    Returns:
      The first of `SEPARATORS` that occurs in any of the cells; empty if none does.
    """
    found: set[str] = set()
    for cell in cells:
        in_cell = [separator for separator in SEPARATORS if separator in cell]
        if in_cell and not (is_known and is_known(cell.strip())):
            found.update(in_cell)
    return next((separator for separator in SEPARATORS if separator in found), "")


def split_labels(cell: str, separator: str, is_known: KnownLabels | None = None) -> tuple[str, ...]:
    """Splits a cell into distinct labels, in order and stripped of surrounding spaces.

    Args:
      cell: Text of the cell; may be empty.
      separator: Result of `find_separator`; empty if the whole cell is one label.
      is_known: As for `find_separator`.
    """
    whole = cell.strip()
    if not separator or separator not in whole or (is_known and is_known(whole)):
        return (whole,) if whole else ()
    return distinct_labels(whole.split(separator))


def distinct_labels(parts: Iterable[str]) -> tuple[str, ...]:
    """Strips labels, and drops empty and repeated ones."""
    return tuple(dict.fromkeys(label for part in parts if (label := part.strip())))
