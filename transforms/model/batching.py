"""Patches of many clips into full batches, and batches into calls of a size that is proved."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from transforms.corpus.runs import PatchRun

# On two cores single 10 s clips reach 0.65 of the rate of full batches, larger ones gain nothing
# more, and each row takes 10 MB of the network's working memory.
BATCH_ROWS = 64
# How many rows one call of the model may compute, the first choice first. Each divides BATCH_ROWS.
CALL_ROWS = (BATCH_ROWS, 16)


@dataclasses.dataclass(frozen=True, eq=False)
class PatchBatch:
    """A batch, and whose its rows are.

    Attributes:
      patches: float32 `[num_rows, patch_samples]`.
      spans: `(clip_id, first_row, num_rows)` in the order of the patches.
    """

    patches: np.ndarray
    spans: tuple[tuple[str, int, int], ...]


@dataclasses.dataclass(frozen=True)
class Proof:
    """What a model's calls have shown.

    Attributes:
      call_rows: How many rows each of its calls is to compute.
      rows_depend_on_position: At every size a row's bits depend on where it stands in the batch.
    """

    call_rows: int
    rows_depend_on_position: bool


def prove(
    call: Callable[[np.ndarray], np.ndarray],
    patch: np.ndarray,
    sizes: Sequence[int] = CALL_ROWS,
) -> Proof:
    """Finds a size of calls at which a row's bits follow from its patch alone.

    Matrix products go through the rows in blocks. Where the size is no multiple of the block that
    a CPU's instructions, TensorFlow's kernels and the number of threads lead to, another kernel
    computes the last rows and sums up in another order: they differ by about 1e-6 of their scale
    from rows of the same patches elsewhere in a batch. So it is not known before, but tried.

    Args:
      call: Returns the rows `[num_rows, embedding_size]` of patches `[num_rows, patch_samples]`.
      patch: Some sound, float32 `[patch_samples]`.
      sizes: In the order of preference.

    Returns:
      The first size at which a batch of equal patches has equal rows; else the first of all.
    """
    for size in sizes:
        rows = call(np.repeat(patch[np.newaxis], size, axis=0))
        # Bits, for which a NaN is like itself.
        if len(set(map(bytes, rows))) == 1:
            return Proof(size, False)
    return Proof(sizes[0], True)


def full_calls(patches: np.ndarray, call_rows: int) -> Iterator[np.ndarray]:
    """Yields patches as batches of equal size, the last one filled up with the first patch.

    TensorFlow chooses other orders of summing up for other sizes, which changes rows by 2e-6 of
    their scale. At one size that is proved a row's bits follow from its patch alone, and so a
    dataset does not depend on how clips are packed, on threads or on spans.

    Args:
      patches: float32 `[num_rows, patch_samples]`.
      call_rows: What `prove` has found.
    """
    for start in range(0, len(patches), call_rows):
        batch = patches[start : start + call_rows]
        missing = call_rows - len(batch)
        if missing:
            batch = np.concatenate([batch, np.repeat(patches[:1], missing, axis=0)])
        yield batch


class Packer:
    """Collects runs of patches and gives back batches of exactly `batch_rows`."""

    def __init__(self, batch_rows: int = BATCH_ROWS) -> None:
        self._batch_rows = batch_rows
        self._runs: list[PatchRun] = []
        self._num_rows = 0

    def add(self, run: PatchRun) -> list[PatchBatch]:
        """Takes a run; returns the batches that it fills, none or more."""
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
        """Returns what has been collected as a last batch, if there is anything."""
        if not self._runs:
            return []
        runs, self._runs, self._num_rows = self._runs, [], 0
        # The one copy on the way from the decoder to the model.
        patches = np.concatenate([run.patches for run in runs])
        spans = tuple((run.clip_id, run.first_row, len(run.patches)) for run in runs)
        return [PatchBatch(patches, spans)]
