"""AssembleClips: from rows to complete records."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam import pvalue

from transforms.corpus.clips import Clip, Failure
from transforms.corpus.rows import Decoded, RowRun, join_rows
from transforms.dataset.profiles import Profile
from transforms.dataset.sequence_examples import sequence_example
from transforms.dataset.shards import Record

FAILURES = "failures"
TALLIES = "tallies"


@dataclasses.dataclass
class AssembleClips(beam.PTransform):
    """Joins each clip with its rows, and proves that none is missing.

    Input: a dict of `clips` (`Clip`), `verdicts` (`(clip id, Decoded or Failure)`), `rows`
    (`(clip id, RowRun)`) and `refusals` (`(clip id, message)`). Outputs: `records` (`Record`) and
    `failures` (`Failure`), together exactly one a clip, and `tallies` (`(name, count)`).
    """

    profile: Profile

    def expand(self, inputs: Mapping[str, pvalue.PCollection]) -> pvalue.DoOutputsTuple:
        clips = inputs["clips"] | beam.Map(_keyed).with_output_types(tuple[str, Clip])
        return (
            {**inputs, "clips": clips}
            | beam.CoGroupByKey()
            | beam.ParDo(_AssembleFn(self.profile)).with_outputs(FAILURES, TALLIES, main="records")
        )


class _AssembleFn(beam.DoFn):
    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    def process(self, element: tuple[str, Mapping[str, Iterable[Any]]]) -> Iterator[Any]:
        _, found = element
        (clip,) = (each for each in found["clips"] if isinstance(each, Clip))
        verdicts = list(found["verdicts"])
        failures = sorted(each for each in verdicts if isinstance(each, Failure))
        failures += [
            Failure(clip.id, clip.uri, "embed", "model_error", str(message))
            for message in sorted(map(str, found["refusals"]))
        ]
        decoded = next((each for each in verdicts if isinstance(each, Decoded)), None)
        if not failures and decoded is not None:
            runs = (run for run in found["rows"] if isinstance(run, RowRun))
            rows = join_rows(runs, decoded.num_rows)
            if rows is not None:
                data = sequence_example(self._profile, clip, decoded.seconds, rows)
                yield Record(clip.id, data)
                yield pvalue.TaggedOutput(TALLIES, ("rows", decoded.num_rows))
                yield pvalue.TaggedOutput(TALLIES, ("samples", decoded.num_samples))
                yield pvalue.TaggedOutput(TALLIES, ("padded_clips", int(decoded.padded)))
                yield pvalue.TaggedOutput(TALLIES, ("rows_left_out", decoded.num_rows_left_out))
                return
        if not failures:
            message = f"rows are missing: {decoded} was due" if decoded else "it was never decoded"
            failures = [Failure(clip.id, clip.uri, "assemble", "incomplete", message)]
        yield pvalue.TaggedOutput(FAILURES, failures[0])


def _keyed(clip: Clip) -> tuple[str, Clip]:
    return clip.id, clip
