"""The failure table: one JSON line per failed clip."""

from collections.abc import Iterable, Iterator

from transforms.corpus.clips import Failure, printable
from transforms.dataset.table_files import FAILURES, json_line, table_name


def failure_table_name(name: str) -> str:
    """Returns the file name of the table."""
    return table_name(name, FAILURES)


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
        yield json_line(fields)
