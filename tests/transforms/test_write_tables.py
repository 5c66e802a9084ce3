"""WriteTables."""

import collections
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest

from tests.memory_filesystem import MemoryFileSystem
from tests.running import outputs
from transforms.corpus.clips import AudioNote, Failure
from transforms.dataset.failure_table import failure_lines
from transforms.dataset.line_reports import line_report
from transforms.dataset.note_table import note_lines
from transforms.dataset.table_files import TableFile, merge_lines
from transforms.metrics.reporting import Totals, report_of, totals_report
from transforms.metrics.run_times import StepTime
from transforms.storage import files
from transforms.write_tables import WriteTables

FAILURES = [
    Failure(
        f"clip {index}",
        f"/in/\udcff{index % 3}",
        "list",
        "invalid_row",
        "why",
        split=("", "train", "test")[index % 3],
        columns=(("note", "ü"),) * (index % 2),
        manifest="/m.csv",
        line=index,
    )
    for index in range(100)
]


NOTES = [
    AudioNote(
        f"clip {index // 2}",
        "/in/\udcff",
        1.5 * (index % 2),
        10.0,
        "a hole",
        split=("", "train", "test")[index // 2 % 3],
    )
    for index in range(100)
]


@pytest.fixture(params=["local", "mem://bucket/staging"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    MemoryFileSystem.objects.clear()
    yield str(tmp_path) if request.param == "local" else request.param
    MemoryFileSystem.objects.clear()


def _written(folder: str, lines: Sequence[Failure | AudioNote]) -> list[TableFile]:
    reports = [line_report(line).value for line in lines]
    (written,) = outputs(_Write(folder), reports, "files")
    return written


class _Write(beam.PTransform):
    def __init__(self, folder: str) -> None:
        self._folder = folder

    def expand(self, reports: Any) -> Any:
        return (reports,) | WriteTables(self._folder)


def _lines(file: TableFile) -> list[bytes]:
    with files.open_to_read(file.path) as opened:
        return opened.read().splitlines(keepends=True)


def test_every_failure_is_a_line_in_a_sorted_part_of_the_table_of_its_split(folder: str) -> None:
    written = _written(folder, FAILURES)
    by_split: dict[str, list[TableFile]] = collections.defaultdict(list)
    for file in written:
        by_split[file.split].append(file)
        ids = [json.loads(line)["id"] for line in _lines(file)]
        assert ids == sorted(ids)
        assert len(ids) == file.num_lines > 0
    assert set(by_split) == {"", "train", "test"}
    for split, parts in by_split.items():
        assert 1 < len(parts) <= 16
        merged = b"".join(merge_lines(io.BytesIO(b"".join(_lines(part))) for part in parts))
        own = [failure for failure in FAILURES if failure.split == split]
        assert merged == b"".join(failure_lines(own))


def test_failures_of_one_id_are_in_one_part_in_their_order(folder: str) -> None:
    same = [Failure("id", f"/{name}", "plan", "duplicate_id", "") for name in "cab"]
    written = _written(folder, [*FAILURES, *same])
    with_id = [file for file in written if any(b'"id": "id"' in line for line in _lines(file))]
    assert len(with_id) == 1
    uris = [json.loads(line)["uri"] for line in _lines(with_id[0])]
    assert [uri for uri in uris if uri in ("/a", "/b", "/c")] == ["/a", "/b", "/c"]


def test_each_attempt_writes_files_of_its_own_with_the_same_lines(folder: str) -> None:
    first, second = (_written(folder, FAILURES) for _ in range(2))
    assert not {file.path for file in first} & {file.path for file in second}
    assert sorted(map(_lines, first)) == sorted(map(_lines, second))


def test_notes_are_tables_of_their_own(folder: str) -> None:
    written = _written(folder, [*FAILURES, *NOTES])
    assert sum(file.num_lines for file in written if file.kind == "failures") == len(FAILURES)
    for split in ("", "train", "test"):
        parts = [file for file in written if (file.kind, file.split) == ("notes", split)]
        assert len(parts) > 1
        merged = b"".join(merge_lines(io.BytesIO(b"".join(_lines(part))) for part in parts))
        own = [note for note in NOTES if note.split == split]
        assert merged == b"".join(note_lines(own))


def test_where_nothing_has_failed_nothing_is_written(folder: str) -> None:
    assert _written(folder, []) == []
    assert files.list_names(folder) == []


def test_totals_of_bundles_are_summed_and_other_reports_pass(folder: str) -> None:
    bundles = [Totals({("count", "", "x"): 2, ("time", "y"): StepTime(1.0, 5.0, 6.0)})]
    bundles += [Totals({("count", "", "x"): 3}), Totals({("count", "train", "x"): 1}), Totals()]
    bundles.append(Totals({("time", "y"): StepTime(2.0, 1.0, 4.0)}))
    reports = [*map(totals_report, bundles), report_of("other", "", 0, "as it is").value]
    (written,) = outputs(_Write(folder), reports, "written")
    assert sorted(written, key=str) == [
        "as it is",
        {
            ("count", "", "x"): 5,
            ("count", "train", "x"): 1,
            ("time", "y"): StepTime(3.0, 1.0, 6.0, 2),
        },
    ]
