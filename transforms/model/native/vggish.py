"""VGGish in the native engine: rows of patches, equal to the bit on every machine."""

import weakref
from pathlib import Path

import numpy as np

from transforms.corpus.spans import PATCH_SAMPLES
from transforms.metrics.host import available_cores
from transforms.model.native import packed_weights
from transforms.model.native.library import Library, load_library
from transforms.model.vggish import EMBEDDING_SIZE, FRAMES_PER_PATCH, NUM_MEL_BANDS

# Between such calls of the engine, Python can be interrupted: a second of work on one core.
_CALL_ROWS = 128


class NativeVggish:
    """A model whose weights are mapped into memory.

    Rows do not depend on the batch, the position in it, the number of threads, or the CPU.
    Memory: the weights, 343 MB, which processes share; 20 MB for each thread and 10 MB for each
    call at the same time.

    Attributes:
      instructions: The CPU's set of instructions in use, such as `avx2`.

    Example:
      >>> model = NativeVggish.open(path, fingerprint)
      >>> model.embed(np.zeros((3, 15_600), np.float32)).shape
      (3, 128)
    """

    @classmethod
    def open(cls, path: Path, fingerprint: str, library: Library | None = None) -> "NativeVggish":
        """Opens a file of `packed_weights.pack`.

        Args:
          path: The file.
          fingerprint: Identity of the model, as when it was packed.
          library: Compiled engine; None for that of `load_library`.

        Raises:
          MemoryError: The system has no memory for it.
          NativeUnavailableError: There is no compiled engine for this CPU.
          OSError: The file cannot be read.
          PackedWeightsError: It is torn, or of another model or version.
        """
        library = library or load_library()
        return cls(library, path, fingerprint)

    def __init__(self, library: Library, path: Path, fingerprint: str) -> None:
        self.instructions = library.instructions
        self._library = library
        self._weights = packed_weights.open_packed(path, fingerprint, library)
        functions = library.functions
        self._engine = functions.vggish_open(packed_weights.address_of_weights(self._weights))
        if not self._engine:
            raise MemoryError("the native engine has no memory")
        # Not at exit: other threads may still be in a call.
        weakref.finalize(self, functions.vggish_close, self._engine).atexit = False

    def embed(self, patches: np.ndarray, num_threads: int | None = None) -> np.ndarray:
        """Returns the rows of patches, float32 `[num_rows, 128]`.

        Calls may run at the same time, without the GIL; they share the cores. A patch with a value
        that is not finite has a row of NaN.

        Args:
          patches: float32 `[num_rows, 15600]`: mono audio at 16 kHz in [-1, 1].
          num_threads: Largest number of threads; None for one on each available core.

        Raises:
          MemoryError: The system has no memory for it.
          ValueError: The patches have another shape or type.
        """
        patches = _checked(patches)
        rows = np.empty((len(patches), EMBEDDING_SIZE), np.float32)
        threads = num_threads or available_cores()
        for start in range(0, len(patches), _CALL_ROWS):
            part = patches[start : start + _CALL_ROWS]
            self._library.call(
                "vggish_embed",
                *(self._engine, part.ctypes.data, len(part), threads, rows[start:].ctypes.data),
            )
        return rows

    def log_mel(self, patches: np.ndarray) -> np.ndarray:
        """Returns the network's input for patches, float32 `[num_rows, 96, 64]`."""
        patches = _checked(patches)
        log_mel = np.empty((len(patches), FRAMES_PER_PATCH, NUM_MEL_BANDS), np.float32)
        self._library.call("vggish_log_mel", patches.ctypes.data, len(patches), log_mel.ctypes.data)
        return log_mel


def _checked(patches: np.ndarray) -> np.ndarray:
    if patches.dtype != np.float32 or patches.shape[1:] != (PATCH_SAMPLES,):
        raise ValueError(
            f"patches are {patches.dtype} {list(patches.shape)} (allowed: float32 [num_rows,"
            f" {PATCH_SAMPLES}])"
        )
    return np.require(patches, requirements=["C", "ALIGNED"])
