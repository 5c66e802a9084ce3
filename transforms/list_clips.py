"""ListClips: from inputs to clips."""

import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.typehints.decorators import no_annotations

from transforms.corpus import listing, packed
from transforms.corpus.clips import Clip, Failure, printable
from transforms.corpus.layouts.folders import NO_OPTIONS, FolderOptions
from transforms.corpus.listing import Shard
from transforms.corpus.serialization import deserialize, serialize
from transforms.dataset.completeness import LISTED, UNPLANNED
from transforms.dataset.line_reports import line_report
from transforms.metrics.reporting import REPORTS, ReportingFn, with_types
from transforms.metrics.run_times import LISTING

_SHARDS = "shards"


@dataclasses.dataclass
class ListClips(beam.PTransform):
    """Lists files, folders and globs in the workers.

    Input: absolute paths as bytes from `os.fsencode`, because Beam's coder for text rejects paths
    that are not UTF-8. Outputs, each a tuple of collections: `clips` (`Clip`) and `reports`, with a
    `Failure` for files and folders that cannot be listed and for inputs without audio, and with the
    number of skipped files.

    Attributes:
      options: What the paths below the inputs say.
    """

    options: FolderOptions = NO_OPTIONS

    @no_annotations
    def expand(
        self, inputs: pvalue.PCollection[bytes]
    ) -> dict[str, tuple[pvalue.PCollection, ...]]:
        listed = with_types(
            inputs | beam.ParDo(_ListFn(self.options)).with_outputs(REPORTS, _SHARDS, main="clips"),
            **{_SHARDS: bytes},
        )
        unpacked = with_types(
            listed[_SHARDS]
            # Without it, one worker reads all packed files of a folder.
            | "SpreadShards" >> beam.Reshuffle()
            | beam.ParDo(_ListShardFn(self.options)).with_outputs(REPORTS, main="clips")
        )
        return {name: (listed[name], unpacked[name]) for name in ("clips", REPORTS)}


@dataclasses.dataclass
class ListGivenClips(beam.PTransform):
    """Counts clips that are given, not listed. Input: `Clip`s. Outputs: those of `ListClips`."""

    @no_annotations
    def expand(self, clips: pvalue.PCollection[Clip]) -> dict[str, tuple[pvalue.PCollection, ...]]:
        given = with_types(clips | beam.ParDo(_GivenFn()).with_outputs(REPORTS, main="clips"))
        return {name: (given[name],) for name in ("clips", REPORTS)}


class _GivenFn(ReportingFn):
    def process(self, clip: Clip) -> Iterator[Clip]:
        count_found(self, clip)
        yield clip


class _InputFn(ReportingFn):
    step = LISTING

    def __init__(self, options: FolderOptions) -> None:
        self._options = options


class _ListShardFn(_InputFn):
    def process(self, shard: bytes) -> Iterator[Any]:
        listed = packed.list_shard(deserialize(shard))
        for found in map(self._options.applied, self.timed(listed)):
            count_found(self, found)
            if isinstance(found, Clip):
                yield found
            elif isinstance(found, Failure):
                yield line_report(found)
            elif isinstance(found, packed.ReadAs):
                self.count(f"packed/{found.what}")
            else:
                self.count(f"skipped/{found.why}")


class _ListFn(_InputFn):
    def process(self, path: bytes) -> Iterator[Any]:
        uri = os.fsdecode(path)
        is_empty, num_skipped = True, 0
        for found in map(self._options.applied, self.timed(listing.list_input(uri))):
            count_found(self, found)
            if isinstance(found, Clip):
                is_empty = False
                yield found
            elif isinstance(found, Failure):
                is_empty = False
                yield line_report(found)
            elif isinstance(found, Shard):
                is_empty = False
                yield pvalue.TaggedOutput(_SHARDS, serialize(found))
            else:
                num_skipped += 1
                self.count(f"skipped/{found.why}")
        if is_empty:
            why = f"none of its {num_skipped} files is audio by its suffix"
            why = why if num_skipped else "nothing matches it, seen from a worker"
            failure = Failure(printable(uri), uri, "list", "not_found", why)
            count_found(self, failure)
            yield line_report(failure)


def count_found(counting: ReportingFn, found: object) -> None:
    """Counts a listed clip or failure; ignores anything else."""
    if isinstance(found, Clip):
        counting.report(LISTED)
        counting.increment(found=1)
    elif isinstance(found, Failure):
        counting.report(LISTED)
        counting.report(UNPLANNED)
        counting.increment(found=1)
        counting.count_failure(found.reason, found.split, is_new=True)
