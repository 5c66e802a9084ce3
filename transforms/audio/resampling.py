"""Any sample rate to 16 kHz, block by block, with the SoX resampler."""

from collections.abc import Iterable, Iterator

import numpy as np
import soxr

SAMPLE_RATE_HZ = 16_000
# soxr's default: 20-bit precision, linear phase, pass band to 0.91 of the Nyquist frequency.
QUALITY = "HQ"


def resample(blocks: Iterable[np.ndarray], sample_rate_hz: int) -> Iterator[np.ndarray]:
    """Yields a mono recording at 16 kHz.

    Args:
      blocks: float32 `[num_samples]` each, at `sample_rate_hz`.
      sample_rate_hz: Of the blocks. At 16 kHz they pass unchanged.

    Yields:
      float32 `[num_samples]`, together what one call on the whole recording would give.
    """
    if sample_rate_hz == SAMPLE_RATE_HZ:
        yield from blocks
        return
    stream = soxr.ResampleStream(
        sample_rate_hz, SAMPLE_RATE_HZ, num_channels=1, dtype="float32", quality=QUALITY
    )
    for block in blocks:
        yield stream.resample_chunk(np.ascontiguousarray(block))
    yield stream.resample_chunk(np.empty(0, np.float32), last=True)
