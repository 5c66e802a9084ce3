"""Loading an audio-embedding model, and proving that its rows are what this program needs.

Conventions: a waveform is mono, 16 kHz, float32 in [-1, 1]; a patch is the `PATCH_SAMPLES`
samples that one row of the embedding depends on; consecutive rows of the model are
`MODEL_HOP_SAMPLES` apart.
"""

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from transforms.corpus.spans import MODEL_HOP_SAMPLES as MODEL_HOP_SAMPLES
from transforms.corpus.spans import PATCH_SAMPLES as PATCH_SAMPLES
from transforms.model import batching, onednn, precision
from transforms.model.batching import BATCH_ROWS
from transforms.model.errors import ModelError
from transforms.model.precision import BFLOAT16, FLOAT32, Deviation
from transforms.model.sources import resolving

# What float32 arithmetic in another order may change, relative to the largest value of a row.
ROW_TOLERANCE = 1e-4
# Batches of a process that are computed in float32 as well, where rows are asked for in bfloat16.
COMPARED_BATCHES = 8
_BFLOAT16_PROBE_ROWS = 16

# TensorFlow spreads one call over all cores. A second call at the same time was slower in sum (0.89
# on two cores) and doubles the memory, so calls wait for each other; `precision.computing_in` needs
# that, too.
_ONE_CALL = threading.Lock()


@dataclasses.dataclass(frozen=True)
class ModelFacts:
    """What identifies a loaded model, and how this process computes its rows.

    Attributes:
      fingerprint: sha256 of the SavedModel's files.
      embedding_size: Values in a row.
      untrained_seed: The seed of a model with random weights; -1 for a trained one.
      in_batches: Patches go through its operations together; else one by one, which is slow.
      precision: Of `precision.PRECISIONS`, what its convolutions compute in.
      batch_rows: Patches that one call computes together; 1 where they go one by one.
      rows_depend_on_position: The last bits of a row depend on its place in the call, on this CPU.
      onednn: TensorFlow computes with oneDNN in this process; None if it does not say.
    """

    fingerprint: str
    embedding_size: int
    untrained_seed: int = -1
    in_batches: bool = True
    precision: str = FLOAT32
    batch_rows: int = BATCH_ROWS
    rows_depend_on_position: bool = False
    onednn: bool | None = True


class ModelInputError(Exception):
    """The model refuses this very audio; the message is the model's own."""


class EmbeddingModel:
    """A loaded model that has kept the contract on probe waveforms. Threads may share it."""

    def __init__(self, batched_call: Callable[[Any], Any], facts: ModelFacts) -> None:
        self._batched_call = batched_call
        self.facts = facts
        self._num_compared = 0
        self._loading_seconds = 0.0
        self._calls_seconds = 0.0
        self._num_batches = 0

    def embed(self, patches: np.ndarray) -> np.ndarray:
        """Returns the rows of patches that need not belong together.

        Args:
          patches: float32 `[num_rows, 15600]`.

        Returns:
          float32 `[num_rows, embedding_size]`.

        Raises:
          ModelInputError: The model refuses one of the patches.
        """
        return self._embed(patches, self.facts.precision)

    def deviation(self, patches: np.ndarray, rows: np.ndarray) -> Deviation | None:
        """Compares rows in bfloat16 with those in float32, for the first batches it is given.

        Args:
          patches: As `embed` takes them.
          rows: What it has returned for them.

        Returns:
          None in float32, and behind the first `COMPARED_BATCHES` batches of this process.
        """
        with _ONE_CALL:
            if self.facts.precision == FLOAT32 or self._num_compared == COMPARED_BATCHES:
                return None
            self._num_compared += 1
        return Deviation.between(rows, self._embed(patches, FLOAT32))

    def call(self, batch: np.ndarray, in_precision: str = FLOAT32) -> np.ndarray:
        """Returns the rows of a batch of any size but 0 as `embed` does, without filling it up."""
        tf = onednn.tensorflow()

        with _ONE_CALL, precision.computing_in(in_precision):
            started = time.perf_counter()
            self._num_batches += len(batch) // self.facts.batch_rows
            try:
                return np.asarray(self._batched_call(batch))
            except tf.errors.InvalidArgumentError as error:
                raise ModelInputError(_first_line(error)) from error
            finally:
                self._calls_seconds += time.perf_counter() - started

    def was_loaded_in(self, seconds: float) -> None:
        """Notes what loading took, the calls of the checks included."""
        self._loading_seconds, self._calls_seconds, self._num_batches = seconds, 0.0, 0

    def take_times(self) -> tuple[float, float, int]:
        """Returns what there was since this was last asked.

        Returns:
          Seconds of loading, seconds of the calls, and how many batches of `batch_rows` these
          computed. Calls wait for each other; the waiting is not in it.
        """
        with _ONE_CALL:
            times = self._loading_seconds, self._calls_seconds, self._num_batches
            self._loading_seconds, self._calls_seconds, self._num_batches = 0.0, 0.0, 0
        return times

    def prove_batches(self, patch: np.ndarray) -> None:
        """Finds out how many rows a call is to compute, and notes it in the facts.

        Args:
          patch: Some sound, float32 `[15600]`.
        """
        if not self.facts.in_batches:
            self.facts = dataclasses.replace(self.facts, batch_rows=1)
            return
        proof = batching.prove(lambda batch: self.call(batch, self.facts.precision), patch)
        self.facts = dataclasses.replace(
            self.facts,
            batch_rows=proof.call_rows,
            rows_depend_on_position=proof.rows_depend_on_position,
        )

    def _embed(self, patches: np.ndarray, in_precision: str) -> np.ndarray:
        if not len(patches):  # neither vectorized_map nor the hub's model takes an empty batch
            return np.empty((0, self.facts.embedding_size), np.float32)
        if not self.facts.in_batches:
            return self.call(patches, in_precision)
        batches = batching.full_calls(patches, self.facts.batch_rows)
        rows = [self.call(batch, in_precision) for batch in batches]
        return np.concatenate(rows)[: len(patches)]


