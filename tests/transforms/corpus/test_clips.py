"""Clips and failures: what they refuse, how names are printed, which duplicate is kept."""

import dataclasses
import itertools
import os
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.clips import REASONS, STEPS, Clip, Failure, printable, resolve_duplicates

clips_of_one_id = st.lists(
    st.sampled_from("abcdef").map(lambda name: Clip("id", f"/{name}/id.wav")), min_size=1
)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("reason", REASONS)
def test_a_failure_takes_every_step_and_reason_of_the_lists(step: str, reason: str) -> None:
    failure = Failure("id", "uri", step, reason, "message")
    assert (failure.step, failure.reason) == (step, reason)


@pytest.mark.parametrize("step", ["", "Decode", "decode ", "train"])
def test_a_failure_refuses_another_step_and_names_those_allowed(step: str) -> None:
    with pytest.raises(ValueError, match=f"step={step!r}.*list.*decode.*assemble"):
        Failure("id", "uri", step, "empty", "message")


@pytest.mark.parametrize("reason", ["", "Empty", "unknown"])
def test_a_failure_refuses_another_reason_and_names_those_allowed(reason: str) -> None:
    with pytest.raises(ValueError, match=f"reason={reason!r}.*not_found.*incomplete"):
        Failure("id", "uri", "decode", reason, "message")


@pytest.mark.parametrize("record", [Clip("id", "uri"), Failure("id", "uri", "list", "empty", "")])
def test_records_cannot_be_changed_and_survive_pickling(record: Clip | Failure) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.id = "other"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(record)) == record


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        (b"plain.wav", "plain.wav"),
        (b"caf\xe9.wav", "caf\\xe9.wav"),
        (b"\xff\xfe", "\\xff\\xfe"),
        ("Übung 日本.wav".encode(), "Übung 日本.wav"),
        ("ü".encode() + b"\xfc", "ü\\xfc"),
        (b"line\nbreak", "line\nbreak"),
    ],
)
def test_bytes_that_are_not_utf8_are_printed_as_escapes(name: bytes, printed: str) -> None:
    assert printable(os.fsdecode(name)) == printed


@given(name=st.binary(max_size=20))
def test_every_name_a_file_system_gives_becomes_valid_unicode(name: bytes) -> None:
    printable(name.decode("utf-8", "surrogateescape")).encode()


@given(name=st.text(max_size=20))
def test_a_name_that_is_unicode_stays_as_it_is(name: str) -> None:
    assert printable(name) == name


@given(clips=clips_of_one_id, data=st.data())
def test_one_clip_is_kept_and_each_other_recording_fails_in_whatever_order_they_come(
    clips: list[Clip], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(clips))
    kept, failures = resolve_duplicates(shuffled)
    assert kept == min(clips)
    assert sorted([kept.uri, *(failure.uri for failure in failures)]) == sorted(
        {clip.uri for clip in clips}
    )
    assert {(failure.id, failure.step, failure.reason) for failure in failures} <= {
        ("id", "plan", "duplicate_id")
    }
    assert resolve_duplicates(clips) == (kept, failures)


def test_a_clip_asked_for_twice_is_one_clip_and_no_failure() -> None:
    clip = Clip("id", "/id.wav")
    assert resolve_duplicates(itertools.repeat(clip, 3)) == (clip, [])


def test_the_failure_of_a_duplicate_names_the_recording_that_is_kept() -> None:
    kept = Clip("id", os.fsdecode(b"/caf\xe9/id.wav"))
    _, (failure,) = resolve_duplicates([Clip("id", "/z/id.wav"), kept])
    assert failure.uri == "/z/id.wav"
    assert "/caf\\xe9/id.wav" in failure.message
