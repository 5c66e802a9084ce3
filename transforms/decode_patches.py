"""DecodePatches: from readings to patches."""

import dataclasses
import functools
import posixpath
import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam import pvalue

from transforms import live_counts, storage
from transforms.audio.reading import read_spans
from transforms.corpus.packing import pack
from transforms.corpus.rows import Decoded, PatchRun
from transforms.corpus.spans import Cutting, Reading
from transforms.dataset.run_times import DECODING
from transforms.preflight import host
from transforms.preflight.timings import ReadingTiming
from transforms.timed import TIMES, TimedFn

VERDICTS = "verdicts"
DONE = "done"


@dataclasses.dataclass
class DecodePatches(beam.PTransform):
    """Opens, decodes, mixes, resamples and cuts.

    Input: `Reading`s. Outputs: `patches` (`PatchRun`s, to be consumed where they are: never through
    a shuffle), `verdicts` (`(clip id, packed Decoded or Failure)`: one a clip, or for one of
    several spans also a failure for each that fails), `done` (a `ReadingTiming` a reading) and
    `times`. A clip that fails in the middle has given patches before.
    """

    cutting: Cutting

    def expand(self, readings: pvalue.PCollection[Reading]) -> pvalue.DoOutputsTuple:
        decode = beam.ParDo(_DecodeFn(self.cutting))
        return readings | decode.with_outputs(VERDICTS, DONE, TIMES, main="patches")


class _DecodeFn(TimedFn):
    step = DECODING

    def __init__(self, cutting: Cutting) -> None:
        self._cutting = cutting

    def process(self, reading: Reading) -> Iterator[Any]:
        open_file = functools.partial(storage.open_to_read, reading.uri)
        suffix = posixpath.splitext(reading.uri)[1].lower()
        started = time.time()
        core = _CoreTime()
        found_in = read_spans(open_file, reading, self._cutting, suffix)
        for found in self.timed(core.timed(found_in)):
            if isinstance(found, PatchRun):
                live_counts.count(patches=len(found.patches))
                yield found
            else:
                if isinstance(found, Decoded):
                    clip_id = found.clip.id
                    live_counts.count(done=1)
                else:
                    clip_id = found.id
                    live_counts.count(done=1, failures=1)
                yield pvalue.TaggedOutput(VERDICTS, (clip_id, pack(found)))
        live_counts.count(readings_done=1)
        timing = ReadingTiming(reading.uri, host.process_name(), started, core.seconds)
        yield pvalue.TaggedOutput(DONE, timing)


class _CoreTime:
    """Sums up this thread's time on a core while an iterator works, not while others use it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, items: Iterator[Any]) -> Iterator[Any]:
        nothing = object()
        while True:
            before = time.thread_time()
            item = next(items, nothing)
            self.seconds += time.thread_time() - before
            if item is nothing:
                return
            yield item
