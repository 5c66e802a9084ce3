"""The command `check`: would this `embed` work, here and on the workers of its engine?"""

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.commands import resources
from pipeline.commands.check import table
from pipeline.commands.check.first_recordings import first_recordings
from pipeline.commands.check.table import LAUNCHER, WORKERS, Placed
from pipeline.commands.validation import check_model, check_within_reach, corpus_of
from pipeline.errors import EngineLostError, JobError
from pipeline.folders.output_folder import OutputFolder
from pipeline.folders.report_folder import ReportFolder
from pipeline.options.settings import EmbedSettings, UsageError
from pipeline.runners import runner
from pipeline.runners.options import (
    beam_options,
    is_elsewhere,
    is_local,
    num_workers,
    runner_name,
)
from pipeline.terminal import summary
from transforms.corpus.clips import Clip, printable
from transforms.corpus.manifests.errors import ManifestError
from transforms.model.errors import ModelError
from transforms.model.postprocessing import RELEASED_PCA_SHA256, Pca, load_pca
from transforms.preflight import worker_checks
from transforms.preflight.check_workers import Asked, CheckWorkers, read_reports
from transforms.preflight.findings import FAILED, NOTE, OK, Finding, Report
from transforms.preflight.report_files import CANNOT_REPORT
from transforms.storage import files

_MAX_TASKS = 32
_TASKS_OF_A_WORKER = 2
# What Python says on workers whose program is not the launcher's.
_NO_PROGRAM = re.compile(r"No module named '(transforms|pipeline)|Can't get attribute")


def run(
    settings: EmbedSettings,
    beam_flag_words: Sequence[str],
    own_flags: Sequence[str],
    verbose: bool = False,
    quiet: bool = False,
) -> int:
    """Checks launcher and workers, prints a table, and returns the exit status.

    Args:
      settings: Of the `embed` that is to follow.
      beam_flag_words: What is left for Beam.
      own_flags: The command's flags, to name the nearest one to a misspelt one.
      verbose: Let through what the engine prints.
      quiet: Do not tell the states of a job that runs elsewhere.

    Raises:
      UsageError: The flags themselves are wrong.
    """
    options = beam_options(beam_flag_words, own_flags)
    files.use_options(options)
    launcher = _Launcher(settings, options)
    try:
        findings = [(LAUNCHER, each) for each in launcher.look()]
        reports, of_workers, is_lost = _ask_workers(launcher, options, verbose, quiet)
    except KeyboardInterrupt:
        launcher.clean_up()
        print("interrupted", file=sys.stderr, flush=True)
        runner.exit_immediately(summary.INTERRUPTED)
    finally:
        launcher.clean_up()
    findings += of_workers
    print(table.table(findings, len(reports)), flush=True)
    status = summary.JOB_BROKE if table.failed(findings) else summary.SUCCESS
    if is_lost:
        runner.exit_immediately(status)
    return status


