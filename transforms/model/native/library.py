"""The compiled engine: which library this CPU can run, and its functions."""

import ctypes
import dataclasses
import functools
import os
import platform
from collections.abc import Iterable
from pathlib import Path

# Changes whenever bits of rows or of packed weights may change; engine.cc has the same.
ENGINE_VERSION = "1"
FOLDER = Path(__file__).parent
# The flags of x86 CPUs that each set of instructions needs, the best one first.
_FLAGS = {
    "avx512": {"avx512f", "avx2", "fma"},
    "avx2": {"avx2", "fma"},
    "portable": {"avx", "fma"},
}
_DONE, _OUT_OF_MEMORY = 0, 1


class NativeUnavailableError(Exception):
    """This machine cannot run the native engine. The message is one line that says why."""


@dataclasses.dataclass(frozen=True)
class Library:
    """The functions of a compiled engine.

    Attributes:
      instructions: `avx512`, `avx2`, `portable` (128 bits, x86) or `neon`.
      functions: The C functions of `src/engine.cc`.
    """

    instructions: str
    functions: ctypes.CDLL

    def call(self, name: str, *arguments: object) -> None:
        """Calls a function that returns a status. It runs without the GIL.

        Raises:
          MemoryError: The system has no memory for it.
          RuntimeError: It failed otherwise.
        """
        status = getattr(self.functions, name)(*arguments)
        if status == _OUT_OF_MEMORY:
            raise MemoryError(f"{name} of the native engine has no memory")
        if status != _DONE:
            raise RuntimeError(f"{name} of the native engine failed with status {status}")


@functools.cache
def load_library() -> Library:
    """Returns the best library that is installed and that this CPU can run.

    Raises:
      NativeUnavailableError: There is none.
    """
    runnable = instruction_sets()
    if not runnable:
        raise NativeUnavailableError(
            f"this CPU ({platform.machine()}, {platform.system()}) is not known to have fused"
            " multiply-adds (needed: x86-64 with FMA on Linux, or ARM64)"
        )
    for instructions in runnable:
        path = library_path(instructions)
        if path is not None:
            return open_library(path)
    raise NativeUnavailableError(
        f"its library for {' or '.join(runnable)} is not installed, because there was no C++"
        " compiler at installation (install g++ and this program again)"
    )


def open_library(path: str | os.PathLike[str]) -> Library:
    """Opens a compiled engine, whose instructions this CPU must have.

    Raises:
      NativeUnavailableError: It cannot be opened, or is of another version.
    """
    try:
        functions = ctypes.CDLL(os.fspath(path))
        for name in ("vggish_version", "vggish_instructions"):
            getattr(functions, name).restype = ctypes.c_char_p
        version = functions.vggish_version().decode()
        if version != ENGINE_VERSION:
            raise NativeUnavailableError(
                f"{path} has version {version} (needed: {ENGINE_VERSION}; install this program"
                " again)"
            )
        _declare(functions)
    except (OSError, AttributeError) as error:
        raise NativeUnavailableError(f"cannot open {path}: {error}") from error
    return Library(functions.vggish_instructions().decode(), functions)


def library_path(instructions: str) -> Path | None:
    """Returns the installed library of a set of instructions; None if there is none."""
    path = FOLDER / f"vggish.{instructions}.so"
    return path if path.exists() else None


def instruction_sets(cpuinfo: str | os.PathLike[str] = "/proc/cpuinfo") -> list[str]:
    """Returns the sets of instructions that this CPU can run, the best one first."""
    machine = platform.machine().lower()
    if machine in ("aarch64", "arm64"):
        return ["neon"]
    if machine not in ("x86_64", "amd64"):
        return []
    try:
        with open(cpuinfo, encoding="utf-8", errors="replace") as lines:
            flags = _flags(lines)
    except OSError:  # not Linux
        return []
    return [instructions for instructions, needed in _FLAGS.items() if needed <= flags]


def _flags(lines: Iterable[str]) -> set[str]:
    """Returns the flags of the first CPU. Linux leaves out those that it does not support."""
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return set(value.split())
    return set()


def _declare(functions: ctypes.CDLL) -> None:
    pointer, integer, number = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
    for name, result, arguments in (
        ("vggish_packed_bytes", number, []),
        ("vggish_pack", integer, [pointer, pointer, integer]),
        ("vggish_checksum", ctypes.c_uint64, [pointer, number]),
        ("vggish_open", pointer, [pointer]),
        ("vggish_close", None, [pointer]),
        ("vggish_embed", integer, [pointer, pointer, number, integer, pointer]),
        ("vggish_log_mel", integer, [pointer, number, pointer]),
    ):
        function = getattr(functions, name)
        function.restype = result
        function.argtypes = arguments
