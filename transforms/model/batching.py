"""Patches of many clips into full batches."""

import dataclasses

import numpy as np

from transforms.corpus.runs import PatchRun

# On two cores single 10 s clips reach 0.65 of the rate of 128 rows, larger batches gain nothing
# more, and each row takes 10 MB of the network's working memory.
BATCH_ROWS = 128


@dataclasses.dataclass(frozen=True, eq=False)
class PatchBatch:
    """A batch, and whose its rows are.

    Attributes:
      patches: float32 `[num_rows, patch_samples]`.
      spans: `(clip_id, first_row, num_rows)` in the order of the patches.
    """

    patches: np.ndarray
    spans: tuple[tuple[str, int, int], ...]


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