class _Launcher:
    """What the launcher finds by itself, and what it needs to ask the workers."""

    def __init__(self, settings: EmbedSettings, options: PipelineOptions) -> None:
        self._settings = settings
        self._options = options
        self._output = OutputFolder(settings.output, settings.name, settings.overwrite)
        self._may_write = False
        self._folder: ReportFolder | None = None
        self._pca: Pca | None = None
        self._clips: tuple[Clip, ...] = ()
        self._has_engine = False

    def look(self) -> Iterable[Finding]:
        versions = worker_checks.versions()
        yield Finding("versions", OK, ", ".join(f"{name} {versions[name]}" for name in versions))
        yield self._engine()
        yield self._corpus()
        if self._settings.profile.quantised:
            yield self._load_pca()
        yield self._check_output()
        yield resources.disk_of_output(self._settings)

    def question(self) -> tuple[Asked, int] | None:
        """Returns what workers are to look at and the number of tasks, or None without workers."""
        if not self._has_engine:
            return None
        if self._folder is None and is_local(self._options):
            self._folder = ReportFolder.temporary()
        if self._folder is None:
            return None
        asked = Asked(
            reports=self._folder.path,
            model=self._settings.model,
            pca=self._pca,
            precision=self._settings.precision,
            clips=self._clips,
            channel=self._settings.channel,
            probes_output=self._may_write,
        )
        return asked, min(_MAX_TASKS, _TASKS_OF_A_WORKER * num_workers(self._options))

    def clean_up(self) -> None:
        """Leaves nothing behind."""
        if self._folder is not None:
            self._folder.remove()

    def _engine(self) -> Finding:
        name = runner_name(self._options) or "the local one"
        try:
            runner.check(self._options)
        except UsageError as error:
            return Finding("engine", FAILED, str(error))
        self._has_engine = True
        return Finding("engine", OK, name)

    def _corpus(self) -> Finding:
        try:
            check_within_reach(self._options, self._settings)
            corpus = corpus_of(self._settings)
            check_model(self._settings.model, is_elsewhere(self._options))
            self._clips = first_recordings(corpus)
        except (UsageError, ManifestError, OSError) as error:
            return Finding("corpus", FAILED, str(error))
        if not self._clips:
            return Finding(
                "corpus",
                NOTE,
                "no recording is named at its beginning",
                "look into the manifests: their first rows ask for nothing that could be",
            )
        number = len(self._clips)
        return Finding("corpus", OK, f"it is there; {number} of its recordings are looked at")

    def _load_pca(self) -> Finding:
        try:
            self._pca = load_pca(self._settings.pca, files.open_to_read)
        except ModelError as error:
            return Finding("pca", FAILED, str(error))
        is_released = self._pca.sha256 == RELEASED_PCA_SHA256
        which = "the released file" if is_released else "not the released file"
        return Finding("pca", OK, f"{which}, sha256 {self._pca.sha256[:12]}")

    def _check_output(self) -> Finding:
        label = f"--output={printable(self._settings.output)}"
        try:
            self._output.check()
            self._folder = ReportFolder.inside(self._output.path, self._settings.name)
            self._may_write = True
            return worker_checks.check_output(self._folder.path)
        except UsageError as error:
            return Finding("output", FAILED, str(error))
        except OSError as error:
            text = f"{label} cannot be written: {error.strerror or error}"
            return Finding("output", FAILED, text, "name a folder in which you may write")


def _ask_workers(
    launcher: _Launcher, options: PipelineOptions, verbose: bool, quiet: bool
) -> tuple[list[Report], list[Placed], bool]:
    """Returns the workers' reports, what follows from them, and whether the engine was lost."""
    question = launcher.question()
    if question is None:
        why = "not looked at: what has failed above keeps them from reporting"
        return [], [(WORKERS, Finding("workers", FAILED, why))], False
    asked, num_tasks = question

    def build(pipeline: Any) -> None:
        _ = pipeline | CheckWorkers(asked, num_tasks)

    error: Exception | None = None
    try:
        if not runner.run(options, build, verbose, quiet=quiet):
            why = "the job was not run: leave away the flags that only make a template of it"
            error = JobError(why)
    except Exception as caught:
        error = caught
    reports, broken = _reports_of(asked.reports, error)
    own = worker_checks.versions()
    placed = [(WORKERS, each) for each in broken]
    for report in reports:
        placed.append((report.where, worker_checks.compare_versions(report.versions, own)))
        placed += [(report.where, each) for each in report.findings]
    is_lost = isinstance(error, EngineLostError)
    return reports, placed + resources.memory_of_workers(reports), is_lost


def _reports_of(folder: str, error: Exception | None) -> tuple[list[Report], list[Finding]]:
    """Returns the reports, and what is wrong with the job."""
    broken = []
    if error is not None:
        broken.append(_broken(summary.explanation(error)))
    reports = []
    try:
        reports = read_reports(folder)
    except (OSError, ValueError) as why:
        broken.append(Finding("workers", FAILED, f"their reports cannot be read: {why}"))
    if not (reports or broken):
        text = "the job is done, but no worker's report has come to the launcher"
        hint = "name an --output that all machines share, or an object storage"
        broken.append(Finding("workers", FAILED, text, hint))
    return reports, broken


def _broken(explanation: str) -> Finding:
    """Returns the row of a job that broke; more than a line of it goes to the log of errors."""
    check = "output" if CANNOT_REPORT in explanation else "workers"
    lines = explanation.splitlines()
    if len(lines) == 1:
        return Finding(check, FAILED, explanation)
    print(explanation, file=sys.stderr)
    hint = "the whole error is printed above the table"
    if _NO_PROGRAM.search(explanation):
        hint = (
            "the workers have not got this program, or an older state of it: send it with"
            " --setup_file, or build their image again"
        )
    return Finding(check, FAILED, f"the job broke: {lines[-1].strip()}", hint)
