from collections.abc import Callable
from pathlib import Path

import pytest

from tests import native_engine

MadeOnce = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def trial(made_once: MadeOnce) -> Path:
    """Packed weights with biases, and with denormal columns."""
    native_engine.libraries()  # skips without one
    return made_once("native_trial", native_engine.pack_trial) / "weights"


@pytest.fixture(scope="session")
def untrained(made_once: MadeOnce) -> Path:
    """Packed weights of the untrained model, seed 0."""
    native_engine.libraries()
    return made_once("native_untrained", native_engine.pack_untrained) / "weights"
