"""Fixtures: what takes seconds to make is made once a session."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from tests import optional
from transforms.model import onednn

if TYPE_CHECKING:  # it imports TensorFlow
    from tests.stand_in import Body

# Tests share the machine: how long an example takes says nothing.
hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Whichever test imports TensorFlow first in this process: rows are compared to the bit with those
# that the program computes in others.
onednn.prefer()

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared material beside the checkout."""
    optional.need(SHARED.is_dir(), "../shared", "real recordings and released data, not public")
    return SHARED


@pytest.fixture(scope="session")
def tf() -> Any:
    """TensorFlow."""
    import tensorflow

    return tensorflow


@pytest.fixture(scope="session")
def vggish_model(tf: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The real network with untrained weights, as a SavedModel folder."""
    from transforms.model import vggish

    folder = tmp_path_factory.mktemp("models") / "vggish"
    vggish.export(folder, vggish.build(vggish.untrained_weights(0), untrained_seed=0))
    return str(folder)


@pytest.fixture(scope="session")
def stand_in_model(tf: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model at no cost, whose rows are samples of the patch: exact in any batch."""
    from tests.stand_in import StandIn

    folder = tmp_path_factory.mktemp("models") / "stand_in"
    tf.saved_model.save(StandIn(), str(folder))
    return str(folder)


@pytest.fixture
def pca_file(tmp_path: Path) -> str:
    """A file like vggish_pca_params.npz, with a rotation of its own."""
    import numpy as np

    random = np.random.default_rng(128)
    rotation, _ = np.linalg.qr(random.normal(size=(128, 128)))
    path = tmp_path / "pca.npz"
    np.savez(path, pca_eigen_vectors=3 * rotation, pca_means=random.normal(size=(128, 1)) / 10)
    return str(path)


@pytest.fixture
def save(tf: Any, tmp_path: Path) -> "Callable[[Body], str]":
    """Saves a model with the framing of VGGish and a body of its own."""

    def save_body(body: "Body") -> str:
        class Model(tf.Module):  # type: ignore[misc]
            @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
            def __call__(self, waveform: Any) -> Any:
                return body(tf.signal.frame(waveform, 15_600, 15_360))

        tf.saved_model.save(Model(), str(tmp_path / "model"))
        return str(tmp_path / "model")

    return save_body


@pytest.fixture
def convolutions(tf: Any, save: "Callable[[Body], str]") -> str:
    """A small model: 8 logarithms of products, as a front end has, and 4 values of convolutions."""
    import numpy as np

    random = np.random.default_rng(0)
    products, first, second = (
        random.normal(0, 0.1, shape).astype(np.float32)
        for shape in ((64, 64), (3, 3, 1, 8), (3, 3, 8, 4))
    )

    def body(patches: Any) -> Any:
        logarithms = tf.math.log(tf.abs(tf.matmul(patches[:, :64], products)) + 0.01)
        image = tf.reshape(logarithms, [-1, 8, 8, 1])
        image = tf.nn.relu(tf.nn.conv2d(image, first, 1, "SAME"))
        image = tf.nn.conv2d(image, second, 1, "SAME")
        return tf.concat([logarithms[:, :8], tf.reduce_mean(image, axis=[1, 2])], axis=1)

    return save(body)


@pytest.fixture(scope="session")
def bfloat16_cpu() -> None:
    """Skips where the CPU does not compute in bfloat16: nothing that could be installed."""
    from transforms.model import precision
    from transforms.model.errors import ModelError

    try:
        precision.check_cpu()
    except ModelError as error:
        pytest.skip(f"this is hardware, and no package: {error}")
