"""From settings to the job that the graph is built of."""

import soxr

from pipeline.graph import Job
from pipeline.options.settings import PAD, EmbedSettings
from transforms.audio import decoding, resampling
from transforms.corpus.clips import printable
from transforms.corpus.spans import FramingConfig
from transforms.dataset.provenance import Origin
from transforms.model.loading import PATCH_SAMPLES
from transforms.model.postprocessing import Pca
from transforms.read_corpus import Corpus


def framing_config(settings: EmbedSettings) -> FramingConfig:
    """Returns how clips become patches."""
    layout = settings.layout
    return FramingConfig(
        patch_samples=PATCH_SAMPLES,
        hop_samples=layout.hop_samples,
        max_rows=layout.max_rows,
        pad_short_clips=settings.short_clips == PAD,
        clip_seconds=settings.clip_seconds,
        channel=settings.channel,
    )


def job_of(
    settings: EmbedSettings, corpus: Corpus, folder: str, staging: str, pca: Pca | None
) -> Job:
    """Returns the job that the settings ask for.

    Args:
      settings: Of the command.
      corpus: What is asked for.
      folder: Of the dataset.
      staging: Folder of temporary files.
      pca: For 8-bit profiles.
    """
    layout = settings.layout
    origin = Origin(
        name=settings.name,
        profile=layout,
        corpus=_asked_for(settings),
        model=printable(settings.model),
        precision=settings.precision,
        patch_samples=PATCH_SAMPLES,
        short_clips=settings.short_clips,
        channel="mean" if settings.channel is None else f"number {settings.channel}",
        pca=(printable(settings.pca), pca.sha256) if pca else None,
        resampler=f"soxr {soxr.__libsoxr_version__} {resampling.QUALITY}",
        decoder=decoding.VERSIONS,
    )
    return Job(
        corpus=corpus,
        folder=folder,
        staging=staging,
        model=settings.model,
        profile=layout,
        framing=framing_config(settings),
        pca=pca,
        precision=settings.precision,
        num_shards=settings.num_shards,
        origin=origin,
    )


def _asked_for(settings: EmbedSettings) -> tuple[tuple[str, object], ...]:
    """Returns the options that say what the corpus is, for `dataset.json`: those that are given."""
    shares = settings.split.shares if settings.split else ()
    options: dict[str, object] = {
        "inputs": list(map(printable, settings.inputs)),
        "manifests": list(map(printable, settings.manifests)),
        "audioset_segments": list(map(printable, settings.audioset_segments)),
        "audio_root": settings.audio_root and printable(settings.audio_root),
        "audio_name": settings.audio_name and printable(settings.audio_name),
        "segments_are_cut": settings.segments_are_cut,
        "manifest_format": settings.manifest_format,
        "keep_columns": list(settings.keep_columns),
        "class_map": settings.class_map and printable(settings.class_map),
        "unknown_labels": settings.unknown_labels if settings.class_map else None,
        "split": {name: float(share) for name, share in shares},
        "clip_seconds": settings.clip_seconds and float(settings.clip_seconds),
    }
    return tuple((name, value) for name, value in options.items() if value)
