"""The command `embed`: from settings to a dataset and an exit status."""

import contextlib
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from pipeline import graph
from pipeline.commands import resources
from pipeline.commands.validation import prepare_run
from pipeline.errors import EngineLostError, JobError
from pipeline.folders.output_folder import OutputFolder
from pipeline.options.settings import EmbedSettings
from pipeline.runners import runner
from pipeline.runners.options import is_elsewhere, is_in_processes
from pipeline.terminal import progress, summary
from transforms.corpus.clips import printable
from transforms.corpus.spans import SAMPLE_RATE_HZ
from transforms.dataset import file_names
from transforms.model.errors import ModelError
from transforms.model.postprocessing import load_pca
from transforms.storage import files


def run(
    settings: EmbedSettings,
    beam_flags: Sequence[str],
    own_flags: Sequence[str],
    verbose: bool = False,
    quiet: bool = False,
) -> int:
    """Runs the job, prints how it went, and returns the exit status.

    Args:
      settings: Of the command.
      beam_flags: What is left for Beam.
      own_flags: The command's flags, to name the nearest one to a misspelt one.
      verbose: Let through what the engine prints.
      quiet: Do not show how far the job is.

    Raises:
      UsageError: Before anything has started.
    """
    started = time.monotonic()
    asked = prepare_run(settings, beam_flags, own_flags, settings.wait)
    options, folder = asked.options, asked.output
    for note in resources.notes(settings, options):
        print(f"NOTE: {note}", file=sys.stderr)
    try:
        pca = load_pca(settings.pca, files.open_to_read) if settings.profile.quantised else None
    except ModelError as error:
        return summary.broke(error)
    folder.prepare()
    try:
        job = graph.job_of(settings, asked.corpus, folder.path, pca)
        with contextlib.ExitStack() as stack:
            if not quiet and not is_elsewhere(options):
                stack.enter_context(
                    progress.shown(
                        sys.stderr,
                        hop_seconds=settings.layout.hop_samples / SAMPLE_RATE_HZ,
                        is_cut=settings.clip_seconds is not None,
                        in_processes=is_in_processes(options),
                        as_lines=verbose,
                    )
                )
                quiet = True  # the states of the engine say less
            ended = runner.run(
                options, lambda pipeline: graph.build(pipeline, job), verbose, settings.wait, quiet
            )
        if not ended:
            print(
                f"the dataset is complete as soon as {folder.path}/{file_names.FILE_NAME} is there"
            )
            return summary.SUCCESS
        info = _published(folder)
    except KeyboardInterrupt:
        folder.discard()
        print("interrupted: no dataset was written", file=sys.stderr, flush=True)
        runner.exit_immediately(summary.INTERRUPTED)
    except EngineLostError as error:
        folder.discard()
        runner.exit_immediately(summary.broke(error))
    except Exception as error:
        folder.discard()
        return summary.broke(error)
    print(summary.summary(info, settings.output, time.monotonic() - started))
    num_behind = info["failures"].get("out_of_range", 0)
    if num_behind and settings.audioset_segments and not settings.segments_are_cut:
        print(
            f"NOTE: {num_behind} segments lie behind the end of their recording. Where the files"
            " hold the segments only, say so with --segments_are_cut"
        )
    status = summary.exit_status(info, settings.max_failed_ratio)
    if status == summary.TOO_MANY_FAILED:
        print(
            f"{info['counts']['failures']} of {info['counts']['clips']} clips failed, more than"
            f" --max_failed_ratio={settings.max_failed_ratio:g} allows; the dataset is complete"
            " all the same",
            file=sys.stderr,
        )
    return status


def _published(folder: OutputFolder) -> dict[str, Any]:
    """Returns the parsed `dataset.json` of a job that has run to its end."""
    try:
        with files.open_to_read(f"{folder.path}/{file_names.FILE_NAME}") as file:
            return json.load(file)
    except FileNotFoundError as error:
        raise JobError(
            f"the engine says that the job is done, but there is no {file_names.FILE_NAME} in"
            f" {printable(folder.path)}: if the workers are on other machines, --output has to be"
            " on a storage that they and this machine share"
        ) from error
