"""The command `check`: would this `embed` work, on this machine and on the runner's workers?"""

import contextlib
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.commands import engine_choice, lifecycle, resources
from pipeline.commands.check import table
from pipeline.commands.check.first_recordings import first_recordings
from pipeline.commands.check.table import LAUNCHER, WORKERS
from pipeline.commands.lifecycle import Session
from pipeline.commands.validation import check_model, check_within_reach, corpus_of
from pipeline.errors import UsageError
from pipeline.folders.output_folder import OutputFolder
from pipeline.folders.report_folder import ReportFolder
from pipeline.options.declaration import shared_values
from pipeline.options.settings import EmbedSettings
from pipeline.runners import runner
from pipeline.runners.options import is_elsewhere, is_local, num_workers, runner_name
from pipeline.terminal import summary
from transforms.corpus.clips import Clip, printable
from transforms.corpus.manifests.errors import ManifestError
from transforms.model.choosing import Engine, EngineChoice
from transforms.model.engines import TENSORFLOW
from transforms.model.errors import ModelError
from transforms.model.postprocessing import RELEASED_PCA_SHA256, Pca
from transforms.model.sources.pca import load_pca
from transforms.preflight import worker_checks
from transforms.preflight.check_workers import CheckWorkers, read_reports
from transforms.preflight.findings import FAILED, NOTE, OK, Finding, Placed, Report
from transforms.preflight.report_files import CANNOT_REPORT
from transforms.preflight.worker_checks import WorkerCheckConfig

_MAX_TASKS = 32
_TASKS_PER_WORKER = 2
# Python's messages on workers that have another program than the launcher.
_NO_PROGRAM = re.compile(r"No module named '(transforms|pipeline)|Can't get attribute")


def run(settings: EmbedSettings, beam_flags: Sequence[str]) -> int:
    """Checks launcher and workers, prints a table, and returns the exit status.

    Args:
      settings: The options of the `embed` that is checked.
      beam_flags: The other flags, for Beam.

    Raises:
      UsageError: The flags themselves are wrong.
    """
    return lifecycle.run(settings, beam_flags, _check)


def _check(session: Session) -> int:
    with contextlib.ExitStack() as stack:
        launcher = _Launcher(session, stack)
        findings = [(LAUNCHER, each) for each in launcher.findings()]
        reports, of_workers = _check_workers(session, launcher.worker_config())
    findings += of_workers
    print(table.table(findings, len(reports)), flush=True)
    return summary.JOB_BROKE if table.failed(findings) else summary.SUCCESS


