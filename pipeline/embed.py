"""The command `embed`: from settings to a dataset and an exit status."""

import json
import os
import sys
import time
from collections.abc import Sequence

import soxr

from pipeline import engines, graph, summary
from pipeline.output_folder import OutputFolder
from pipeline.settings import PAD, EmbedSettings, UsageError
from transforms import storage
from transforms.audio import decoding, resampling
from transforms.audio.clip_patches import Cutting
from transforms.corpus import listing
from transforms.corpus.clips import Clip, Failure, printable
from transforms.dataset import provenance
from transforms.dataset.provenance import Origin
from transforms.model.errors import ModelError
from transforms.model.loading import PATCH_SAMPLES
from transforms.model.postprocessing import Pca, load_pca


def run(
    settings: EmbedSettings,
    beam_flags: Sequence[str],
    own_flags: Sequence[str],
    verbose: bool = False,
) -> int:
    """Runs the job, prints how it went, and returns the exit status.

    Args:
      settings: Of the command.
      beam_flags: What is left for Beam.
      own_flags: The command's flags, to name the nearest one to a misspelt one.
      verbose: Let through what the engine prints.

    Raises:
      UsageError: Before anything has started.
    """
    started = time.monotonic()
    options = engines.beam_options(beam_flags, own_flags)
    for path in settings.inputs:
        _check_input(path)
    folder = OutputFolder(settings.output, settings.name, settings.overwrite)
    folder.check()
    try:
        pca = load_pca(settings.pca) if settings.profile.quantised else None
    except ModelError as error:
        return _broke(error)
    folder.prepare()
    try:
        job = _job(settings, folder, pca)
        engines.run(options, lambda pipeline: graph.build(pipeline, job), verbose)
        with storage.open_to_read(f"{settings.output}/{provenance.FILE_NAME}") as file:
            info = json.load(file)
    except KeyboardInterrupt:
        folder.discard()
        print("interrupted: no dataset was written", file=sys.stderr, flush=True)
        # Beam's threads would go on, and be waited for.
        os._exit(summary.INTERRUPTED)
    except Exception as error:
        folder.discard()
        return _broke(error)
    print(summary.summary(info, settings.output, time.monotonic() - started))
    status = summary.exit_status(info, settings.max_failed_ratio)
    if status == summary.TOO_MANY_FAILED:
        print(
            f"{info['counts']['failures']} of {info['counts']['clips']} clips failed, more than"
            f" --max_failed_ratio={settings.max_failed_ratio:g} allows; the dataset is complete"
            " all the same",
            file=sys.stderr,
        )
    return status


def _broke(error: BaseException) -> int:
    print(f"error: {summary.explanation(error)}", file=sys.stderr)
    return summary.JOB_BROKE


def _job(settings: EmbedSettings, folder: OutputFolder, pca: Pca | None) -> graph.Job:
    layout = settings.layout
    origin = Origin(
        name=settings.name,
        profile=layout,
        inputs=tuple(map(printable, settings.inputs)),
        model=printable(settings.model),
        patch_samples=PATCH_SAMPLES,
        short_clips=settings.short_clips,
        pca=(printable(settings.pca), pca.sha256) if pca else None,
        resampler=f"soxr {soxr.__libsoxr_version__} {resampling.QUALITY}",
        decoder=decoding.VERSIONS,
    )
    return graph.Job(
        inputs=settings.inputs,
        folder=folder.path,
        staging=folder.staging,
        model=settings.model,
        profile=layout,
        cutting=Cutting(
            patch_samples=PATCH_SAMPLES,
            hop_samples=layout.hop_samples,
            max_rows=layout.max_rows,
            pad_short_clips=settings.short_clips == PAD,
        ),
        pca=pca,
        num_shards=settings.num_shards,
        origin=origin,
    )


def _check_input(path: str) -> None:
    """Refuses an input that matches nothing. Stops at the first match: a corpus may be huge."""
    try:
        for limit in (1_000, None):
            left_out = 0
            for found in storage.list_input(path, limit):
                if isinstance(found, Clip | Failure):
                    return
                left_out += 1
    except OSError as error:
        raise UsageError(f"--input={printable(path)}: cannot be listed: {error}") from error
    if left_out:
        raise UsageError(
            f"--input={printable(path)}: none of its {left_out} files is audio by its suffix"
            f" ({' '.join(sorted(listing.AUDIO_SUFFIXES))}); name files or a glob to have them"
            " read all the same"
        )
    raise UsageError(f"--input={printable(path)} matches nothing")
