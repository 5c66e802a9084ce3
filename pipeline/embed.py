"""The command `embed`: from settings to a dataset and an exit status."""

import json
import os
import sys
import time
from collections.abc import Sequence

import soundfile
import soxr

from pipeline import engines, graph, summary
from pipeline.settings import PAD, EmbedSettings, UsageError
from transforms import storage
from transforms.audio import resampling
from transforms.audio.clip_patches import Cutting
from transforms.corpus import listing
from transforms.corpus.clips import Clip, Failure, printable
from transforms.dataset import failure_table, provenance, schema, shards
from transforms.dataset.provenance import Origin
from transforms.model.errors import ModelError
from transforms.model.loading import PATCH_SAMPLES
from transforms.model.postprocessing import Pca, load_pca


def run(settings: EmbedSettings, beam_flags: Sequence[str], own_flags: Sequence[str]) -> int:
    """Runs the job, prints how it went, and returns the exit status.

    Args:
      settings: Of the command.
      beam_flags: What is left for Beam.
      own_flags: The command's flags, to name the nearest one to a misspelt one.

    Raises:
      UsageError: Before anything has started.
    """
    started = time.monotonic()
    options = engines.beam_options(beam_flags, own_flags)
    for path in settings.inputs:
        _check_input(path)
    _check_output(settings)
    try:
        pca = load_pca(settings.pca) if settings.profile.quantised else None
    except ModelError as error:
        return _broke(error)
    made = _prepare_output(settings)
    try:
        job = _job(settings, pca)
        engines.run(options, lambda pipeline: graph.build(pipeline, job))
        with storage.open_to_read(f"{settings.output}/{provenance.FILE_NAME}") as file:
            info = json.load(file)
    except KeyboardInterrupt:
        _discard(settings, made)
        print("interrupted: no dataset was written", file=sys.stderr, flush=True)
        # Beam's threads would go on, and be waited for.
        os._exit(summary.INTERRUPTED)
    except Exception as error:
        _discard(settings, made)
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


def _job(settings: EmbedSettings, pca: Pca | None) -> graph.Job:
    origin = Origin(
        name=settings.name,
        profile=settings.profile,
        inputs=tuple(map(printable, settings.inputs)),
        model=printable(settings.model),
        patch_samples=PATCH_SAMPLES,
        short_clips=settings.short_clips,
        pca=(printable(settings.pca), pca.sha256) if pca else None,
        resampler=f"soxr {soxr.__libsoxr_version__} {resampling.QUALITY}",
        decoder=f"libsndfile {soundfile.__libsndfile_version__}",
    )
    return graph.Job(
        inputs=settings.inputs,
        folder=settings.output,
        staging=settings.staging,
        model=settings.model,
        profile=settings.profile,
        cutting=Cutting(
            patch_samples=PATCH_SAMPLES,
            hop_samples=settings.profile.hop_samples,
            max_rows=settings.profile.max_rows,
            pad_short_clips=settings.short_clips == PAD,
        ),
        pca=pca,
        num_shards=settings.num_shards,
        origin=origin,
    )


def _check_input(path: str) -> None:
    """Refuses an input that matches nothing. Stops at the first match: a corpus may be huge."""
    left_out = 0
    try:
        for found in storage.list_input(path):
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


def _check_output(settings: EmbedSettings) -> None:
    """Refuses a folder with anything in it, unless it is to be overwritten."""
    folder = printable(settings.output)
    try:
        there = storage.list_names(settings.output)
        if storage.is_local(settings.output) and os.path.lexists(settings.output):
            if not os.path.isdir(settings.output):
                raise UsageError(f"--output={folder} is a file; name a folder")
    except OSError as error:
        raise UsageError(f"--output={folder} cannot be listed: {error}") from error
    staging = settings.staging.rsplit("/", 1)[1]
    there = [name for name in there if name.split("/", 1)[0] != staging]
    if not there or (settings.overwrite and provenance.FILE_NAME not in there):
        return
    if provenance.FILE_NAME not in there:
        some = ", ".join(map(printable, there[:3])) + (", …" if len(there) > 3 else "")
        raise UsageError(
            f"--output={folder} is not empty ({len(there)} entries: {some}); name another folder,"
            " or add --overwrite to write there all the same (other files are left alone)"
        )
    if not settings.overwrite:
        raise UsageError(
            f"--output={folder} holds a dataset already; name another folder, or replace it with"
            " --overwrite"
        )
    with storage.open_to_read(f"{settings.output}/{provenance.FILE_NAME}") as file:
        try:
            provenance.own_files(file.read())
        except ValueError as error:
            raise UsageError(
                f"--output={folder}: {error}; nothing there is overwritten, name another folder"
            ) from error


def _prepare_output(settings: EmbedSettings) -> bool:
    """Makes the folders and proves that they can be written; tells whether the output is new."""
    try:
        new = storage.is_local(settings.output) and not os.path.isdir(settings.output)
        # What a killed run has left.
        storage.delete_folder(settings.staging)
        storage.make_folder(settings.staging)
        probe = storage.temporary_name(f"{settings.staging}/probe")
        with storage.created(probe) as file:
            file.write(b"probe")
        storage.delete_files([probe])
    except OSError as error:
        raise UsageError(
            f"--output={printable(settings.output)} cannot be written: {error}"
        ) from error
    return new


def _discard(settings: EmbedSettings, made: bool) -> None:
    """Removes all that a run without a dataset has left; a dataset that is complete stays."""
    storage.delete_folder(settings.staging)
    there = storage.list_names(settings.output)
    if provenance.FILE_NAME not in there:
        pattern = shards.shard_pattern(settings.name)
        others = (failure_table.failure_table_name(settings.name), schema.FILE_NAME)
        own = [name for name in there if pattern.fullmatch(name) or name in others]
        storage.delete_files([f"{settings.output}/{name}" for name in own])
    if made and storage.is_local(settings.output) and not storage.list_names(settings.output):
        os.rmdir(settings.output)
