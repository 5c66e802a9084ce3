"""The command `plan`: the results, failures, time and memory to expect of an `embed`."""

import sys
import time
from collections.abc import Sequence

from pipeline import graph
from pipeline.commands import lifecycle, plan
from pipeline.commands.lifecycle import Session
from pipeline.commands.plan.estimate import Estimate, estimate
from pipeline.commands.plan.survey_job import CorpusSurvey, add_survey, read_survey
from pipeline.commands.plan.table import table
from pipeline.commands.plan.trial_job import Trial, choose, read_trial, trial_job
from pipeline.commands.validation import PreparedRun, prepare_run
from pipeline.errors import UsageError
from pipeline.folders.report_folder import ReportFolder
from pipeline.options.settings import EmbedSettings
from pipeline.runners.options import is_elsewhere, is_local, num_workers
from pipeline.terminal import summary
from transforms.corpus.clips import printable

_IMPORT_SECONDS = time.monotonic() - plan.IMPORT_STARTED


def run(settings: EmbedSettings, beam_flags: Sequence[str]) -> int:
    """Surveys the corpus, embeds a few clips, prints the plan, and returns the exit status.

    Args:
      settings: The options of the `embed` that is planned.
      beam_flags: The other flags, for Beam.

    Raises:
      UsageError: The options are refused; nothing has been started.
    """
    return lifecycle.run(settings, beam_flags, _plan)


def _plan(session: Session) -> int:
    settings = session.settings
    prepared = prepare_run(settings, session.options)
    with _report_folder(session, prepared) as folder:
        planned = _Planning(session, prepared, folder.path).plan()
    print(table(planned), flush=True)
    return _status(planned, settings.max_failed_ratio)


def _report_folder(session: Session, prepared: PreparedRun) -> ReportFolder:
    if not is_elsewhere(session.options):
        return ReportFolder.temporary()
    try:
        return ReportFolder.inside(prepared.output.path, session.settings.name)
    except OSError as error:
        label = f"--output={printable(session.settings.output)}"
        raise UsageError(f"{label} cannot be written: {error.strerror or error}") from error


class _Planning:
    """The survey and the trial, on the runner of the options."""

    def __init__(self, session: Session, prepared: PreparedRun, folder: str) -> None:
        self._session = session
        self._settings = session.settings
        self._prepared = prepared
        self._folder = folder
        self._framing = graph.framing_config(session.settings)

    def plan(self) -> Estimate:
        """Runs both jobs."""
        began = time.monotonic()
        seconds_before = _IMPORT_SECONDS + began - self._session.started
        found = self._survey()
        options = self._session.options
        if is_local(options):
            # A run lists the corpus, too, but opens no headers for it. On other runners this time
            # cannot be separated from that of starting the runner.
            in_headers = found.opened.header_seconds / num_workers(options)
            seconds_before += max(0.0, time.monotonic() - began - in_headers)
        return estimate(self._settings, found, self._try(found), seconds_before)

    def _survey(self) -> CorpusSurvey:
        self._say("listing the corpus and opening recordings")
        corpus = self._prepared.corpus
        self._session.complete_job(
            lambda pipeline: add_survey(pipeline, corpus, self._framing, self._folder)
        )
        return read_survey(self._folder)

    def _try(self, found: CorpusSurvey) -> Trial | None:
        chosen = choose(found.opened.candidates, self._framing)
        if not chosen:
            return None
        job = trial_job(self._settings, self._prepared, chosen, self._folder)
        self._say(f"embedding clips of {len(chosen):,} recordings")
        started = time.monotonic()
        self._session.complete_job(lambda pipeline: graph.build(pipeline, job))
        seconds = time.monotonic() - started
        return read_trial(self._folder, self._settings.name, chosen, self._framing, seconds)

    def _say(self, what: str) -> None:
        if not self._settings.quiet:
            print(f"{what} …", file=sys.stderr, flush=True)


def _status(planned: Estimate, max_failed_ratio: float) -> int:
    if planned.num_failed <= max_failed_ratio * planned.num_clips:
        return summary.SUCCESS
    print(
        f"of {planned.num_clips:,.0f} clips {planned.num_failed:,.0f} would fail, more than"
        f" --max_failed_ratio={max_failed_ratio:g} allows",
        file=sys.stderr,
    )
    return summary.TOO_MANY_FAILED
