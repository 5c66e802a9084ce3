"""DecodePatches: from readings to patches."""

import dataclasses
import functools
import posixpath
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam import pvalue

from transforms.audio.span_decoding import decode_spans
from transforms.corpus.runs import DecodedClip, PatchRun
from transforms.corpus.serialization import serialize
from transforms.corpus.spans import DecodeTask, FramingConfig
from transforms.metrics import live_counts
from transforms.metrics.run_times import DECODING
from transforms.metrics.timed import TIMES, TimedFn
from transforms.storage import files

DECODE_RESULTS = "decode_results"
COMPLETED_TASKS = "done"


@dataclasses.dataclass
class DecodePatches(beam.PTransform):
    """Opens, decodes, mixes, resamples and cuts.

    Input: `DecodeTask`s. Outputs: `patches` (`PatchRun`s, to be consumed where they are: never
    through a shuffle), `decode_results` (`(clip id, serialized Decoded or Failure)`: one a clip, or
    for one of several spans also a failure for each that fails), `done` (one a task) and `times`. A
    clip that fails in the middle has given patches before.
    """

    framing: FramingConfig

    def expand(self, decode_tasks: pvalue.PCollection[DecodeTask]) -> pvalue.DoOutputsTuple:
        decode = beam.ParDo(_DecodeFn(self.framing))
        return decode_tasks | decode.with_outputs(
            DECODE_RESULTS, COMPLETED_TASKS, TIMES, main="patches"
        )


class _DecodeFn(TimedFn):
    step = DECODING

    def __init__(self, framing: FramingConfig) -> None:
        self._framing = framing

    def process(self, decode_task: DecodeTask) -> Iterator[Any]:
        open_file = functools.partial(files.open_to_read, decode_task.uri)
        suffix = posixpath.splitext(decode_task.uri)[1].lower()
        for found in self.timed(decode_spans(open_file, decode_task, self._framing, suffix)):
            if isinstance(found, PatchRun):
                live_counts.count(patches=len(found.patches))
                yield found
            else:
                if isinstance(found, DecodedClip):
                    clip_id = found.clip.id
                    live_counts.count(done=1)
                else:
                    clip_id = found.id
                    live_counts.count(done=1, failures=1)
                yield pvalue.TaggedOutput(DECODE_RESULTS, (clip_id, serialize(found)))
        live_counts.count(decode_tasks_done=1)
        yield pvalue.TaggedOutput(COMPLETED_TASKS, 1)
