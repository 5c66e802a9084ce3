"""Rows in bfloat16: for which CPUs and models, and how far they are from float32."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sounds import noise
from tests.stand_in import Body
from transforms.model import loading, precision
from transforms.model.errors import ModelError
from transforms.model.precision import BFLOAT16, FLOAT32, Deviation


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.integers(0, 10))
def test_the_deviation_of_batches_is_that_of_all_their_rows(sizes: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    batches = [random.normal(3, 2, (size + 1, 4)).astype(np.float32) for size in sizes]
    others = [batch + random.normal(0, 0.1, batch.shape).astype(np.float32) for batch in batches]
    found = sum(map(Deviation.between, others, batches), Deviation())
    exact, rows = np.concatenate(batches).astype(float), np.concatenate(others)
    assert found.num_rows == len(exact)
    if len(exact) > 1:
        spread = exact.std(axis=0).mean()
        assert found.mean == pytest.approx(np.abs(rows - exact).mean() / spread)
        assert found.largest == pytest.approx(np.abs(rows - exact).max() / spread)


def test_rows_without_spread_or_without_numbers_have_no_deviation() -> None:
    alike = Deviation.between(np.full((3, 2), 1.5, np.float32), np.ones((3, 2), np.float32))
    assert (alike.num_rows, alike.mean, alike.largest) == (3, None, None)
    exact = np.array([[0, 0], [1, 1], [np.nan, 1]], np.float32)
    rows = np.array([[0, 0.5], [1, np.inf], [1, 1]], np.float32)
    assert Deviation.between(rows, exact).num_rows == 1
    for nothing in (Deviation(), sum([], Deviation()), Deviation.between(rows[1:], exact[1:])):
        assert (nothing.num_rows, nothing.mean, nothing.largest) == (0, None, None)


@pytest.mark.parametrize("instruction", ["avx512_bf16", "amx_bf16"])
def test_a_cpu_is_taken_by_its_instructions(tmp_path: Path, instruction: str) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"flags\t\t: fpu avx512f {instruction} amx_tile\n")
    precision.check_cpu(cpuinfo)
    cpuinfo.write_text("flags\t\t: fpu avx512f avx512_vnni\n")
    with pytest.raises(ModelError, match=r"needs a CPU with AVX512_BF16 or AMX_BF16, .* neither"):
        precision.check_cpu(cpuinfo)
    with pytest.raises(ModelError, match=r"cannot be determined on .*; use --precision=float32"):
        precision.check_cpu(tmp_path / "absent")


def test_a_cpu_without_the_instructions_is_rejected_before_a_model_is_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    check_cpu = precision.check_cpu
    (tmp_path / "cpuinfo").write_text("flags : fpu\n")
    monkeypatch.setattr(precision, "check_cpu", lambda: check_cpu(tmp_path / "cpuinfo"))
    with pytest.raises(ModelError, match="needs a CPU"):
        loading.load("https://no.such/model", in_precision=BFLOAT16)


@pytest.fixture
def any_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what does not come as far as to compute anything in bfloat16."""
    monkeypatch.setattr(precision, "check_cpu", lambda: None)


@pytest.mark.usefixtures("any_cpu")
def test_a_model_without_convolutions_is_rejected(stand_in_model: str) -> None:
    with pytest.raises(ModelError, match="--precision=bfloat16: it has no convolutions"):
        loading.load(stand_in_model, in_precision=BFLOAT16)


@pytest.mark.usefixtures("any_cpu")
@pytest.mark.parametrize("in_batches", [True, False])
def test_a_spectrum_that_is_made_by_convolutions_is_rejected(
    tf: Any, save: Callable[[Body], str], in_batches: bool
) -> None:
    """In the model's own function, and inside a loop over patches."""
    filters = np.random.default_rng(0).normal(size=(1_200, 1, 2)).astype(np.float32)

    def body(patches: Any) -> Any:
        if not in_batches:
            loud = tf.debugging.assert_less(tf.abs(patches), 2.0)
            with tf.control_dependencies([loud]):
                patches = tf.identity(patches)
        bands = tf.nn.conv1d(patches[..., tf.newaxis], filters, 1_200, "VALID")
        return tf.reshape(tf.math.log(tf.square(bands) + 0.01), [-1, 26])

    path = save(body)
    assert loading.load(path).facts.in_batches == in_batches
    with pytest.raises(ModelError, match="a logarithm after convolutions"):
        loading.load(path, in_precision=BFLOAT16)


