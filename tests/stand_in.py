"""A stand-in for the hub's model, and the same thing in numpy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

PATCH_SAMPLES = 15_600
MODEL_HOP_SAMPLES = 15_360
STRIDE = 122  # 128 samples of a patch
# A model for one test: what it makes of the patches [num_rows, 15600] of its waveform.
Body = Callable[[Any], Any]


class StandIn(tf.Module):
    """Row i is every 122nd sample of patch i."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def __call__(self, waveform: tf.Tensor) -> tf.Tensor:
        return tf.signal.frame(waveform, PATCH_SAMPLES, MODEL_HOP_SAMPLES)[:, ::STRIDE]


def stand_in_rows(waveform: np.ndarray, hop_samples: int = MODEL_HOP_SAMPLES) -> np.ndarray:
    """Returns float32 `[num_rows, 128]` of a waveform at 16 kHz of at least one patch."""
    starts = range(0, len(waveform) - PATCH_SAMPLES + 1, hop_samples)
    return np.stack([waveform[start : start + PATCH_SAMPLES : STRIDE] for start in starts])


class OneRow(tf.Module):
    """Every row is one and the same, whatever the sound."""

    def __init__(self, row: np.ndarray) -> None:
        super().__init__()
        self._row = row.astype(np.float32)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def __call__(self, waveform: tf.Tensor) -> tf.Tensor:
        return 0.0 * tf.signal.frame(waveform, PATCH_SAMPLES, MODEL_HOP_SAMPLES)[:, :1] + self._row
