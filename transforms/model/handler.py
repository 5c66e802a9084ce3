"""Model handler for Beam's RunInference."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from apache_beam.ml.inference.base import ModelHandler

from transforms.corpus.spans import PATCH_SAMPLES
from transforms.metrics import live_counts
from transforms.model.batching import BATCH_ROWS
from transforms.model.choosing import Engine, check_engine
from transforms.model.embedding import load_model
from transforms.model.embedding_model import EmbeddingModel
from transforms.model.engines import AUTO
from transforms.model.precision import FLOAT32
from transforms.model.sources.names import DEFAULT_MODEL
from transforms.model.sources.writing import MAX_BYTES


class HubModelHandler(ModelHandler[np.ndarray, np.ndarray, EmbeddingModel]):
    """Runs a TF-Hub audio-embedding model in `RunInference`, with one model per process.

    Input: patches, float32 `[num_rows, 15600]`, or single patches, float32 `[15600]`: mono audio at
    16 kHz in [-1, 1]. Output: their rows, float32 `[num_rows, embedding_size]` or
    `[embedding_size]`. Elements of a bundle share batches.

    For waveforms instead of patches, use `EmbedWaveforms`, which also reports why a waveform has
    no rows.

    Args:
      model: Hub URL, SavedModel folder, or archive of one; the last two may be on a storage
        backend.
      precision: Precision of the model's convolutions, `float32` or `bfloat16`.
      trust_model: Whether the model's operations may use files, the network and Python.
      max_model_bytes: Limit of what is downloaded, copied or unpacked.
      engine: `auto`, `native` or `tensorflow`, as for `load_model`; with `auto` each worker
        chooses.

    Raises:
      ModelError: In a worker: the model cannot be loaded, is not trusted, or is not an
        audio-embedding model.
      ModelInputError: In a worker: the model rejects a patch.
      ValueError: There is no such engine. In a worker: an element is not a batch of patches or a
        patch.

    Example:
      >>> import apache_beam as beam
      >>> import numpy as np
      >>> from apache_beam.ml.inference.base import RunInference
      >>> from transforms import HubModelHandler
      >>> with beam.Pipeline() as pipeline:
      ...     patches = pipeline | beam.Create([np.zeros((3, 15_600), np.float32)])
      ...     rows = patches | RunInference(HubModelHandler(MODEL))
      ...     _ = rows | beam.Map(lambda rows: print(rows.shape))
      (3, 128)
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        precision: str = FLOAT32,
        trust_model: bool = False,
        max_model_bytes: int = MAX_BYTES,
        engine: Engine = AUTO,
    ) -> None:
        check_engine(engine)
        # TensorFlow's batches are padded: fewer rows take as long as a full batch.
        super().__init__(min_batch_size=1, max_batch_size=BATCH_ROWS)
        self._model = model
        self._precision = precision
        self._trust_model = trust_model
        self._max_model_bytes = max_model_bytes
        self._engine = engine

    def load_model(self) -> EmbeddingModel:
        """Fetches and loads the model, and checks its contract."""
        live_counts.count(loading=1)
        try:
            return load_model(
                self._model,
                self._precision,
                self._trust_model,
                self._max_model_bytes,
                self._engine,
            )
        finally:
            live_counts.count(loading=-1)

    def run_inference(
        self,
        batch: Sequence[np.ndarray],
        model: EmbeddingModel,
        inference_args: dict[str, Any] | None = None,
    ) -> list[np.ndarray]:
        """Returns the rows of each element, in the order of the elements."""
        if not batch:
            return []
        for element in batch:
            _check(element)
        rows = model.embed(np.concatenate([np.atleast_2d(element) for element in batch]))
        found = []
        for element in batch:
            num_rows = 1 if element.ndim == 1 else len(element)
            own, rows = rows[:num_rows], rows[num_rows:]
            found.append(own[0] if element.ndim == 1 else own)
        return found

    def get_num_bytes(self, batch: Sequence[np.ndarray]) -> int:
        """Returns the size of the patches. Beam's default implementation pickles them."""
        return sum(element.nbytes for element in batch)


def _check(element: Any) -> None:
    if not isinstance(element, np.ndarray):
        raise ValueError(f"an element is a {type(element).__name__} (allowed: a NumPy array)")
    is_patches = element.ndim in (1, 2) and element.shape[-1] == PATCH_SAMPLES
    if element.dtype != np.float32 or not is_patches:
        raise ValueError(
            f"an element is {element.dtype} {list(element.shape)} (allowed: float32 [num_rows,"
            f" {PATCH_SAMPLES}] or [{PATCH_SAMPLES}])"
        )
