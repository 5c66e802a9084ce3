"""Arrays of an `.npz` file that anybody may have made: headers are checked before data is read."""

import io
import math
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

_Shape = tuple[int, ...]
# The methods with which NumPy writes.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Beyond the values of an array: NumPy's own limit of a header, and its magic number.
_HEADER_BYTES = 10_000 + 64
_MAX_ITEM_BYTES = 16
_IS_ENCRYPTED = 1
_MAX_SHOWN = 200


class NpzError(ValueError):
    """A file without the wanted arrays; the message says why."""


def read_arrays(data: bytes, shapes: Mapping[str, Sequence[_Shape]]) -> list[np.ndarray]:
    """Reads arrays of numbers.

    Memory is bounded by the allowed shapes, whatever the file claims.

    Args:
      data: The file.
      shapes: The allowed shapes of each wanted array.

    Returns:
      float64 arrays in the order of `shapes`.

    Raises:
      NpzError: The file is damaged, or an array is absent, has another shape, or has no real
        numbers.
    """
    with _told("the zip archive"):
        is_zip = zipfile.is_zipfile(io.BytesIO(data))
    if not is_zip:
        raise NpzError(f"it is no zip archive (.npz is one): it begins with {data[:16]!r}")
    with _told("the zip archive"):
        bundle = zipfile.ZipFile(io.BytesIO(data))
    with bundle:
        members = {
            name: _read_member(bundle, name, max(map(math.prod, allowed)))
            for name, allowed in shapes.items()
        }
    found = {name: _read_header(name, member) for name, member in members.items()}
    if any(found[name] not in allowed for name, allowed in shapes.items()):
        wanted = (" or ".join(str(list(each)) for each in allowed) for allowed in shapes.values())
        raise NpzError(
            f"its arrays are {' and '.join(_shown(shape) for shape in found.values())} (wanted:"
            f" {' and '.join(wanted)})"
        )
    return [_read_array(name, member) for name, member in members.items()]


def _read_member(bundle: zipfile.ZipFile, name: str, num_items: int) -> bytes:
    entries = [each for each in bundle.infolist() if each.filename == f"{name}.npy"]
    if len(entries) != 1:
        raise NpzError(f"it holds {len(entries)} arrays {name} (wanted: 1)")
    (entry,) = entries
    if entry.flag_bits & _IS_ENCRYPTED:
        raise NpzError(f"the array {name} is encrypted (allowed: arrays without a password)")
    if entry.compress_type not in _METHODS:
        raise NpzError(
            f"the array {name} is compressed with method {entry.compress_type} of zip (allowed:"
            f" {' and '.join(map(str, _METHODS))}, as NumPy writes)"
        )
    limit = num_items * _MAX_ITEM_BYTES + _HEADER_BYTES
    with _told(f"the array {name}"), bundle.open(entry) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise NpzError(f"the array {name} has more than {limit} bytes")
    return data


def _read_header(name: str, member: bytes) -> _Shape:
    with _told(f"the array {name}"):
        file = io.BytesIO(member)
        version = np.lib.format.read_magic(file)
        # Those of version 3 are of arrays with named fields.
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, dtype = read(file)
    if dtype.hasobject or dtype.kind not in "fiu" or dtype.itemsize > _MAX_ITEM_BYTES:
        raise NpzError(f"the array {name} is of {str(dtype)[:_MAX_SHOWN]} (wanted: float64)")
    return shape


def _read_array(name: str, member: bytes) -> np.ndarray:
    with _told(f"the array {name}"):
        array = np.lib.format.read_array(io.BytesIO(member), allow_pickle=False)
    return array.astype(np.float64)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turns an error of zipfile, of a decompressor or of NumPy's parser into an `NpzError`.

    These raise what they meet (zlib.error, struct.error, TokenError, NotImplementedError,
    RecursionError and others), so the block must hold nothing but their calls.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers of other versions
            yield
    except Exception as error:
        raise NpzError(f"{what} is damaged: {_words(error)}") from error


def _words(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:_MAX_SHOWN]}" if text else type(error).__name__


def _shown(shape: Any) -> str:
    return str(list(shape))[:_MAX_SHOWN]
