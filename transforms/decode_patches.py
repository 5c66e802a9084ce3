"""DecodePatches: from decode tasks to patches."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.typehints.decorators import no_annotations

from transforms.audio.span_decoding import decode_spans
from transforms.corpus import recordings
from transforms.corpus.clips import Failure
from transforms.corpus.runs import DamagedAudio, DecodedClip, PatchRun
from transforms.corpus.serialization import serialize
from transforms.corpus.spans import SAMPLE_RATE_HZ, DecodeTask, FramingConfig
from transforms.metrics.reporting import REPORTS, ReportingFn, with_types
from transforms.metrics.run_times import DECODING
from transforms.packed import address

DECODE_RESULTS = "decode_results"


@dataclasses.dataclass
class DecodePatches(beam.PTransform):
    """Decodes recordings, mixes them to mono, resamples them, and cuts them into patches.

    Input: `DecodeTask`s. Outputs: `patches` (`PatchRun`s, which must not pass
    through a shuffle), `decode_results` (`(clip id, serialized DecodedClip or Failure)`: one per
    clip, and for a clip of several spans one failure per failed span; besides, each `DamagedAudio`
    of a clip) and `reports`. A clip that fails midway has patches in the output.

    Attributes:
      framing: How clips become patches.
    """

    framing: FramingConfig

    @no_annotations
    def expand(self, decode_tasks: pvalue.PCollection[DecodeTask]) -> pvalue.DoOutputsTuple:
        decode = beam.ParDo(_DecodeFn(self.framing))
        return with_types(
            decode_tasks | decode.with_outputs(DECODE_RESULTS, REPORTS, main="patches"),
            **{DECODE_RESULTS: tuple[str, bytes]},
        )


class PatchesFn(ReportingFn):
    """Base of DoFns that output patches; counts results and routes them to `DECODE_RESULTS`."""

    step = DECODING

    def __init__(self, framing: FramingConfig) -> None:
        self.framing = framing

    def outputs(
        self, found: Iterable[PatchRun | DamagedAudio | DecodedClip | Failure]
    ) -> Iterator[Any]:
        """Yields patches, and each result as the output `DECODE_RESULTS`."""
        # The clips that `clip_seconds` cuts are counted here: their number is unknown before.
        counts_clips = self.framing.clip_seconds is not None
        for each in self.timed(found):
            if isinstance(each, PatchRun):
                self.increment(patches=len(each.patches))
                yield each
                continue
            if isinstance(each, DamagedAudio):
                yield pvalue.TaggedOutput(DECODE_RESULTS, (each.clip_id, serialize(each)))
                continue
            if isinstance(each, DecodedClip):
                clip_id = each.clip.id
                milliseconds = 1_000 * each.num_samples // SAMPLE_RATE_HZ
                self.increment(done=1, audio_milliseconds=milliseconds)
            else:
                clip_id = each.id
                self.increment(done=1, failures=1)
            if counts_clips:
                self.count("clips")
            yield pvalue.TaggedOutput(DECODE_RESULTS, (clip_id, serialize(each)))


class _DecodeFn(PatchesFn):
    def process(self, decode_task: DecodeTask) -> Iterator[Any]:
        for task, open_file in recordings.tasks_of(decode_task):
            suffix = address.suffix_of(task.uri)
            yield from self.outputs(decode_spans(open_file, task, self.framing, suffix))
        self.report("decode_tasks_done")
        self.increment(decode_tasks_done=1)