def load(
    model: str,
    wanted_size: int | None = None,
    in_precision: str = FLOAT32,
) -> EmbeddingModel:
    """Loads a model and checks its contract.

    Args:
      model: What `resolving.resolve` takes.
      wanted_size: Values that a row must have; None takes any.
      in_precision: Of `precision.PRECISIONS`, what its convolutions are to compute in.

    Raises:
      ModelError: It cannot be brought here or loaded, or it is not an audio-embedding model
        whose rows are the patches' rows, or neither it nor this machine's CPU is for bfloat16. The
        message says what it returned instead.
    """
    started = time.perf_counter()
    if in_precision == BFLOAT16:
        precision.check_cpu()
        precision.forbid_casts()
    folder = resolving.resolve(model)

    tf = onednn.tensorflow()
    import tensorflow_hub as hub

    try:
        loaded = hub.load(str(folder))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ModelError(f"{model} is not a SavedModel that loads: {_first_line(error)}") from error
    if not callable(loaded):
        signatures = sorted(getattr(loaded, "signatures", {}))
        raise _refusal(model, f"it cannot be called (its signatures: {signatures or 'none'})")

    embedding_size = _check_single_calls(model, loaded)

    if wanted_size not in (None, embedding_size):
        raise ModelError(
            f"{model} gives rows of {embedding_size} values, and the PCA of the 8-bit profiles"
            f" takes {wanted_size}; --profile raw writes rows as they are"
        )
    batched_call, in_batches = _batched(loaded, embedding_size)
    seed = getattr(loaded, "untrained_seed", None)
    facts = ModelFacts(
        resolving.fingerprint(folder),
        embedding_size,
        -1 if seed is None else int(seed),
        in_batches,
        in_precision,
        onednn=onednn.is_on(),
    )
    checked = EmbeddingModel(batched_call, facts)
    _check_batches(model, loaded, checked)
    if in_precision == BFLOAT16:
        graph = batched_call.get_concrete_function().graph.as_graph_def()
        precision.check_model(model, graph, checked.call, _patches(_probe(_BFLOAT16_PROBE_ROWS)))
    checked.prove_batches(_probe(1))
    checked.was_loaded_in(time.perf_counter() - started)
    return checked


