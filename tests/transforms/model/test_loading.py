"""Loading a model, and refusing one whose rows would be silently wrong."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.stand_in import Body, stand_in_rows
from transforms.model import batching, loading
from transforms.model.batching import CALL_ROWS, CallRows
from transforms.model.errors import ModelError, ModelInputError


def test_the_stand_in_loads_and_its_batches_are_its_rows(stand_in_model: str) -> None:
    model = loading.load(stand_in_model)
    assert model.facts.embedding_size == 128
    assert model.facts.untrained_seed == -1
    patches = np.random.default_rng(0).normal(size=(5, 15_600)).astype(np.float32)
    expected = np.concatenate([stand_in_rows(patch) for patch in patches])
    np.testing.assert_array_equal(model.embed(patches), expected)


def test_calls_are_as_large_as_was_proved(
    stand_in_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "choose_call_rows", lambda *_: CallRows(16, True))
    model = loading.load(stand_in_model)
    assert (model.facts.batch_rows, model.facts.rows_depend_on_position) == (16, True)
    patches = np.random.default_rng(0).normal(size=(40, 15_600)).astype(np.float32)
    sizes = []
    call = model.call

    def counted(batch: np.ndarray, in_precision: str) -> np.ndarray:
        sizes.append(len(batch))
        return call(batch, in_precision)

    monkeypatch.setattr(model, "call", counted)
    model.take_times()
    np.testing.assert_array_equal(model.embed(patches), patches[:, ::122])
    assert sizes == [16, 16, 16]
    _, seconds, num_batches = model.take_times()
    assert seconds > 0
    assert num_batches == 3
    assert model.take_times() == (0.0, 0.0, 0)


def test_an_empty_batch_gives_no_rows(stand_in_model: str) -> None:
    assert loading.load(stand_in_model).embed(np.empty((0, 15_600), np.float32)).shape == (0, 128)


@pytest.mark.slow  # by default tests/test_run.py proves it, with recordings
def test_rows_of_the_real_network_equal_one_call_on_the_whole_waveform(
    tf: Any, vggish_model: str
) -> None:
    model = loading.load(vggish_model)
    assert model.facts.untrained_seed == 0
    waveform = np.random.default_rng(0).normal(0, 0.1, 20 * 15_360 + 240).astype(np.float32)
    patches = np.lib.stride_tricks.sliding_window_view(waveform, 15_600)[::15_360]
    whole = tf.saved_model.load(vggish_model)(waveform).numpy()
    assert whole.shape == (20, 128)
    for rows in (model.embed(patches), model.embed(patches[::-1])[::-1]):
        np.testing.assert_allclose(rows, whole, atol=1e-5 * np.abs(whole).max())


def test_equal_models_have_equal_fingerprints_and_others_do_not(
    save: Callable[[Body], str], stand_in_model: str
) -> None:
    facts = [
        loading.load(path).facts
        for path in (stand_in_model, stand_in_model, save(lambda p: p[:, :2]))
    ]
    assert facts[0] == facts[1]
    assert facts[0].fingerprint != facts[2].fingerprint
    assert facts[2].embedding_size == 2


def test_a_model_of_another_width_is_rejected_where_rows_become_8_bits(
    save: Callable[[Body], str],
) -> None:
    path = save(lambda patches: patches[:, :4])
    assert loading.load(path, 4).facts.embedding_size == 4
    with pytest.raises(
        ModelError, match=r"rows of 4 values, and the PCA .* needs 128; --profile=raw"
    ):
        loading.load(path, 128)


def test_yamnet_is_rejected_with_what_it_returned(shared: Path) -> None:
    with pytest.raises(
        ModelError,
        match=r"yamnet.*15600 samples gave a dict of outputs.*output_1: float32 \[1, 1024\]",
    ):
        loading.load(str(shared / "models/yamnet"))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (lambda tf, p: {"rows": p[:, :4]}, r"gave a dict of outputs \(rows: float32 \[1, 4\]\)"),
        (lambda tf, p: [p[:, :4], p], r"of \(float32 \[1, 4\], float32 \[1, 15600\]\)"),
        (lambda tf, p: tf.cast(p[:, :4], tf.float64), r"gave float64 \[1, 4\]"),
        (lambda tf, p: p[:, :4, None], r"gave float32 \[1, 4, 1\]"),
        (lambda tf, p: p[:, :0], "rows are empty"),
        (lambda tf, p: p[:, :4] / 0.0, "NaN or infinity"),
        (
            lambda tf, p: p[:, :4] - tf.reduce_mean(p[:, :4], axis=0),
            "differ from those of the whole",
        ),
        (lambda tf, p: p[:, :4] + tf.random.normal([]), "differ from those of the whole"),
        (
            lambda tf, p: tf.concat([p, p], axis=0)[:, :4],
            r"15600 samples gave \[2, 4\] .expected: \[1, 4\]",
        ),
        (lambda tf, p: tf.cumsum(p[:, :4]), "differ from those of the whole"),
    ],
)
def test_a_model_that_breaks_the_contract_is_rejected_with_the_reason(
    tf: Any, save: Callable[[Body], str], body: Callable[[Any, Any], Any], why: str
) -> None:
    with pytest.raises(ModelError, match=why):
        loading.load(save(lambda patches: body(tf, patches)))


@pytest.mark.parametrize("hop_samples", [7_680, 15_600, 16_000])
def test_a_model_of_another_hop_is_rejected(tf: Any, tmp_path: Path, hop_samples: int) -> None:
    class OtherHop(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
        def __call__(self, waveform: Any) -> Any:
            return tf.signal.frame(waveform, 15_600, hop_samples)[:, :4]

    tf.saved_model.save(OtherHop(), str(tmp_path / "model"))
    with pytest.raises(ModelError, match="samples gave"):
        loading.load(str(tmp_path / "model"))


def test_a_model_that_pads_the_end_is_rejected(tf: Any, tmp_path: Path) -> None:
    class Padding(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
        def __call__(self, waveform: Any) -> Any:
            waveform = tf.pad(waveform, [[0, 15_359]])
            return tf.signal.frame(waveform, 15_600, 15_360)[:, :4]

    tf.saved_model.save(Padding(), str(tmp_path / "model"))
    with pytest.raises(ModelError, match=r"30959 samples gave \[2, 4\] .expected: \[1, 4\]"):
        loading.load(str(tmp_path / "model"))


def test_a_model_that_cannot_be_called_is_rejected_with_its_signatures(
    tf: Any, tmp_path: Path
) -> None:
    module = tf.Module()
    module.serve = tf.function(lambda x: x, input_signature=[tf.TensorSpec([None], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"serve": module.serve})
    with pytest.raises(ModelError, match=r"cannot be called \(its signatures: \['serve'\]\)"):
        loading.load(str(tmp_path / "model"))


def test_a_damaged_saved_model_is_rejected(stand_in_model: str, tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xff\xff\xff not a graph")
    with pytest.raises(ModelError, match="is not a SavedModel that loads"):
        loading.load(str(tmp_path))


def test_audio_that_the_model_rejects_is_not_a_bug(tf: Any, save: Callable[[Body], str]) -> None:
    def body(patches: Any) -> Any:
        with tf.control_dependencies([tf.debugging.assert_less(tf.abs(patches), 2.0, "too loud")]):
            return tf.identity(patches[:, :4])

    model = loading.load(save(body))
    assert not model.facts.in_batches
    assert model.facts.batch_rows == 1
    assert not model.facts.rows_depend_on_position
    loud = np.full((2, 15_600), 3.0, np.float32)
    with pytest.raises(ModelInputError, match="too loud"):
        model.embed(loud)
    np.testing.assert_array_equal(model.embed(loud / 3), np.ones((2, 4), np.float32))


# Embeds patches twice, in another order and as other numbers of rows at a time.
PERMUTED = """
import sys
import numpy as np
from transforms.model import batching, loading

