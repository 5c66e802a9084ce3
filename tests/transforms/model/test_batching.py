"""Packing patches of many clips into full batches."""

from collections.abc import Callable, Collection

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.runs import PatchRun
from transforms.model.batching import (
    BATCH_ROWS,
    CALL_ROWS,
    CallRows,
    Packer,
    choose_call_rows,
    padded_calls,
)


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


def _call(wrong_sizes: Collection[int]) -> Callable[[np.ndarray], np.ndarray]:
    """A model that sums up in another order at the end of batches of some sizes."""

    def call(patches: np.ndarray) -> np.ndarray:
        rows = patches[:, :4].copy()
        if len(patches) in wrong_sizes:
            rows[-2:, 1] = np.nextafter(rows[-2:, 1], np.float32(np.inf))
        return rows

    return call


def test_a_size_is_chosen_at_which_rows_do_not_depend_on_their_place() -> None:
    for wrong_sizes, choice in [
        ([], CallRows(64, False)),
        ([16, 128], CallRows(64, False)),
        ([64], CallRows(16, False)),
        ([64, 16], CallRows(64, True)),
    ]:
        patch = np.linspace(-1, 1, 15_600, dtype=np.float32)
        assert choose_call_rows(_call(wrong_sizes), patch) == choice


def test_sizes_of_calls_divide_a_batch() -> None:
    assert CALL_ROWS[0] == BATCH_ROWS
    assert all(BATCH_ROWS % size == 0 for size in CALL_ROWS)


def test_calls_are_full_and_filled_up_with_the_first_patch() -> None:
    for num_rows in [1, 15, 16, 17, 64]:
        patches = np.arange(num_rows, dtype=np.float32)[:, np.newaxis]
        calls = [*padded_calls(patches, 16)]
        assert {len(call) for call in calls} == {16}
        rows = np.concatenate(calls)
        assert len(rows) == -(-num_rows // 16) * 16
        np.testing.assert_array_equal(rows[:num_rows], patches)
        assert (rows[num_rows:] == 0).all()