class _Launcher:
    """The checks of the launcher, and the configuration of those of the workers.

    Args:
      session: The command.
      stack: Takes the folder of the reports, which is removed when the stack is closed.
    """

    def __init__(self, session: Session, stack: contextlib.ExitStack) -> None:
        self._settings = session.settings
        self._options = session.options
        self._stack = stack
        self._reports: str | None = None
        self._can_write = False
        self._has_runner = False
        self._pca: Pca | None = None
        self._clips: tuple[Clip, ...] = ()
        self._engine: Engine = session.settings.engine

    def findings(self) -> Iterator[Finding]:
        versions = worker_checks.versions()
        yield Finding("versions", OK, ", ".join(f"{name} {versions[name]}" for name in versions))
        yield self._check_runner()
        yield self._check_corpus()
        yield self._choose_engine()
        if self._settings.profile.quantised:
            yield self._load_pca()
        yield self._check_output()
        yield resources.disk_of_output(self._settings)

    def worker_config(self) -> WorkerCheckConfig | None:
        """Returns what workers have to check; None where they cannot run or report."""
        if not self._has_runner:
            return None
        if self._reports is None and is_local(self._options):
            self._reports = self._stack.enter_context(ReportFolder.temporary()).path
        if self._reports is None:
            return None
        found = {
            "reports": self._reports,
            "pca": self._pca,
            "clips": self._clips,
            "engine": self._engine,
            "probes_output": self._can_write,
        }
        return WorkerCheckConfig(**shared_values(self._settings, WorkerCheckConfig) | found)

    def _check_runner(self) -> Finding:
        name = runner_name(self._options) or "the local runner"
        try:
            runner.check(self._options)
        except UsageError as error:
            return Finding("runner", FAILED, str(error))
        self._has_runner = True
        return Finding("runner", OK, name)

    def _check_corpus(self) -> Finding:
        try:
            check_within_reach(self._options, self._settings)
            corpus = corpus_of(self._settings)
            check_model(self._settings, is_elsewhere(self._options))
            self._clips = first_recordings(corpus)
        except (UsageError, ManifestError, OSError) as error:
            return Finding("corpus", FAILED, str(error))
        if not self._clips:
            return Finding(
                "corpus",
                NOTE,
                "its beginning names no recording",
                "check the manifests: none of their first rows is valid",
            )
        return Finding("corpus", OK, f"found; {len(self._clips)} of its recordings are checked")

    def _choose_engine(self) -> Finding:
        try:
            choice = engine_choice.find(self._settings, self._options)
        except (UsageError, ModelError) as error:
            return Finding("engine", FAILED, str(error))
        self._engine = choice
        return Finding("engine", OK, engine_choice.description(choice))

    def _load_pca(self) -> Finding:
        try:
            self._pca = load_pca(self._settings.pca)
        except ModelError as error:
            return Finding("pca", FAILED, str(error))
        is_released = self._pca.sha256 == RELEASED_PCA_SHA256
        which = "the released file" if is_released else "not the released file"
        return Finding("pca", OK, f"{which}, sha256 {self._pca.sha256[:12]}")

    def _check_output(self) -> Finding:
        settings = self._settings
        output = OutputFolder(settings.output, settings.name, settings.overwrite)
        try:
            output.check(to_write=True)
            folder = ReportFolder.inside(output.path, settings.name)
            self._reports = self._stack.enter_context(folder).path
            self._can_write = True
            return worker_checks.check_output(self._reports)
        except UsageError as error:
            return Finding("output", FAILED, str(error))
        except OSError as error:
            label = f"--output={printable(settings.output)}"
            found = f"{label} cannot be written: {error.strerror or error}"
            return Finding("output", FAILED, found, "choose a folder that you may write to")


def _check_workers(
    session: Session, config: WorkerCheckConfig | None
) -> tuple[list[Report], list[Placed]]:
    """Returns the workers' reports, and their findings."""
    if config is None:
        why = "not checked: a failure above keeps them from reporting"
        return [], [(WORKERS, Finding("workers", FAILED, why))]
    num_tasks = min(_MAX_TASKS, _TASKS_PER_WORKER * num_workers(session.options))

    def build(pipeline: Any) -> None:
        _ = pipeline | CheckWorkers(config, num_tasks)

    error: Exception | None = None
    try:
        session.complete_job(build)
    except Exception as caught:
        error = caught
    reports, broken = _reports_of(config.reports, error)
    own = worker_checks.versions()
    placed = [(WORKERS, each) for each in broken]
    for report in reports:
        placed.append((report.where, worker_checks.compare_versions(report.versions, own)))
        placed += [(report.where, each) for each in report.findings]
    engine = config.engine.engine if isinstance(config.engine, EngineChoice) else TENSORFLOW
    return reports, placed + resources.memory_of_workers(reports, engine)


def _reports_of(folder: str, error: Exception | None) -> tuple[list[Report], list[Finding]]:
    """Returns the reports, and the findings about the job itself."""
    broken = []
    if error is not None:
        broken.append(_failed_job(summary.explanation(error)))
    reports = []
    try:
        reports = read_reports(folder)
    except (OSError, ValueError) as why:
        broken.append(Finding("workers", FAILED, f"their reports cannot be read: {why}"))
    if not (reports or broken):
        found = "the job is done, but the launcher sees no report of a worker"
        hint = "choose an --output that all machines share, or an object storage"
        broken.append(Finding("workers", FAILED, found, hint))
    return reports, broken


def _failed_job(explanation: str) -> Finding:
    """Returns the finding of a job that failed; a long explanation is printed before the table."""
    check = "output" if CANNOT_REPORT in explanation else "workers"
    lines = explanation.splitlines()
    if len(lines) == 1:
        return Finding(check, FAILED, explanation)
    print(explanation, file=sys.stderr)
    hint = "the whole error is printed above the table"
    if _NO_PROGRAM.search(explanation):
        hint = (
            "the workers lack this program, or have another version of it: send it with"
            " --setup_file, or build their image again"
        )
    return Finding(check, FAILED, f"the job failed: {lines[-1].strip()}", hint)