def _batched(loaded: Any, embedding_size: int) -> tuple[Any, bool]:
    """Turns a call on one waveform into one on patches `[num_rows, 15600]`.

    Returns:
      The call, a `tf.function`, and whether the model's operations work on whole batches.
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
        # TensorFlow cannot vectorise some operations, such as assertions on the input, and says
        # so by whatever its converter stumbles over. The contract is checked either way.
        row = tf.TensorSpec([embedding_size], tf.float32)
        return compiled(
            lambda patches: tf.map_fn(row_of_patch, patches, fn_output_signature=row)
        ), False


def _probe(num_rows: int) -> np.ndarray:
    """Returns a waveform of `num_rows` rows that differ: tones in noise, always the same."""
    num_samples = MODEL_HOP_SAMPLES * (num_rows - 1) + PATCH_SAMPLES
    noise = np.random.default_rng(16_000).uniform(-0.1, 0.1, num_samples)
    sweep = 0.4 * np.sin(2e-6 * np.arange(num_samples) ** 2)
    return (noise + sweep).astype(np.float32)


def _patches(waveform: np.ndarray) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(waveform, PATCH_SAMPLES)[::MODEL_HOP_SAMPLES]


def _check_single_calls(model: str, loaded: Any) -> int:
    """Checks shapes around a boundary and that rows are local; returns the embedding's size."""
    embedding_size = None
    for num_samples, num_rows in ((15_600, 1), (30_959, 1), (30_960, 2)):
        rows = _call(model, loaded, _probe(2)[:num_samples])
        embedding_size = embedding_size or rows.shape[1]
        if rows.shape != (num_rows, embedding_size):
            raise _refusal(
                model,
                f"{num_samples} samples gave {list(rows.shape)} where"
                f" [{num_rows}, {embedding_size}] is due",
            )
    if not embedding_size:
        raise _refusal(model, "its rows are empty")
    return int(embedding_size)


def _check_batches(model: str, loaded: Any, checked: EmbeddingModel) -> None:
    """Checks that a batch of patches gives the rows of one call on the whole waveform."""
    tf = onednn.tensorflow()

    waveform = _probe(3)
    whole = _call(model, loaded, waveform)
    patches = _patches(waveform)
    try:
        batch = checked.call(patches)
    except (ModelInputError, ValueError, tf.errors.OpError) as error:
        raise _refusal(model, f"a batch of patches fails: {_first_line(error)}") from error
    singles = np.concatenate([_call(model, loaded, patch) for patch in patches])
    scale = float(np.abs(whole).max()) or 1.0
    for other, name in ((singles, "single patches"), (batch, "a batch of patches")):
        if whole.shape != other.shape:
            raise _refusal(
                model, f"{name} gave {list(other.shape)}, the whole waveform {list(whole.shape)}"
            )
        difference = float(np.abs(whole - other).max()) / scale
        if not difference <= ROW_TOLERANCE:
            raise _refusal(
                model,
                f"the rows of {name} differ from those of the whole waveform by {difference:.2g}"
                f" of the largest value (allowed: {ROW_TOLERANCE:.0e})",
            )


def _call(model: str, loaded: Any, waveform: np.ndarray) -> np.ndarray:
    """Calls the model as its card says; returns float32 `[num_rows, embedding_size]`."""
    tf = onednn.tensorflow()

    try:
        with _ONE_CALL:
            returned = loaded(tf.constant(waveform))
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise _refusal(
            model, f"a waveform of {len(waveform)} samples fails: {_first_line(error)}"
        ) from error
    if not tf.is_tensor(returned) or returned.dtype != tf.float32 or returned.shape.rank != 2:
        raise _refusal(
            model, f"a waveform of {len(waveform)} samples gave {_description(returned)}"
        )
    rows = np.asarray(returned)
    if not np.isfinite(rows).all():
        raise _refusal(model, f"a waveform of {len(waveform)} samples gave NaN or infinity")
    return rows


def _refusal(model: str, why: str) -> ModelError:
    return ModelError(
        f"{model} is not an audio-embedding model as this program needs it: {why}. Wanted: a"
        " model called with a waveform, float32 [num_samples], mono, 16 kHz, that returns one"
        f" float32 tensor [num_rows, size], with a row for every {MODEL_HOP_SAMPLES} samples"
        f" that {PATCH_SAMPLES} samples determine, as google/vggish/1 does"
    )


def _description(returned: Any) -> str:
    """Returns what a model gave in words: types and shapes, not values."""
    tf = onednn.tensorflow()

    if tf.is_tensor(returned):
        return f"{returned.dtype.name} {returned.shape.as_list()}"
    if isinstance(returned, dict):
        inside = ", ".join(f"{name}: {_description(value)}" for name, value in returned.items())
        return f"a dict of outputs ({inside})"
    if isinstance(returned, (list, tuple)):
        return f"a {type(returned).__name__} of ({', '.join(map(_description, returned))})"
    return f"a {type(returned).__name__}"


def _first_line(error: BaseException) -> str:
    """Returns what is worth reading of TensorFlow's pages of error text."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [
        line for line in lines if not line.startswith(("Graph execution", "Detected at", "<stack"))
    ]
    return (telling or lines or [type(error).__name__])[0]
