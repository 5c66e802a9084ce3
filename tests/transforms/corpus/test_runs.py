"""Joining a clip's rows: complete and in order, or a failure."""

import dataclasses
import itertools
import pickle
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.clips import Clip, Failure
from transforms.corpus.runs import DamagedAudio, DecodedClip, RowRun, complete_clip, join_rows


def whole(num_rows: int, dtype: str = "float32") -> np.ndarray:
    """Returns rows of three values that are all different."""
    return np.arange(3 * num_rows).reshape(num_rows, 3).astype(dtype)


def split(rows: np.ndarray, lengths: list[int]) -> list[RowRun]:
    starts = np.cumsum([0, *lengths[:-1]]).tolist()
    return [
        RowRun(start, rows[start : start + length])
        for start, length in zip(starts, lengths, strict=True)
    ]


lengths_of_runs = st.lists(st.integers(1, 9), min_size=1, max_size=9)


@given(
    lengths=lengths_of_runs,
    dtype=st.sampled_from(["float32", "uint8"]),
    data=st.data(),
)
def test_runs_in_any_order_and_some_twice_give_the_rows(
    lengths: list[int], dtype: str, data: st.DataObject
) -> None:
    rows = whole(sum(lengths), dtype)
    runs = split(rows, lengths)
    repeated = data.draw(st.lists(st.sampled_from(runs), max_size=5))
    shuffled = data.draw(st.permutations([*runs, *repeated]))
    joined = join_rows(shuffled, len(rows))
    assert joined is not None
    assert joined.dtype == rows.dtype
    assert joined.tolist() == rows.tolist()


@given(data=st.data(), num_rows=st.integers(1, 30))
def test_runs_of_a_retry_that_are_cut_elsewhere_count_once(
    data: st.DataObject, num_rows: int
) -> None:
    rows = whole(num_rows)
    cuts = st.lists(st.integers(1, num_rows), max_size=6, unique=True)
    runs = []
    for _ in range(2):
        edges = sorted({0, num_rows, *data.draw(cuts)})
        runs += [RowRun(start, rows[start:end]) for start, end in itertools.pairwise(edges)]
    joined = join_rows(data.draw(st.permutations(runs)), num_rows)
    assert joined is not None
    assert joined.tolist() == rows.tolist()


@given(lengths=lengths_of_runs, data=st.data())
def test_a_missing_run_gives_nothing(lengths: list[int], data: st.DataObject) -> None:
    runs = split(whole(sum(lengths)), lengths)
    missing = data.draw(st.integers(0, len(runs) - 1))
    del runs[missing]
    shuffled = data.draw(st.permutations([*runs, *runs]))
    assert join_rows(shuffled, sum(lengths)) is None


@given(lengths=lengths_of_runs, wrong_by=st.integers(-9, 9).filter(bool))
def test_an_unexpected_number_of_rows_gives_nothing(lengths: list[int], wrong_by: int) -> None:
    num_rows = max(0, sum(lengths) + wrong_by)
    assert join_rows(split(whole(sum(lengths)), lengths), num_rows) is None


@pytest.mark.parametrize("num_rows", [0, 1, 5])
def test_no_run_gives_nothing(num_rows: int) -> None:
    assert join_rows([], num_rows) is None


def test_runs_that_do_not_follow_each_other_give_nothing() -> None:
    for starts, num_rows in [
        ([0, 1], 4),
        ([0, 3], 4),
        ([0, 3], 5),
        ([1, 3], 4),
        ([2], 2),
        ([-1], 2),
    ]:
        assert join_rows([RowRun(start, whole(2)) for start in starts], num_rows) is None


def test_the_joined_rows_are_not_the_memory_of_a_run() -> None:
    rows = whole(2)
    joined = join_rows([RowRun(0, rows)], 2)
    rows[:] = -1
    assert joined is not None
    assert joined.tolist() == whole(2).tolist()


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_run_is_the_same_after_pickling(dtype: str) -> None:
    run = RowRun(7, whole(4, dtype)[1:3])
    again = pickle.loads(pickle.dumps(run))
    assert (again.first_row, again.rows.dtype) == (7, run.rows.dtype)
    np.testing.assert_array_equal(again.rows, run.rows)


CLIP = Clip("a", "/a.wav", split="train", columns=(("x", "y"),), manifest="/m.csv", line=2)
DECODED = DecodedClip(CLIP, 4, 61_920, 3.87, "a decoder")
ROWS = [RowRun(0, whole(4)[:2]), RowRun(2, whole(4)[2:])]


def results(
    *decode_results: DecodedClip | DamagedAudio | Failure,
    rows: Sequence[RowRun] = (),
    failures: Sequence[str] = (),
) -> list[Any]:
    return [*decode_results, *rows, *failures]


def test_a_clip_is_complete_with_all_its_rows_even_if_results_are_repeated() -> None:
    for found in (
        results(DECODED, rows=ROWS),
        results(DECODED, DECODED, rows=[*ROWS[::-1], *ROWS]),
    ):
        completed = complete_clip("a", found, keep_damaged=False)
        assert isinstance(completed, tuple)
        assert completed[0] == DECODED
        np.testing.assert_array_equal(completed[1], whole(4))


def hole(start_seconds: float, end_seconds: float, message: str = "a hole") -> DamagedAudio:
    return DamagedAudio("a", start_seconds, end_seconds, message)


