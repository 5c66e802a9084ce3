"""Reading VGGish's variables without TensorFlow, beside TensorFlow's own reader."""

import shutil
import struct
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


def _varint(number: int) -> bytes:
    low = number & 127
    return bytes([low]) if number < 128 else bytes([low | 128]) + _varint(number >> 7)


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _block(key: bytes, value: bytes) -> bytes:
    lengths = _varint(0) + _varint(len(key)) + _varint(len(value))
    return lengths + key + value + struct.pack("<II", 0, 1) + bytes(5)


def _write(folder: Path, entry: bytes, graph: bytes) -> None:
    """Writes a checkpoint with nothing but an object graph, and the entry of that."""
    data = _block(b"_CHECKPOINTABLE_OBJECT_GRAPH", entry)
    handle = _varint(0) + _varint(len(data) - 5)
    index = _block(b"z", handle)
    footer = _varint(0) + _varint(0) + _varint(len(data)) + _varint(len(index) - 5)
    (folder / "variables").mkdir()
    (folder / INDEX).write_bytes(
        data + index + footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    )
    tensor = _varint(len(graph)) + bytes(4) + graph
    (folder / "variables/variables.data-00000-of-00001").write_bytes(tensor)


@pytest.mark.parametrize(
    ("entry", "graph"),
    [
        (_field(4, 2**66) + _field(5, 10), b""),
        (_field(4, b"offset") + _field(5, 10), b""),
        (_field(5, b"size"), b""),
        (_field(5, 2**40), b""),
        (_field(5, 2**69), b""),
        (_field(5, 100), _field(1, 5)),
        (_field(5, 100), _field(1, _field(2, 5))),
        (_field(5, 100), _field(1, _field(2, _field(2, 5)))),
        (_field(5, 100), _field(1, _field(2, _field(2, b"\xff")))),
        (_field(5, 100), b""),
    ],
)
def test_messages_of_other_fields_and_numbers_are_errors(
    tmp_path: Path, entry: bytes, graph: bytes
) -> None:
    _write(tmp_path, entry, graph)
    with pytest.raises(BundleError, match="another form"):
        read_variables(tmp_path)


def _copy(model: Path, folder: Path) -> None:
    """Copies a model; its weights are a link."""
    (folder / "variables").mkdir()
    shutil.copy(model / "saved_model.pb", folder)
    shutil.copy(model / INDEX, folder / INDEX)
    (data,) = (model / "variables").glob("variables.data-*")
    (folder / "variables" / data.name).symlink_to(data)
