"""The failure table: a JSON line a failed clip."""

import dataclasses
import json
from collections.abc import Iterable

from transforms.corpus.clips import Failure, printable


def failure_table_name(name: str) -> str:
    """Returns the table's file name."""
    return f"{name}-failures.jsonl"


def failure_table(failures: Iterable[Failure]) -> bytes:
    """Returns the table, UTF-8, sorted by id: one object a line with the fields of `Failure`."""
    lines = (
        json.dumps(
            {name: printable(value) for name, value in dataclasses.asdict(failure).items()},
            ensure_ascii=False,
        )
        + "\n"
        for failure in sorted(failures)
    )
    return "".join(lines).encode()