model = loading.load(sys.argv[1])
random = np.random.default_rng(3)
patches = random.normal(0, 0.1, (int(sys.argv[2]), 15_600)).astype(np.float32)
rows = model.embed(patches)
order = random.permutation(len(patches))
again = np.concatenate([model.embed(patches[part]) for part in np.split(order, [1, 71])])
assert np.abs(again - rows[order]).max() <= 1e-5 * np.abs(rows).max()
alike = np.array_equal(again, rows[order])
assert alike is not model.facts.rows_depend_on_position, model.facts
print(model.facts.batch_rows, model.facts.onednn)
"""


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, marks=pytest.mark.slow),
        # As TensorFlow computes on many CPUs without AVX-512, if it is left to itself.
        pytest.param(
            {"TF_ENABLE_ONEDNN_OPTS": "0", "ONEDNN_MAX_CPU_ISA": "AVX2"}, marks=pytest.mark.slow
        ),
    ],
    ids=["this CPU", "AVX2"],
)
def test_the_bits_of_a_row_follow_from_its_patch_alone(
    vggish_model: str, settings: dict[str, str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PERMUTED, vggish_model, "300" if settings else "66"],
        env=os.environ | settings,
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    batch_rows, is_on = done.stdout.split()
    assert int(batch_rows) in CALL_ROWS
    if settings:
        assert is_on == "False"
