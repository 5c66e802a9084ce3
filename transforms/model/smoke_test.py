"""The smoke test of VGGish: compares a model's rows of a sine with the published ones.

A model may load and nevertheless return rows that differ from those of the release: because of
another front end, other weights, or an operation in lower precision.
"""

import dataclasses
import enum
import functools
import json
import re
from pathlib import Path

import numpy as np

from transforms.model.loading import MODEL_HOP_SAMPLES, PATCH_SAMPLES
from transforms.model.postprocessing import EMBEDDING_SIZE, RELEASED_PCA_SHA256, Pca

_GOLDEN = Path(__file__).with_suffix(".json")
SINE_HZ = 1_000
SECONDS = 3
SAMPLE_RATE_HZ = 16_000
# Relative to the largest value of the row. A front end in float32 instead of float64 changes rows
# by 2.5e-5, TensorFlow's orders of summation by 2e-6; the smallest mistake, a symmetric STFT window
# instead of a periodic one, by 3.5e-3 (all measured with untrained weights).
FLOAT_TOLERANCE = 1e-3
# Whitening multiplies differences between rows by up to 45: those of a front end in float32 become
# at most one quantisation step of 4/255, if a value is near a boundary.
BYTE_TOLERANCE = 1
# Below this correlation, rows are of another model, and their difference has no meaning.
_MIN_CORRELATION = 0.9
# URLs of the model: tfhub.dev/google/vggish/1, kaggle.com/models/google/vggish/….
_VGGISH_URL = re.compile(r"https?://[^?#]*\bgoogle/vggish(?:[/?#]|$)")


class Outcome(enum.Enum):
    """The outcome of a comparison."""

    EQUAL = "equal"
    UNTRAINED = "untrained"
    ANOTHER_MODEL = "another model"
    DIFFERENT = "different"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The outcome of a comparison, and an explanation."""

    outcome: Outcome
    text: str


@functools.cache
def golden() -> tuple[np.ndarray, np.ndarray]:
    """Returns the published row, float32 `[128]`, and its bytes, uint8 `[128]`."""
    data = json.loads(_GOLDEN.read_text(encoding="utf-8"))
    return np.array(data["row"], np.float32), np.array(data["bytes"], np.uint8)


def patches() -> np.ndarray:
    """Returns the patches of the sine, float32 `[3, 15600]`."""
    time = np.arange(0, SECONDS, 1 / SAMPLE_RATE_HZ)
    sine = np.sin(2 * np.pi * SINE_HZ * time).astype(np.float32)
    starts = range(0, len(sine) - PATCH_SAMPLES + 1, MODEL_HOP_SAMPLES)
    return np.stack([sine[start : start + PATCH_SAMPLES] for start in starts])


def is_vggish_url(model: str) -> bool:
    """Returns whether a model's name is a URL of the released VGGish."""
    return _VGGISH_URL.match(model) is not None


def compare(
    rows: np.ndarray,
    untrained_seed: int = -1,
    pca: Pca | None = None,
    tolerance: float = FLOAT_TOLERANCE,
) -> Comparison:
    """Compares the rows of `patches` with the published ones.

    Args:
      rows: float32 `[3, embedding_size]`.
      untrained_seed: Seed of a model with random weights; -1 for a trained model.
      pca: PCA for the comparison of bytes; None compares floats only.
      tolerance: Allowed difference of floats, relative to the row's largest value.
    """
    if untrained_seed >= 0:
        return Comparison(
            Outcome.UNTRAINED,
            f"UNTRAINED weights, seed {untrained_seed}: the rows have no meaning and are not"
            " compared",
        )
    if rows.shape[1] != EMBEDDING_SIZE:
        return _another_model(f"its rows have {rows.shape[1]} values (VGGish: {EMBEDDING_SIZE})")
    expected, _ = golden()
    scale = float(np.abs(expected).max())
    if float(np.abs(rows - np.maximum(expected, 0)).max()) / scale <= tolerance:
        return Comparison(
            Outcome.DIFFERENT,
            "its rows are the published ones with negative values set to 0: the export has a ReLU"
            " after the embedding",
        )
    correlation = _correlation(rows, expected)
    if correlation < _MIN_CORRELATION:
        return _another_model(f"its row of a sine has correlation {correlation:.2f} with VGGish's")
    difference = float(np.abs(rows - expected).max()) / scale
    allowed = f"allowed: {tolerance:g} of the largest value"
    if not difference <= tolerance:
        return Comparison(
            Outcome.DIFFERENT,
            "it is similar to VGGish, but its rows of a sine differ from the published ones by"
            f" {difference:.2g} ({allowed})",
        )
    floats = f"rows of a sine differ from the published ones by {difference:.1g} ({allowed})"
    return _compare_bytes(rows, floats, pca)


def _compare_bytes(rows: np.ndarray, floats: str, pca: Pca | None) -> Comparison:
    """Compares the bytes of rows whose floats are equal."""
    if pca is None:
        return Comparison(Outcome.EQUAL, floats)
    if pca.sha256 != RELEASED_PCA_SHA256:
        return Comparison(
            Outcome.EQUAL, f"{floats}; bytes are not compared, --pca is not the released file"
        )
    row, expected = golden()
    # Independent of the model: no value of the published row is within 0.005 steps of a boundary.
    if not np.array_equal(pca.quantise(row[np.newaxis])[0], expected):
        return Comparison(
            Outcome.DIFFERENT,
            f"{floats}, but PCA and quantiser give other bytes for the published row",
        )
    steps = np.abs(pca.quantise(rows).astype(int) - expected)
    if steps.max() > BYTE_TOLERANCE:
        return Comparison(
            Outcome.DIFFERENT,
            f"{floats}, but bytes by up to {steps.max()} (allowed: {BYTE_TOLERANCE})",
        )
    num_bytes = int((steps > 0).any(axis=0).sum())
    equal = "equal" if not num_bytes else f"equal except {num_bytes} of {len(expected)}, off by 1"
    return Comparison(Outcome.EQUAL, f"{floats}; bytes are {equal}")


def _another_model(reason: str) -> Comparison:
    return Comparison(
        Outcome.ANOTHER_MODEL, f"it is not google/vggish/1, or its weights differ: {reason}"
    )


def _correlation(rows: np.ndarray, expected: np.ndarray) -> float:
    """Returns the correlation of the mean row; 0 if all its values are equal."""
    row = rows.mean(axis=0) - rows.mean()
    centred = expected - expected.mean()
    scale = float(np.linalg.norm(row) * np.linalg.norm(centred))
    return float(row @ centred) / scale if scale else 0.0
