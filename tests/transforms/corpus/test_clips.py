"""Clips and failures: what they refuse, how names are printed, which duplicate is kept."""

import dataclasses
import itertools
import os
import pickle
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.clips import (
    REASONS,
    STEPS,
    Clip,
    Failure,
    RawFormat,
    printable,
    resolve_duplicates,
)

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
FULL = Clip(
    "id",
    "/a/id.wav",
    start_seconds=Decimal(1),
    end_seconds=Decimal(2),
    recording_offset_seconds=Decimal("0.5"),
    labels=("b", "a"),
    split="train",
    recording="a",
    raw_format=RawFormat("s16le", 8000, 2),
    columns=(("note", "x"),),
    manifest="/m.csv",
    line=7,
)


def test_a_failure_takes_every_step_and_reason_of_the_lists() -> None:
    for reason, step in itertools.product(REASONS, STEPS):
        failure = Failure("id", "uri", step, reason, "message")
        assert (failure.step, failure.reason) == (step, reason)


def test_a_failure_refuses_another_step_and_names_those_allowed() -> None:
    for step in ["", "Decode", "decode ", "train"]:
        with pytest.raises(ValueError, match=f"step={step!r}.*list.*decode.*assemble"):
            Failure("id", "uri", step, "empty", "message")


@pytest.mark.parametrize("reason", ["", "Empty", "unknown"])
def test_a_failure_refuses_another_reason_and_names_those_allowed(reason: str) -> None:
    with pytest.raises(ValueError, match=f"reason={reason!r}.*not_found.*incomplete"):
        Failure("id", "uri", "decode", reason, "message")


def test_records_cannot_be_changed_and_survive_pickling() -> None:
    records: list[Clip | Failure] = [
        Clip("id", "uri"),
        FULL,
        Failure("id", "uri", "list", "empty", ""),
        FULL.failure("plan", "unknown_label", "message"),
    ]
    for record in records:
        with pytest.raises(dataclasses.FrozenInstanceError):
            record.id = "other"  # type: ignore[misc]
        assert dataclasses.asdict(pickle.loads(pickle.dumps(record))) == dataclasses.asdict(record)


def test_clips_are_equal_whichever_line_of_whichever_manifest_asks_for_them() -> None:
    other = dataclasses.replace(FULL, manifest="/n.csv", line=8)
    assert other == FULL
    assert hash(other) == hash(FULL)


def test_clips_that_differ_in_anything_else_are_not_equal() -> None:
    changes: list[dict[str, Any]] = [
        {"id": "other"},
        {"uri": "/b/id.wav"},
        {"start_seconds": Decimal(0)},
        {"end_seconds": None},
        {"recording_offset_seconds": Decimal(0)},
        {"labels": ("a", "b")},
        {"split": "test"},
        {"recording": "b"},
        {"raw_format": None},
        {"columns": ()},
    ]
    for change in changes:
        assert dataclasses.replace(FULL, **change) != FULL


def test_the_failure_of_a_clip_tells_all_that_leads_back_to_it() -> None:
    assert FULL.failure("decode", "out_of_range", "why") == Failure(
        "id",
        "/a/id.wav",
        "decode",
        "out_of_range",
        "why",
        split="train",
        columns=(("note", "x"),),
        manifest="/m.csv",
        line=7,
    )


def test_bytes_that_are_not_utf8_are_printed_as_escapes() -> None:
    for name, printed in [
        (b"plain.wav", "plain.wav"),
        (b"caf\xe9.wav", "caf\\xe9.wav"),
        (b"\xff\xfe", "\\xff\\xfe"),
        ("Übung 日本.wav".encode(), "Übung 日本.wav"),
        ("ü".encode() + b"\xfc", "ü\\xfc"),
        (b"line\nbreak", "line\nbreak"),
    ]:
        assert printable(os.fsdecode(name)) == printed


@given(name=st.binary(max_size=20))
def test_every_name_a_file_system_gives_becomes_valid_unicode(name: bytes) -> None:
    printable(name.decode("utf-8", "surrogateescape")).encode()


@given(name=st.text(max_size=20))
def test_a_name_that_is_unicode_stays_as_it_is(name: str) -> None:
    assert printable(name) == name


@given(clips=clips_of_one_id, data=st.data())
def test_one_of_the_duplicates_is_kept_and_the_others_fail_in_any_order(
    clips: list[Clip], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(clips))
    kept, failures = resolve_duplicates(iter(shuffled))
    assert kept in clips
    assert kept.uri == min(clip.uri for clip in clips)
    assert len(failures) == len(set(clips)) - 1
    assert sorted([kept.uri, *(failure.uri for failure in failures)]) == sorted(
        clip.uri for clip in set(clips)
    )
    assert {(failure.id, failure.step, failure.reason) for failure in failures} <= {
        ("id", "plan", "duplicate_id")
    }
    again, failures_again = resolve_duplicates(clips)
    assert dataclasses.asdict(again) == dataclasses.asdict(kept)
    assert failures_again == failures


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
        kept, _ = resolve_duplicates(clips)
        assert kept == clips[1]


def test_of_equal_clips_that_of_the_first_line_is_kept() -> None:
    lines = [("/n.csv", 1), ("/m.csv", 5), ("/m.csv", 4)]
    clips = [dataclasses.replace(FULL, manifest=manifest, line=line) for manifest, line in lines]
    kept, failures = resolve_duplicates(clips)
    assert (kept.manifest, kept.line, failures) == ("/m.csv", 4, [])


def test_a_repeated_clip_is_one_clip_and_no_failure() -> None:
    clip = Clip("id", "/id.wav")
    assert resolve_duplicates(itertools.repeat(clip, 3)) == (clip, [])


def test_the_failure_of_a_duplicate_names_the_recording_that_is_kept() -> None:
    kept = Clip("id", os.fsdecode(b"/caf\xe9/id.wav"))
    _, (failure,) = resolve_duplicates([Clip("id", "/z/id.wav"), kept])
    assert failure.uri == "/z/id.wav"
    assert "/caf\\xe9/id.wav" in failure.message


def test_the_failure_of_a_duplicate_in_a_manifest_names_the_line_that_is_kept() -> None:
    lines = [Clip("id", f"/{line}.wav", manifest="/m.csv", line=line) for line in (3, 2)]
    _, (failure,) = resolve_duplicates(lines)
    assert (failure.manifest, failure.line) == ("/m.csv", 3)
    assert "line 2 of /m.csv has the same id, for /2.wav" in failure.message
    assert "the column id" in failure.message
    _, (failure,) = resolve_duplicates([Clip("id", "/1.wav"), lines[0]])
    assert "an input has the same id, for /1.wav" in failure.message
