"""Surveys: sums in any order, and as a line of JSON."""

import dataclasses
import random
from decimal import Decimal
from fractions import Fraction

import pytest

from transforms.corpus.clips import Clip, RawFormat
from transforms.preflight import survey
from transforms.preflight.survey import Candidate, Failed, Header, Sums, Survey, total


def one(number: int) -> Survey:
    clip = Clip(
        f"ä{number}",
        f"/in/\udcff{number}.wav",
        Decimal("0.1"),
        Decimal(number + 1),
        labels=("a", "b"),
        raw_format=RawFormat("gsm", 8_000),
        columns=(("speaker", "ann"),),
    )
    header = Header(f"kind {number % 3}", Fraction(number, 3), True)
    return Survey(
        num_recordings=1,
        num_listed=2,
        kinds={header.kind: Sums(1, 2, number, 0.5, 0.25)},
        splits={"train": Sums(0, 2, number)},
        failures={"empty": Failed(1, (clip.id,))} if number % 2 else {},
        counts={"padded": 1},
        candidates=(Candidate(number * 7 % 64, header, (clip,)),),
    )


def test_the_order_of_adding_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "_NUM_CANDIDATES", 5)
    surveys = [one(number) for number in range(60)]
    whole = total(surveys)
    assert whole.num_recordings == 60
    assert whole.failures["empty"] == Failed(30, ("ä1", "ä11", "ä13"))
    assert whole.sums == Sums(60, 120, sum(range(60)), 30.0, 15.0)
    assert len(whole.candidates) >= 5
    assert {each.header.kind for each in whole.candidates} == {"kind 0", "kind 1", "kind 2"}
    shuffled = random.Random(0).sample(surveys, 60)
    parts = [total(shuffled[start : start + 7]) for start in range(0, 60, 7)]
    assert total(parts) == whole


def test_a_line_holds_the_whole_survey() -> None:
    surveys = total(one(number) for number in range(4))
    assert Survey.from_json(surveys.to_json()) == surveys
    assert b"\n" not in surveys.to_json()
    unknown = dataclasses.replace(one(1).candidates[0], header=Header("kind", None, False, "end"))
    surveys = Survey(candidates=(unknown,))
    assert Survey.from_json(surveys.to_json()) == surveys


@pytest.mark.parametrize("line", [b"{}", b"[]", b'{"kinds": 1}', b"cut"])
def test_another_line_is_an_error(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a survey|Expecting value"):
        Survey.from_json(line)
