"""Packed weights: VGGish's variables in the order in which the native engine reads them.

One file serves all sets of instructions. It is mapped into memory, so that processes share one
copy of its 343 MB:

    magic        `VGGish packed weights` and the end of the line
    description  one line of JSON: versions, byte order, fingerprint of the model, size, checksum;
                 filled with spaces to 4,096 bytes
    weights      float32, as engine.cc lays them out
"""

import contextlib
import ctypes
import errno
import json
import mmap
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from transforms.metrics.host import available_cores
from transforms.model.native.library import ENGINE_VERSION, Library, load_library
from transforms.model.vggish import weight_shapes

# Names and shapes of the 18 variables, as in the released checkpoint: weights and biases of each
# layer in turn.
VARIABLES: Mapping[str, tuple[int, ...]] = weight_shapes()
_MAGIC = b"VGGish packed weights\n"
_FORMAT_VERSION = 1
_HEADER_BYTES = 4_096  # a page, so that weights are aligned


class PackedWeightsError(Exception):
    """A file of packed weights is torn, or of another model or version."""


def pack(
    variables: Mapping[str, np.ndarray],
    path: Path,
    fingerprint: str,
    library: Library | None = None,
) -> None:
    """Writes packed weights to a new file, which then replaces `path`.

    The same variables make the same file on every machine.

    Args:
      variables: float32 arrays with the names and shapes of `VARIABLES`.
      path: File to write.
      fingerprint: Identity of the model, which `open_packed` compares.
      library: Compiled engine; None for that of `load_library`.

    Raises:
      NativeUnavailableError: There is no compiled engine.
      OSError: The file cannot be written.
      ValueError: Variables are missing, or have other shapes or types.
    """
    library = library or load_library()
    arrays = [_checked(variables, name) for name in VARIABLES]
    size = library.functions.vggish_packed_bytes()
    with _replacing(path) as file:
        # Space first: a full disk would otherwise end the process when memory is written back.
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file, 0, _HEADER_BYTES + size)
        else:
            os.truncate(file, _HEADER_BYTES + size)
        with mmap.mmap(file, _HEADER_BYTES + size) as memory:
            view = (ctypes.c_char * len(memory)).from_buffer(memory)
            try:
                address = ctypes.addressof(view) + _HEADER_BYTES
                pointers = (ctypes.c_void_p * len(arrays))(*[each.ctypes.data for each in arrays])
                library.call("vggish_pack", pointers, address, available_cores())
                checksum = library.functions.vggish_checksum(address, size)
            finally:
                del view
            header = _MAGIC + json.dumps(_description(fingerprint, size, checksum)).encode()
            memory[:_HEADER_BYTES] = header.ljust(_HEADER_BYTES)


def open_packed(path: Path, fingerprint: str, library: Library) -> mmap.mmap:
    """Maps packed weights into memory, and checks all of them.

    The check takes 0.05 to 0.1 s; it reads what the first row would have to read.

    Raises:
      MemoryError: The system has no memory for it.
      OSError: The file cannot be read.
      PackedWeightsError: It is torn, or of another model or version.
    """
    size = library.functions.vggish_packed_bytes()
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size != _HEADER_BYTES + size:
            raise PackedWeightsError(
                f"{path} has {os.fstat(file.fileno()).st_size} bytes (expected:"
                f" {_HEADER_BYTES + size})"
            )
        try:
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            if error.errno == errno.ENOMEM:
                raise MemoryError(f"no memory to map {path}") from error
            raise
    found = _read_description(path, memory[:_HEADER_BYTES])
    checksum = library.functions.vggish_checksum(address_of_weights(memory), size)
    for name, expected in _description(fingerprint, size, checksum).items():
        if found.get(name) != expected:
            raise PackedWeightsError(
                f"{path} has the {name} {found.get(name)!r} (expected: {expected!r})"
            )
    return memory


def address_of_weights(memory: mmap.mmap) -> int:
    """Returns the address of mapped weights, which is valid as long as `memory` is."""
    return int(np.frombuffer(memory, np.uint8).ctypes.data) + _HEADER_BYTES


def _checked(variables: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in variables:
        raise ValueError(f"the variable {name} is missing")
    array = variables[name]
    if array.dtype != np.float32 or array.shape != VARIABLES[name]:
        raise ValueError(
            f"the variable {name} is {array.dtype} {list(array.shape)} (expected: float32"
            f" {list(VARIABLES[name])})"
        )
    return np.require(array, requirements=["C", "ALIGNED"])


def _description(fingerprint: str, size: int, checksum: int) -> dict[str, Any]:
    return {
        "format": _FORMAT_VERSION,
        "engine": ENGINE_VERSION,
        "byte order": sys.byteorder,
        "fingerprint": fingerprint,
        "bytes": size,
        "checksum": f"{checksum:016x}",
    }


def _read_description(path: Path, header: bytes) -> dict[str, Any]:
    try:
        if header.startswith(_MAGIC):
            found = json.loads(header[len(_MAGIC) :])
            if isinstance(found, dict):
                return found
    except (ValueError, RecursionError):
        pass
    raise PackedWeightsError(f"{path} is not a file of packed weights")


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[int]:
    """Yields a new file, which replaces `path` unless an exception is raised."""
    file, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        try:
            os.fchmod(file, 0o644)  # else only this user could read a cache that others share
            yield file
        finally:
            os.close(file)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
