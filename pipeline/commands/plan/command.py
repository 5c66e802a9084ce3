"""The command `plan`: what this `embed` would take and give, and what would fail."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions

from pipeline import graph
from pipeline.commands import plan
from pipeline.commands.plan.estimate import Estimate, estimate
from pipeline.commands.plan.survey_job import Found, add_look, read_found
from pipeline.commands.plan.table import table
from pipeline.commands.plan.trial_job import Trial, choose, read_trial, trial_job
from pipeline.commands.validation import prepare_run
from pipeline.errors import EngineLostError, JobError
from pipeline.folders.report_folder import ReportFolder
from pipeline.options.settings import EmbedSettings, UsageError
from pipeline.runners import runner
from pipeline.runners.options import is_elsewhere, is_local, num_workers
from pipeline.terminal import summary
from transforms.corpus.clips import printable
from transforms.model.errors import ModelError
from transforms.model.postprocessing import Pca, load_pca
from transforms.read_corpus import ReadCorpus
from transforms.storage import files

_IMPORT_SECONDS = time.monotonic() - plan.IMPORT_STARTED


def run(
    settings: EmbedSettings,
    beam_flags: Sequence[str],
    own_flags: Sequence[str],
    verbose: bool = False,
    quiet: bool = False,
) -> int:
    """Looks at the corpus, tries a few clips, prints the plan, and returns the exit status.

    Args:
      settings: Of the `embed` that is to follow.
      beam_flags: What is left for Beam.
      own_flags: The command's flags, to name the nearest one to a misspelt one.
      verbose: Let through what the engine prints.
      quiet: Do not say what it is about, nor the states of a job that runs elsewhere.

    Raises:
      UsageError: Before anything has started.
    """
    started = time.monotonic()
    asked = prepare_run(settings, beam_flags, own_flags)
    options, output = asked.options, asked.output
    try:
        pca = load_pca(settings.pca, files.open_to_read) if settings.profile.quantised else None
    except ModelError as error:
        return summary.broke(error)
    try:
        folder = (
            ReportFolder.inside(output.path, settings.name)
            if is_elsewhere(options)
            else ReportFolder.temporary()
        )
    except OSError as error:
        label = f"--output={printable(settings.output)}"
        raise UsageError(f"{label} cannot be written: {error.strerror or error}") from error
    try:
        planning = _Planning(settings, options, asked.corpus, pca, folder.path, verbose, quiet)
        planned = planning.plan(_IMPORT_SECONDS + time.monotonic() - started)
    except KeyboardInterrupt:
        folder.remove()
        print("interrupted", file=sys.stderr, flush=True)
        runner.exit_immediately(summary.INTERRUPTED)
    except EngineLostError as error:
        folder.remove()
        runner.exit_immediately(summary.broke(error))
    except Exception as error:
        return summary.broke(error)
    finally:
        folder.remove()
    print(table(planned), flush=True)
    return _status(planned, settings.max_failed_ratio)


class _Planning:
    """The two jobs, on the engine of the options.

    Attributes are private: they are what `run` has found out before.
    """

    def __init__(
        self,
        settings: EmbedSettings,
        options: PipelineOptions,
        corpus: ReadCorpus,
        pca: Pca | None,
        folder: str,
        verbose: bool,
        quiet: bool,
    ) -> None:
        self._settings = settings
        self._options = options
        self._corpus = corpus
        self._pca = pca
        self._folder = folder
        self._verbose = verbose
        self._quiet = quiet
        self._framing = graph.framing_config(settings)

    def plan(self, seconds_before: float) -> Estimate:
        """Runs both jobs.

        Args:
          seconds_before: That it took to come here, as it takes a run.
        """
        began = time.monotonic()
        self._say("listing the corpus and opening recordings")
        self._run(lambda pipeline: add_look(pipeline, self._corpus, self._framing, self._folder))
        found = read_found(self._folder)
        if is_local(self._options):
            # A run lists as well, and opens no headers for it. On other engines this cannot be told
            # from the time that an engine needs to start.
            in_headers = found.opened.header_seconds / num_workers(self._options)
            seconds_before += max(0.0, time.monotonic() - began - in_headers)
        return estimate(self._settings, found, self._try(found), seconds_before)

    def _try(self, found: Found) -> Trial | None:
        chosen = choose(found.opened.candidates, self._framing)
        if not chosen:
            return None
        job = trial_job(self._settings, self._corpus, chosen, self._folder, self._pca)
        self._say(f"embedding clips of {len(chosen):,} recordings")
        started = time.monotonic()
        self._run(lambda pipeline: graph.build(pipeline, job))
        seconds = time.monotonic() - started
        return read_trial(self._folder, self._settings.name, chosen, self._framing, seconds)

    def _say(self, what: str) -> None:
        if not self._quiet:
            print(f"{what} …", file=sys.stderr, flush=True)

    def _run(self, build: Callable[[Any], None]) -> None:
        if not runner.run(self._options, build, self._verbose, quiet=self._quiet):
            raise JobError(
                "the job was not run: leave away the flags that only make a template of it"
            )


def _status(planned: Estimate, max_failed_ratio: float) -> int:
    if planned.num_failed <= max_failed_ratio * planned.num_clips:
        return summary.SUCCESS
    print(
        f"of {planned.num_clips:,.0f} clips {planned.num_failed:,.0f} would fail, more than"
        f" --max_failed_ratio={max_failed_ratio:g} allows",
        file=sys.stderr,
    )
    return summary.TOO_MANY_FAILED
