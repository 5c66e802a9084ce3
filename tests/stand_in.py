"""A stand-in for the hub's model, and the same thing in numpy. Importing this is quick."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

PATCH_SAMPLES = 15_600
MODEL_HOP_SAMPLES = 15_360
STRIDE = 122  # 128 samples of a patch
# The rows of a model's patches, tensors `[num_rows, 15600]` and `[num_rows, size]`.
Body = Callable[[Any], Any]


def save_model(folder: str | Path, body: Body) -> str:
    """Saves a model with the framing of VGGish and a body of its own; returns its folder."""
    import tensorflow as tf

    class Model(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
        def __call__(self, waveform: Any) -> Any:
            return body(tf.signal.frame(waveform, PATCH_SAMPLES, MODEL_HOP_SAMPLES))

    tf.saved_model.save(Model(), str(folder))
    return str(folder)


def samples(patches: Any) -> Any:
    """The body of the stand-in: row i is every 122nd sample of patch i."""
    return patches[:, ::STRIDE]


def one_row(row: np.ndarray) -> Body:
    """The body of a model whose rows are all the same, whatever the sound."""
    return lambda patches: 0.0 * patches[:, :1] + row.astype(np.float32)


def stand_in_rows(waveform: np.ndarray, hop_samples: int = MODEL_HOP_SAMPLES) -> np.ndarray:
    """Returns float32 `[num_rows, 128]` of a waveform at 16 kHz of at least one patch."""
    starts = range(0, len(waveform) - PATCH_SAMPLES + 1, hop_samples)
    return np.stack(
        [samples(waveform[np.newaxis, start:][:, :PATCH_SAMPLES])[0] for start in starts]
    )


def sleeping(milliseconds: int) -> Body:
    """The body of the stand-in that sleeps for each patch: a job that takes long without a CPU."""

    def body(patches: Any) -> Any:
        import tensorflow as tf
        from tensorflow.python.data.experimental.ops import testing

        once = tf.data.Dataset.range(1).apply(testing.sleep(1_000 * milliseconds))
        slept = once.reduce(np.int64(0), lambda total, each: total + each)
        with tf.control_dependencies([slept]):
            return tf.identity(samples(patches))

    return body
