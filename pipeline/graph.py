"""The whole job on one page."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.transforms.window import GlobalWindows

from transforms import (
    assemble_clips,
    decode_patches,
    embed_patches,
    plan_spans,
)
from transforms.assemble_clips import AssembleClips
from transforms.collect_labels import CollectLabels
from transforms.corpus.clips import Failure
from transforms.corpus.spans import FramingConfig
from transforms.corpus.splits import Splits
from transforms.dataset.profiles import Profile
from transforms.dataset.provenance import Origin
from transforms.dataset.shards import Record, RecordSums, choose_num_shards, record_sums, shard_of
from transforms.decode_patches import DecodePatches
from transforms.embed_patches import EmbedPatches
from transforms.metrics.timed import TIMES, SumTimes
from transforms.model.postprocessing import Pca
from transforms.model.precision import sum_deviations
from transforms.plan_spans import PlanSpans
from transforms.publish_dataset import PublishDataset
from transforms.read_corpus import Corpus, ask
from transforms.write_failures import WriteFailures
from transforms.write_shards import WriteShards


@dataclasses.dataclass(frozen=True)
class Job:
    """All that the graph needs; nothing of it comes from the environment of a worker.

    Attributes:
      corpus: What is asked for.
      folder: Of the dataset, absolute; it is there.
      staging: Folder of temporary files; it is there.
      model: Hub URL, SavedModel folder, or archive.
      profile: Layout of the records.
      framing: How clips become patches.
      pca: For 8-bit profiles.
      precision: What the model's convolutions compute in.
      num_shards: Of each split; None chooses it from the amount of data.
      origin: For `dataset.json`.
    """

    corpus: Corpus
    folder: str
    staging: str
    model: str
    profile: Profile
    framing: FramingConfig
    pca: Pca | None
    precision: str
    num_shards: int | None
    origin: Origin


def build(pipeline: beam.Pipeline, job: Job) -> None:
    """Adds the job to a pipeline."""
    corpus = job.corpus
    asked = ask(pipeline, corpus)
    times = asked.times
    failures = asked.failures
    spread = asked.clips | PlanSpans(job.framing, corpus.splits)
    decoded = spread["decode_tasks"] | DecodePatches(job.framing)
    embedded = decoded.patches | EmbedPatches(job.model, job.pca, job.precision)
    class_map = asked.clips | CollectLabels(corpus.class_map)
    assembled = {
        "decode_results": decoded[decode_patches.DECODE_RESULTS],
        "rows": embedded.rows,
        "model_failures": embedded[embed_patches.MODEL_FAILURES],
    } | AssembleClips(job.profile, pvalue.AsSingleton(class_map))

    # Everything that was asked for: counted here, where nothing can have been lost yet. Clips that
    # are cut off longer ones are not known before these are decoded.
    is_cut = job.framing.clip_seconds is not None
    asked_for = [decoded[decode_patches.DECODE_RESULTS] if is_cut else asked.clips, *failures]
    not_there = spread[plan_spans.FAILURES]
    if is_cut:
        asked_for.append(not_there)
    failed = [*failures, not_there, assembled[assemble_clips.FAILURES]]
    failed = failed | "Failures" >> beam.Flatten()
    # Each is summed up by itself: put together before, they would all be kept.
    tallies = (
        *(each | f"Clips{i}" >> CountByKey(_clip_tally) for i, each in enumerate(asked_for)),
        spread["decode_tasks"] | "Readings" >> CountByKey(_decode_task_tally),
        decoded[decode_patches.COMPLETED_TASKS] | "Done" >> CountByKey(_done_tally),
        asked.tallies | "Planned" >> CountByKey(),
        assembled[assemble_clips.TALLIES] | "Assembled" >> CountByKey(),
        failed | "Failed" >> CountByKey(_failure_tally),
        asked.skipped | "LeftOut" >> CountByKey(_skipped_tally),
    ) | "Tallies" >> beam.Flatten()
    # Taken off the records at once: behind the number of shards, a side input, they would be kept
    # a second time.
    sums = assembled.records | "Sums" >> beam.Map(_sums)
    num_shards = (sums, failed) | ChooseNumShards(job.num_shards, _split_names(corpus.splits))
    written = assembled.records | WriteShards(job.staging, pvalue.AsDict(num_shards))
    times += [each[TIMES] for each in (spread, decoded, embedded, assembled, written)]
    _ = pipeline | PublishDataset(
        origin=job.origin,
        folder=job.folder,
        staging=job.staging,
        written=written.shards,
        due=(
            sums
            | "SumsDue" >> beam.Map(_by_shard, num_shards=pvalue.AsDict(num_shards))
            | "SumDue" >> beam.CombinePerKey(_sum_records)
        ),
        failures=failed | WriteFailures(job.staging),
        tallies=tallies | "SumTallies" >> beam.CombinePerKey(sum),
        models=embedded[embed_patches.MODELS] | "Models" >> beam.Distinct(),
        deviations=(
            embedded[embed_patches.DEVIATIONS]
            | "Deviations" >> beam.CombineGlobally(sum_deviations).without_defaults()
        ),
        manifests=asked.manifests,
        class_map=class_map,
        num_shards=num_shards,
        times=times | "Times" >> beam.Flatten() | SumTimes(),
    )


@dataclasses.dataclass
class CountByKey(beam.PTransform):
    """Counts.

    Input: anything. Output: `(key, count)`, each key once.

    Attributes:
      tally: Gives what an element counts for; None for what is a tally already.
    """

    tally: Callable[[Any], tuple[Any, int]] | None = None

    def expand(self, elements: pvalue.PCollection) -> pvalue.PCollection:
        if self.tally is not None:
            elements = elements | beam.ParDo(_TallyFn(self.tally))
        return elements | beam.CombinePerKey(sum)


class _TallyFn(beam.DoFn):
    """Counts a bundle: an engine's own sums take several times as long for each element."""

    def __init__(self, tally: Callable[[Any], tuple[Any, int]]) -> None:
        self._tally = tally

    def start_bundle(self) -> None:
        self._counts: dict[Any, int] = {}

    def process(self, element: Any) -> None:
        key, number = self._tally(element)
        self._counts[key] = self._counts.get(key, 0) + number

    def finish_bundle(self) -> Iterator[Any]:
        for tally in self._counts.items():
            yield GlobalWindows.windowed_value(tally)


