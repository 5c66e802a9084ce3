"""CheckWorkers: has every worker process look at itself, and report through a folder."""

import dataclasses
import os
import re
import socket
import threading
from collections.abc import Iterator

import apache_beam as beam
from apache_beam import pvalue

from transforms.corpus.clips import Clip
from transforms.metrics import host
from transforms.model.postprocessing import EMBEDDING_SIZE, Pca
from transforms.model.precision import FLOAT32
from transforms.preflight import report_files, worker_checks
from transforms.preflight.findings import Report
from transforms.storage import files

_SUFFIX = ".json"
_ONCE = threading.Lock()
# How the latest check of this process has ended, by its folder: the error, if it could not report.
_ended: dict[str, OSError | None] = {}


@dataclasses.dataclass(frozen=True)
class WorkerCheckConfig:
    """What workers are to look at.

    Attributes:
      reports: Folder of the reports, of this very check alone, with its mark in it.
      model: Hub URL, SavedModel folder, or archive.
      pca: For 8-bit profiles.
      precision: What the model's convolutions are to compute in.
      clips: Recordings to open.
      channel: From 1, or None for the mean of all.
      probes_output: The folder is in the output: see whether it can be written.
    """

    reports: str
    model: str
    pca: Pca | None = None
    precision: str = FLOAT32
    clips: tuple[Clip, ...] = ()
    channel: int | None = None
    probes_output: bool = True


@dataclasses.dataclass
class CheckWorkers(beam.PTransform):
    """Runs the checks, once in each process that gets a task.

    Input: the pipeline. Output: where the tasks were, a name for each. What was found is in files
    of the folder, because no engine hands results back to the launcher.

    Attributes:
      config: What to look at.
      num_tasks: More than there are workers, so that each gets one.
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
        with _ONCE:  # the model is loaded once, and threads find the report written
            if folder not in _ended:
                _ended.clear()
                _ended[folder] = _report(self._config, where)
            if error := _ended[folder]:
                raise error
        yield where


def look(config: WorkerCheckConfig) -> Report:
    """Returns what this process finds."""
    free_memory = host.free_memory()
    findings = worker_checks.all_checks(
        model=config.model,
        pca=config.pca,
        precision=config.precision,
        wanted_size=EMBEDDING_SIZE if config.pca else None,
        clips=config.clips,
        channel=config.channel,
        folder=config.reports if config.probes_output else None,
    )
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
      OSError: They cannot be read.
      ValueError: A file is no report, as of workers with another version of this program.
    """
    reports = []
    for name in files.list_names(folder):
        if name.endswith(_SUFFIX):
            with files.open_to_read(f"{folder}/{name}") as file:
                reports.append(Report.from_json(file.read()))
    return reports


def _report(config: WorkerCheckConfig, where: str) -> OSError | None:
    """Looks, and writes a report; returns why it could not."""
    name = re.sub(r"[^A-Za-z0-9.-]", "_", where)
    try:
        report_files.check_mark(config.reports, where)
        report = look(config)
        report_files.write(f"{config.reports}/{name}{_SUFFIX}", report.to_json(), where)
    except OSError as error:
        return error
    return None
