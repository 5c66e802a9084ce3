"""PlanClips."""

import pytest

from tests.running import counted, outputs
from transforms.corpus.clips import Clip
from transforms.corpus.labels import ClassMap
from transforms.corpus.splits import parse_splits
from transforms.dataset.table_files import FAILURES, NOTES
from transforms.metrics.reporting import REPORTS
from transforms.plan_clips import PlanClips

MAP = ClassMap(((0, "/m/a", "Speech"), (5, "/m/b", "Music")))
KNOWN = Clip("known", "/k", labels=("Music", "/m/a"))
MIXED = Clip("mixed", "/m", labels=("x", "Speech", "y"), split="dev", manifest="/m.csv", line=9)


def test_one_clip_an_id_stays_and_the_others_fail() -> None:
    clips = [Clip("a", "/2/a"), Clip("b", "/1/b"), Clip("a", "/1/a"), Clip("a", "/1/a")]
    planned, failures = outputs(PlanClips(), clips, "clips", FAILURES)
    assert sorted(planned, key=lambda clip: clip.id) == [Clip("a", "/1/a"), Clip("b", "/1/b")]
    (failure,) = failures
    assert (failure.id, failure.uri, failure.reason) == ("a", "/2/a", "duplicate_id")
    assert "/1/a has the same id" in failure.message


def test_names_that_are_not_utf_8_pass() -> None:
    clip = Clip("\\xe9.wav", "/\udce9.wav")
    planned, failures = outputs(PlanClips(), [clip], "clips", FAILURES)
    assert planned == [clip]
    assert failures == []


def test_without_a_class_map_any_label_is_known() -> None:
    planned, failures, reports = outputs(PlanClips(), [MIXED], "clips", FAILURES, REPORTS)
    assert planned == [MIXED]
    assert failures == []
    assert counted(reports) == {("", "planned"): 1}


def test_a_clip_with_labels_that_are_not_in_the_class_map_fails() -> None:
    planned, failures, reports = outputs(PlanClips(MAP), [KNOWN, MIXED], "clips", FAILURES, REPORTS)
    assert planned == [KNOWN]
    (failure,) = failures
    assert (failure.id, failure.step, failure.reason) == ("mixed", "plan", "unknown_label")
    assert (failure.split, failure.manifest, failure.line) == ("dev", "/m.csv", 9)
    assert counted(reports) == {
        ("", "clips"): 1,
        ("", "planned"): 1,
        ("", "unplanned"): 1,
        ("dev", "failures/unknown_label"): 1,
    }


def test_labels_that_are_not_in_the_class_map_are_dropped_and_counted() -> None:
    planned, failures, reports = outputs(
        PlanClips(MAP, drop_unknown_labels=True), [KNOWN, MIXED], "clips", FAILURES, REPORTS
    )
    assert {clip.id: clip.labels for clip in planned} == {
        "known": ("Music", "/m/a"),
        "mixed": ("Speech",),
    }
    assert failures == []
    assert counted(reports) == {("dev", "labels_dropped"): 2, ("", "planned"): 2}


def test_the_clip_that_is_kept_of_an_id_fails_by_its_own_labels_only() -> None:
    first, second = Clip("a", "/1", labels=("x",)), Clip("a", "/2", labels=("Speech",))
    planned, failures = outputs(PlanClips(MAP), [second, first], "clips", FAILURES)
    assert planned == []
    assert sorted((failure.uri, failure.reason) for failure in failures) == [
        ("/1", "unknown_label"),
        ("/2", "duplicate_id"),
    ]


def test_rows_of_one_clip_are_merged_and_those_repeated_word_for_word_noted_and_counted() -> None:
    rows = [
        Clip("a", "/a", labels=(label,), manifest="/m.csv", line=line, split="dev")
        for line, label in enumerate(["x", "y", "x"], 2)
    ]
    splits = parse_splits("train=1")
    clips = [*rows, Clip("b", "/b"), Clip("b", "/b")]
    planned, failures, notes, reports = outputs(
        PlanClips(splits=splits), clips, "clips", FAILURES, NOTES, REPORTS
    )
    assert {clip.id: clip.labels for clip in planned} == {"a": ("x", "y"), "b": ()}
    assert failures == []
    assert {(note.id, note.split) for note in notes} == {("a", "dev"), ("b", "train")}
    assert counted(reports) == {
        ("", "planned"): 2,
        ("dev", "repeats"): 2,
        ("dev", "merged_rows"): 1,
        ("dev", "notes"): 1,
        ("train", "repeats"): 1,
        ("train", "notes"): 1,
    }
    planned, failures = outputs(PlanClips(same_clip="fail"), rows, "clips", FAILURES)
    assert [clip.labels for clip in planned] == [("x",)]
    assert [(failure.reason, failure.line) for failure in failures] == [("duplicate_id", 3)]


def test_what_becomes_of_rows_of_one_clip_is_one_of_two() -> None:
    with pytest.raises(ValueError, match=r"same_clip='merge' .allowed: merge_labels, fail"):
        PlanClips(same_clip="merge")
