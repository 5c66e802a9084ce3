"""Cells that contain several labels, with a separator between them or as a printed list.

The separator is chosen once per manifest, not per cell: if one cell is `speech;music`, a comma in
another cell is part of a label.
"""

import collections
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal

from transforms.corpus.manifests.label_lists import NULLS, parse_list, whole_number

# In order of preference: commas occur in labels more often than the others.
SEPARATORS = (";", "|", ",")
# As an option: a cell is one label, unless it is a list.
NO_SEPARATOR = "none"

KnownLabels = Callable[[str], bool]

_SPACED_COMMA = re.compile(r",\s")
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.0*)?", re.ASCII)
_OPENING = frozenset("[({")
_BARE_LISTS = ("[]", "{}")
_MAX_JOINED = 100
_MAX_CACHED = 4096
_MAX_CACHED_CHARACTERS = 200


class LabelReader:
    """Reads the labels of a manifest's rows.

    Args:
      first_cells: Values of the first rows, from which the separator is chosen. If they have none,
        the first value that has one decides.
      is_known: Returns whether a text is a known label. A cell that is one contains no separator.
      separator: The separator; `NO_SEPARATOR` if there is none; None to choose it.

    Attributes:
      separator: Separator of labels; empty if there is none.
    """

    def __init__(
        self,
        first_cells: Iterable[object] = (),
        is_known: KnownLabels | None = None,
        separator: str | None = None,
    ) -> None:
        self._is_known = is_known or _knows_nothing
        self._is_given = separator is not None
        self.separator = "" if separator in (None, NO_SEPARATOR) else separator or ""
        self._is_decided = self._is_given
        self._are_commas_text = False
        self._has_bare_lists = False
        self._has_whole_numbers = False
        self._nulls: dict[str, int] = {}
        # A cache: most cells are equal to an earlier one.
        self._read: dict[str, tuple[str, ...]] = {}
        self._num_lists = 0
        texts = [text for cell in first_cells if isinstance(cell, str) and (text := cell.strip())]
        texts = [text for text in texts if text not in NULLS]
        self._has_bare_lists = _are_bare_lists(texts)
        plain = [text for text in texts if not self._is_list(text)]
        self._decide(plain)
        labels = [label for text in plain for label in self._split(text)]
        self._has_whole_numbers = bool(labels) and all(map(_WHOLE_NUMBER.fullmatch, labels))

    def read(self, value: object) -> tuple[str, ...]:
        """Returns the distinct labels of a row, in order and stripped of surrounding spaces.

        Args:
          value: Text of a cell, or a value of JSON.

        Raises:
          ValueError: The value is none of labels; the message says what is allowed.
        """
        if isinstance(value, str):
            return self._read_text(value.strip())
        if value is None:
            return ()
        parts = value if isinstance(value, list) else [value]
        return self._distinct(_as_text(part) for part in parts if part is not None)

    def notes(self) -> tuple[str, ...]:
        """Returns how labels were read, where that is not plain."""
        return tuple(self._notes())

    def _notes(self) -> Iterator[str]:
        if self._is_given and not self.separator:
            yield "every cell is one label"
        if self._are_commas_text:
            yield "commas are part of labels (--label_separator , splits them)"
        if self._num_lists:
            yield f"{self._num_lists} cells are printed lists of labels"
        if self._nulls:
            counts = ", ".join(f"{count} {text}" for text, count in sorted(self._nulls.items()))
            yield f"{counts} are no label"

    def _decide(self, cells: Sequence[str]) -> None:
        found = None if self._is_decided else find_separator(cells, self._is_known)
        if found:
            self._is_decided = True
            self.separator, self._are_commas_text = found

    def _read_text(self, text: str) -> tuple[str, ...]:
        if not text:
            return ()
        labels = self._read.get(text)
        if labels is not None:
            return labels
        if text in NULLS and not self._is_known(text):
            self._nulls[text] = self._nulls.get(text, 0) + 1
            return ()
        if text[0] in _OPENING or text[-1] == ")":
            items = self._list(text)
            if items is not None:
                self._num_lists += 1
                return self._distinct(items)
        if not self._is_decided:
            self._decide((text,))
        labels = self._split(text)
        if len(self._read) < _MAX_CACHED and len(text) <= _MAX_CACHED_CHARACTERS:
            self._read[text] = labels
        return labels

    def _list(self, text: str) -> list[str] | None:
        """Returns the items of a printed list; None for any other text."""
        if self._is_known(text):
            return None
        items = parse_list(text)
        if items is None and self._has_bare_lists and text[0] + text[-1] in _BARE_LISTS:
            if '"' in text:
                raise ValueError("must have quotes around all of its labels or around none")
            return text[1:-1].split(",")
        return items

    def _is_list(self, text: str) -> bool:
        try:
            return self._list(text) is not None
        except ValueError:  # the row will be a failure
            return True

    def _split(self, text: str) -> tuple[str, ...]:
        separator = self.separator
        if not separator or separator not in text or self._is_known(text):
            return (self._whole(text),) if self._has_whole_numbers else (text,)
        return self._distinct(_joined_known(text.split(separator), separator, self._is_known))

    def _distinct(self, parts: Iterable[str]) -> tuple[str, ...]:
        stripped = (label for part in parts if (label := part.strip()))
        labels = (each for each in stripped if each not in NULLS or self._is_known(each))
        return tuple(dict.fromkeys(map(self._whole, labels) if self._has_whole_numbers else labels))

    def _whole(self, label: str) -> str:
        return label if self._is_known(label) else whole_number(label)


