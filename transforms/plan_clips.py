"""PlanClips: one clip an id, spread over the workers."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam import pvalue

from transforms.corpus.clips import Clip, resolve_duplicates

FAILURES = "failures"


@dataclasses.dataclass
class PlanClips(beam.PTransform):
    """Finds clips that share an id.

    Input: `Clip`s. Outputs: `clips` (one an id) and `failures` (the other ones).

    The GroupByKey is also what spreads the clips of one big folder over the workers: it is the
    last shuffle before the audio, and only these small records go through it.
    """

    def expand(self, clips: pvalue.PCollection[Clip]) -> pvalue.DoOutputsTuple:
        return (
            clips
            | beam.Map(_keyed).with_output_types(tuple[str, Clip])
            | beam.GroupByKey()
            | beam.ParDo(_ResolveFn()).with_outputs(FAILURES, main="clips")
        )


class _ResolveFn(beam.DoFn):
    def process(self, element: tuple[str, Iterable[Clip]]) -> Iterator[Any]:
        clip, failures = resolve_duplicates(element[1])
        yield clip
        for failure in failures:
            yield pvalue.TaggedOutput(FAILURES, failure)


def _keyed(clip: Clip) -> tuple[str, Clip]:
    return clip.id, clip
