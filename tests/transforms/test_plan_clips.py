"""PlanClips."""

from tests.running import outputs
from transforms.corpus.clips import Clip
from transforms.plan_clips import FAILURES, PlanClips


def test_one_clip_an_id_stays_and_the_others_fail() -> None:
    clips = [Clip("a", "/2/a"), Clip("b", "/1/b"), Clip("a", "/1/a"), Clip("a", "/1/a")]
    planned, failures = outputs(PlanClips(), clips, "clips", FAILURES)
    assert sorted(planned) == [Clip("a", "/1/a"), Clip("b", "/1/b")]
    (failure,) = failures
    assert (failure.id, failure.uri, failure.reason) == ("a", "/2/a", "duplicate_id")
    assert "/1/a has the same id" in failure.message


def test_names_that_are_not_utf_8_pass() -> None:
    clip = Clip("\\xe9.wav", "/\udce9.wav")
    planned, failures = outputs(PlanClips(), [clip], "clips", FAILURES)
    assert planned == [clip]
    assert failures == []
