"""Patches of waveforms in memory: the same as for a recording with these samples."""

from collections.abc import Iterator

import numpy as np

from transforms.audio.decoding import MAX_SAMPLE_RATE_HZ, MIN_SAMPLE_RATE_HZ
from transforms.audio.errors import AudioError
from transforms.audio.span_patches import SpanPatches
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.runs import DecodedClip, PatchRun
from transforms.corpus.spans import FramingConfig, Span, cut_into_pieces

# Used in place of the name of a decoder.
DECODER = "none"


def waveform_patches(
    clip: Clip, samples: np.ndarray, sample_rate_hz: int, framing: FramingConfig
) -> Iterator[PatchRun | DecodedClip | Failure]:
    """Resamples a waveform and cuts it into patches.

    Args:
      clip: Clip of the whole waveform.
      samples: float32 `[num_samples]`, mono, in [-1, 1].
      sample_rate_hz: Sample rate, from `MIN_SAMPLE_RATE_HZ` to `MAX_SAMPLE_RATE_HZ`.
      framing: How clips are cut into patches.

    Yields:
      The patches in order, and then a `DecodedClip` or a `Failure` for each clip: one, unless
      `framing.clip_seconds` cuts it into several.
    """
    try:
        _check(samples, sample_rate_hz)
    except AudioError as error:
        yield clip.failure("decode", error.reason, str(error))
        return
    sample_rate_hz = int(sample_rate_hz)  # Fraction does not support NumPy's integers
    for span in _spans(clip, len(samples), sample_rate_hz, framing):
        patches = SpanPatches(span, framing, sample_rate_hz, len(samples))
        frames = samples[patches.first_frame : patches.end_frame]
        if not len(frames) and span.is_remainder:
            continue
        try:
            if not len(frames):
                raise AudioError("empty", "the waveform has no samples")
            yield from patches.push(frames)
            yield from patches.finish(DECODER)
        except AudioError as error:
            yield span.clip.failure("decode", error.reason, str(error))


def _spans(
    clip: Clip, num_samples: int, sample_rate_hz: int, framing: FramingConfig
) -> Iterator[Span]:
    if framing.clip_seconds is None:
        yield Span(clip)
        return
    for index, piece in enumerate(cut_into_pieces(clip, framing.clip_seconds)):
        span = Span(piece, is_remainder=index > 0)
        if index and SpanPatches(span, framing, sample_rate_hz, None).first_frame >= num_samples:
            return
        yield span


def _check(samples: np.ndarray, sample_rate_hz: int) -> None:
    if not isinstance(samples, np.ndarray) or samples.dtype != np.float32 or samples.ndim != 1:
        found = (
            f"{samples.dtype} {list(samples.shape)}"
            if isinstance(samples, np.ndarray)
            else type(samples).__name__
        )
        raise AudioError(
            "unsupported_format", f"the samples are {found} (allowed: float32 [num_samples])"
        )
    is_allowed = MIN_SAMPLE_RATE_HZ <= sample_rate_hz <= MAX_SAMPLE_RATE_HZ
    if not is_allowed or sample_rate_hz != int(sample_rate_hz):
        raise AudioError(
            "unsupported_format",
            f"the sample rate is {sample_rate_hz} Hz (allowed: integers from"
            f" {MIN_SAMPLE_RATE_HZ} to {MAX_SAMPLE_RATE_HZ})",
        )
