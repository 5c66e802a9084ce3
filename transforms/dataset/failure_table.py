"""The failure table: a JSON line a failed clip."""

import dataclasses
import heapq
import json
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from transforms.corpus.clips import Failure, printable


@dataclasses.dataclass(frozen=True)
class FailureFile:
    """A part of a failure table that was written under a temporary name.

    Attributes:
      split: Whose table it is a part of.
      path: Where it is.
      num_failures: Its lines.
    """

    split: str
    path: str
    num_failures: int


def failure_table_name(name: str) -> str:
    """Returns the table's file name."""
    return f"{name}-failures.jsonl"


def failure_lines(failures: Iterable[Failure]) -> Iterator[bytes]:
    """Yields the lines of a table, UTF-8, sorted by id.

    A line is an object of `id`, `uri`, `step`, `reason` and `message`. Where a manifest asked for
    the clip it has `manifest` and `line` as well, and `context` with its other columns.
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
    """Yields the lines of sorted parts of a table, sorted; they are never all in memory."""
    return heapq.merge(*files, key=_order)


def _order(line: bytes) -> tuple[str, ...]:
    fields = json.loads(line)
    return tuple(fields[name] for name in ("id", "uri", "step", "reason", "message"))