@pytest.mark.usefixtures("any_cpu")
def test_a_rewrite_that_does_not_happen_is_noticed(
    convolutions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_REWRITE", "remapping")
    with pytest.raises(ModelError, match="in float32 nevertheless"):
        loading.load(convolutions, in_precision=BFLOAT16)


def test_rows_with_too_large_a_deviation_are_rejected(tf: Any) -> None:
    graph = tf.Graph()
    with graph.as_default():
        tf.nn.conv2d(tf.zeros([1, 4, 4, 1]), tf.zeros([3, 3, 1, 1]), 1, "SAME")

    def call(off: float) -> Callable[[np.ndarray, str], np.ndarray]:
        changes = {FLOAT32: np.float32(0), BFLOAT16: np.float32(off)}
        return lambda patches, in_precision: patches[:, :2] + changes[in_precision]

    patches = np.eye(3, 15_600, dtype=np.float32)
    precision.check_model("m", graph.as_graph_def(), call(0.01), patches)
    for off in (0.03, np.nan):
        with pytest.raises(ModelError, match=r"differ from those in float32 by .* \(allowed: 0.02"):
            precision.check_model("m", graph.as_graph_def(), call(off), patches)


@pytest.mark.usefixtures("bfloat16_cpu")
def test_convolutions_are_in_bfloat16_and_what_is_before_them_is_not(convolutions: str) -> None:
    patches = noise(20 * 15_600).reshape(20, 15_600)
    exact = loading.load(convolutions).embed(patches)
    model = loading.load(convolutions, in_precision=BFLOAT16)
    assert model.facts.precision == BFLOAT16
    rows = model.embed(patches)
    np.testing.assert_array_equal(rows[:, :8], exact[:, :8])
    assert (rows[:, 8:] != exact[:, 8:]).any()
    np.testing.assert_allclose(rows, exact, atol=precision.TOLERANCE * np.abs(exact).max())
    # Neither precision leaves anything behind for the other.
    np.testing.assert_array_equal(model.call(patches), loading.load(convolutions).call(patches))
    np.testing.assert_array_equal(model.embed(patches), rows)


@pytest.mark.usefixtures("bfloat16_cpu")
def test_the_first_batches_are_compared_with_float32(convolutions: str) -> None:
    patches = noise(20 * 15_600).reshape(20, 15_600)
    model = loading.load(convolutions, in_precision=BFLOAT16)
    rows = model.embed(patches)
    found = [model.deviation(patches, rows) for _ in range(loading.COMPARED_BATCHES)]
    assert model.deviation(patches, rows) is None
    exact = loading.load(convolutions)
    assert exact.deviation(patches, rows) is None
    expected = Deviation.between(rows, exact.embed(patches))
    assert expected.mean
    assert expected.mean < 0.05
    assert [each and (each.num_rows, each.mean) for each in found] == (
        loading.COMPARED_BATCHES * [(20, expected.mean)]
    )


@pytest.mark.slow
@pytest.mark.usefixtures("bfloat16_cpu")
def test_vggish_in_bfloat16(vggish_model: str) -> None:
    """The bits of a row follow from its patch alone here as well."""
    model = loading.load(vggish_model, in_precision=BFLOAT16)
    patches = noise(8 * 15_600).reshape(8, 15_600)
    rows = model.embed(patches)
    np.testing.assert_array_equal(model.embed(patches[::-1])[::-1], rows)
    exact = model.call(patches, FLOAT32)
    assert 1e-3 < np.abs(rows - exact).max() / np.abs(exact).max() < precision.TOLERANCE / 2
