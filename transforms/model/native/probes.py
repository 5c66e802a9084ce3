"""Probes: the sounds on which the native engine is compared with TensorFlow."""

import functools
import hashlib

import numpy as np

from transforms.corpus.spans import PATCH_SAMPLES, SAMPLE_RATE_HZ

_LEVELS = (1.0, 0.1, 0.001)
# Every sample is a multiple of this, so that the probes are the same to the bit wherever NumPy's
# sines differ in their last bits.
_STEP = 2.0**-20


@functools.cache
def patches() -> np.ndarray:
    """Returns tones, chirps, noise, clicks and mixtures of several levels, and silence.

    Returns:
      float32 `[num_probes, 15600]`.
    """
    random = np.random.default_rng(64)
    time = np.arange(PATCH_SAMPLES) / SAMPLE_RATE_HZ
    sounds = [np.zeros(PATCH_SAMPLES), np.ones(PATCH_SAMPLES)]
    for level in _LEVELS:
        noise = random.integers(-(2**20), 2**20, (3, PATCH_SAMPLES)) * _STEP
        clicks = np.zeros(PATCH_SAMPLES)
        clicks[random.integers(0, PATCH_SAMPLES, 5)] = random.choice([-1.0, 1.0], 5)
        tones = [np.sin(2 * np.pi * hertz * time) for hertz in (100.0, 440.0, 1_000.0, 5_333.0)]
        rising, falling = (
            np.sin(2 * np.pi * (first * time + (last - first) * time**2 / 2))
            for first, last in ((50.0, 7_900.0), (7_900.0, 50.0))
        )
        sounds += [
            *(level * each for each in (*tones, rising, falling, clicks, noise[0])),
            level * noise[1] * np.linspace(0.0, 1.0, PATCH_SAMPLES) ** 3,
            level * (0.2 * noise[2] + 0.5 * tones[1] * (tones[0] > 0)),
            level * np.where(tones[1] >= 0, 1.0, -1.0),  # full scale, at the highest level
        ]
    return (np.round(np.stack(sounds) / _STEP) * _STEP).astype(np.float32)


def digest(rows: np.ndarray) -> str:
    """Returns the sha256 of rows, which is equal on every machine if their bits are."""
    return hashlib.sha256(np.ascontiguousarray(rows, "<f4").tobytes()).hexdigest()
