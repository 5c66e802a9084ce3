"""FrameWaveforms: from waveforms in memory to patches."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import google_crc32c
import numpy as np
from apache_beam import pvalue
from apache_beam.typehints.decorators import no_annotations

from transforms.audio.waveforms import waveform_patches
from transforms.corpus.clips import Clip
from transforms.corpus.spans import FramingConfig
from transforms.decode_patches import DECODE_RESULTS, PatchesFn
from transforms.metrics.reporting import REPORTS, with_types

CLIPS = "clips"


@dataclasses.dataclass
class FrameWaveforms(beam.PTransform):
    """Resamples waveforms and cuts them into patches, as `DecodePatches` does with recordings.

    Input: `(key, samples, sample_rate_hz)`. Outputs: those of `DecodePatches`, and `clips` (`Clip`,
    one a waveform, without its sound).

    Attributes:
      framing: How waveforms become patches.
    """

    framing: FramingConfig

    @no_annotations
    def expand(self, waveforms: pvalue.PCollection) -> pvalue.DoOutputsTuple:
        frame = beam.ParDo(_FrameFn(self.framing))
        return with_types(
            waveforms | frame.with_outputs(CLIPS, DECODE_RESULTS, REPORTS, main="patches"),
            **{DECODE_RESULTS: tuple[str, bytes]},
        )


class _FrameFn(PatchesFn):
    def process(self, element: tuple[str, Any, Any]) -> Iterator[Any]:
        key, samples, sample_rate_hz = element
        if not isinstance(key, str):
            raise TypeError(f"the key {key!r} is a {type(key).__name__} (allowed: str)")
        if self.framing.clip_seconds is None:
            self.count("clips")  # otherwise counted as they are cut
        self.increment(found=1)
        # Audio is not shuffled: the checksum shows in `AssembleClips` whether two have this key.
        data = samples.tobytes() if isinstance(samples, np.ndarray) else b""
        clip = Clip(key, "", recording=f"crc32c:{google_crc32c.value(data):08x}")
        yield pvalue.TaggedOutput(CLIPS, clip)
        yield from self.outputs(waveform_patches(clip, samples, sample_rate_hz, self.framing))
