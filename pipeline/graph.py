"""The whole job on one page."""

import dataclasses
import os
from collections.abc import Iterable

import apache_beam as beam
from apache_beam import pvalue

from transforms import (
    assemble_clips,
    decode_patches,
    embed_patches,
    list_clips,
    plan_clips,
)
from transforms.assemble_clips import AssembleClips
from transforms.audio.clip_patches import Cutting
from transforms.corpus.clips import Failure
from transforms.dataset.profiles import Profile
from transforms.dataset.provenance import Origin
from transforms.dataset.shards import (
    Record,
    RecordSums,
    num_shards_for,
    record_sums,
    shard_of,
)
from transforms.decode_patches import DecodePatches
from transforms.embed_patches import EmbedPatches
from transforms.list_clips import ListClips
from transforms.model.postprocessing import Pca
from transforms.plan_clips import PlanClips
from transforms.publish_dataset import PublishDataset
from transforms.write_shards import WriteShards


@dataclasses.dataclass(frozen=True)
class Job:
    """All that the graph needs; nothing of it comes from the environment of a worker.

    Attributes:
      inputs: Absolute paths of files, folders and globs.
      folder: Of the dataset, absolute; it is there.
      staging: Folder of temporary files; it is there.
      model: Hub URL, SavedModel folder, or archive.
      profile: Layout of the records.
      cutting: How clips become patches.
      pca: For 8-bit profiles.
      num_shards: None chooses it from the amount of data.
      origin: For `dataset.json`.
    """

    inputs: tuple[str, ...]
    folder: str
    staging: str
    model: str
    profile: Profile
    cutting: Cutting
    pca: Pca | None
    num_shards: int | None
    origin: Origin


def build(pipeline: beam.Pipeline, job: Job) -> None:
    """Adds the job to a pipeline."""
    listed = pipeline | "Inputs" >> beam.Create(list(map(os.fsencode, job.inputs))) | ListClips()
    planned = listed.clips | PlanClips()
    decoded = planned.clips | DecodePatches(job.cutting)
    embedded = decoded.patches | EmbedPatches(job.model, job.pca)
    assembled = {
        "clips": planned.clips,
        "verdicts": decoded[decode_patches.VERDICTS],
        "rows": embedded.rows,
        "refusals": embedded[embed_patches.REFUSALS],
    } | AssembleClips(job.profile)

    failures = (
        listed[list_clips.FAILURES],
        planned[plan_clips.FAILURES],
        assembled[assemble_clips.FAILURES],
    ) | "Failures" >> beam.Flatten()
    # Everything that was asked for: counted here, where nothing can have been lost yet.
    asked_for = (
        planned.clips,
        listed[list_clips.FAILURES],
        planned[plan_clips.FAILURES],
    ) | "AskedFor" >> beam.Flatten()
    tallies = (
        asked_for | "CountClips" >> _one("clips"),
        assembled.records | "CountRecords" >> _one("records"),
        assembled[assemble_clips.TALLIES],
        failures | "CountFailures" >> beam.Map(_failure_tally),
        listed[list_clips.LEFT_OUT] | "CountLeftOut" >> beam.Map(_left_out_tally),
    ) | "Tallies" >> beam.Flatten()
    # Taken off the records at once: behind the number of shards, a side input, they would be kept
    # a second time.
    sums = assembled.records | "Sums" >> beam.Map(_sums)
    num_shards = sums | ChooseNumShards(job.num_shards)
    _ = pipeline | PublishDataset(
        origin=job.origin,
        folder=job.folder,
        staging=job.staging,
        written=assembled.records | WriteShards(job.staging, pvalue.AsSingleton(num_shards)),
        due=(
            sums
            | "SumsDue" >> beam.Map(_by_shard, num_shards=pvalue.AsSingleton(num_shards))
            | "SumDue" >> beam.CombinePerKey(_sum_records)
        ),
        failures=failures,
        tallies=tallies | "SumTallies" >> beam.CombinePerKey(sum),
        models=embedded[embed_patches.MODELS] | "Models" >> beam.Distinct(),
        num_shards=num_shards,
    )


@dataclasses.dataclass
class ChooseNumShards(beam.PTransform):
    """Gives one number: the one that was asked for, or one that fits the amount of data.

    Input: `(clip id, RecordSums)`.
    """

    num_shards: int | None

    def expand(self, sums: pvalue.PCollection[tuple[str, RecordSums]]) -> pvalue.PCollection[int]:
        if self.num_shards is not None:
            return sums.pipeline | beam.Create([self.num_shards])
        return (
            sums
            | "NumBytes" >> beam.Map(lambda each: each[1].num_bytes)
            | beam.CombineGlobally(sum)
            | beam.Map(num_shards_for)
        )


def _one(name: str) -> beam.PTransform:
    return beam.Map(lambda _: (name, 1))


def _failure_tally(failure: Failure) -> tuple[str, int]:
    return f"failures/{failure.reason}", 1


def _left_out_tally(why: str) -> tuple[str, int]:
    return f"left_out/{why}", 1


def _sums(record: Record) -> tuple[str, RecordSums]:
    return record.clip_id, record_sums(record)


def _by_shard(sums: tuple[str, RecordSums], num_shards: int) -> tuple[int, RecordSums]:
    return shard_of(sums[0], num_shards), sums[1]


def _sum_records(sums: Iterable[RecordSums]) -> RecordSums:
    return sum(sums, RecordSums())
