"""Loading of audio-embedding models, and computing rows with them.

Conventions: a waveform is mono, 16 kHz, float32 in [-1, 1]; a patch is the `PATCH_SAMPLES` samples
on which one row depends; consecutive patches of a waveform are `MODEL_HOP_SAMPLES` apart.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from transforms.corpus.spans import MODEL_HOP_SAMPLES as MODEL_HOP_SAMPLES
from transforms.corpus.spans import PATCH_SAMPLES as PATCH_SAMPLES
from transforms.model import batching, contract, onednn, precision
from transforms.model.contract import ONE_CALL
from transforms.model.embedding_model import EmbeddingModel, ModelFacts
from transforms.model.errors import ModelError, ModelInputError, first_line
from transforms.model.precision import BFLOAT16, FLOAT32, Deviation
from transforms.model.sources import resolving
from transforms.model.sources.writing import MAX_BYTES
from transforms.model.untrusted import graphs

# In bfloat16, the number of batches of a process that are computed in float32, too.
COMPARED_BATCHES = 8
_BFLOAT16_PROBE_ROWS = 16


class TensorFlowModel(EmbeddingModel):
    """A model that TensorFlow computes.

    Attributes:
      saved_model: The loaded SavedModel.
    """

    def __init__(self, saved_model: Any, batched_call: Any, facts: ModelFacts) -> None:
        super().__init__(facts)
        self.saved_model = saved_model
        self._batched_call = batched_call
        self._num_compared = 0

    def embed(self, patches: np.ndarray) -> np.ndarray:
        """Returns the rows of patches; see `EmbeddingModel`."""
        return self._embed(patches, self.facts.precision)

    def deviation(self, patches: np.ndarray, rows: np.ndarray) -> Deviation | None:
        """Compares bfloat16 rows with float32 rows, for the first batches only.

        Returns:
          The deviation; None in float32, and after `COMPARED_BATCHES` batches in this process.
        """
        with ONE_CALL:
            if self.facts.precision == FLOAT32 or self._num_compared == COMPARED_BATCHES:
                return None
            self._num_compared += 1
        return Deviation.between(rows, self._embed(patches, FLOAT32))

    def call(self, batch: np.ndarray, in_precision: str = FLOAT32) -> np.ndarray:
        """Returns the rows of a non-empty batch of any size in one call, without padding it."""
        tf = onednn.tensorflow()

        num_batches = len(batch) // self.facts.batch_rows
        with ONE_CALL, precision.computing_in(in_precision), self._timed(num_batches):
            try:
                return np.asarray(self._batched_call(batch))
            except tf.errors.InvalidArgumentError as error:
                raise ModelInputError(first_line(error)) from error

    def graph(self) -> Any:
        """Returns the `GraphDef` of the calls."""
        return self._batched_call.get_concrete_function().graph.as_graph_def()

    def choose_call_rows(self, patch: np.ndarray) -> None:
        """Determines the number of rows per call, and stores it in the facts.

        Args:
          patch: Any audio, float32 `[15600]`.
        """
        if not self.facts.in_batches:
            self.facts = dataclasses.replace(self.facts, batch_rows=1)
            return
        choice = batching.choose_call_rows(
            lambda batch: self.call(batch, self.facts.precision), patch
        )
        self.facts = dataclasses.replace(
            self.facts,
            batch_rows=choice.call_rows,
            rows_depend_on_position=choice.rows_depend_on_position,
        )

    def _embed(self, patches: np.ndarray, in_precision: str) -> np.ndarray:
        if not len(patches):  # vectorized_map fails for an empty batch
            return np.empty((0, self.facts.embedding_size), np.float32)
        if not self.facts.in_batches:
            return self.call(patches, in_precision)
        batches = batching.padded_calls(patches, self.facts.batch_rows)
        rows = [self.call(batch, in_precision) for batch in batches]
        return np.concatenate(rows)[: len(patches)]


def load(
    model: str,
    wanted_size: int | None = None,
    in_precision: str = FLOAT32,
    trust_model: bool = False,
    max_model_bytes: int = MAX_BYTES,
) -> TensorFlowModel:
    """Loads a model into TensorFlow and checks its contract.

    Args:
      model: Model as for `resolving.resolve`.
      wanted_size: Required number of values in a row; None for any.
      in_precision: Precision of the convolutions, one of `precision.PRECISIONS`.
      trust_model: Whether its operations may use files, the network and Python.
      max_model_bytes: Limit of what is downloaded, copied or unpacked.

    Raises:
      ModelError: The model cannot be fetched or loaded, is not trusted, breaks the contract, or
        does not support the precision, or this machine's CPU does not.
    """
    started = time.perf_counter()
    if in_precision == BFLOAT16:
        precision.check_cpu()
        precision.forbid_casts()
    folder = resolving.resolve(model, max_model_bytes)
    if not trust_model:
        graphs.check_graph(model, folder)
    loaded = _load_saved_model(model, str(folder))
    embedding_size = contract.check_single_calls(model, loaded)
    check_embedding_size(model, embedding_size, wanted_size)
    checked = _embedding_model(loaded, resolving.fingerprint(folder), embedding_size, in_precision)
    contract.check_batches(model, loaded, checked.call)
    if in_precision == BFLOAT16:
        patches = contract.patches_of(contract.probe(_BFLOAT16_PROBE_ROWS))
        precision.check_model(model, checked.graph(), checked.call, patches)
    checked.choose_call_rows(contract.probe(1))
    checked.set_loading_seconds(time.perf_counter() - started)
    return checked


def check_embedding_size(model: str, found: int, wanted: int | None) -> None:
    """Raises `ModelError` if a model's rows have not the wanted number of values; None is any."""
    if wanted not in (None, found):
        raise ModelError(
            f"{model} returns rows of {found} values, and the PCA of the 8-bit profiles needs"
            f" {wanted}; --profile=raw writes rows as they are"
        )


