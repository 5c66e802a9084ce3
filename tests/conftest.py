"""Fixtures: what takes seconds to make is made once a session."""

import fcntl
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests import optional
from tests.stand_in import Body, samples, save_model
from transforms.model import onednn

MadeOnce = Callable[[str, Callable[[Path], object]], Path]

# `pytest --hypothesis-profile=thorough -m hypothesis` tries many examples, and nothing else. Tests
# share the machine: how long an example takes says nothing.
hypothesis.settings.register_profile("quick", deadline=None, max_examples=25)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=300)
hypothesis.settings.load_profile("quick")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Whichever test imports TensorFlow first in this process: rows are compared to the bit with those
# that the program computes in others.
onednn.prefer()

# What oneDNN's variable ONEDNN_MAX_CPU_ISA may limit it to.
ISAS_WITHOUT_BFLOAT16 = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI"}

SHARED = Path(__file__).resolve().parents[2] / "shared"


TENSORFLOW_IS_COLLECTED = pytest.StashKey[bool]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Notes whether collecting the tests has imported TensorFlow, which takes seconds."""
    session.config.stash[TENSORFLOW_IS_COLLECTED] = "tensorflow" in sys.modules


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
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Makes folders that tests share, each once a session and not once in each of its processes.

    `made_once(name, make)` returns the folder of that name, filled by `make(folder)`.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each of them has a folder of its own, in one
        root = root.parent

    def made(name: str, make: Callable[[Path], object]) -> Path:
        folder = root / "shared" / name
        folder.parent.mkdir(exist_ok=True)
        with open(f"{folder}.lock", "a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Its size now: `tell` has that of before the wait for the lock.
            if not os.fstat(lock.fileno()).st_size:
                shutil.rmtree(folder, ignore_errors=True)  # of one that has failed
                folder.mkdir()
                make(folder)
                lock.write("made")
        return folder

    return made


@pytest.fixture(scope="session", autouse=True)
def _cache(made_once: MadeOnce) -> None:
    """Keeps packed weights and proofs of the tests' models out of the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    os.environ.setdefault("PIP_CACHE_DIR", f"{cache}/pip")
    os.environ["XDG_CACHE_HOME"] = str(made_once("cache", lambda _: None))


@pytest.fixture(scope="session")
def vggish_model(made_once: MadeOnce) -> str:
    """The real network with untrained weights, as a SavedModel folder."""

    def make(folder: Path) -> None:
        from transforms.model import vggish

        network = vggish.build(vggish.untrained_weights(0), untrained_seed=0)
        vggish.export(folder / "model", network)

    return str(made_once("vggish", make) / "model")


@pytest.fixture(scope="session")
def stand_in_model(made_once: MadeOnce) -> str:
    """A model at no cost, whose rows are samples of the patch: exact in any batch."""
    return str(made_once("stand_in", lambda folder: save_model(folder, samples)))


@pytest.fixture
def raw(stand_in_model: str) -> list[str]:
    """The flags of a run whose float rows are samples of the sound."""
    return ["--profile=raw", f"--model={stand_in_model}"]


@pytest.fixture(scope="session")
def pca_file(made_once: MadeOnce) -> str:
    """A file like vggish_pca_params.npz, with a rotation of its own."""

    def make(folder: Path) -> None:
        import numpy as np

        random = np.random.default_rng(128)
        rotation, _ = np.linalg.qr(random.normal(size=(128, 128)))
        means = random.normal(size=(128, 1)) / 10
        np.savez(folder / "pca.npz", pca_eigen_vectors=3 * rotation, pca_means=means)

    return str(made_once("pca", make) / "pca.npz")


@pytest.fixture
def save(tmp_path: Path) -> Callable[[Body], str]:
    """Saves a model with the framing of VGGish and a body of its own."""
    return lambda body: save_model(tmp_path / "model", body)


@pytest.fixture
def convolutions(tf: Any, save: Callable[[Body], str]) -> str:
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
    """Skips where the CPU, or oneDNN as it is set, does not compute in bfloat16.

    Nothing that could be installed.
    """
    from transforms.model import precision
    from transforms.model.errors import ModelError

    try:
        precision.check_cpu()
    except ModelError as error:
        pytest.skip(f"this is hardware, and no package: {error}")
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    if not onednn.is_on() or limit in ISAS_WITHOUT_BFLOAT16:
        pytest.skip("the environment keeps oneDNN, or its instructions for bfloat16, switched off")
