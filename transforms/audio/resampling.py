"""Any sample rate to 16 kHz, block by block, with the SoX resampler."""

import math

import numpy as np
import soxr

from transforms.corpus.spans import SAMPLE_RATE_HZ

# 28-bit precision, computed in float64: rounded to float32, the samples of a waveform are the same
# wherever the resampler was started before them. (HQ computes in float32: 1e-7 of difference, for
# 0.05 ms less of each row.)
QUALITY = "VHQ"
# Output samples before and behind a place that can have a part in its sample, with room to spare
# even where 1 kHz becomes 16 kHz.
CONTEXT_SAMPLES = 16_000
# Where a power of two is left out, libsoxr (0.1.3) filters in the frequency domain alone, block by
# block, and is exact to 1e-10 only. Started at the border of a block, it does the very same sums.
_BLOCK_SAMPLES = {32_000: 758, 64_000: 748, 128_000: 742}


class Resampler:
    """Turns blocks of a mono waveform into blocks at 16 kHz.

    What comes out, put together, is what one call on the whole waveform would give.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._stream = None
        if sample_rate_hz != SAMPLE_RATE_HZ:
            self._stream = soxr.ResampleStream(
                sample_rate_hz, SAMPLE_RATE_HZ, num_channels=1, dtype="float32", quality=QUALITY
            )

    def push(self, block: np.ndarray) -> np.ndarray:
        """Takes float32 `[num_frames]`, returns float32 `[num_samples]` at 16 kHz."""
        if self._stream is None:  # at 16 kHz they pass unchanged
            return block
        return np.asarray(self._stream.resample_chunk(np.ascontiguousarray(block)))

    def finish(self) -> np.ndarray:
        """Returns the last samples."""
        empty = np.empty(0, np.float32)
        if self._stream is None:
            return empty
        return np.asarray(self._stream.resample_chunk(empty, last=True))


def period(sample_rate_hz: int) -> tuple[int, int]:
    """Returns numbers of samples at 16 kHz and of frames that last equally long.

    A resampler that starts a whole number of periods later gives the same samples, later.
    """
    divisor = math.gcd(sample_rate_hz, SAMPLE_RATE_HZ)
    num_periods = _BLOCK_SAMPLES.get(sample_rate_hz, 1)
    return num_periods * SAMPLE_RATE_HZ // divisor, num_periods * sample_rate_hz // divisor


def count_samples(num_frames: int, sample_rate_hz: int) -> int:
    """Returns how many samples at 16 kHz come of so many frames: the nearest number."""
    return (2 * num_frames * SAMPLE_RATE_HZ + sample_rate_hz) // (2 * sample_rate_hz)
