"""CheckWorkers: one check in a process, and reports through a folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from transforms.preflight import check_workers, worker_checks
from transforms.preflight.check_workers import CheckWorkers, read_reports
from transforms.preflight.findings import OK, Finding
from transforms.preflight.report_files import MARK
from transforms.preflight.worker_checks import WorkerCheckConfig


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The configurations of the checks, which are not run."""
    asked: list[Any] = []

    def checks(config: WorkerCheckConfig) -> Iterator[Finding]:
        asked.append(config)
        yield Finding("codecs", OK, "all")

    monkeypatch.setattr(worker_checks, "all_checks", checks)
    return asked


def test_a_process_checks_once_for_all_its_tasks_and_again_for_the_next_check(
    tmp_path: Path, looks: list[Any]
) -> None:
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / MARK).touch()
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            _ = pipeline | CheckWorkers(
                WorkerCheckConfig(str(folder), "model", probes_output=False), 32
            )
        (report,) = read_reports(str(folder))
        assert report.findings == (Finding("codecs", OK, "all"),)
        assert report.versions == worker_checks.versions()
        assert len(looks) == number
    assert not looks[0].probes_output


def test_another_folder_than_the_launchers_is_an_error_before_any_check(
    tmp_path: Path, looks: list[Any]
) -> None:
    check = check_workers._CheckFn(WorkerCheckConfig(str(tmp_path), "model"))
    for _ in range(2):
        with pytest.raises(
            OSError, match=r"cannot be used from the worker .* this is another folder"
        ):
            list(check.process(0))
    assert looks == []
    assert list(tmp_path.iterdir()) == []


def test_another_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "h-1.json").write_text("{}")
    (tmp_path / "h-1.json.0.tmp").write_text("cut")
    with pytest.raises(ValueError, match="not a worker's report"):
        read_reports(str(tmp_path))
