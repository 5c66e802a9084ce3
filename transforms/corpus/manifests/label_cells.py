"""Labels that stand as text in one cell, with something between them.

What stands between them is decided once for a manifest, not cell by cell: where one cell says
`speech;music`, the comma in another is part of a name.
"""

from collections.abc import Callable, Iterable

# In the order in which they are looked for: names hold commas more often than the others.
SEPARATORS = (";", "|", ",")

KnownLabels = Callable[[str], bool]


def find_separator(cells: Iterable[str], is_known: KnownLabels | None = None) -> str:
    """Decides what separates labels.

    Args:
      cells: Some of the manifest's.
      is_known: Tells names of labels. A cell that is one as a whole separates nothing.

    Returns:
      The first of `SEPARATORS` that is in any of the cells; empty if none is.
    """
    found: set[str] = set()
    for cell in cells:
        in_cell = [separator for separator in SEPARATORS if separator in cell]
        if in_cell and not (is_known and is_known(cell.strip())):
            found.update(in_cell)
    return next((separator for separator in SEPARATORS if separator in found), "")


def split_labels(cell: str, separator: str, is_known: KnownLabels | None = None) -> tuple[str, ...]:
    """Returns the labels in a cell, each once, in their order, without spaces around them.

    Args:
      cell: May be empty.
      separator: What `find_separator` found; empty if the whole cell is one label.
      is_known: As there.
    """
    whole = cell.strip()
    if not separator or separator not in whole or (is_known and is_known(whole)):
        return (whole,) if whole else ()
    return distinct_labels(whole.split(separator))


def distinct_labels(parts: Iterable[str]) -> tuple[str, ...]:
    """Strips labels, and leaves out those that are empty or came before."""
    return tuple(dict.fromkeys(label for part in parts if (label := part.strip())))
