"""Clips and failures: what they refuse, and how names are printed."""

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