@dataclasses.dataclass
class ChooseNumShards(beam.PTransform):
    """Gives `(split, number of shards)`: the one that was asked for, or one that fits the data.

    Input: `(clip id, split, RecordSums)` of the records, and the `Failure`s: a split in which
    everything has failed is a dataset too.
    """

    num_shards: int | None
    splits: Sequence[str]

    def expand(
        self, inputs: tuple[pvalue.PCollection, pvalue.PCollection]
    ) -> pvalue.PCollection[tuple[str, int]]:
        sums, failures = inputs
        return (
            (
                sums.pipeline | beam.Create([(split, 0) for split in self.splits]),
                sums | "NumBytes" >> CountByKey(_bytes_of_split),
                failures | "NoBytes" >> CountByKey(_no_bytes_of_split),
            )
            | beam.Flatten()
            | beam.CombinePerKey(sum)
            | beam.MapTuple(self._choose)
        )

    def _choose(self, split: str, num_bytes: int) -> tuple[str, int]:
        return split, self.num_shards or choose_num_shards(num_bytes)


def _split_names(splits: Splits | None) -> list[str]:
    return [name for name, _ in splits.shares] if splits else [""]


def _bytes_of_split(sums: tuple[str, str, RecordSums]) -> tuple[str, int]:
    return sums[1], sums[2].num_bytes


def _no_bytes_of_split(failure: Failure) -> tuple[str, int]:
    return failure.split, 0


def _clip_tally(_: object) -> tuple[tuple[str, str], int]:
    return ("", "clips"), 1


def _decode_task_tally(_: object) -> tuple[tuple[str, str], int]:
    return ("", "decode_tasks"), 1


def _done_tally(_: object) -> tuple[tuple[str, str], int]:
    return ("", "decode_tasks_done"), 1


def _failure_tally(failure: Failure) -> tuple[tuple[str, str], int]:
    return (failure.split, f"failures/{failure.reason}"), 1


def _skipped_tally(why: str) -> tuple[tuple[str, str], int]:
    return ("", f"skipped/{why}"), 1


def _sums(record: Record) -> tuple[str, str, RecordSums]:
    return record.clip_id, record.split, record_sums(record)


def _by_shard(
    sums: tuple[str, str, RecordSums], num_shards: dict[str, int]
) -> tuple[tuple[str, int], RecordSums]:
    clip_id, split, own = sums
    return (split, shard_of(clip_id, num_shards[split])), own


def _sum_records(sums: Iterable[RecordSums]) -> RecordSums:
    return sum(sums, RecordSums())
