"""Fixtures: what takes seconds to make is made once a session."""

import os
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# Tests share the machine: how long an example takes says nothing.
hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared material beside the checkout."""
    if SHARED.is_dir():
        return SHARED
    if os.environ.get("REQUIRE_ALL_TESTS"):
        pytest.fail("../shared is absent, and this run may not skip")
    pytest.skip("../shared, with real recordings and released data, is absent")


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
