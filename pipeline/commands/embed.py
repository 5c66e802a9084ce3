"""The command `embed`: from settings to a dataset and an exit status."""

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from pipeline import graph
from pipeline.commands import lifecycle, resources
from pipeline.commands.lifecycle import Session
from pipeline.commands.validation import prepare_run
from pipeline.errors import JobError
from pipeline.folders.output_folder import OutputFolder
from pipeline.graph import Job, job_of
from pipeline.options.settings import EmbedSettings
from pipeline.runners import runner
from pipeline.runners.options import is_elsewhere, is_in_processes, runner_name
from pipeline.runners.waiting import Status
from pipeline.terminal import progress, summary
from transforms.corpus.clips import printable
from transforms.corpus.spans import SAMPLE_RATE_HZ
from transforms.dataset import file_names
from transforms.storage import files


def run(settings: EmbedSettings, beam_flags: Sequence[str]) -> int:
    """Makes the dataset, prints a summary, and returns the exit status.

    Args:
      settings: The command's own options.
      beam_flags: The other flags, for Beam.

    Raises:
      UsageError: The options are refused; nothing has been started.
    """
    return lifecycle.run(settings, beam_flags, _embed)


def _embed(session: Session) -> int:
    settings = session.settings
    prepared = prepare_run(settings, session.options, settings.wait, to_write=True)
    for note in resources.notes(settings, session.options, prepared.engine.engine):
        print(f"NOTE: {note}", file=sys.stderr)
    folder = prepared.output
    runs_on = not settings.wait and runner.submits_job(session.options)
    with folder.staged(str(runner_name(session.options)) if runs_on else ""):
        job = job_of(settings, prepared.corpus, folder.path, prepared.pca, prepared.engine)
        if not _run_job(session, job):
            print(
                f"the dataset is complete as soon as {folder.path}/{file_names.FILE_NAME} is there"
            )
            return summary.SUCCESS
        info = _published(folder)
    print(summary.summary(info, settings.output, time.monotonic() - session.started))
    _print_hints(settings, info)
    return summary.exit_status(info, settings.max_failed_ratio)


def _run_job(session: Session, job: Job) -> bool:
    """Runs the job with a progress bar, if it is waited for."""

    def build(pipeline: Any) -> None:
        graph.build(pipeline, job)

    settings, options = session.settings, session.options
    if settings.quiet or (is_elsewhere(options) and not settings.wait):
        return session.run_job(build, settings.wait)
    hop_seconds = settings.layout.hop_samples / SAMPLE_RATE_HZ
    report = progress.ClusterReport(hop_seconds) if is_elsewhere(options) else None

    def show(status: Status) -> None:
        if report is not None:
            report.update(status.words, (status.tasks_done, status.tasks), status.counts)

    with progress.shown(
        sys.stderr,
        hop_seconds=hop_seconds,
        is_cut=settings.clip_seconds is not None,
        in_processes=is_in_processes(options),
        as_lines=settings.verbose,
        on_cluster=report,
    ):
        # Of workers in this process, the bar says more than the runner's states.
        return session.run_job(build, settings.wait, shows_states=report is not None, show=show)


def _print_hints(settings: EmbedSettings, info: dict[str, Any]) -> None:
    """Prints what to do about failures that an option may have caused or forbidden."""
    num_behind = info["failures"].get("out_of_range", 0)
    if num_behind and settings.audioset_segments and not settings.segments_are_cut:
        print(
            f"NOTE: {num_behind} segments lie beyond the end of their recording. If the files hold"
            " the segments only, pass --segments_are_cut"
        )
    if summary.exit_status(info, settings.max_failed_ratio) == summary.TOO_MANY_FAILED:
        print(
            f"{info['counts']['failures']} of {info['counts']['clips']} clips failed, more than"
            f" --max_failed_ratio={settings.max_failed_ratio:g} allows; the dataset is complete"
            " all the same",
            file=sys.stderr,
        )


def _published(folder: OutputFolder) -> dict[str, Any]:
    """Returns the parsed `dataset.json` of a job that has succeeded.

    Raises:
      JobError: There is none.
    """
    try:
        with files.open_to_read(f"{folder.path}/{file_names.FILE_NAME}") as file:
            return json.load(file)
    except FileNotFoundError as error:
        raise JobError(
            f"the runner reports success, but there is no {file_names.FILE_NAME} in"
            f" {printable(folder.path)}: if the workers are on other machines, --output has to be"
            " on a storage that they and this machine share"
        ) from error
