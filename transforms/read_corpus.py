"""What is asked for: the graph's part from inputs to clips."""

import dataclasses
import os
from collections.abc import Iterable

import apache_beam as beam
from apache_beam import pvalue

from transforms import find_segments, list_clips, plan_clips, read_manifests
from transforms.corpus.clips import Clip
from transforms.corpus.labels import ClassMap
from transforms.corpus.manifests.manifest import ManifestOptions
from transforms.corpus.splits import Splits
from transforms.find_segments import FindSegments
from transforms.list_clips import ListClips
from transforms.metrics.timed import TIMES
from transforms.plan_clips import PlanClips
from transforms.read_manifests import ReadManifests


@dataclasses.dataclass(frozen=True)
class Corpus:
    """What is asked for.

    Attributes:
      inputs: Absolute paths of files, folders and globs.
      manifests: Absolute paths and globs.
      manifest_options: How manifests are read.
      segments: Absolute paths and globs of AudioSet's files of segments.
      find_segments: How their audio is found; None where there are none.
      class_map: The one that was given.
      drop_unknown_labels: Leave out labels that are not in it; else their clips fail.
      splits: Shares of the recordings.
      clips: That are asked for by themselves.
    """

    inputs: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    manifest_options: ManifestOptions = dataclasses.field(default_factory=ManifestOptions)
    segments: tuple[str, ...] = ()
    find_segments: FindSegments | None = None
    class_map: ClassMap | None = None
    drop_unknown_labels: bool = False
    splits: Splits | None = None
    clips: tuple[Clip, ...] = ()


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a corpus asks for.

    Attributes:
      clips: One an id, with labels that are known.
      failures: The others, each where it was found.
      skipped: Why a file of a folder is not read, a string a file.
      manifests: How they were read.
      tallies: Of `PlanClips`.
      times: What listing took.
    """

    clips: pvalue.PCollection
    failures: list[pvalue.PCollection]
    skipped: pvalue.PCollection
    manifests: pvalue.PCollection
    tallies: pvalue.PCollection
    times: list[pvalue.PCollection]


def ask(pipeline: beam.Pipeline, corpus: Corpus) -> Asked:
    """Adds the listing of a corpus to a pipeline."""
    listed = pipeline | "Inputs" >> _paths(corpus.inputs) | ListClips()
    read = (
        pipeline | "Manifests" >> _paths(corpus.manifests) | ReadManifests(corpus.manifest_options)
    )
    clips = [listed.clips, read.clips]
    failures = [listed[list_clips.FAILURES], read[read_manifests.FAILURES]]
    times = [listed[TIMES], read[TIMES]]
    if corpus.find_segments is not None:
        found = pipeline | "Segments" >> _paths(corpus.segments) | corpus.find_segments
        clips.append(found["clips"])
        failures.append(found[find_segments.FAILURES])
        times.append(found[TIMES])
    if corpus.clips:
        clips.append(pipeline | "Given" >> beam.Create([*corpus.clips]))
    planned = (
        clips | "Clips" >> beam.Flatten() | PlanClips(corpus.class_map, corpus.drop_unknown_labels)
    )
    failures.append(planned[plan_clips.FAILURES])
    return Asked(
        planned.clips,
        failures,
        listed[list_clips.SKIPPED],
        read[read_manifests.FACTS],
        planned[plan_clips.TALLIES],
        times,
    )


def _paths(paths: Iterable[str]) -> beam.PTransform:
    return beam.Create([*map(os.fsencode, paths)])