def _load_saved_model(model: str, folder: str) -> Any:
    onednn.tensorflow()
    import tensorflow_hub as hub

    try:
        loaded = hub.load(folder)
    except MemoryError:
        raise
    except Exception as error:  # for a graph that makes no sense TensorFlow raises anything
        raise ModelError(f"{model} is not a SavedModel that loads: {first_line(error)}") from error
    if not callable(loaded):
        signatures = sorted(getattr(loaded, "signatures", {}))
        raise contract.contract_error(
            model, f"it cannot be called (its signatures: {signatures or 'none'})"
        )
    return loaded


def _embedding_model(
    loaded: Any, fingerprint: str, embedding_size: int, in_precision: str
) -> TensorFlowModel:
    batched_call, in_batches = _batched(loaded, embedding_size)
    seed = getattr(loaded, "untrained_seed", None)
    try:
        untrained_seed = -1 if seed is None else int(seed)
    except (TypeError, ValueError) as error:
        raise ModelError(f"a model's untrained_seed must be an integer: {error}") from error
    facts = ModelFacts(
        fingerprint,
        embedding_size,
        untrained_seed,
        in_batches,
        in_precision,
        onednn=onednn.is_on(),
    )
    return TensorFlowModel(loaded, batched_call, facts)


def _batched(loaded: Any, embedding_size: int) -> tuple[Any, bool]:
    """Makes a `tf.function` that computes the rows of patches `[num_rows, 15600]`.

    Returns:
      The function, and whether it computes patches in batches.
    """
    tf = onednn.tensorflow()

    def row_of_patch(patch: Any) -> Any:
        return tf.ensure_shape(loaded(patch), [1, embedding_size])[0]

    def compiled(call: Callable[[Any], Any]) -> Any:
        signature = [tf.TensorSpec([None, PATCH_SAMPLES], tf.float32)]
        function = tf.function(call, input_signature=signature, autograph=False)
        function.get_concrete_function()
        return function

    try:
        return compiled(lambda patches: tf.vectorized_map(row_of_patch, patches)), True
    except Exception:
        # TensorFlow cannot vectorise some operations, such as assertions on the input, and raises
        # various errors for them. The contract is checked either way.
        row = tf.TensorSpec([embedding_size], tf.float32)
        return compiled(
            lambda patches: tf.map_fn(row_of_patch, patches, fn_output_signature=row)
        ), False
