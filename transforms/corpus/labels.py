"""Class maps: the index of each label, in the format of AudioSet's class_labels_indices.csv."""

import collections
import csv
import dataclasses
import functools
import io
import re
import types
from collections.abc import Iterable

from transforms.corpus.clips import Clip, Failure
from transforms.storage import files

CLASS_MAP_NAME = "class_map.csv"
MAX_CLASS_MAP_BYTES = 2**26
MAX_INDEX = 2**63 - 1  # the largest int64
_MAX_INDEX_DIGITS = 100
_INTEGER = re.compile(r"-?[0-9]{1,100}", re.ASCII)
_HEADER = ("index", "mid", "display_name")


class ClassMapError(ValueError):
    """A file that is not a valid class map; the message says why."""


@dataclasses.dataclass(frozen=True)
class ClassMap:
    """The indices of labels. A label is a class's `mid` or its display name.

    Attributes:
      classes: `(index, mid, display name)` of each class, sorted.
      uri: Path or URL of the file; empty for a map built from labels.

    Example:
      >>> from transforms import ClassMap
      >>> ClassMap(((0, "/m/09x0r", "Speech"), (1, "/m/04rlf", "Music"))).indices(["Music"])
      [1]
    """

    classes: tuple[tuple[int, str, str], ...]
    uri: str = dataclasses.field(default="", compare=False)

    @functools.cached_property
    def _indices(self) -> dict[str, int]:
        names: dict[str, int | None] = {}
        for index, _, name in self.classes:
            # A display name shared by two classes is ambiguous and identifies neither.
            names[name] = None if name in names else index
        by_name = {name: index for name, index in names.items() if index is not None}
        return by_name | {mid: index for index, mid, _ in self.classes}

    def __contains__(self, label: str) -> bool:
        return label in self._indices

    def indices(self, labels: Iterable[str]) -> list[int]:
        """Returns the indices of known labels, sorted and without duplicates."""
        return sorted({self._indices[label] for label in labels})

    def text(self) -> bytes:
        """Returns the map as CSV in UTF-8."""
        lines: list[str] = []
        # Only with its default line ending does the writer quote CR and LF in cells.
        writer = csv.writer(types.SimpleNamespace(write=lines.append))
        writer.writerows([_HEADER, *self.classes])
        return "".join(line.removesuffix("\r\n") + "\n" for line in lines).encode()


def build_class_map(labels: Iterable[str]) -> ClassMap:
    """Returns a class map that numbers the labels in sorted order.

    If all of them are integers, that is the numeric order: 0 to n - 1 keep their numbers.
    """
    distinct = set(labels)
    are_integers = all(map(_INTEGER.fullmatch, distinct))
    ordered = sorted(distinct, key=_by_number) if are_integers else sorted(distinct)
    return ClassMap(tuple((i, label, label) for i, label in enumerate(ordered)))


def _by_number(label: str) -> tuple[int, str]:
    return int(label), label


def read_class_map(path: str) -> ClassMap:
    """Reads a class map.

    Args:
      path: CSV in UTF-8, as AudioSet's class_labels_indices.csv: the columns `index` and at least
        one of `mid` and `display_name`. It may be on a storage backend.

    Raises:
      ClassMapError: The file is not a valid class map.
      OSError: The file cannot be read.

    Example:
      >>> from transforms import read_class_map
      >>> read_class_map(CLASS_MAP).indices(["Speech"])
      [0]
    """
    with files.open_to_read(path) as file:
        data = file.read(MAX_CLASS_MAP_BYTES + 1)
    if len(data) > MAX_CLASS_MAP_BYTES:
        raise ClassMapError(f"more than {MAX_CLASS_MAP_BYTES} bytes")
    return dataclasses.replace(parse_class_map(data), uri=path)


def parse_class_map(data: bytes) -> ClassMap:
    """Parses a class map.

    Args:
      data: CSV in UTF-8 with the columns `index` and at least one of `mid` and `display_name`.

    Raises:
      ClassMapError: The data is not a valid class map.
    """
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ClassMapError(f"not CSV in UTF-8: {error}") from error
    header = [name.strip() for name in rows[0]] if rows else []
    if "index" not in header or not {"mid", "display_name"} & set(header):
        raise ClassMapError(
            f"the first line is {','.join(header)[:200]!r} (expected: {','.join(_HEADER)}, as in"
            " AudioSet's class_labels_indices.csv)"
        )
    classes = [
        _parse_class(dict(zip(header, row, strict=False)), line)
        for line, row in enumerate(rows[1:], start=2)
        if row
    ]
    for position, column in ((0, "index"), (1, "mid")):
        counts = collections.Counter(each[position] for each in classes)
        duplicates = [value for value, count in counts.items() if count > 1]
        if duplicates:
            raise ClassMapError(f"duplicate {column} {duplicates[0]!r}")
    if not classes:
        raise ClassMapError("no classes")
    return ClassMap(tuple(sorted(classes)))


def _parse_class(row: dict[str, str], line: int) -> tuple[int, str, str]:
    index = row.get("index", "").strip()
    # int() raises ValueError for numbers of thousands of digits.
    is_number = index.isascii() and index.isdigit() and len(index) <= _MAX_INDEX_DIGITS
    if not is_number or int(index) > MAX_INDEX:
        raise ClassMapError(
            f"line {line}: index {index[:100]!r} is not an integer from 0 to {MAX_INDEX}"
        )
    mid = row.get("mid", "").strip() or row.get("display_name", "").strip()
    name = row.get("display_name", "").strip() or mid
    if not mid:
        raise ClassMapError(f"line {line}: class {index} has no name")
    return int(index), mid, name


def apply_class_map(clip: Clip, class_map: ClassMap, drop: bool) -> Clip | Failure:
    """Checks a clip's labels against a class map.

    Args:
      clip: Any clip.
      class_map: The known labels.
      drop: Whether to drop unknown labels; otherwise the clip fails.

    Returns:
      The clip with known labels only, or an `unknown_label` failure.
    """
    unknown = [label for label in clip.labels if label not in class_map]
    if not unknown:
        return clip
    if drop:
        return dataclasses.replace(
            clip, labels=tuple(label for label in clip.labels if label in class_map)
        )
    some = ", ".join(repr(label[:100]) for label in unknown[:3]) + ", …" * (len(unknown) > 3)
    message = f"{some}: not in the class map; --unknown_labels=drop drops such labels"
    return clip.failure("plan", "unknown_label", message)
