"""Synthetic sound, and the blocks of a recording."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from transforms.audio import decoding


def noise(num_samples: int, seed: int = 0, scale: float = 0.1) -> np.ndarray:
    """Returns float32 `[num_samples]` that 16 bits hold exactly."""
    samples = np.random.default_rng(seed).normal(0, scale, num_samples)
    return (np.clip(np.round(samples * 2**15), -(2**15), 2**15 - 1) / 2**15).astype(np.float32)


def write_wav(path: Path, samples: np.ndarray, sample_rate_hz: int = 16_000) -> np.ndarray:
    """Writes 16-bit WAV, and returns the samples."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:  # soundfile itself takes no path that is not UTF-8
        soundfile.write(file, samples, sample_rate_hz, subtype="PCM_16", format="WAV")
    return samples


def blocks_of(recording: decoding.Recording) -> Iterator[np.ndarray]:
    """Yields the blocks of a recording up to its end, checked as those of clips are."""
    while len(block := recording.read()):
        first_frame = recording.position - len(block)
        decoding.validate_samples(block, first_frame, recording.sample_rate_hz)
        yield block
