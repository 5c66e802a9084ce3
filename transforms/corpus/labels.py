"""Labels and the class map that numbers them, in the format of class_labels_indices.csv."""

import collections
import csv
import dataclasses
import functools
import io
import types
from collections.abc import Iterable

from transforms.corpus.clips import Clip, Failure

CLASS_MAP_NAME = "class_map.csv"
MAX_CLASS_MAP_BYTES = 2**26
MAX_INDEX = 2**63 - 1  # of an int64
_MAX_INDEX_DIGITS = 100
_HEADER = ("index", "mid", "display_name")


class ClassMapError(Exception):
    """The file is no class map; the message says why."""


@dataclasses.dataclass(frozen=True)
class ClassMap:
    """Which label has which index.

    Attributes:
      classes: `(index, mid, display name)`, ascending.
      uri: Of the file that it was read from; empty where there is none.
    """

    classes: tuple[tuple[int, str, str], ...]
    uri: str = dataclasses.field(default="", compare=False)

    @functools.cached_property
    def _indices(self) -> dict[str, int]:
        names: dict[str, int | None] = {}
        for index, _, name in self.classes:
            # A name of two classes names neither.
            names[name] = None if name in names else index
        by_name = {name: index for name, index in names.items() if index is not None}
        return by_name | {mid: index for index, mid, _ in self.classes}

    def __contains__(self, label: str) -> bool:
        return label in self._indices

    def indices(self, labels: Iterable[str]) -> list[int]:
        """Returns the indices of known labels, ascending, each once."""
        return sorted({self._indices[label] for label in labels})

    def text(self) -> bytes:
        """Returns the map as CSV, UTF-8."""
        lines: list[str] = []
        # With its own line end, as it quotes the characters of no other.
        writer = csv.writer(types.SimpleNamespace(write=lines.append))
        writer.writerows([_HEADER, *self.classes])
        return "".join(line.removesuffix("\r\n") + "\n" for line in lines).encode()


def build_class_map(labels: Iterable[str]) -> ClassMap:
    """Returns the map that numbers labels in their order."""
    return ClassMap(tuple((i, label, label) for i, label in enumerate(sorted(set(labels)))))


def parse_class_map(data: bytes) -> ClassMap:
    """Reads a class map.

    Args:
      data: CSV in UTF-8 with the columns `index`, and `mid` or `display_name` or both.

    Raises:
      ClassMapError: It is something else.
    """
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ClassMapError(f"it is not CSV in UTF-8: {error}") from error
    header = [name.strip() for name in rows[0]] if rows else []
    if "index" not in header or not {"mid", "display_name"} & set(header):
        raise ClassMapError(
            f"its first line is {','.join(header)[:200]!r} (wanted: {','.join(_HEADER)}, as in"
            " AudioSet's class_labels_indices.csv)"
        )
    classes = [
        _parse_class(dict(zip(header, row, strict=False)), line)
        for line, row in enumerate(rows[1:], start=2)
        if row
    ]
    for position, what in ((0, "index"), (1, "mid")):
        counts = collections.Counter(each[position] for each in classes)
        twice = [value for value, count in counts.items() if count > 1]
        if twice:
            raise ClassMapError(f"the {what} {twice[0]!r} is there twice")
    if not classes:
        raise ClassMapError("it has no classes")
    return ClassMap(tuple(sorted(classes)))


def _parse_class(row: dict[str, str], line: int) -> tuple[int, str, str]:
    index = row.get("index", "").strip()
    # Python refuses to read numbers of thousands of digits.
    is_number = index.isascii() and index.isdigit() and len(index) <= _MAX_INDEX_DIGITS
    if not is_number or int(index) > MAX_INDEX:
        raise ClassMapError(
            f"line {line}: the index {index[:100]!r} is not a whole number from 0 to {MAX_INDEX}"
        )
    mid = row.get("mid", "").strip() or row.get("display_name", "").strip()
    name = row.get("display_name", "").strip() or mid
    if not mid:
        raise ClassMapError(f"line {line}: the class {index} has no name")
    return int(index), mid, name


def apply_class_map(clip: Clip, class_map: ClassMap, drop: bool) -> Clip | Failure:
    """Holds a clip's labels against the class map.

    Args:
      clip: With any labels.
      class_map: Says which are known.
      drop: Leave unknown labels out; else the clip fails.

    Returns:
      The clip with known labels only, or the failure `unknown_label`.
    """
    unknown = [label for label in clip.labels if label not in class_map]
    if not unknown:
        return clip
    if drop:
        return dataclasses.replace(
            clip, labels=tuple(label for label in clip.labels if label in class_map)
        )
    some = ", ".join(repr(label[:100]) for label in unknown[:3]) + ", …" * (len(unknown) > 3)
    message = f"{some}: not in the class map; --unknown_labels=drop leaves such labels out"
    return clip.failure("plan", "unknown_label", message)
