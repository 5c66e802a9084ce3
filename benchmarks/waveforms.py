"""How a user reads a recording for the model, in a few lines."""

from pathlib import Path

import numpy as np
import soundfile
import soxr

from benchmarks.corpora import MODEL_RATE_HZ


def read_waveform(path: str | Path) -> np.ndarray:
    """Returns a whole recording as the model takes it: float32 `[num_samples]`, mono, 16 kHz."""
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    if rate_hz == MODEL_RATE_HZ:
        return mono
    return np.asarray(soxr.resample(mono, rate_hz, MODEL_RATE_HZ))