def find_separator(
    cells: Sequence[str], is_known: KnownLabels | None = None
) -> tuple[str, bool] | None:
    """Finds the separator of labels.

    Args:
      cells: Label cells of the manifest.
      is_known: Returns whether a text is a known label. A cell that is one contains no separator.

    Returns:
      The first of `SEPARATORS` that occurs in any of the cells, empty if that is a comma and part
      of the labels, and whether it is; None if no cell has any.
    """
    is_known = is_known or _knows_nothing
    found: set[str] = set()
    with_commas: list[str] = []
    for cell in cells:
        in_cell = [separator for separator in SEPARATORS if separator in cell]
        if in_cell and not is_known(cell.strip()):
            found.update(in_cell)
            with_commas.append(cell)
    if not found:
        return None
    separator = next(separator for separator in SEPARATORS if separator in found)
    if separator == "," and not _do_commas_separate(cells, with_commas, is_known):
        return "", True
    return separator, False


def distinct_labels(parts: Iterable[str]) -> tuple[str, ...]:
    """Strips labels, and drops empty and repeated ones."""
    return tuple(dict.fromkeys(label for part in parts if (label := part.strip())))


def _do_commas_separate(
    cells: Sequence[str], with_commas: Sequence[str], is_known: KnownLabels
) -> bool:
    """Returns whether commas separate labels, rather than being part of them.

    A comma without a space behind it separates. With a space, as in "Male speech, man speaking",
    it separates if the class map knows the parts, or if most parts are found in other cells, too.
    Parts that are one known label count as one.
    """
    num_commas = sum(cell.count(",") for cell in with_commas)
    num_spaced = sum(len(_SPACED_COMMA.findall(cell)) for cell in with_commas)
    if num_spaced * 2 <= num_commas:
        return True
    if is_known is not _knows_nothing:
        split = [_joined_known(cell.split(","), ",", is_known) for cell in with_commas]
        num_known_cells = sum(all(is_known(part.strip()) for part in parts) for parts in split)
        if num_known_cells * 2 > len(split):
            return True
    counts: collections.Counter[str] = collections.Counter()
    for cell in set(with_commas):
        counts.update({part.strip() for part in cell.split(",")})
    whole = {cell.strip() for cell in cells}
    found_elsewhere = [part for part, n in counts.items() if n > 1 or part in whole]
    num_known = sum(map(is_known, counts))
    return max(len(found_elsewhere), num_known) * 2 > len(counts)


def _are_bare_lists(texts: Sequence[str]) -> bool:
    """Returns whether all cells are lists without quotes, as `[dog, cat]` or `{dog,cat}`."""
    return all(text[0] + text[-1] in _BARE_LISTS for text in texts) and any(
        "," in text for text in texts
    )


def _joined_known(parts: Sequence[str], separator: str, is_known: KnownLabels) -> Sequence[str]:
    """Joins parts that are one known label, if all parts thereby become known labels."""
    is_short = is_known is not _knows_nothing and len(parts) <= _MAX_JOINED
    if not is_short or all(is_known(part.strip()) for part in parts):
        return parts
    joined: list[str] = []
    start = 0
    while start < len(parts):
        for end in range(len(parts), start, -1):
            label = separator.join(parts[start:end]).strip()
            if is_known(label):
                break
        else:
            return parts
        joined.append(label)
        start = end
    return joined


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal) and value.is_finite():
        return whole_number(str(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, Decimal):  # NaN
        return ""
    raise ValueError("must be text, or a list of text and numbers")


def _knows_nothing(label: str) -> bool:
    return False
