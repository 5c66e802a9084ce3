"""CheckWorkers: checks every worker process, which reports through a folder."""

import dataclasses
import os
import re
import socket
import threading
from collections.abc import Iterator

import apache_beam as beam
from apache_beam import pvalue

from transforms.metrics import host
from transforms.preflight import report_files, worker_checks
from transforms.preflight.findings import Report
from transforms.preflight.worker_checks import WorkerCheckConfig
from transforms.storage import files

_SUFFIX = ".json"
_ONCE = threading.Lock()
# The result of the latest check of this process, by its folder: the error, if it cannot report.
_ended: dict[str, OSError | None] = {}


@dataclasses.dataclass
class CheckWorkers(beam.PTransform):
    """Runs the checks once in each process that gets a task.

    Input: the pipeline. Output: the name of the process of each task. The findings are in files of
    the folder, because no runner returns results to the launcher.

    Attributes:
      config: What to check.
      num_tasks: The number of tasks, more than there are workers, so that each gets one.
    """

    config: WorkerCheckConfig
    num_tasks: int

    def expand(self, pipeline: beam.Pipeline) -> pvalue.PCollection[str]:
        return (
            pipeline
            | beam.Create([*range(self.num_tasks)], reshuffle=False)
            | beam.Reshuffle()
            | beam.ParDo(_CheckFn(self.config))
        )


class _CheckFn(beam.DoFn):
    def __init__(self, config: WorkerCheckConfig) -> None:
        self._config = config

    def process(self, _: int) -> Iterator[str]:
        where = host.process_name()
        folder = self._config.reports
        with _ONCE:  # the model is loaded once, and other threads find the report written
            if folder not in _ended:
                _ended.clear()
                _ended[folder] = _report(self._config, where)
            if error := _ended[folder]:
                raise error
        yield where


def check(config: WorkerCheckConfig) -> Report:
    """Returns the findings of this process."""
    free_memory = host.free_memory()
    findings = worker_checks.all_checks(config)
    return Report(
        host=socket.gethostname(),
        pid=os.getpid(),
        versions=worker_checks.versions(),
        free_memory=free_memory,
        findings=tuple(findings),
    )


def read_reports(folder: str) -> list[Report]:
    """Returns the reports in a folder, in the order of the workers' names.

    Raises:
      OSError: A report cannot be read.
      ValueError: A file is not a report, for example from another version of this program.
    """
    reports = []
    for name in files.list_names(folder):
        if name.endswith(_SUFFIX):
            with files.open_to_read(f"{folder}/{name}") as file:
                reports.append(Report.from_json(file.read()))
    return reports


def _report(config: WorkerCheckConfig, where: str) -> OSError | None:
    """Runs the checks and writes the report; returns the error that prevents it."""
    name = re.sub(r"[^A-Za-z0-9.-]", "_", where)
    try:
        report_files.check_mark(config.reports, where)
        report = check(config)
        report_files.write(f"{config.reports}/{name}{_SUFFIX}", report.to_json(), where)
    except OSError as error:
        return error
    return None