def completed_clip(decoded: DecodedClip, *damages: DamagedAudio) -> DecodedClip:
    completed = complete_clip("a", results(decoded, *damages, rows=ROWS), keep_damaged=True)
    assert isinstance(completed, tuple)
    np.testing.assert_array_equal(completed[1], whole(4))
    return completed[0]


@pytest.mark.parametrize(
    ("damages", "expected", "seconds"),
    [
        ([], [], 0),
        ([hole(1, 1.5)], [hole(1, 1.5)], 0.5),
        ([hole(1, 1.5), hole(1, 1.5)], [hole(1, 1.5)], 0.5),
        ([hole(1.25, 2), hole(1, 1.5), hole(2, 2.25)], [hole(1, 2.25)], 1.25),
        ([hole(1, 3), hole(1.5, 2)], [hole(1, 3)], 2),
        ([hole(3, 3.5), hole(1, 1.25)], [hole(1, 1.25), hole(3, 3.5)], 0.75),
        ([hole(3, 3), hole(3, 3)], [hole(3, 3)], 0),
        ([hole(1, 2, "b"), hole(1, 2, "a")], [hole(1, 2, "a"), hole(1, 2, "b")], 1),
        ([hole(1 / 3, 2 / 3)], [hole(0.333333, 0.666667)], 0.333334),
    ],
)
def test_the_union_of_all_damage_counts(
    damages: list[DamagedAudio], expected: list[DamagedAudio], seconds: float
) -> None:
    for reported in (damages, damages[::-1]):
        completed = completed_clip(DECODED, *reported)
        assert completed == dataclasses.replace(DECODED, damages=tuple(expected))
        assert completed.damaged_seconds == seconds
        assert [
            (note.id, note.uri, note.start_seconds, note.end_seconds, note.message, note.split)
            for note in completed.notes()
        ] == [
            ("a", "/a.wav", each.start_seconds, each.end_seconds, each.message, "train")
            for each in expected
        ]


def test_damage_counts_within_the_clip_only() -> None:
    # The clip is what lies from 2 s to 4 s in the file.
    part = dataclasses.replace(
        CLIP,
        start_seconds=Decimal(12),
        end_seconds=Decimal(14),
        recording_offset_seconds=Decimal(10),
    )
    completed = completed_clip(
        dataclasses.replace(DECODED, clip=part), hole(1, 2.5), hole(3.75, 100)
    )
    assert completed.damages == (hole(2, 2.5), hole(3.75, 4))
    assert completed.damaged_seconds == 0.75


@given(
    cuts=st.lists(st.integers(0, 1_000), min_size=2, max_size=9),
    data=st.data(),
)
def test_damage_is_the_same_however_it_is_reported_in_parts(
    cuts: list[int], data: st.DataObject
) -> None:
    edges = [cut / 16_000 for cut in sorted(cuts)]
    parts = [hole(start, end) for start, end in itertools.pairwise(edges)]
    shuffled = data.draw(st.permutations([*parts, *data.draw(st.lists(st.sampled_from(parts)))]))
    whole_hole = completed_clip(DECODED, hole(edges[0], edges[-1]))
    assert completed_clip(DECODED, *shuffled) == whole_hole


def test_what_has_nothing_but_damage_is_no_clip_and_what_has_rows_is_incomplete() -> None:
    assert complete_clip("a", results(hole(1, 2)), keep_damaged=True) is None
    for found in (results(hole(1, 2), rows=ROWS), results(hole(1, 2), failures=["x"]), results()):
        failure = complete_clip("a", found, keep_damaged=True)
        assert isinstance(failure, Failure)
        assert failure.reason == "incomplete"


def test_a_damaged_clip_fails_unless_damaged_clips_are_kept() -> None:
    found = results(hole(2.5, 2.75, "worse"), hole(1.25, 3), DECODED, rows=ROWS)
    failure = complete_clip("a", found, keep_damaged=False)
    assert failure == CLIP.failure("decode", "decode_error", "a hole, at 1.250 s")


def test_an_incomplete_clip_is_one_failure_that_does_not_depend_on_the_order() -> None:
    first = CLIP.failure("decode", "decode_error", "at 1 s")
    second = CLIP.failure("decode", "decode_error", "at 2 s")
    other = dataclasses.replace(DECODED, num_rows=3)
    for found, step, reason, message in [
        (results(second, first, DECODED, rows=ROWS), "decode", "decode_error", "at 1 s"),
        (results(first, second), "decode", "decode_error", "at 1 s"),
        (results(rows=ROWS), "assemble", "incomplete", "not decoded to its end"),
        (results(second, hole(1, 2), DECODED, rows=ROWS), "decode", "decode_error", "at 2 s"),
        (results(hole(1, 2), DECODED, rows=ROWS[:1]), "assemble", "incomplete", "rows are missing"),
        (results(DECODED, other, rows=ROWS), "assemble", "duplicate_id", "different audio"),
        (results(DECODED, rows=ROWS, failures=["y", "x"]), "embed", "model_error", "x"),
        (results(DECODED, rows=ROWS[:1]), "assemble", "incomplete", "rows are missing"),
    ]:
        failure = complete_clip("a", found, keep_damaged=True)
        assert isinstance(failure, Failure)
        assert (failure.id, failure.step, failure.reason) == ("a", step, reason)
        assert message in failure.message
        if any(isinstance(each, (DecodedClip, Failure)) for each in found):
            assert (failure.uri, failure.columns) == (CLIP.uri, CLIP.columns)
            assert (failure.manifest, failure.line) == ("/m.csv", 2)
