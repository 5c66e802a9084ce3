"""Completeness: a dataset from which anything is missing is not published."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.descriptions import OTHER, SUMS, of_no_split, shard
from transforms.dataset.completeness import IncompleteError, check_sums
from transforms.dataset.shards import RecordSums


def balanced() -> dict[str, Any]:
    """Returns what a complete run of six clips, two of them failed, hands to `check_sums`."""
    return {
        "tallies": {
            ("", "listed"): 9,
            ("", "planned"): 5,
            ("", "received"): 5,
            ("", "unplanned"): 1,
            ("", "repeats"): 1,
            ("train", "repeats"): 2,
            ("", "clips"): 6,
            ("", "decode_tasks"): 9,
            ("", "decode_tasks_done"): 9,
            ("", "records"): 1,
            ("train", "records"): 3,
            ("train", "rows"): 30,
            ("train", "notes"): 4,
            ("", "notes"): 1,
        },
        "failures": {"": 0, "train": 1, "test": 1},
        "num_notes": 5,
        "expected_sums": {("", 0): OTHER, ("train", 0): SUMS, ("train", 2): OTHER},
        "shards": [
            shard(2, OTHER, split="train"),
            shard(0, SUMS, split="train"),
            shard(1, split="train"),
            shard(0, split="test"),
            shard(0, OTHER),
        ],
        "num_shards": {"": 1, "train": 3, "test": 1},
    }


def test_sums_that_agree_pass_in_any_order_of_shards() -> None:
    check_sums(**balanced())
    run = balanced()
    run["shards"].reverse()
    check_sums(**run)


def test_an_empty_shard_may_be_due_or_not() -> None:
    run = balanced()
    run["expected_sums"]["train", 1] = RecordSums()
    check_sums(**run)


def test_a_run_in_which_every_clip_failed_passes() -> None:
    check_sums(of_no_split({"clips": 4}), {"": 4}, 0, {}, [shard(0)], {"": 1})


def test_missing_and_surplus_clips_are_detected() -> None:
    for tallies, num_failures in [
        ({"clips": 6, "records": 3}, 2),
        ({"clips": 4, "records": 3}, 2),
        ({"clips": 5, "records": 3}, 1),
        ({"clips": 5, "records": 3}, 3),
        ({"clips": 5, "records": 4}, 2),
        ({"clips": 5}, 2),
        ({"records": 3}, 2),
        ({}, 2),
        # Two errors that outweigh each other.
        ({"clips": 6, "records": 4}, 2),
        ({"clips": 5, "records": 2}, 3),
    ]:
        due = {("", 0): SUMS, ("", 1): OTHER}
        shards = [shard(0, SUMS), shard(1, OTHER)]
        check_sums(of_no_split({"clips": 5, "records": 3}), {"": 2}, 0, due, shards, {"": 2})
        with pytest.raises(IncompleteError):
            check_sums(of_no_split(tallies), {"": num_failures}, 0, due, shards, {"": 2})


@pytest.mark.parametrize(
    "changes", [{"decode_tasks": 10}, {"decode_tasks_done": 8}, {"decode_tasks_done": 0}]
)
def test_decode_tasks_that_were_not_completed_are_detected(changes: dict[str, int]) -> None:
    run = balanced()
    run["tallies"] |= of_no_split(changes)
    with pytest.raises(IncompleteError, match=r"\d+ decode tasks were planned, but"):
        check_sums(**run)


@pytest.mark.parametrize(
    "sums",
    [
        RecordSums(1, 300, 0xDEADBEEF),
        RecordSums(3, 300, 0xDEADBEEF),
        RecordSums(2, 299, 0xDEADBEEF),
        RecordSums(2, 300, 0xDEADBEEE),
        RecordSums(),
    ],
    ids=["a record less", "a record more", "a byte less", "another bit", "nothing"],
)
def test_a_shard_with_other_records_than_expected_is_detected(sums: RecordSums) -> None:
    run = balanced()
    run["shards"][1] = shard(0, sums, split="train")
    with pytest.raises(IncompleteError, match="shard 0 train"):
        check_sums(**run)


def test_records_in_a_shard_that_should_be_empty_are_detected() -> None:
    run = balanced()
    run["shards"][2] = shard(1, SUMS, split="train")
    with pytest.raises(IncompleteError, match="shard 1 train"):
        check_sums(**run)


def test_records_in_a_shard_of_another_split_are_detected() -> None:
    run = balanced()
    run["shards"][1], run["shards"][3] = shard(0, split="train"), shard(0, SUMS, split="test")
    with pytest.raises(IncompleteError, match="shard 0 t"):
        check_sums(**run)


@pytest.mark.parametrize("nowhere", [("train", 3), ("validation", 0)])
def test_records_of_a_shard_that_was_not_written_are_detected(nowhere: tuple[str, int]) -> None:
    run = balanced()
    run["expected_sums"][nowhere] = run["expected_sums"].pop(("train", 2))
    run["shards"][0] = shard(2, split="train")
    with pytest.raises(IncompleteError, match="records belong to the shards"):
        check_sums(**run)


@pytest.mark.parametrize(
    "indices",
    [[0, 1], [0, 1, 2, 3], [0, 1, 2, 2], [0, 0, 1], [1, 2, 3], []],
    ids=["missing", "too many", "twice", "twice for another", "shifted", "none"],
)
def test_missing_and_repeated_shards_are_detected(indices: list[int]) -> None:
    run = balanced()
    train = {each.index: each for each in run["shards"] if each.split == "train"}
    others = [each for each in run["shards"] if each.split != "train"]
    run["shards"] = others + [train.get(index, shard(index, split="train")) for index in indices]
    with pytest.raises(IncompleteError, match=r"shards were written .expected: 5"):
        check_sums(**run)


@given(data=st.data())
def test_any_wrong_number_is_detected(data: st.DataObject) -> None:
    run = balanced()
    off = data.draw(st.integers(-3, 3).filter(bool))
    where = data.draw(st.sampled_from(["tallies", "failures", "num_shards", "expected_sums"]))
    if where == "expected_sums":
        field = data.draw(st.sampled_from([field.name for field in dataclasses.fields(RecordSums)]))
        place = data.draw(st.sampled_from(sorted(run["expected_sums"])))
        sums = run["expected_sums"][place]
        run["expected_sums"][place] = dataclasses.replace(
            sums, **{field: getattr(sums, field) + off}
        )
    else:
        checked = sorted(key for key in run[where] if key != ("train", "rows"))
        run[where][data.draw(st.sampled_from(checked))] += off
    with pytest.raises(IncompleteError):
        check_sums(**run)


@pytest.mark.parametrize("num_notes", [0, 4, 6])
def test_missing_and_surplus_notes_are_detected(num_notes: int) -> None:
    with pytest.raises(IncompleteError, match=f"5 notes were made, but {num_notes} are"):
        check_sums(**balanced() | {"num_notes": num_notes})


@pytest.mark.parametrize("name", ["listed", "planned", "unplanned", "repeats"])
@pytest.mark.parametrize("change", [-1, 1])
def test_clips_that_were_listed_are_planned_failed_or_repeated(name: str, change: int) -> None:
    run = balanced()
    run["tallies"]["", name] += change
    with pytest.raises(IncompleteError, match=r"clips were listed, but . were planned, . failed"):
        check_sums(**run)


@pytest.mark.parametrize("change", [-1, 1])
def test_planned_clips_that_do_not_reach_the_decoders_are_detected(change: int) -> None:
    run = balanced()
    run["tallies"]["", "received"] += change
    with pytest.raises(IncompleteError, match=r"5 clips were planned, but . reached the decoders"):
        check_sums(**run)
