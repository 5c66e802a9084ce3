"""PlanSpans: from clips to decode tasks, each one pass over a recording."""

import dataclasses
import errno
import itertools
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.typehints.decorators import no_annotations

from transforms.audio import decoding
from transforms.audio.errors import AudioError
from transforms.corpus import recordings
from transforms.corpus.clips import Clip, Failure, group_recordings, unit_of
from transforms.corpus.serialization import deserialize, serialize
from transforms.corpus.spans import (
    SPAN_ROWS,
    DecodeTask,
    FramingConfig,
    Span,
    cut_into_pieces,
    requested_seconds,
    single_task,
    split_into_tasks,
)
from transforms.corpus.splits import Splits, assign_splits
from transforms.dataset.completeness import RECEIVED
from transforms.dataset.line_reports import line_report
from transforms.metrics.reporting import REPORTS, ReportingFn, with_types
from transforms.metrics.run_times import LISTING
from transforms.packed import address
from transforms.storage import files

# A smaller file is decoded within seconds: opening it twice would cost more than it saves.
MIN_BYTES_TO_SPREAD = 8 * 2**20


@dataclasses.dataclass
class PlanSpans(beam.PTransform):
    """Groups clips by recording, and splits the work on long recordings.

    Input: `Clip`s, one per id. Outputs: `decode_tasks` (`DecodeTask`) and `reports`, with a
    `Failure` for each clip whose recording does not exist. Clips of one recording are in one split.

    This is the last shuffle before decoding: only these small records pass through it.

    Attributes:
      framing: How clips become patches.
      splits: Shares of the recordings, or None.
      min_bytes: Minimum size of a file to open it here and see whether it can be split.
      span_rows: Approximate number of rows in a decode task of a long recording.
    """

    framing: FramingConfig
    splits: Splits | None = None
    min_bytes: int = MIN_BYTES_TO_SPREAD
    span_rows: int = SPAN_ROWS

    @no_annotations
    def expand(self, clips: pvalue.PCollection[Clip]) -> dict[str, pvalue.PCollection]:
        planned = with_types(
            clips
            | beam.Map(recordings.by_spelled_recording).with_output_types(tuple[bytes, bytes])
            | beam.GroupByKey()
            | beam.ParDo(_PlanFn(self)).with_outputs(REPORTS, main="planned"),
            planned=bytes,
        )
        decode_tasks = (
            planned.planned
            # Without it, all tasks of a recording would run in one worker.
            | beam.Reshuffle()
            | beam.Map(deserialize).with_output_types(DecodeTask)
        )
        return {"decode_tasks": decode_tasks, REPORTS: planned[REPORTS]}


class _PlanFn(ReportingFn):
    step = LISTING

    def __init__(self, plan: PlanSpans) -> None:
        self._framing = plan.framing
        self._splits = plan.splits
        self._min_bytes = plan.min_bytes
        self._span_rows = plan.span_rows

    def process(self, element: tuple[bytes, Iterable[bytes]]) -> Iterator[Any]:
        clips = list(map(deserialize, element[1]))
        # The clips that `clip_seconds` cuts are counted as they are cut.
        is_cut = self._framing.clip_seconds is not None
        self.report(RECEIVED, len(clips))
        if not is_cut:
            self.count("clips", len(clips))
        for planned in self.timed(self._planned(clips)):
            if isinstance(planned, Failure):
                self.count_failure(planned.reason, planned.split, is_new=is_cut)
                yield line_report(planned)
            else:
                self.report("decode_tasks")
                self.increment(decode_tasks=1)
                yield serialize(planned)

    def _planned(self, clips: list[Clip]) -> Iterator[DecodeTask | Failure]:
        if recordings.is_absent(clips[0].uri):
            why = os.strerror(errno.ENOENT)
            for each in group_recordings(clips):
                for clip in self._first_pieces(list(assign_splits(each, self._splits))):
                    yield clip.failure("plan", "not_found", recordings.absence(clip, why))
            return
        if address.parse(clips[0].uri) is None:
            yield from self._tasks_of_recording(clips)
        elif clips[0].place is not None:
            yield from self._tasks_of_members(clips)
        else:  # members that a table names
            yield from self._tasks_of_named_members(clips)

    def _tasks_of_named_members(self, clips: list[Clip]) -> Iterator[DecodeTask | Failure]:
        split = [
            clip for each in group_recordings(clips) for clip in assign_splits(each, self._splits)
        ]
        by_unit: dict[str, list[Clip]] = {}
        for clip, failure in recordings.place_members(split):
            if failure is None:
                by_unit.setdefault(unit_of(clip), []).append(clip)
            else:
                for piece in self._first_pieces([clip]):
                    yield piece.failure("plan", *failure)
        for unit in by_unit.values():
            yield from self._tasks_of_members(unit)

    def _tasks_of_members(self, clips: list[Clip]) -> Iterator[DecodeTask]:
        """Yields one task for the short recordings of a part of a packed file."""
        together: list[Span] = []
        can_split = recordings.is_seekable(clips[0])
        for each in group_recordings(clips):
            tasks = list(self._tasks_of_recording(each))
            if can_split and len(tasks) > 1:
                yield from tasks
            else:
                together += [span for task in tasks for span in task.spans]
        if together:
            yield DecodeTask(together[0].clip.uri, tuple(together))

    def _tasks_of_recording(self, clips: list[Clip]) -> Iterator[DecodeTask]:
        clips = list(assign_splits(clips, self._splits))
        # A task decodes one channel of one format.
        alike = sorted(clips, key=lambda clip: (str(clip.raw_format), clip.channel or 0))
        for _, group in itertools.groupby(alike, key=lambda clip: (clip.raw_format, clip.channel)):
            yield from self._decode_tasks(list(group))

    def _decode_tasks(self, clips: list[Clip]) -> Iterator[DecodeTask]:
        seconds = self._length_worth_spreading(clips)
        if seconds is None:
            yield single_task(clips)
        else:
            yield from split_into_tasks(clips, seconds, self._framing, self._span_rows)

    def _first_pieces(self, clips: list[Clip]) -> list[Clip]:
        seconds = self._framing.clip_seconds
        return (
            clips if seconds is None else [next(cut_into_pieces(clip, seconds)) for clip in clips]
        )

    def _length_worth_spreading(self, clips: list[Clip]) -> Fraction | None:
        """Returns the duration of a recording that is worth splitting; None for any other."""
        wanted = requested_seconds(clips)
        # `max_rows` limits each clip, not all of them together.
        framing = dataclasses.replace(self._framing, max_rows=None)
        if wanted is not None and framing.num_rows(Fraction(wanted)) < 2 * self._span_rows:
            return None
        uri = clips[0].uri
        try:
            num_bytes = clips[0].num_bytes
            if (files.size(uri) if num_bytes is None else num_bytes) < self._min_bytes:
                return None
            if not recordings.is_seekable(clips[0]):
                return None
            with (
                recordings.open_recording_file(clips[0]) as file,
                decoding.open_recording(
                    file, address.suffix_of(uri), clips[0].raw_format
                ) as recording,
            ):
                if recording.num_frames is None:
                    return None
                return Fraction(recording.num_frames, recording.sample_rate_hz)
        except (AudioError, OSError):
            return None  # decoding will say what is wrong
