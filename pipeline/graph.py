"""The whole job on one page: the three composites of the library, built from the settings."""

import dataclasses

import apache_beam as beam

from pipeline.options.declaration import shared_values
from pipeline.options.settings import KEEP, PAD, EmbedSettings
from transforms.corpus.spans import FramingConfig
from transforms.embed_audio import EmbedAudio
from transforms.model.choosing import Engine
from transforms.model.postprocessing import Pca
from transforms.read_corpus import ReadCorpus
from transforms.write_dataset import WriteDataset


@dataclasses.dataclass(frozen=True)
class Job:
    """The three steps of a job; nothing in them depends on the environment of a worker.

    Attributes:
      corpus: Reads the corpus.
      embedding: Embeds its clips.
      dataset: Writes the dataset.
    """

    corpus: ReadCorpus
    embedding: EmbedAudio
    dataset: WriteDataset


def build(pipeline: beam.Pipeline, job: Job) -> None:
    """Adds the job to a pipeline."""
    corpus = pipeline | job.corpus
    _ = corpus.clips | job.embedding | job.dataset


def job_of(
    settings: EmbedSettings, corpus: ReadCorpus, folder: str, pca: Pca | None, engine: Engine
) -> Job:
    """Returns the job that the settings describe.

    Args:
      settings: Options of the command.
      corpus: The corpus to read.
      folder: Folder of the dataset, checked for what it holds.
      pca: For 8-bit profiles.
      engine: What computes the rows.
    """
    return Job(
        corpus,
        EmbedAudio(
            settings.model,
            framing_config(settings),
            settings.precision,
            settings.trust_model,
            settings.max_model_bytes,
            engine,
        ),
        WriteDataset(
            folder,
            settings.layout,
            pca or settings.pca,
            settings.name,
            settings.num_shards,
            overwrite=True,
        ),
    )


def framing_config(settings: EmbedSettings) -> FramingConfig:
    """Returns how clips become patches: the options of the same names, and those of the layout."""
    layout = settings.layout
    changed = {
        "hop_samples": layout.hop_samples,
        "max_rows": layout.max_rows,
        "pad_short_clips": settings.short_clips == PAD,
        "keep_damaged": settings.damaged == KEEP,
    }
    return FramingConfig(**shared_values(settings, FramingConfig) | changed)
