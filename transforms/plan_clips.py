"""PlanClips: one clip per id, with known labels only."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.typehints.decorators import no_annotations

from transforms.corpus.clips import Clip, Failure, resolve_duplicates
from transforms.corpus.labels import ClassMap, apply_class_map
from transforms.corpus.serialization import deserialize, serialize
from transforms.metrics.reporting import REPORTS, ReportingFn

FAILURES = "failures"


@dataclasses.dataclass
class PlanClips(beam.PTransform):
    """Rejects clips with the id of another clip, and labels that are not in the class map.

    Input: `Clip`s. Outputs: `clips` (one per id), `failures` (`Failure`) and `reports`.

    Attributes:
      class_map: Class map of the known labels; None to accept any.
      drop_unknown_labels: Whether to drop unknown labels; otherwise their clips fail.
    """

    class_map: ClassMap | None = None
    drop_unknown_labels: bool = False

    @no_annotations
    def expand(self, clips: pvalue.PCollection[Clip]) -> pvalue.DoOutputsTuple:
        return (
            clips
            | beam.Map(_keyed).with_output_types(tuple[str, bytes])
            | beam.GroupByKey()
            | beam.ParDo(_ResolveFn(self)).with_outputs(FAILURES, REPORTS, main="clips")
        )


class _ResolveFn(ReportingFn):
    def __init__(self, plan: PlanClips) -> None:
        self._class_map = plan.class_map
        self._drop_unknown_labels = plan.drop_unknown_labels

    def process(self, element: tuple[str, Iterable[bytes]]) -> Iterator[Any]:
        clip, failures = resolve_duplicates(map(deserialize, element[1]))
        if self._class_map is None:
            yield clip
        else:
            known = apply_class_map(clip, self._class_map, self._drop_unknown_labels)
            if isinstance(known, Failure):
                failures.append(known)
            else:
                if dropped := len(clip.labels) - len(known.labels):
                    self.count("labels_dropped", dropped, clip.split)
                yield known
        for failure in failures:
            self.count_failure(failure.reason, failure.split, is_new=True)
            yield pvalue.TaggedOutput(FAILURES, failure)


def _keyed(clip: Clip) -> tuple[str, bytes]:
    return clip.id, serialize(clip)
