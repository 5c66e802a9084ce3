"""Resampling from any sample rate to 16 kHz, block by block, with the SoX resampler."""

import math

import numpy as np
import soxr

from transforms.corpus.spans import SAMPLE_RATE_HZ

# 28-bit precision, computed in float64: rounded to float32, samples do not depend on where before
# them the resampler was started. (HQ computes in float32: differences of 1e-7, to save 0.05 ms per
# row.)
QUALITY = "VHQ"
# Number of output samples before and after a sample that can affect it, with a margin even for
# resampling from 1 kHz.
CONTEXT_SAMPLES = 16_000
# For decimation by a power of two, libsoxr 0.1.3 filters in the frequency domain only, block by
# block, with errors of 1e-10. Started at a block boundary, it computes exactly the same sums.
_BLOCK_SAMPLES = {32_000: 758, 64_000: 748, 128_000: 742}


class Resampler:
    """Resamples a mono waveform that arrives in blocks.

    The concatenated output equals the result of one call on the whole waveform.

    Attributes:
      rate_hz: Sample rate of the waveform.
    """

    def __init__(self, rate_hz: int, out_rate_hz: int = SAMPLE_RATE_HZ) -> None:
        self.rate_hz = rate_hz
        self._stream = None
        if rate_hz != out_rate_hz:
            self._stream = soxr.ResampleStream(
                rate_hz, out_rate_hz, num_channels=1, dtype="float32", quality=QUALITY
            )

    def push(self, block: np.ndarray) -> np.ndarray:
        """Takes the next float32 `[num_frames]`; returns float32 at the other rate."""
        if self._stream is None:  # already at that rate
            return block
        return np.asarray(self._stream.resample_chunk(np.ascontiguousarray(block)))

    def finish(self) -> np.ndarray:
        """Returns the remaining samples."""
        empty = np.empty(0, np.float32)
        if self._stream is None:
            return empty
        return np.asarray(self._stream.resample_chunk(empty, last=True))


def period(sample_rate_hz: int) -> tuple[int, int]:
    """Returns the resampler's period, as numbers of samples at 16 kHz and of frames.

    A resampler that starts an integral number of periods later returns the same samples, later.
    """
    divisor = math.gcd(sample_rate_hz, SAMPLE_RATE_HZ)
    num_periods = _BLOCK_SAMPLES.get(sample_rate_hz, 1)
    return num_periods * SAMPLE_RATE_HZ // divisor, num_periods * sample_rate_hz // divisor


def count_samples(num_frames: int, sample_rate_hz: int) -> int:
    """Returns the number of samples at 16 kHz for a number of frames, rounded."""
    return (2 * num_frames * SAMPLE_RATE_HZ + sample_rate_hz) // (2 * sample_rate_hz)
