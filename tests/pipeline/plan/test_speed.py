"""How fast workers were, by what they say, and what a corpus takes."""

from fractions import Fraction

import pytest

from pipeline.plan.speed import speed_of
from pipeline.plan.trial import Trial, choose
from transforms.corpus.clips import Clip
from transforms.corpus.spans import Cutting
from transforms.preflight import outlook
from transforms.preflight.survey import Candidate, Header, Sums, Survey, total
from transforms.preflight.timings import BatchTiming, ReadingTiming, parse_timings

VGGISH = Cutting(patch_samples=15_600, hop_samples=15_360)
FLAC = Header("FLAC", Fraction(3_600), True)
MP3 = Header("MP3", Fraction(3_600), False)


def batch(worker: str, ended: float, num_rows: int = 128) -> BatchTiming:
    return BatchTiming(worker, ended - 0.8, ended, num_rows, 2, 10**9)


def trial(*workers: str, interval: float = 1.0, stalled: float = 0.0) -> Trial:
    """A job of 20 s: 10 s of work, in which each worker embeds 10 batches, and decodes FLAC."""
    readings = [ReadingTiming("a", worker, 1_005.0, 0.5) for worker in workers]
    batches = [
        batch(worker, 1_005 + interval * (number + 1) + (stalled if number > 5 else 0))
        for worker in workers
        for number in range(10)
    ]
    survey = Survey(
        kinds={"FLAC": Sums(1, 1, 0, 0, 1_000.0 * len(workers))},
        candidates=(Candidate(0, FLAC, (Clip("a", "a"),)),),
    )
    return Trial(1_000, 1_020, survey, {}, {}, readings, batches)


def test_the_rate_is_that_of_batches_decoding_included() -> None:
    speed = speed_of(trial("h:1"))
    assert speed is not None
    assert speed.rows_per_second == pytest.approx(128)
    assert (speed.num_workers, speed.num_cores, speed.num_batches) == (1, 2, 10)
    assert speed.start_seconds == pytest.approx(10)
    assert speed.decoding == {"FLAC": pytest.approx(1.8)}
    assert speed.peak_bytes == 10**9
    # Ten times the trial, of the same kind.
    kinds = {"FLAC": Sums(1, 1, 0, 0, 10_000.0)}
    assert speed.seconds(12_800, kinds, 1.0) == pytest.approx(100)
    assert speed.seconds(12_800, kinds, 2.0) == pytest.approx(102.5), "twice as much to decode"


def test_workers_share_the_work_and_the_cores_of_a_machine_count_once() -> None:
    speed = speed_of(trial("h:1", "h:2", "other:1"))
    assert speed is not None
    assert (speed.num_workers, speed.num_cores) == (3, 4)
    assert speed.rows_per_second == pytest.approx(3 * 128)


def test_what_holds_a_worker_up_once_does_not_count() -> None:
    speed = speed_of(trial("h:1", stalled=30))
    assert speed is not None
    assert speed.rows_per_second == pytest.approx(128)


def test_without_a_batch_there_is_no_speed() -> None:
    assert speed_of(Trial(0, 1, Survey(), {}, {}, [], [])) is None


def test_timings_are_lines_in_any_order() -> None:
    reading = ReadingTiming("\udcff", "h:1", 1.5, 0.25)
    lines = [batch("h:1", 3.0).to_json(), reading.to_json()]
    assert parse_timings(lines) == ([reading], [batch("h:1", 3.0)])
    with pytest.raises(ValueError, match="not a timing"):
        parse_timings([b'{"batch": {"worker": 1}}'])


def rows_of(chosen: tuple[Candidate, ...]) -> int:
    told = total(outlook.of_recording(each.clips, each.header, VGGISH) for each in chosen)
    return told.sums.num_rows


def test_a_trial_has_each_kind_and_a_bounded_number_of_rows() -> None:
    long = [Candidate(n, FLAC, (Clip(str(n), f"{n}.flac"),)) for n in range(300)]
    rare = Candidate(10_000, MP3, (Clip("rare", "rare.mp3"),))
    chosen = choose([*long, rare], VGGISH, 1_000)
    assert rare.place in {each.place for each in chosen}
    assert 1_000 <= rows_of(chosen) < 1_064
    assert len(chosen) == 16, "a minute of each"
    few = choose(long[:2], VGGISH, 1_000)
    assert rows_of(few) == 1_000


def test_a_small_corpus_is_tried_whole() -> None:
    short = Header("FLAC", Fraction(20), True)
    corpus = [Candidate(n, short, (Clip(str(n), f"{n}.flac"),)) for n in range(30)]
    assert rows_of(choose(corpus, VGGISH)) == 30 * 20
