"""VGGish itself: front end, weights, checkpoint, SavedModel."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transforms.model import vggish
from transforms.model.errors import ModelError
from transforms.model.postprocessing import RELEASED_PCA_SHA256
from transforms.model.sources.pca import load_pca


def test_log_mel_of_the_smoke_test_equals_the_original(shared: Path) -> None:
    golden = json.loads((shared / "data/vggish/smoke_test_golden.json").read_text())
    sine = np.sin(2 * np.pi * 1000 * np.arange(0, 3, 1 / 16000)).astype(np.float32)
    patches = vggish.log_mel_patches(sine).numpy()
    assert patches.shape == (3, 96, 64)
    for patch in patches:
        np.testing.assert_allclose(patch.ravel()[:3], golden["log_mel_row_first3"], atol=1e-4)
        np.testing.assert_allclose(patch.ravel()[-3:], golden["log_mel_row_last3"], atol=1e-4)


def test_released_pca_gives_the_128_golden_bytes(shared: Path) -> None:
    golden = json.loads((shared / "data/vggish/smoke_test_golden.json").read_text())
    pca = load_pca(str(shared / "data/vggish/vggish_pca_params.npz"))
    assert pca.sha256 == RELEASED_PCA_SHA256
    rows = pca.quantise(np.array([golden["embedding"]], np.float32))
    assert rows.dtype == np.uint8
    np.testing.assert_array_equal(rows, [golden["postprocessed"]])


def test_log_mel_of_silence_is_the_log_of_the_offset() -> None:
    patches = vggish.log_mel_patches(np.zeros(15_600, np.float32)).numpy()
    np.testing.assert_allclose(patches, np.full((1, 96, 64), -4.60517), atol=1e-5)


def test_weights_are_those_of_the_release() -> None:
    shapes = vggish.weight_shapes()
    assert len(shapes) == 18
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 72_141_184
    assert shapes["vggish/conv4/conv4_2/weights"] == (3, 3, 512, 512)
    assert shapes["vggish/fc1/fc1_1/weights"] == (12_288, 4_096)


def test_untrained_weights_follow_from_the_seed() -> None:
    one, same, other = (
        vggish.untrained_weights(seed)["vggish/conv1/weights"] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1


def test_exported_model_takes_a_waveform_of_any_length(loaded_vggish: Any) -> None:
    for num_samples, num_rows in [
        (0, 0),
        (1, 0),
        (399, 0),
        (15_599, 0),
        (15_600, 1),
        (30_959, 1),
        (30_960, 2),
        (160_000, 10),
    ]:
        rows = loaded_vggish(np.full(num_samples, 0.1, np.float32))
        assert rows.shape == (num_rows, 128)
        assert rows.dtype.name == "float32"


def test_rows_of_different_sounds_differ_and_are_not_cut_by_a_relu(loaded_vggish: Any) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 15_600).astype(np.float32)
    tone = np.sin(0.1 * np.arange(15_600)).astype(np.float32)
    first, second = loaded_vggish(noise).numpy()[0], loaded_vggish(tone).numpy()[0]
    assert np.abs(first - second).max() > 0.1 * np.abs(first).max()
    assert (first < 0).any()


@pytest.mark.slow
@pytest.mark.parametrize("version", [1, 2])
def test_a_tf1_checkpoint_gives_the_network_it_holds(
    tf: Any, tmp_path: Path, loaded_vggish: Any, version: int
) -> None:
    import tensorflow_hub

    checkpoint = _tf1_checkpoint(tf, tmp_path, vggish.untrained_weights(0), version)
    vggish.export(tmp_path / "model", vggish.build(vggish.read_checkpoint(checkpoint)))
    model = tensorflow_hub.load(str(tmp_path / "model"))
    assert not hasattr(model, "untrained_seed")
    waveform = np.random.default_rng(1).normal(0, 0.1, 30_960).astype(np.float32)
    np.testing.assert_array_equal(model(waveform), loaded_vggish(waveform))


def test_a_checkpoint_of_something_else_is_rejected_with_what_is_missing(
    tf: Any, tmp_path: Path
) -> None:
    weights = vggish.untrained_weights(0)
    wrong = {
        "vggish/conv1/weights": weights["vggish/conv1/weights"][:2],
        "other": np.zeros(3, np.float32),
    }
    checkpoint = _tf1_checkpoint(tf, tmp_path, wrong, 2)
    with pytest.raises(
        ModelError, match=r"conv1/weights has the shape \[2, 3, 1, 64\].*conv1/biases is missing"
    ):
        vggish.read_checkpoint(checkpoint)


def test_other_files_are_not_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "vggish_model.ckpt"
    path.write_text("not a checkpoint")
    with pytest.raises(ModelError, match="cannot read the checkpoint"):
        vggish.read_checkpoint(str(path))


@pytest.fixture(scope="module")
def loaded_vggish(vggish_model: str) -> Any:
    import tensorflow_hub

    return tensorflow_hub.load(vggish_model)


def _tf1_checkpoint(tf: Any, folder: Path, weights: dict[str, np.ndarray], version: int) -> str:
    """Writes a checkpoint as TF1 programs do, and returns its path or prefix."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = [
            tf.compat.v1.get_variable(name, value.shape, use_resource=False)
            for name, value in weights.items()
        ]
        for variable, value in zip(variables, weights.values(), strict=True):
            # Fed, because values inside the graph take half a minute.
            session.run(variable.initializer, {variable.initializer.inputs[1]: value})
        saver = tf.compat.v1.train.Saver(variables, write_version=version)
        return str(saver.save(session, str(folder / "model.ckpt"), write_meta_graph=False))
