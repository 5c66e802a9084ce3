"""CollectLabels: from clips to the class map of the dataset."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.transforms.window import GlobalWindows

from transforms.corpus.clips import Clip
from transforms.corpus.labels import ClassMap, build_class_map


@dataclasses.dataclass
class CollectLabels(beam.PTransform):
    """Builds a class map of the labels of all clips.

    Labels are numbered in sorted order, integers in numeric order.

    Input: `Clip`s. Output: one `ClassMap`; without clips one without classes, or none.
    """

    def expand(self, clips: pvalue.PCollection[Clip]) -> pvalue.PCollection[ClassMap]:
        return (
            clips
            | beam.ParDo(_LabelsFn()).with_output_types(tuple[str, frozenset[str]])
            | beam.GroupByKey()
            | beam.MapTuple(_class_map)
        )


class _LabelsFn(beam.DoFn):
    """Collects the labels of a bundle: runners' own combiners take longer per element."""

    def start_bundle(self) -> None:
        self._labels: set[str] = set()

    def process(self, clip: Clip) -> None:
        self._labels.update(clip.labels)

    def finish_bundle(self) -> Iterator[Any]:
        yield GlobalWindows.windowed_value(("", frozenset(self._labels)))


def _class_map(_: str, sets: Iterable[frozenset[str]]) -> ClassMap:
    return build_class_map(frozenset().union(*sets))
