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
from transforms.metrics.reporting import REPORTS, ReportingFn
from transforms.metrics.run_times import LISTING

FAILURES = "failures"
_SHARDS = "shards"


@dataclasses.dataclass
class ListClips(beam.PTransform):
    """Lists files, folders and globs in the workers.

    Input: absolute paths as bytes from `os.fsencode`, because Beam's coder for text rejects paths
    that are not UTF-8. Outputs: `clips` (`Clip`), `failures` (`Failure`: files and folders
    that cannot be listed, and inputs without audio) and `reports`, with the skipped files.

    Attributes:
      options: What the paths below the inputs say.
    """

    options: FolderOptions = NO_OPTIONS

    @no_annotations
    def expand(self, inputs: pvalue.PCollection[bytes]) -> dict[str, pvalue.PCollection]:
        listed = (
            inputs
            # Without it, the runner lists all inputs in one bundle.
            | beam.Reshuffle()
            | beam.ParDo(_ListFn(self.options)).with_outputs(
                FAILURES, REPORTS, _SHARDS, main="clips"
            )
        )
        unpacked = (
            listed[_SHARDS]
            # Without it, one worker reads all packed files of a folder.
            | "SpreadShards" >> beam.Reshuffle()
            | beam.ParDo(_ListShardFn(self.options)).with_outputs(FAILURES, REPORTS, main="clips")
        )
        return {
            "clips": (listed.clips, unpacked.clips) | "Clips" >> beam.Flatten(),
            **{
                name: (listed[name], unpacked[name]) | name.capitalize() >> beam.Flatten()
                for name in (FAILURES, REPORTS)
            },
        }


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
                yield pvalue.TaggedOutput(FAILURES, found)
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
                yield pvalue.TaggedOutput(FAILURES, found)
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
            yield pvalue.TaggedOutput(FAILURES, failure)


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
