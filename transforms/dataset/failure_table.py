"""The failure table: one JSON line per failed clip."""

import dataclasses
import heapq
import json
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from transforms.corpus.clips import Failure, printable


@dataclasses.dataclass(frozen=True)
class FailureFile:
    """A part of a failure table, written to a temporary file.

    Attributes:
      split: Split of the table.
      path: Path of the temporary file.
      num_failures: Number of lines.
    """

    split: str
    path: str
    num_failures: int


def failure_table_name(name: str) -> str:
    """Returns the file name of the table."""
    return f"{name}-failures.jsonl"


def failure_lines(failures: Iterable[Failure]) -> Iterator[bytes]:
    """Yields the lines of a table, UTF-8, sorted by id.

    Each line is an object with `id`, `uri`, `step`, `reason` and `message`, and for a clip of a
    manifest also with `manifest`, `line`, and `context`, its other columns.
    """
    for failure in sorted(failures):
        fields: dict[str, object] = {
            name: printable(getattr(failure, name))
            for name in ("id", "uri", "step", "reason", "message")
        }
        if failure.manifest:
            fields |= {"manifest": failure.manifest, "line": failure.line}
        if failure.columns:
            fields["context"] = {name: printable(value) for name, value in failure.columns}
        yield (json.dumps(fields, ensure_ascii=False) + "\n").encode()


def merge_lines(files: Iterable[BinaryIO]) -> Iterator[bytes]:
    """Merges the lines of sorted parts of a table, without holding them all in memory."""
    return heapq.merge(*files, key=_sort_key)


def _sort_key(line: bytes) -> tuple[str, ...]:
    fields = json.loads(line)
    return tuple(fields[name] for name in ("id", "uri", "step", "reason", "message"))
