"""Clips that share an id: which is kept, what is merged, and what each of the others is told."""

import dataclasses
import itertools
import os
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.clips import Clip, RawFormat
from transforms.corpus.same_clips import FAIL, SAME_CLIP, Resolved, repeat_note, resolve_clips

uris = st.sampled_from(["/a/id.wav", "/b/id.wav", "/c/id.wav"])
clips_of_one_id = st.lists(
    st.builds(
        Clip,
        st.just("id"),
        uris,
        start_seconds=st.sampled_from([Decimal(0), Decimal("1.5")]),
        end_seconds=st.sampled_from([None, Decimal(2), Decimal(30)]),
        labels=st.sampled_from([(), ("a",), ("b", "a")]),
        raw_format=st.sampled_from([None, RawFormat("s16le", 8000), RawFormat("s16le", 16000)]),
        columns=st.sampled_from([(), (("note", "x"),)]),
        manifest=st.sampled_from(["", "/m.csv"]),
        line=st.integers(0, 2),
    ),
    min_size=1,
    max_size=8,
)
A = Clip("a#0-1", "/a.wav", Decimal(0), Decimal(1), labels=("x1",), manifest="/m.csv", line=2)


@given(clips=clips_of_one_id, data=st.data())
def test_one_of_the_duplicates_is_kept_and_the_others_fail_in_any_order(
    clips: list[Clip], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(clips))
    resolved = resolve_clips(iter(shuffled), FAIL)
    kept, failures = resolved.clip, resolved.failures
    assert kept in clips
    assert kept.uri == min(clip.uri for clip in clips)
    assert len(failures) == len(set(clips)) - 1
    assert sorted([kept.uri, *(failure.uri for failure in failures)]) == sorted(
        clip.uri for clip in set(clips)
    )
    assert {(failure.id, failure.step, failure.reason) for failure in failures} <= {
        ("id", "plan", "duplicate_id")
    }
    assert len(resolved.repeats) == len(clips) - len(set(clips))
    again = resolve_clips(clips, FAIL)
    assert dataclasses.asdict(again.clip) == dataclasses.asdict(kept)
    assert (again.failures, again.num_merged) == (failures, 0)


def test_the_first_by_uri_then_times_then_labels_is_kept() -> None:
    pairs: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"uri": "/a", "start_seconds": Decimal(9)}, {"uri": "/b", "start_seconds": Decimal(0)}),
        ({"start_seconds": Decimal(2)}, {"start_seconds": Decimal(10)}),
        ({"end_seconds": Decimal(10)}, {"end_seconds": None}),
        ({"end_seconds": Decimal(2)}, {"end_seconds": Decimal(10)}),
        ({"end_seconds": None, "labels": ("a",)}, {"end_seconds": None, "labels": ("b",)}),
        ({"labels": ()}, {"labels": ("a",)}),
        ({"labels": ("a",), "line": 9}, {"labels": ("b",), "line": 2}),
    ]
    for first, second in pairs:
        clips = [Clip(**({"id": "id", "uri": "/id"} | values)) for values in (second, first)]
        assert resolve_clips(clips, FAIL).clip == clips[1]


def test_of_equal_clips_that_of_the_first_line_is_kept() -> None:
    lines = [("/n.csv", 1), ("/m.csv", 5), ("/m.csv", 4)]
    clips = [dataclasses.replace(A, manifest=manifest, line=line) for manifest, line in lines]
    for same_clip in SAME_CLIP:
        resolved = resolve_clips(clips, same_clip)
        kept = resolved.clip
        assert (kept.manifest, kept.line, resolved.failures) == ("/m.csv", 4, ())


def test_a_repeated_clip_is_one_clip_and_no_failure() -> None:
    clip = Clip("id", "/id.wav")
    resolved = resolve_clips(itertools.repeat(clip, 3))
    assert resolved == Resolved(clip, repeats=((clip, clip), (clip, clip)))


def test_the_failure_of_a_duplicate_names_the_recording_that_is_kept() -> None:
    kept = Clip("id", os.fsdecode(b"/caf\xe9/id.wav"))
    (failure,) = resolve_clips([Clip("id", "/z/id.wav"), kept]).failures
    assert failure.uri == "/z/id.wav"
    assert "/caf\\xe9/id.wav" in failure.message


