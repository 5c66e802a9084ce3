"""ListClips: from inputs to clips."""

import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam import pvalue

from transforms.corpus import listing
from transforms.corpus.clips import Clip, Failure
from transforms.metrics import live_counts
from transforms.metrics.run_times import LISTING
from transforms.metrics.timed import TIMES, TimedFn

FAILURES = "failures"
SKIPPED = "skipped"


@dataclasses.dataclass
class ListClips(beam.PTransform):
    """Lists files, folders and globs in the workers.

    Input: absolute paths as bytes, `os.fsencode`d, because Beam's coder for text refuses those that
    are not UTF-8. Outputs: `clips` (`Clip`), `failures` (`Failure`: what could not be
    looked into), `skipped` (why, a string a file) and `times`.
    """

    def expand(self, inputs: pvalue.PCollection[bytes]) -> pvalue.DoOutputsTuple:
        return (
            inputs
            # An input to a worker: without it the runner fuses them all into one.
            | beam.Reshuffle()
            | beam.ParDo(_ListFn()).with_outputs(FAILURES, SKIPPED, TIMES, main="clips")
        )


class _ListFn(TimedFn):
    step = LISTING

    def process(self, path: bytes) -> Iterator[Any]:
        for found in self.timed(listing.list_input(os.fsdecode(path))):
            live_counts.count_found(found)
            if isinstance(found, Clip):
                yield found
            elif isinstance(found, Failure):
                yield pvalue.TaggedOutput(FAILURES, found)
            else:
                yield pvalue.TaggedOutput(SKIPPED, found.why)
