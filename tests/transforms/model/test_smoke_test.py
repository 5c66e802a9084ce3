"""The smoke test of VGGish: the published figures, and what differs from them."""

import numpy as np
import pytest

from transforms.model import precision, smoke_test
from transforms.model.postprocessing import RELEASED_PCA_SHA256, Pca
from transforms.model.smoke_test import Outcome, compare
from transforms.model.sources.pca import load_pca

ROW, BYTES = smoke_test.golden()


def three(row: np.ndarray) -> np.ndarray:
    return np.tile(row.astype(np.float32), (3, 1))


@pytest.fixture
def released_pca(shared: object) -> Pca:
    return load_pca(f"{shared}/data/vggish/vggish_pca_params.npz")


def test_the_figures_have_the_mean_and_deviation_that_the_test_itself_states() -> None:
    assert ROW.shape == BYTES.shape == (128,)
    assert f"{ROW.mean():.3g} {ROW.std():.3g}" == "0.000657 0.343"
    assert f"{BYTES.mean():.3g} {BYTES.std():.3g}" == "126 89.3"


def test_the_sine_is_three_patches_of_the_same_samples() -> None:
    patches = smoke_test.patches()
    assert patches.shape == (3, 15_600)
    assert patches.dtype == np.float32
    np.testing.assert_allclose(patches[0], patches[2], atol=1e-6)
    assert patches[0, 4] == 1.0  # a quarter of a period of 16 samples


def test_the_published_row_is_equal_and_so_are_its_bytes(released_pca: Pca) -> None:
    assert compare(three(ROW)).outcome is Outcome.EQUAL
    verdict = compare(three(ROW), pca=released_pca)
    assert verdict.outcome is Outcome.EQUAL
    assert verdict.text.endswith("bytes are equal")


def moved(pca: Pca, distance: float, position: int) -> list[smoke_test.Comparison]:
    """Moves all values by a distance, to either side, as the byte of a position feels most."""
    direction = distance * np.sign(pca.eigen_vectors[position])
    return [compare(three(ROW + sign * direction), pca=pca) for sign in (-1, 1)]


def test_what_float32_loses_is_equal_with_bytes_off_by_one(released_pca: Pca) -> None:
    whitened = (ROW - released_pca.means) @ released_pca.eigen_vectors.T
    steps = (whitened + 2) * 63.75
    from_border = np.where(np.abs(whitened) < 2, np.abs(steps - np.round(steps)), 1)
    decode_results = moved(released_pca, 3e-5, int(from_border.argmin()))
    assert {each.outcome for each in decode_results} == {Outcome.EQUAL}
    assert any("of 128, off by 1" in each.text for each in decode_results)


def test_floats_within_the_tolerance_whose_bytes_are_not_differ(released_pca: Pca) -> None:
    whitened = (ROW - released_pca.means) @ released_pca.eigen_vectors.T
    stretched = np.abs(released_pca.eigen_vectors).sum(axis=1) * (np.abs(whitened) < 1.9)
    for verdict in moved(released_pca, 1.2e-3, int(stretched.argmax())):
        assert verdict.outcome is Outcome.DIFFERENT
        assert "but bytes by up to" in verdict.text


def test_another_pca_is_not_compared_and_a_wrong_quantiser_is_seen() -> None:
    other = Pca(np.eye(128), np.zeros(128), "0" * 64)
    assert "bytes are not compared" in compare(three(ROW), pca=other).text
    wrong = Pca(np.eye(128), np.zeros(128), RELEASED_PCA_SHA256)
    verdict = compare(three(ROW), pca=wrong)
    assert verdict.outcome is Outcome.DIFFERENT
    assert "PCA and quantiser give other bytes" in verdict.text


@pytest.mark.parametrize(
    ("rows", "seed", "outcome", "text"),
    [
        (three(np.maximum(ROW, 0)), -1, Outcome.DIFFERENT, "ReLU after the embedding"),
        (three(1.01 * ROW), -1, Outcome.DIFFERENT, "differ from the published ones by 0.01 "),
        (three(ROW)[:, :64], -1, Outcome.ANOTHER_MODEL, "its rows have 64 values (VGGish: 128)"),
        (three(ROW[::-1]), -1, Outcome.ANOTHER_MODEL, "with VGGish's"),
        (three(np.zeros(128)), -1, Outcome.ANOTHER_MODEL, "has correlation 0.00"),
        (three(np.zeros(128)), 7, Outcome.UNTRAINED, "UNTRAINED weights, seed 7"),
        (three(np.full(128, np.nan)), -1, Outcome.DIFFERENT, "by nan"),
        (np.stack([ROW, ROW, 1.01 * ROW]), -1, Outcome.DIFFERENT, "differ from the published"),
    ],
    ids=["relu", "scaled", "size", "reversed", "zero", "untrained", "nan", "third row"],
)
def test_rows_that_are_not_the_published_ones(
    rows: np.ndarray, seed: int, outcome: Outcome, text: str
) -> None:
    verdict = compare(rows, seed)
    assert verdict.outcome is outcome
    assert text in verdict.text


def test_bfloat16_has_a_tolerance_of_its_own() -> None:
    verdict = compare(three(1.01 * ROW), tolerance=precision.TOLERANCE)
    assert verdict.outcome is Outcome.EQUAL
    assert "(allowed: 0.02 of the largest value)" in verdict.text
    verdict = compare(three(1.03 * ROW), tolerance=precision.TOLERANCE)
    assert verdict.outcome is Outcome.DIFFERENT


def test_which_names_claim_to_be_the_released_model() -> None:
    for model, is_vggish in [
        ("https://tfhub.dev/google/vggish/1", True),
        ("https://tfhub.dev/google/vggish/1?tf-hub-format=compressed", True),
        ("https://www.kaggle.com/models/google/vggish/TensorFlow2/vggish/1", True),
        ("https://tfhub.dev/google/yamnet/1", False),
        ("https://tfhub.dev/google/vggish2/1", False),
        ("/models/google/vggish/1", False),
    ]:
        assert smoke_test.is_vggish_url(model) is is_vggish
