"""Reading VGGish's variables without TensorFlow, beside TensorFlow's own reader."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transforms.model import vggish
from transforms.model.native.bundles import BundleError, read_variables

INDEX = "variables/variables.index"


def test_variables_are_those_of_tensorflow(tf: Any, vggish_model: str) -> None:
    found = read_variables(Path(vggish_model))
    assert found.keys() == vggish.weight_shapes().keys()
    reader = tf.train.load_checkpoint(f"{vggish_model}/variables/variables")
    for name, value in found.items():
        key = f"weights/{name.replace('/', '_')}/.ATTRIBUTES/VARIABLE_VALUE"
        np.testing.assert_array_equal(value, reader.get_tensor(key), err_msg=name)


def _cut(data: bytes) -> bytes:
    return data[:-1]


def _nothing(data: bytes) -> bytes:
    return b""


def _zeros(data: bytes) -> bytes:
    return bytes(len(data))


def _far_away(data: bytes) -> bytes:
    """The handle of the index block points behind the file."""
    return data[:-48] + b"\xff" * 36 + data[-12:]


def _large(data: bytes) -> bytes:
    return data + bytes(2**20)


@pytest.mark.parametrize("change", [_cut, _nothing, _zeros, _far_away, _large])
def test_another_index_is_an_error(
    vggish_model: str, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    _copy(Path(vggish_model), tmp_path)
    (tmp_path / INDEX).write_bytes(change((Path(vggish_model) / INDEX).read_bytes()))
    with pytest.raises(BundleError):
        read_variables(tmp_path)


def test_no_byte_of_the_index_raises_anything_else(vggish_model: str, tmp_path: Path) -> None:
    _copy(Path(vggish_model), tmp_path)
    data = (Path(vggish_model) / INDEX).read_bytes()
    random = np.random.default_rng(0)
    for _ in range(200):
        changed = bytearray(data)
        changed[random.integers(len(data))] ^= 1 << random.integers(8)
        (tmp_path / INDEX).write_bytes(changed)
        try:
            found = read_variables(tmp_path)
        except BundleError:
            continue
        assert {name: each.shape for name, each in found.items()} == vggish.weight_shapes()


def test_models_of_another_kind_and_split_data_are_errors(
    stand_in_model: str, vggish_model: str, tmp_path: Path
) -> None:
    with pytest.raises(BundleError):
        read_variables(Path(stand_in_model))
    _copy(Path(vggish_model), tmp_path)
    (tmp_path / "variables/variables.data-00001-of-00002").touch()
    with pytest.raises(BundleError):
        read_variables(tmp_path)


def _copy(model: Path, folder: Path) -> None:
    """Copies a model; its weights are a link."""
    (folder / "variables").mkdir()
    shutil.copy(model / "saved_model.pb", folder)
    shutil.copy(model / INDEX, folder / INDEX)
    (data,) = (model / "variables").glob("variables.data-*")
    (folder / "variables" / data.name).symlink_to(data)
