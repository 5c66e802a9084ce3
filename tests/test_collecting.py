"""The tests themselves: running one of them starts at once."""

import pytest

from tests.conftest import TENSORFLOW_IS_COLLECTED


def test_collecting_tests_imports_no_tensorflow(pytestconfig: pytest.Config) -> None:
    assert not pytestconfig.stash[TENSORFLOW_IS_COLLECTED], (
        "a test file or one of its helpers imports TensorFlow at the top: import it in the test, or"
        " take the fixture tf"
    )
