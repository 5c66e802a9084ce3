"""Packing of patches into full batches, and of batches into calls of a proven size."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from transforms.corpus.runs import PatchRun

# On two cores single 10 s clips have 0.65 of the throughput of full batches. Larger batches are not
# faster, and each row needs 10 MB of memory in the network.
BATCH_ROWS = 64
# Allowed numbers of rows per call of the model, in order of preference. Each divides BATCH_ROWS.
CALL_ROWS = (BATCH_ROWS, 16)


@dataclasses.dataclass(frozen=True, eq=False)
class PatchBatch:
    """A batch of patches of several clips.

    Attributes:
      patches: float32 `[num_rows, patch_samples]`.
      spans: `(clip_id, first_row, num_rows)` of the clips, in the order of the patches.
    """

    patches: np.ndarray
    spans: tuple[tuple[str, int, int], ...]


@dataclasses.dataclass(frozen=True)
class CallRows:
    """The number of rows per call, as chosen by trial.

    Attributes:
      call_rows: Number of rows per call.
      rows_depend_on_position: Whether the bits of a row depend on its position in the call.
    """

    call_rows: int
    rows_depend_on_position: bool


def choose_call_rows(
    call: Callable[[np.ndarray], np.ndarray],
    patch: np.ndarray,
    sizes: Sequence[int] = CALL_ROWS,
) -> CallRows:
    """Chooses a number of rows per call at which the bits of a row depend on its patch only.

    Matrix products are computed in blocks of rows. If the number of rows is not a multiple of the
    block size, which depends on the CPU, TensorFlow's kernels and the number of threads, another
    kernel computes the last rows in another order of summation. They differ by about 1e-6 of their
    scale from rows of the same patches at other positions. So the sizes are tried.

    Args:
      call: Returns the rows `[num_rows, embedding_size]` of patches `[num_rows, patch_samples]`.
      patch: Any audio, float32 `[patch_samples]`.
      sizes: Numbers of rows, in order of preference.

    Returns:
      The first size at which equal patches have equal rows; if there is none, the first size.
    """
    for size in sizes:
        rows = call(np.repeat(patch[np.newaxis], size, axis=0))
        # Compares bits, as NaN is not equal to itself.
        if len(set(map(bytes, rows))) == 1:
            return CallRows(size, False)
    return CallRows(sizes[0], True)


def padded_calls(patches: np.ndarray, call_rows: int) -> Iterator[np.ndarray]:
    """Yields patches in batches of equal size, the last one padded with the first patch.

    TensorFlow chooses the order of summation by batch size, which changes rows by 2e-6 of their
    scale. With one proven size, the bits of a row depend on its patch only, and a dataset does not
    depend on packing, threads or spans.

    Args:
      patches: float32 `[num_rows, patch_samples]`.
      call_rows: Number of rows per call, from `choose_call_rows`.
    """
    for start in range(0, len(patches), call_rows):
        batch = patches[start : start + call_rows]
        missing = call_rows - len(batch)
        if missing:
            batch = np.concatenate([batch, np.repeat(patches[:1], missing, axis=0)])
        yield batch


class Packer:
    """Packs runs of patches into batches of exactly `batch_rows` rows."""

    def __init__(self, batch_rows: int = BATCH_ROWS) -> None:
        self._batch_rows = batch_rows
        self._runs: list[PatchRun] = []
        self._num_rows = 0

    def add(self, run: PatchRun) -> list[PatchBatch]:
        """Adds a run; returns the batches that are full now."""
        batches = []
        patches = run.patches
        first_row = run.first_row
        while len(patches):
            taken = patches[: self._batch_rows - self._num_rows]
            self._runs.append(PatchRun(run.clip_id, first_row, taken))
            self._num_rows += len(taken)
            first_row += len(taken)
            patches = patches[len(taken) :]
            if self._num_rows == self._batch_rows:
                batches.extend(self.flush())
        return batches

    def flush(self) -> list[PatchBatch]:
        """Returns the remaining patches as a last batch; an empty list if there are none."""
        if not self._runs:
            return []
        runs, self._runs, self._num_rows = self._runs, [], 0
        # The only copy between the decoder and the model.
        patches = np.concatenate([run.patches for run in runs])
        spans = tuple((run.clip_id, run.first_row, len(run.patches)) for run in runs)
        return [PatchBatch(patches, spans)]