def test_the_failure_of_a_duplicate_in_a_manifest_names_the_line_that_is_kept() -> None:
    lines = [Clip("id", f"/{line}.wav", manifest="/m.csv", line=line) for line in (3, 2)]
    (failure,) = resolve_clips(lines).failures
    assert (failure.manifest, failure.line) == ("/m.csv", 3)
    assert "line 2 of /m.csv has the same id, for /2.wav" in failure.message
    assert "the column id" in failure.message
    (failure,) = resolve_clips([Clip("id", "/1.wav"), lines[0]]).failures
    assert "an input has the same id, for /1.wav" in failure.message


def row(line: int, *labels: str, **changes: Any) -> Clip:
    return dataclasses.replace(A, labels=labels, line=line, **changes)


def test_rows_of_one_clip_become_one_with_the_labels_of_all_in_their_order() -> None:
    rows = [row(2, "x9", "x3"), row(3, "x1"), row(4, "x3", "x2"), row(5), row(6, "x1")]
    for order in itertools.permutations(rows):
        resolved = resolve_clips(order)
        assert resolved.clip == row(2, "x9", "x3", "x1", "x2")
        assert (resolved.clip.line, resolved.num_merged, resolved.failures) == (2, 3, ())
        assert [(each.line, first.line) for each, first in resolved.repeats] == [(6, 3)]


def test_times_that_are_written_alike_are_the_same() -> None:
    noisy = row(3, "x2", start_seconds=Decimal("1e-17"), end_seconds=Decimal("1.0"))
    resolved = resolve_clips([A, noisy])
    assert resolved.clip.labels == ("x1", "x2")
    assert resolved.failures == ()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"split": "test"}, "is the same clip and is kept, with split '' instead of 'test'"),
        ({"columns": (("who", "ann"),)}, "with column who '' instead of 'ann'"),
        ({"uri": "/b.wav"}, "line 2 of /m.csv has the same id, for /a.wav"),
        ({"end_seconds": Decimal(2)}, "line 2 of /m.csv has the same id"),
        ({"channel": 1}, "has the same id"),
    ],
)
def test_rows_that_differ_in_more_than_their_labels_fail(changes: dict[str, Any], why: str) -> None:
    resolved = resolve_clips([row(3, "x2", **changes), A])
    assert resolved.clip == A
    (failure,) = resolved.failures
    assert (failure.reason, failure.line) == ("duplicate_id", 3)
    assert why in failure.message


def test_columns_that_no_record_has_do_not_keep_rows_of_one_clip_apart() -> None:
    ann = row(3, "x2", columns=(("who", "ann"), ("confidence", "0.9")))
    bob = row(4, "x3", columns=(("who", "bob"), ("confidence", "0.4")))
    merged = resolve_clips([bob, ann], keep_columns=())
    assert merged.clip.labels == ("x2", "x3")
    assert merged.clip.columns == ann.columns
    assert (merged.num_merged, merged.failures) == (1, ())
    (failure,) = resolve_clips([bob, ann], keep_columns=("who",)).failures
    assert "with column who 'ann' instead of 'bob'" in failure.message
    (failure,) = resolve_clips([ann, bob], FAIL, ()).failures
    assert failure.reason == "duplicate_id"


def test_rows_that_differ_in_their_labels_fail_if_that_is_said() -> None:
    (failure,) = resolve_clips([A, row(3, "x2")], FAIL).failures
    assert "is the same clip and is kept, with labels 'x1' instead of 'x2'" in failure.message
    assert "with --same_clip merge_labels" in failure.message


def test_a_repeat_is_noted_with_both_places() -> None:
    ((repeat, first),) = resolve_clips([A, row(9, "x1")]).repeats
    note = repeat_note(repeat, first, "train")
    assert note.message == "line 9 of /m.csv repeats line 2 of /m.csv, word for word"
    assert (note.id, note.start_seconds, note.end_seconds, note.split) == ("a#0-1", 0, 1, "train")
    whole = Clip("b", "/b.wav")
    assert repeat_note(whole, whole, "").message == (
        "the input /b.wav repeats the input /b.wav, word for word"
    )


@given(clips=clips_of_one_id)
def test_each_clip_is_kept_merged_repeated_or_a_failure(clips: list[Clip]) -> None:
    resolved = resolve_clips(clips)
    num_others = len(resolved.failures) + len(resolved.repeats) + resolved.num_merged
    assert 1 + num_others == len(clips)
    assert resolve_clips(reversed(clips)) == resolved
