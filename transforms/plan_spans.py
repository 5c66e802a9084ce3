"""PlanSpans: from clips to what is read in one pass over a recording."""

import dataclasses
import errno
import itertools
import os
import posixpath
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import apache_beam as beam
from apache_beam import pvalue

from transforms import live_counts, storage
from transforms.audio import decoding
from transforms.audio.errors import AudioError
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.packing import pack, unpack
from transforms.corpus.spans import (
    SPAN_ROWS,
    Cutting,
    Reading,
    one_reading,
    pieces,
    seconds_wanted,
    spread_readings,
)
from transforms.corpus.splits import Splits, with_splits
from transforms.dataset.run_times import LISTING
from transforms.timed import TIMES, TimedFn

FAILURES = "failures"
# A smaller file is decoded within seconds: to look into it twice would cost more than it gains.
MIN_BYTES_TO_SPREAD = 8 * 2**20


@dataclasses.dataclass
class PlanSpans(beam.PTransform):
    """Groups clips by recording, and spreads the work on long recordings over the workers.

    Input: `Clip`s, one an id. Outputs: `readings` (`Reading`), `failures` (`Failure`: clips
    whose recording is not there) and `times`. Clips of one recording are in one split.

    It is the last shuffle before the audio: only these small records go through it.

    Attributes:
      cutting: How clips become patches.
      splits: Shares of the recordings, or None.
      min_bytes: Size of a file from which on it is looked into, to see whether it can be read in
        several places at the same time.
      span_rows: About how many rows of a long recording make a reading.
    """

    cutting: Cutting
    splits: Splits | None = None
    min_bytes: int = MIN_BYTES_TO_SPREAD
    span_rows: int = SPAN_ROWS

    def expand(self, clips: pvalue.PCollection[Clip]) -> dict[str, pvalue.PCollection]:
        planned = (
            clips
            | beam.Map(by_recording).with_output_types(tuple[bytes, bytes])
            | beam.GroupByKey()
            | beam.ParDo(_PlanFn(self)).with_outputs(FAILURES, TIMES, main="planned")
        )
        readings = (
            planned.planned
            | beam.Map(pack).with_output_types(bytes)
            # One recording may give many readings: without it they would stay in one worker.
            | beam.Reshuffle()
            | "Unpack" >> beam.Map(unpack).with_output_types(Reading)
        )
        return {"readings": readings, FAILURES: planned[FAILURES], TIMES: planned[TIMES]}


class _PlanFn(TimedFn):
    step = LISTING

    def __init__(self, plan: PlanSpans) -> None:
        self._cutting = plan.cutting
        self._splits = plan.splits
        self._min_bytes = plan.min_bytes
        self._span_rows = plan.span_rows

    def process(self, element: tuple[bytes, Iterable[bytes]]) -> Iterator[Any]:
        for planned in self.timed(self._planned(element[1])):
            if isinstance(planned, Failure):
                live_counts.count(done=1, failures=1)
                yield pvalue.TaggedOutput(FAILURES, planned)
            else:
                live_counts.count(readings=1)
                yield planned

    def _planned(self, packed: Iterable[bytes]) -> Iterator[Reading | Failure]:
        clips = list(with_splits(map(unpack, packed), self._splits))
        if storage.is_absent(clips[0].uri):
            for clip in self._first_pieces(clips):
                yield clip.failure("plan", "not_found", os.strerror(errno.ENOENT))
            return
        by_format = sorted(clips, key=lambda clip: str(clip.raw_format))
        for _, group in itertools.groupby(by_format, key=lambda clip: clip.raw_format):
            yield from self._readings(list(group))

    def _readings(self, clips: list[Clip]) -> Iterator[Reading]:
        seconds = self._length_worth_spreading(clips)
        if seconds is None:
            yield one_reading(clips)
        else:
            yield from spread_readings(clips, seconds, self._cutting, self._span_rows)

    def _first_pieces(self, clips: list[Clip]) -> list[Clip]:
        seconds = self._cutting.clip_seconds
        return clips if seconds is None else [next(pieces(clip, seconds)) for clip in clips]

    def _length_worth_spreading(self, clips: list[Clip]) -> Fraction | None:
        """Returns the length of a recording with more work than one reading's, or None."""
        wanted = seconds_wanted(clips)
        # The bound on rows is one of each clip, and not of all together.
        cutting = dataclasses.replace(self._cutting, max_rows=None)
        if wanted is not None and cutting.num_rows(Fraction(wanted)) < 2 * self._span_rows:
            return None
        uri = clips[0].uri
        try:
            num_bytes = clips[0].num_bytes
            if (storage.size(uri) if num_bytes is None else num_bytes) < self._min_bytes:
                return None
            with (
                storage.open_to_read(uri) as file,
                decoding.open_recording(
                    file, posixpath.splitext(uri)[1].lower(), clips[0].raw_format
                ) as recording,
            ):
                if recording.num_frames is None:
                    return None
                return Fraction(recording.num_frames, recording.sample_rate_hz)
        except (AudioError, OSError):
            return None  # decoding will say what is wrong


def by_recording(clip: Clip) -> tuple[bytes, bytes]:
    """Returns a packed clip with the name of its recording as key."""
    # Beam's coder for text refuses names that are not UTF-8.
    return os.fsencode(clip.uri), pack(clip)
