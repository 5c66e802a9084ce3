"""CollectLabels: from clips to the class map of the dataset."""

import dataclasses
from collections.abc import Iterable

import apache_beam as beam
from apache_beam import pvalue

from transforms.corpus.clips import Clip
from transforms.corpus.labels import ClassMap, build_class_map


@dataclasses.dataclass
class CollectLabels(beam.PTransform):
    """Builds a class map of the labels of all clips, unless there is one already.

    Labels are numbered in sorted order, integers in numeric order.

    Input: `Clip`s. Output: one `ClassMap`, empty if no clip has labels.

    Attributes:
      class_map: The class map to use instead; None to build one.
    """

    class_map: ClassMap | None = None

    def expand(self, clips: pvalue.PCollection[Clip]) -> pvalue.PCollection[ClassMap]:
        if self.class_map is not None:
            return clips.pipeline | beam.Create([self.class_map])
        return clips | beam.Map(_labels) | beam.CombineGlobally(_union) | beam.Map(build_class_map)


def _labels(clip: Clip) -> frozenset[str]:
    return frozenset(clip.labels)


def _union(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)
