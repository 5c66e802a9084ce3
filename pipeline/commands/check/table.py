"""The findings of the launcher and of many workers as one table."""

from collections.abc import Iterable, Sequence

from pipeline.terminal.wrapping import wrap
from transforms.preflight.findings import FAILED, NOTE, OK, Finding, Placed, text

LAUNCHER = "launcher"
WORKERS = "workers"  # no certain one of them
_MAX_NAMED = 3


def table(placed: Sequence[Placed], num_workers: int) -> str:
    """Returns the table and a last line with the result.

    Args:
      placed: The findings in the order of rows. Equal findings of workers become one row.
      num_workers: The number of processes that have reported.
    """
    rows = list(_merged(placed))
    named = [
        (finding.result, finding.check, _where(where, num_workers), text(findings))
        for where, findings in rows
        for finding in findings[:1]
    ]
    head = ("result", "check", "where", "finding")
    widths = [max(len(row[column]) for row in [head, *named]) for column in range(3)]
    lines = [_line(head, widths)]
    for row, (_, findings) in zip(named, rows, strict=True):
        indent = " " * len(_line((*row[:3], ""), widths))
        lines += wrap(_line(row, widths), others=indent)
        if findings[0].hint and findings[0].result != OK:
            lines += wrap(findings[0].hint, f"{indent}-> ", f"{indent}   ")
    return "\n".join([*lines, "", _result([finding for _, finding in placed])])


def failed(placed: Iterable[Placed]) -> list[str]:
    """Returns the checks that failed somewhere, each once."""
    return list(dict.fromkeys(each.check for _, each in placed if each.result == FAILED))


def _merged(placed: Sequence[Placed]) -> Iterable[tuple[list[str], list[Finding]]]:
    """Returns findings that are equal but for figures, and where they were made, by check."""
    groups: dict[tuple[object, ...], tuple[list[str], list[Finding]]] = {}
    for where, finding in placed:
        key = (where == LAUNCHER, finding.check, finding.result, finding.text, finding.hint)
        where_found, findings = groups.setdefault(key, ([], []))
        where_found.append(where)
        findings.append(finding)
    checks = list(dict.fromkeys(finding.check for _, finding in placed))
    return sorted(groups.values(), key=lambda group: checks.index(group[1][0].check))


def _where(where: Sequence[str], num_workers: int) -> str:
    if where[0] == LAUNCHER:
        return LAUNCHER
    if len(where) == num_workers:
        return "the worker" if num_workers == 1 else f"all {num_workers} workers"
    more = len(where) - _MAX_NAMED
    return ", ".join(where[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
    return "  ".join([*first, row[3]])


def _result(findings: Sequence[Finding]) -> str:
    bad = failed(("", each) for each in findings)
    notes = list(dict.fromkeys(each.check for each in findings if each.result == NOTE))
    after = f"; notes: {', '.join(notes)}" if notes else ""
    if bad:
        return f"FAILED: {', '.join(bad)}{after}"
    return f"all checks passed{after}"
