"""PlanClips: one clip per id, with the labels of all its rows and known labels only."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.typehints.decorators import no_annotations

from transforms.corpus.clips import Clip, Failure
from transforms.corpus.labels import ClassMap, apply_class_map
from transforms.corpus.same_clips import MERGE_LABELS, SAME_CLIP, repeat_note, resolve_clips
from transforms.corpus.serialization import deserialize, serialize
from transforms.corpus.splits import Splits
from transforms.dataset.completeness import PLANNED, UNPLANNED
from transforms.dataset.line_reports import line_report
from transforms.metrics.reporting import REPORTS, ReportingFn, with_types


@dataclasses.dataclass
class PlanClips(beam.PTransform):
    """Merges rows of one clip, and rejects other clips of its id and labels of no class.

    Input: `Clip`s. Outputs: `clips` (one per id) and `reports`, with a `Failure` for each rejected
    clip, and an `AudioNote` for each that repeats another one word for word.

    Attributes:
      class_map: Class map of the known labels; None to accept any.
      drop_unknown_labels: Whether to drop unknown labels; otherwise their clips fail.
      same_clip: What becomes of rows of one clip with different labels, one of `SAME_CLIP`.
      keep_columns: Columns that rows of one clip may not differ in, because records have them; None
        for all.
      splits: Splits of the dataset, for notes; None if clips have their own.

    Raises:
      ValueError: `same_clip` is not allowed.
    """

    class_map: ClassMap | None = None
    drop_unknown_labels: bool = False
    same_clip: str = MERGE_LABELS
    keep_columns: Sequence[str] | None = None
    splits: Splits | None = None

    def __post_init__(self) -> None:
        super().__init__()
        if self.same_clip not in SAME_CLIP:
            raise ValueError(f"same_clip={self.same_clip!r} (allowed: {', '.join(SAME_CLIP)})")

    @no_annotations
    def expand(self, clips: pvalue.PCollection[Clip]) -> pvalue.DoOutputsTuple:
        return with_types(
            clips
            | beam.Map(_keyed).with_output_types(tuple[str, bytes])
            | beam.GroupByKey()
            | beam.ParDo(_ResolveFn(self)).with_outputs(REPORTS, main="clips")
        )


class _ResolveFn(ReportingFn):
    def __init__(self, plan: PlanClips) -> None:
        self._class_map = plan.class_map
        self._drop_unknown_labels = plan.drop_unknown_labels
        self._same_clip = plan.same_clip
        self._keep_columns = plan.keep_columns
        self._splits = plan.splits

    def process(self, element: tuple[str, Iterable[bytes]]) -> Iterator[Any]:
        resolved = resolve_clips(map(deserialize, element[1]), self._same_clip, self._keep_columns)
        clip, failures = resolved.clip, list(resolved.failures)
        num_repeats = len(resolved.repeats) + resolved.num_merged
        if num_repeats:
            split = self._split_of(clip)
            self.count("repeats", num_repeats, split)
            self.count("merged_rows", resolved.num_merged, split)
            self.report("notes", len(resolved.repeats), split)
            for repeat, first in resolved.repeats:
                yield line_report(repeat_note(repeat, first, split))
        if self._class_map is None:
            self.report(PLANNED)
            yield clip
        else:
            known = apply_class_map(clip, self._class_map, self._drop_unknown_labels)
            if isinstance(known, Failure):
                failures.append(known)
            else:
                if dropped := len(clip.labels) - len(known.labels):
                    self.count("labels_dropped", dropped, clip.split)
                self.report(PLANNED)
                yield known
        self.report(UNPLANNED, len(failures))
        for failure in failures:
            self.count_failure(failure.reason, failure.split, is_new=True)
            yield line_report(failure)

    def _split_of(self, clip: Clip) -> str:
        if clip.split or self._splits is None:
            return clip.split
        return self._splits.split_of(clip.recording or clip.id)


def _keyed(clip: Clip) -> tuple[str, bytes]:
    return clip.id, serialize(clip)
