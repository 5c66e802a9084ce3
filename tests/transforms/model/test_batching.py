"""Packing patches of many clips into full batches."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.runs import PatchRun
from transforms.model.batching import BATCH_ROWS, Packer


@given(
    lengths=st.lists(st.integers(0, 300), max_size=12),
    batch_rows=st.sampled_from([1, 2, 7, BATCH_ROWS]),
)
def test_every_batch_but_the_last_is_full_and_no_row_is_lost(
    lengths: list[int], batch_rows: int
) -> None:
    starts = np.cumsum([0, *lengths])
    runs = [
        PatchRun(f"clip{index}", 5, np.arange(start, start + length, dtype=np.float32)[:, None])
        for index, (start, length) in enumerate(zip(starts, lengths, strict=False))
    ]
    packer = Packer(batch_rows)
    batches = [batch for run in runs for batch in packer.add(run)]
    assert all(len(batch.patches) == batch_rows for batch in batches)
    last = packer.flush()
    assert all(0 < len(batch.patches) < batch_rows for batch in last)
    assert packer.flush() == []
    found: dict[str, dict[int, float]] = {}
    for batch in [*batches, *last]:
        position = 0
        for clip_id, first_row, num_rows in batch.spans:
            for row in range(num_rows):
                value = float(batch.patches[position + row, 0])
                found.setdefault(clip_id, {})[first_row + row] = value
            position += num_rows
        assert position == len(batch.patches)
    assert found == {
        run.clip_id: {5 + row: float(value) for row, value in enumerate(run.patches[:, 0])}
        for run in runs
        if len(run.patches)
    }
