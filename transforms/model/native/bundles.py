"""VGGish's variables in a SavedModel's checkpoint, read without TensorFlow.

The format is TensorFlow's bundle: an index, which is a sorted table of protobuf messages, and files
of data. Only what TensorFlow writes for a SavedModel is read; anything else is an error, and then
TensorFlow reads it. That the values are the right ones is proved by the rows that they give.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from transforms.model.vggish import weight_shapes

_TABLE_MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
_MAX_INDEX_BYTES = 2**20
_FLOAT32 = 1
# The field numbers of BundleEntryProto, TrackableObject and SerializedTensor.
_TYPE, _SHARD, _OFFSET, _SIZE = 1, 3, 4, 5
_NODES, _ATTRIBUTES, _FULL_NAME, _KEY = 1, 2, 2, 3
_OBJECT_GRAPH = b"_CHECKPOINTABLE_OBJECT_GRAPH"


class BundleError(Exception):
    """A checkpoint of another form than TensorFlow writes for VGGish; the message says how."""


def read_variables(folder: Path) -> dict[str, np.ndarray]:
    """Returns the variables by layer, as `vggish.weight_shapes`; they are mapped into memory.

    Args:
      folder: The SavedModel.

    Raises:
      BundleError: The checkpoint has another form.
      OSError: It cannot be read.
    """
    try:
        return _read(folder / "variables")
    # What a message of other fields, and numbers of any size, lead to.
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        OverflowError,
        struct.error,
    ) as error:
        raise BundleError(f"{folder}: its checkpoint has another form: {error!r}") from error


def _read(folder: Path) -> dict[str, np.ndarray]:
    (data,) = folder.glob("variables.data-*")
    index = folder / "variables.index"
    if index.stat().st_size > _MAX_INDEX_BYTES:
        raise ValueError("a large index")
    entries = {key: dict(_fields(value)) for key, value in _table(index.read_bytes())}
    if any(entry.get(_SHARD) for key, entry in entries.items() if key):
        raise ValueError("several files of data")
    graph = entries[_OBJECT_GRAPH]
    if graph[_SIZE] > _MAX_INDEX_BYTES:
        raise ValueError("a large object graph")
    with data.open("rb") as file:
        file.seek(graph.get(_OFFSET, 0))
        keys = _keys(file.read(graph[_SIZE]))
    found: dict[str, np.ndarray] = {}
    for name, shape in weight_shapes().items():
        entry = entries[keys[name]]
        if entry[_TYPE] != _FLOAT32 or entry[_SIZE] != 4 * np.prod(shape):
            raise ValueError(f"{name} of another type or size")
        found[name] = np.memmap(data, "<f4", "r", entry.get(_OFFSET, 0), shape)
    return found


def _keys(tensor: bytes) -> dict[str, bytes]:
    """Returns the keys of the checkpoint by the names of variables."""
    length, start = _varint(tensor, 0)
    graph = tensor[start + 4 : start + 4 + length]  # behind a checksum of the length
    found = {}
    for number, node in _fields(graph):
        for inner, attribute in _fields(node) if number == _NODES else ():
            if inner == _ATTRIBUTES:
                values = dict(_fields(attribute))
                found[values.get(_FULL_NAME, b"").decode()] = values.get(_KEY, b"")
    return found


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields keys and values of a sorted table."""
    footer = data[-_FOOTER_BYTES:]
    if struct.unpack("<Q", footer[-8:])[0] != _TABLE_MAGIC:
        raise ValueError("no table")
    _, place = _varint(footer, 0)  # of the block of filters, which TensorFlow does not write
    _, place = _varint(footer, place)
    for _, handle in _block(data, footer[place:]):
        yield from _block(data, handle)


def _block(data: bytes, handle: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields keys and values of the block of a handle, which has its offset and size."""
    offset, place = _varint(handle, 0)
    size, _ = _varint(handle, place)
    if data[offset + size]:
        raise ValueError("a compressed block")
    block = data[offset : offset + size]
    (num_restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 - 4 * num_restarts
    place, key = 0, b""
    while place < end:
        num_shared, place = _varint(block, place)
        num_own, place = _varint(block, place)
        num_value, place = _varint(block, place)
        key = key[:num_shared] + block[place : place + num_own]
        place += num_own
        yield key, block[place : place + num_value]
        place += num_value


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yields the fields of a protobuf message: numbers, and bytes."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        kind = tag & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, place = _varint(message, place)
        else:
            size = {1: 8, 5: 4}[kind]
        if place + size > len(message):
            raise ValueError("a field that is cut off")
        yield tag >> 3, message[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Returns a number of variable length, and the place behind it."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("a number that is too long")
