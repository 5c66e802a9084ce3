"""The smoke test of VGGish: a sine whose rows are published, to tell that a model is VGGish.

An installation may load the model and give rows that differ from everybody else's: another front
end, weights that are not the released ones, an operation that computes in lower precision.
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
# Of the largest value of the row. A front end in float32 instead of float64 moves the rows by
# 2.5e-5, TensorFlow's orders of summing up by 2e-6; the smallest mistake, a symmetric window
# instead of the periodic one, by 3.5e-3 (all measured on the network with untrained weights).
FLOAT_TOLERANCE = 1e-3
# Whitening multiplies the distance between two rows by up to 45: what a front end in float32 moves
# is then at most one step of 4/255, where a value is near the border of two.
BYTE_TOLERANCE = 1
# Below it, rows are of another model, and how much they differ says nothing.
_MIN_CORRELATION = 0.9
# Where the model lives: tfhub.dev/google/vggish/1, kaggle.com/models/google/vggish/….
_VGGISH_URL = re.compile(r"https?://[^?#]*\bgoogle/vggish(?:[/?#]|$)")


class Outcome(enum.Enum):
    """What the comparison says."""

    EQUAL = "equal"
    UNTRAINED = "untrained"
    ANOTHER_MODEL = "another model"
    DIFFERENT = "different"


@dataclasses.dataclass(frozen=True)
class DecodeResult:
    """An outcome, and in words what was found."""

    outcome: Outcome
    text: str


@functools.cache
def golden() -> tuple[np.ndarray, np.ndarray]:
    """Returns the published row, float32 `[128]`, and its bytes, uint8 `[128]`."""
    data = json.loads(_GOLDEN.read_text(encoding="utf-8"))
    return np.array(data["row"], np.float32), np.array(data["bytes"], np.uint8)


def patches() -> np.ndarray:
    """Returns the sine as the model is given it, float32 `[3, 15600]`."""
    time = np.arange(0, SECONDS, 1 / SAMPLE_RATE_HZ)
    sine = np.sin(2 * np.pi * SINE_HZ * time).astype(np.float32)
    starts = range(0, len(sine) - PATCH_SAMPLES + 1, MODEL_HOP_SAMPLES)
    return np.stack([sine[start : start + PATCH_SAMPLES] for start in starts])


def is_vggish_url(model: str) -> bool:
    """Tells whether what `--model` names claims to be the released VGGish."""
    return _VGGISH_URL.match(model) is not None


def compare(
    rows: np.ndarray,
    untrained_seed: int = -1,
    pca: Pca | None = None,
    tolerance: float = FLOAT_TOLERANCE,
) -> DecodeResult:
    """Compares the rows of `patches` with the published ones.

    Args:
      rows: float32 `[3, embedding_size]`.
      untrained_seed: Of a model with random weights; -1 for a trained one.
      pca: Makes the bytes; None compares floats only.
      tolerance: How far floats may be off, as a share of the row's largest value.
    """
    if untrained_seed >= 0:
        return DecodeResult(
            Outcome.UNTRAINED,
            f"UNTRAINED weights, seed {untrained_seed}: its rows mean nothing, so that there is"
            " nothing to compare",
        )
    if rows.shape[1] != EMBEDDING_SIZE:
        return _another(f"its rows have {rows.shape[1]} values, and VGGish's {EMBEDDING_SIZE}")
    wanted, _ = golden()
    scale = float(np.abs(wanted).max())
    difference = float(np.abs(rows - wanted).max()) / scale
    allowed = f"allowed: {tolerance:g} of the largest value"
    if float(np.abs(rows - np.maximum(wanted, 0)).max()) / scale <= tolerance:
        return DecodeResult(
            Outcome.DIFFERENT,
            "its rows are the published ones with every value below 0 cut off: the export has a"
            " ReLU behind the embedding",
        )
    correlation = _correlation(rows, wanted)
    if correlation < _MIN_CORRELATION:
        return _another(f"its row of a sine correlates with VGGish's by {correlation:.2f} only")
    if not difference <= tolerance:
        return DecodeResult(
            Outcome.DIFFERENT,
            f"it is like VGGish, and its rows of a sine differ from the published ones by"
            f" {difference:.2g} ({allowed})",
        )
    near = f"rows of a sine differ from the published ones by {difference:.1g} ({allowed})"
    return _with_bytes(rows, near, pca)


def _with_bytes(rows: np.ndarray, near: str, pca: Pca | None) -> DecodeResult:
    """Goes on to the bytes, where floats are equal."""
    if pca is None:
        return DecodeResult(Outcome.EQUAL, near)
    if pca.sha256 != RELEASED_PCA_SHA256:
        return DecodeResult(
            Outcome.EQUAL, f"{near}; bytes are not compared, --pca is not the released file"
        )
    row, wanted = golden()
    # Without the model: no value of the published row is within 0.005 of a step of a border.
    if not np.array_equal(pca.quantise(row[np.newaxis])[0], wanted):
        return DecodeResult(
            Outcome.DIFFERENT,
            f"{near}, but PCA and quantiser make other bytes of the published row",
        )
    steps = np.abs(pca.quantise(rows).astype(int) - wanted)
    if steps.max() > BYTE_TOLERANCE:
        return DecodeResult(
            Outcome.DIFFERENT,
            f"{near}, but its bytes by up to {steps.max()} (allowed: {BYTE_TOLERANCE})",
        )
    num_bytes = int((steps > 0).any(axis=0).sum())
    equal = "equal" if not num_bytes else f"equal but {num_bytes} of {len(wanted)}, off by 1"
    return DecodeResult(Outcome.EQUAL, f"{near}; bytes are {equal}")


def _another(why: str) -> DecodeResult:
    return DecodeResult(
        Outcome.ANOTHER_MODEL, f"it is not google/vggish/1, or its weights differ: {why}"
    )


def _correlation(rows: np.ndarray, wanted: np.ndarray) -> float:
    """Returns the correlation of the mean row; 0 where all its values are the same."""
    row = rows.mean(axis=0) - rows.mean()
    centred = wanted - wanted.mean()
    scale = float(np.linalg.norm(row) * np.linalg.norm(centred))
    return float(row @ centred) / scale if scale else 0.0
