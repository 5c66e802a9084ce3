"""The contract of an audio-embedding model, checked on probe waveforms.

A model is called with a waveform, float32 `[num_samples]`, mono, 16 kHz, and returns rows, float32
`[num_rows, embedding_size]`: one for every `MODEL_HOP_SAMPLES` samples, each of which depends on
`PATCH_SAMPLES` samples only.
"""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from transforms.corpus.spans import MODEL_HOP_SAMPLES, PATCH_SAMPLES
from transforms.model import onednn
from transforms.model.errors import ModelError, ModelInputError, first_line

# Allowed effect of float32 arithmetic in another order, relative to the largest value of a row.
ROW_TOLERANCE = 1e-4
# TensorFlow spreads one call over all cores. On two cores, concurrent calls have 0.89 of the
# throughput of consecutive ones, and need twice the memory. So calls wait for each other, on which
# `precision.computing_in` relies, too.
ONE_CALL = threading.Lock()


def probe(num_rows: int) -> np.ndarray:
    """Returns a fixed waveform with `num_rows` different rows: a sweep in noise."""
    num_samples = MODEL_HOP_SAMPLES * (num_rows - 1) + PATCH_SAMPLES
    noise = np.random.default_rng(16_000).uniform(-0.1, 0.1, num_samples)
    sweep = 0.4 * np.sin(2e-6 * np.arange(num_samples) ** 2)
    return (noise + sweep).astype(np.float32)


def patches_of(waveform: np.ndarray) -> np.ndarray:
    """Returns the patches of a waveform, float32 `[num_rows, 15600]`."""
    return np.lib.stride_tricks.sliding_window_view(waveform, PATCH_SAMPLES)[::MODEL_HOP_SAMPLES]


def check_single_calls(model: str, loaded: Any) -> int:
    """Checks the shapes of single calls around a patch boundary.

    Returns:
      The embedding size.

    Raises:
      ModelError: The model breaks the contract.
    """
    embedding_size = None
    for num_samples, num_rows in ((15_600, 1), (30_959, 1), (30_960, 2)):
        rows = _call(model, loaded, probe(2)[:num_samples])
        embedding_size = embedding_size or rows.shape[1]
        if rows.shape != (num_rows, embedding_size):
            raise contract_error(
                model,
                f"{num_samples} samples gave {list(rows.shape)} (expected:"
                f" [{num_rows}, {embedding_size}])",
            )
    if not embedding_size:
        raise contract_error(model, "the rows are empty")
    return int(embedding_size)


def check_batches(
    model: str, loaded: Any, batched_call: Callable[[np.ndarray], np.ndarray]
) -> None:
    """Checks that single patches and a batch have the rows of one call on the whole waveform.

    Args:
      model: Name of the model, for messages.
      loaded: The model.
      batched_call: Returns the rows of a batch of patches.

    Raises:
      ModelError: The model breaks the contract.
    """
    tf = onednn.tensorflow()

    waveform = probe(3)
    whole = _call(model, loaded, waveform)
    patches = patches_of(waveform)
    try:
        batch = batched_call(patches)
    except (ModelInputError, ValueError, tf.errors.OpError) as error:
        raise contract_error(model, f"a batch of patches failed: {first_line(error)}") from error
    singles = np.concatenate([_call(model, loaded, patch) for patch in patches])
    scale = float(np.abs(whole).max()) or 1.0
    for other, name in ((singles, "single patches"), (batch, "a batch of patches")):
        if whole.shape != other.shape:
            raise contract_error(
                model, f"{name} gave {list(other.shape)}, the whole waveform {list(whole.shape)}"
            )
        difference = float(np.abs(whole - other).max()) / scale
        if not difference <= ROW_TOLERANCE:
            raise contract_error(
                model,
                f"the rows of {name} differ from those of the whole waveform by {difference:.2g}"
                f" of the largest value (allowed: {ROW_TOLERANCE:.0e})",
            )


def _call(model: str, loaded: Any, waveform: np.ndarray) -> np.ndarray:
    """Calls a model with a waveform; returns float32 `[num_rows, embedding_size]`."""
    tf = onednn.tensorflow()

    try:
        with ONE_CALL:
            returned = loaded(tf.constant(waveform))
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise contract_error(
            model, f"a waveform of {len(waveform)} samples failed: {first_line(error)}"
        ) from error
    if not tf.is_tensor(returned) or returned.dtype != tf.float32 or returned.shape.rank != 2:
        raise contract_error(
            model, f"a waveform of {len(waveform)} samples gave {_description(returned)}"
        )
    rows = np.asarray(returned)
    if not np.isfinite(rows).all():
        raise contract_error(model, f"a waveform of {len(waveform)} samples gave NaN or infinity")
    return rows


def contract_error(model: str, reason: str) -> ModelError:
    """Returns the error of a model that breaks the contract."""
    return ModelError(
        f"{model} is not an audio-embedding model as this program needs it: {reason}. Required: a"
        " model that is called with a waveform, float32 [num_samples], mono, 16 kHz, and returns"
        f" one float32 tensor [num_rows, size], with a row for every {MODEL_HOP_SAMPLES} samples"
        f" that depends on {PATCH_SAMPLES} samples, as google/vggish/1 does"
    )


def _description(returned: Any) -> str:
    """Describes what a model returned: types and shapes, not values."""
    tf = onednn.tensorflow()

    if tf.is_tensor(returned):
        return f"{returned.dtype.name} {returned.shape.as_list()}"
    if isinstance(returned, dict):
        inside = ", ".join(f"{name}: {_description(value)}" for name, value in returned.items())
        return f"a dict of outputs ({inside})"
    if isinstance(returned, (list, tuple)):
        return f"a {type(returned).__name__} of ({', '.join(map(_description, returned))})"
    return f"a {type(returned).__name__}"
