"""A loaded audio-embedding model, whichever engine computes its rows."""

import abc
import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator

import numpy as np

from transforms.model.batching import BATCH_ROWS
from transforms.model.engines import TENSORFLOW
from transforms.model.precision import FLOAT32, Deviation


@dataclasses.dataclass(frozen=True)
class ModelFacts:
    """The identity of a loaded model, and how this process computes its rows.

    Attributes:
      fingerprint: sha256 of the SavedModel's files.
      embedding_size: Number of values in a row.
      untrained_seed: Seed of a model with random weights; -1 for a trained model.
      in_batches: Whether the model computes patches in batches; otherwise one by one, slowly.
      precision: Precision of the convolutions, one of `precision.PRECISIONS`.
      batch_rows: Number of patches per call; 1 without batches.
      rows_depend_on_position: Whether the last bits of a row depend on its position in the call,
        on this CPU.
      onednn: Whether TensorFlow uses oneDNN in this process; None if unknown, and for the native
        engine.
      engine: What computes the rows, `native` or `tensorflow`.
      engine_version: Version of the native engine, on which the bits of rows depend; empty for
        TensorFlow.
      proof: The comparison of the native engine with TensorFlow, see `native.proving.Proof`, as
        JSON; empty for TensorFlow.
    """

    fingerprint: str
    embedding_size: int
    untrained_seed: int = -1
    in_batches: bool = True
    precision: str = FLOAT32
    batch_rows: int = BATCH_ROWS
    rows_depend_on_position: bool = False
    onednn: bool | None = True
    engine: str = TENSORFLOW
    engine_version: str = ""
    proof: str = ""


class EmbeddingModel(abc.ABC):
    """A loaded model whose contract has been checked. It is thread-safe.

    Attributes:
      facts: What identifies the model, and how this process computes its rows.

    Example:
      >>> import numpy as np
      >>> from transforms import load_model
      >>> load_model(MODEL).embed(np.zeros((3, 15_600), np.float32)).shape
      (3, 128)
    """

    def __init__(self, facts: ModelFacts) -> None:
        self.facts = facts
        self._lock = threading.Lock()
        self._loading_seconds = 0.0
        self._calls_seconds = 0.0
        self._num_batches = 0
        self._num_calls = 0  # that run now
        self._since = 0.0

    @abc.abstractmethod
    def embed(self, patches: np.ndarray) -> np.ndarray:
        """Returns the rows of patches, which may be of different waveforms.

        Args:
          patches: float32 `[num_rows, 15600]`.

        Returns:
          float32 `[num_rows, embedding_size]`.

        Raises:
          ModelInputError: The model rejects one of the patches.
        """

    def deviation(self, patches: np.ndarray, rows: np.ndarray) -> Deviation | None:
        """Compares bfloat16 rows with float32 rows; None where there is nothing to compare.

        Args:
          patches: float32 `[num_rows, 15600]`.
          rows: Result of `embed` for the patches.
        """
        return None

    def set_loading_seconds(self, seconds: float) -> None:
        """Records the time of loading, and resets the times of calls."""
        with self._lock:
            self._loading_seconds, self._calls_seconds, self._num_batches = seconds, 0.0, 0

    def take_times(self) -> tuple[float, float, int]:
        """Returns and resets the times.

        Returns:
          Seconds of loading, seconds of calls, and the number of batches that these computed. Time
          in which several calls run counts once, and time in which calls wait for each other does
          not.
        """
        with self._lock:
            self._add_time()
            times = self._loading_seconds, self._calls_seconds, self._num_batches
            self._loading_seconds, self._calls_seconds, self._num_batches = 0.0, 0.0, 0
        return times

    @contextlib.contextmanager
    def _timed(self, num_batches: int) -> Iterator[None]:
        """Counts a call, and measures its time."""
        with self._lock:
            self._add_time()
            self._num_batches += num_batches
            self._num_calls += 1
        try:
            yield
        finally:
            with self._lock:
                self._add_time()
                self._num_calls -= 1

    def _add_time(self) -> None:
        now = time.perf_counter()
        if self._num_calls:
            self._calls_seconds += now - self._since
        self._since = now
