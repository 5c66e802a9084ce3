"""Running the program, and a transform on a few elements."""

import pickle
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli import main
from transforms.dataset.table_files import FAILURES, NOTES
from transforms.metrics.reporting import (
    COUNT,
    REPORTS,
    TOTALS,
    ReportKey,
    SelectReports,
    Totals,
)
from transforms.read_manifests import MANIFESTS

if TYPE_CHECKING:
    import apache_beam as beam


def embed(output: str | Path, *arguments: object) -> int:
    """Runs `embed` in this process, and returns its exit status."""
    return main(["embed", "--output", str(output), *map(str, arguments)])


def run_program(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs the program as a user does, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=1_200,
        check=False,
        **options,
    )


def embed_measured(output: Path, *arguments: object) -> tuple[int, float]:
    """Runs `embed` in a process of its own; returns the status and its peak memory in MB."""
    program = (
        "import sys\n"
        "from pipeline.cli import main\n"
        "from transforms.metrics import host\n"
        "status = main(['embed', *sys.argv[1:]])\n"
        "print(status, host.peak_memory())\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program, "--output", str(output), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=5_000,
        check=True,
    )
    status, num_bytes = finished.stdout.splitlines()[-1].split()
    return int(status), int(num_bytes) / 2**20


def outputs(transform: "beam.PTransform", elements: Iterable[Any], *tags: str) -> list[list[Any]]:
    """Returns what a transform gives for elements that stay in one bundle: a list for each tag.

    A tag is that of an output, or the kind of reports.

    Works in this process only, where the lists can be filled by reference.
    """
    import apache_beam as beam
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    found: list[list[Any]] = [[] for _ in tags]
    elements = list(elements)
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        # By reference as well: Beam compresses what a pipeline is created with, 1 MB a second.
        start = pipeline | "Start" >> beam.Create([_register(elements)], reshuffle=False)
        kind = beam.Create(elements).infer_output_type(None)
        given = start | beam.FlatMap(_registered).with_output_types(kind) | transform
        for tag, into in zip(tags, found, strict=True):
            output = _output(given, tag)
            token = _register(into)
            _ = output | f"Keep {tag}" >> beam.Map(_append, token)
    return found


def _output(given: Any, tag: str) -> Any:
    """Returns the output with a tag, or the reports of this kind if there is none."""
    from apache_beam import Flatten, pvalue

    if not isinstance(given, (pvalue.DoOutputsTuple, dict)):
        return given
    is_kind = tag in (FAILURES, NOTES, MANIFESTS) and not (isinstance(given, dict) and tag in given)
    found = given[REPORTS if is_kind else tag]
    if is_kind:
        reports = found if isinstance(found, tuple) else (found,)
        return reports | f"Select {tag}" >> SelectReports(tag)
    return found | f"All {tag}" >> Flatten() if isinstance(found, tuple) else found


def reported(reports: Iterable[tuple[ReportKey, bytes]], kind: str) -> list[Any]:
    """Returns the reports of a kind."""
    return [pickle.loads(report) for (each, _, _), report in reports if each == kind]


def totals(reports: Iterable[tuple[ReportKey, bytes]]) -> Totals:
    """Returns the sums of all bundles."""
    found = Totals()
    for each in reported(reports, TOTALS):
        found.add_all(each)
    return found


def counted(reports: Iterable[tuple[ReportKey, bytes]]) -> dict[tuple[str, str], int]:
    """Returns the counts among reports, by split and name."""
    counts = totals(reports).of_kind(COUNT).items()
    return {(split, name): number for (split, name), number in counts}


_LISTS: dict[int, list[Any]] = {}


def _register(into: list[Any]) -> int:
    _LISTS[id(into)] = into
    return id(into)


def _registered(token: int) -> list[Any]:
    return _LISTS[token]


def _append(element: Any, token: int) -> None:
    _LISTS[token].append(element)
