"""A process that measures the bare model, and the loop of its model card.

Run as `python -m benchmarks.tensorflow_side MODEL`; see `benchmarks.serving`.
"""

import sys
from typing import Any

import numpy as np

from benchmarks.serving import files_for_ever, rate, serve
from benchmarks.waveforms import read_waveform
from transforms.model import loading, onednn

tf = onednn.tensorflow()  # as the program has it
import tensorflow_hub as hub  # noqa: E402

_PATCH_SAMPLES = 15_600
_BATCHES = (64, 128, 256)
_MATRIX = 4_096
_EMBEDDING_SIZE = 128


class Side:
    """A model that is loaded once, and ways to call it."""

    def __init__(self, model: str) -> None:
        """Loads the model.

        Args:
          model: Hub URL, SavedModel folder or archive.
        """
        self._of_patches = loading.load(model).call
        self._of_waveform = hub.load(model)
        self._random = np.random.default_rng(0)

    def best_batch(self, seconds: float) -> tuple[int, float]:
        """Tries batch sizes, each twice; returns the fastest and its rows a second."""
        rate, best = max((self.bare(size, seconds), size) for size in _BATCHES * 2)
        return best, rate

    def bare(self, batch_rows: int, seconds: float) -> float:
        """Returns the rows a second of random patches."""
        patches = self._noise(batch_rows, _PATCH_SAMPLES)
        return rate(lambda: len(self._of_patches(patches)), seconds)

    def single_calls(self, num_samples: int, seconds: float) -> float:
        """Returns the rows a second of calls with one random waveform each."""
        waveform = tf.constant(self._noise(num_samples))
        return rate(lambda: len(np.asarray(self._of_waveform(waveform))), seconds)

    def sgemm(self, seconds: float) -> float:
        """Returns the float32 operations a second of TensorFlow's matrix product."""
        matrix = tf.constant(self._noise(_MATRIX, _MATRIX))

        def step() -> int:
            np.asarray(tf.matmul(matrix, matrix)[0, 0])
            return 2 * _MATRIX**3

        return rate(step, seconds)

    def card(self, folder: str, seconds: float) -> float:
        """Returns the rows a second of decoding clips and calling the model with each."""
        next_file = files_for_ever(folder)

        def step() -> int:
            return len(np.asarray(self._of_waveform(tf.constant(read_waveform(next_file())))))

        return rate(step, seconds)

    def export_instant_model(self, folder: str) -> str:
        """Writes a model that takes no time: a row is 128 samples of its patch."""
        tf.saved_model.save(_Instant(), folder)
        return folder

    def _noise(self, *shape: int) -> np.ndarray:
        return self._random.normal(0, 0.1, shape).astype(np.float32)


class _Instant(tf.Module):  # type: ignore[misc, name-defined]
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def __call__(self, waveform: Any) -> Any:
        patches = tf.signal.frame(waveform, _PATCH_SAMPLES, loading.MODEL_HOP_SAMPLES)
        return patches[:, :: _PATCH_SAMPLES // _EMBEDDING_SIZE + 1]


if __name__ == "__main__":
    side = Side(sys.argv[1])
    serve(
        {
            call.__name__: call
            for call in (
                side.best_batch,
                side.bare,
                side.single_calls,
                side.sgemm,
                side.card,
                side.export_instant_model,
            )
        }
    )
