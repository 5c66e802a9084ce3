"""AssembleClips: from rows to complete records."""

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam import pvalue
from apache_beam.transforms.window import GlobalWindows

from transforms.corpus.clips import Failure
from transforms.corpus.labels import ClassMap
from transforms.corpus.runs import DecodedClip, RowRun, join_rows
from transforms.corpus.serialization import deserialize
from transforms.dataset.profiles import Profile
from transforms.dataset.sequence_examples import sequence_example
from transforms.dataset.shards import Record
from transforms.metrics import live_counts
from transforms.metrics.run_times import ASSEMBLING
from transforms.metrics.timed import TIMES, TimedFn

FAILURES = "failures"
TALLIES = "tallies"


@dataclasses.dataclass
class AssembleClips(beam.PTransform):
    """Joins each clip with its rows, and proves that none is missing.

    Input: a dict of `decode_results` (`(clip id, serialized Decoded or Failure)`), `rows`
    (`(clip id, RowRun)`) and `model_failures` (`(clip id, message)`). Outputs: `records`
    (`Record`) and `failures` (`Failure`), together exactly one a clip, `tallies`
    (`((split, name), count)`) and `times`.

    Attributes:
      profile: Layout of the records.
      class_map: A singleton side input.
    """

    profile: Profile
    class_map: pvalue.AsSingleton

    def expand(self, inputs: Mapping[str, pvalue.PCollection]) -> pvalue.DoOutputsTuple:
        return (
            inputs
            | beam.CoGroupByKey()
            | beam.ParDo(_AssembleFn(self.profile), class_map=self.class_map).with_outputs(
                FAILURES, TALLIES, TIMES, main="records"
            )
        )


class _AssembleFn(TimedFn):
    step = ASSEMBLING

    def __init__(self, profile: Profile) -> None:
        self._profile = profile

    def start_bundle(self) -> None:
        super().start_bundle()
        self._tallies: collections.Counter[tuple[str, str]] = collections.Counter()

    def finish_bundle(self) -> Iterator[Any]:
        yield from super().finish_bundle()
        for tally in self._tallies.items():
            if tally[1]:
                yield pvalue.TaggedOutput(TALLIES, GlobalWindows.windowed_value(tally))

    def process(
        self, element: tuple[str, Mapping[str, Iterable[Any]]], class_map: ClassMap
    ) -> Iterator[Any]:
        live_counts.count(assembled=1)
        yield from self.timed(self._assembled(element, class_map))

    def _assembled(
        self, element: tuple[str, Mapping[str, Iterable[Any]]], class_map: ClassMap
    ) -> Iterator[Any]:
        clip_id, found = element
        outcome = _outcome(clip_id, found)
        if isinstance(outcome, Failure):
            yield pvalue.TaggedOutput(FAILURES, outcome)
            return
        decoded, rows = outcome
        clip = decoded.clip
        labels = class_map.indices(clip.labels)
        data = sequence_example(self._profile, decoded, labels, rows)
        yield Record(clip.id, data, clip.split)
        for name, count in (
            ("records", 1),
            ("rows", decoded.num_rows),
            ("samples", decoded.num_samples),
            ("padded_clips", int(decoded.padded)),
            ("truncated_clips", int(decoded.truncated)),
            ("rows_skipped", decoded.num_rows_skipped),
            (f"decoders/{decoded.decoder}", 1),
        ):
            self._tallies[clip.split, name] += count


def _outcome(
    clip_id: str, found: Mapping[str, Iterable[Any]]
) -> tuple[DecodedClip, np.ndarray] | Failure:
    """Returns a clip's record-to-be with all its rows, or why it has none."""
    decode_results = list(map(deserialize, found["decode_results"]))
    # Each span of a clip may have failed; which of them is told must not depend on the order.
    failures = sorted(each for each in decode_results if isinstance(each, Failure))
    if failures:
        return failures[0]
    decoded = next((each for each in decode_results if isinstance(each, DecodedClip)), None)
    if decoded is None:
        return Failure(clip_id, "", "assemble", "incomplete", "it was never decoded to its end")
    model_failures = sorted(map(str, found["model_failures"]))
    if model_failures:
        return decoded.clip.failure("embed", "model_error", model_failures[0])
    runs = (run for run in found["rows"] if isinstance(run, RowRun))
    rows = join_rows(runs, decoded.num_rows)
    if rows is None:
        message = f"rows are missing: {decoded.num_rows} were due"
        return decoded.clip.failure("assemble", "incomplete", message)
    return decoded, rows
