"""Tables beside the shards: JSON lines sorted by id, and the parts of which they are merged."""

import dataclasses
import heapq
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO

# Kinds of tables.
FAILURES = "failures"
NOTES = "notes"


@dataclasses.dataclass(frozen=True)
class TableFile:
    """A part of a table, written to a temporary file.

    Attributes:
      kind: `FAILURES` or `NOTES`.
      split: Split of the table.
      path: Path of the temporary file.
      num_lines: Number of lines.
    """

    kind: str
    split: str
    path: str
    num_lines: int


def table_name(name: str, kind: str) -> str:
    """Returns the file name of a table of the dataset with this stem of file names."""
    return f"{name}-{kind}.jsonl"


def json_line(fields: Mapping[str, object]) -> bytes:
    """Returns a line of a table, UTF-8."""
    return (json.dumps(fields, ensure_ascii=False) + "\n").encode()


def merge_lines(files: Iterable[BinaryIO]) -> Iterator[bytes]:
    """Merges the lines of sorted parts of a table, without holding them all in memory.

    Args:
      files: The parts. All lines of an id are in one of them.
    """
    return heapq.merge(*files, key=_id_of)


def _id_of(line: bytes) -> str:
    return json.loads(line)["id"]
