"""The speed of a trial, and the time of a corpus."""

from fractions import Fraction

import pytest

from pipeline.commands.plan.speed import speed_of
from pipeline.commands.plan.trial_job import Trial, choose
from transforms.corpus.clips import Clip
from transforms.corpus.spans import FramingConfig
from transforms.preflight import forecast
from transforms.preflight.survey import Candidate, Header, Sums, Survey, total

VGGISH = FramingConfig(patch_samples=15_600, hop_samples=15_360)
FLAC = Header("FLAC", Fraction(3_600), True)
MP3 = Header("MP3", Fraction(3_600), False)


def trial(**steps: float) -> Trial:
    """A job of 20 s with 10 batches, of which the steps took shares of 10 s."""
    info = {
        "counts": {"records": 100, "rows": 1_200},
        "model": {"batch_rows": 128},
        "run": {
            "seconds": 10.0,
            "steps": {name.replace("_", " "): {"share": each} for name, each in steps.items()},
            "workers": 2,
            "batches": 10 if steps else 0,
            "peak_bytes": 10**9,
        },
    }
    return Trial(20.0, Survey(kinds={"FLAC": Sums(1, 1, 0, 0, 1_000.0)}), info, {})


def test_the_model_scales_with_batches_decoding_with_audio_and_the_rest_with_records() -> None:
    speed = speed_of(trial(listing=0.1, decoding=0.2, the_model=0.5, assembling=0.04, writing=0.06))
    assert speed is not None
    assert speed.start_seconds == pytest.approx(20 - 5 - 2 - 1)
    assert (speed.num_workers, speed.num_batches, speed.peak_bytes) == (2, 10, 10**9)
    once = speed.seconds(1_200, 1_000, 100)
    assert once == pytest.approx(5 + 2 + 1)
    assert speed.seconds(1_200 + 1_280, 1_000, 100) == pytest.approx(once + 5)
    assert speed.seconds(1_200, 2_000, 100) == pytest.approx(once + 2)
    assert speed.seconds(1_200, 1_000, 200) == pytest.approx(once + 1)


def test_batches_are_as_large_as_the_model_computed_them() -> None:
    small = trial(the_model=0.5)
    small.info["model"]["batch_rows"] = [64, 192]  # workers differ: about 128
    speed, usual = speed_of(small), speed_of(trial(the_model=0.5))
    assert speed is not None
    assert speed == usual
    small.info["model"]["batch_rows"] = 120
    speed = speed_of(small)
    assert speed is not None
    assert speed.seconds(1_200 + 1_200, 0, 0) == pytest.approx(2 * speed.seconds(1_200, 0, 0))


def test_idle_steps_take_no_time() -> None:
    speed = speed_of(trial(the_model=0.5))
    assert speed is not None
    assert speed.start_seconds == pytest.approx(15)


def test_without_a_batch_there_is_no_speed() -> None:
    assert speed_of(trial()) is None


def rows_of(chosen: tuple[Candidate, ...]) -> int:
    told = total(forecast.of_recording(each.clips, each.header, VGGISH) for each in chosen)
    return told.sums.num_rows


def test_a_trial_has_each_kind_and_a_bounded_number_of_rows() -> None:
    long = [Candidate(n, FLAC, (Clip(str(n), f"{n}.flac"),)) for n in range(300)]
    rare = Candidate(10_000, MP3, (Clip("rare", "rare.mp3"),))
    chosen = choose([*long, rare], VGGISH, 1_000)
    assert rare.position in {each.position for each in chosen}
    assert 1_000 <= rows_of(chosen) < 1_064
    assert len(chosen) == 16, "a minute of each"
    few = choose(long[:2], VGGISH, 1_000)
    assert rows_of(few) == 1_000


def test_a_small_corpus_is_embedded_completely() -> None:
    short = Header("FLAC", Fraction(20), True)
    corpus = [Candidate(n, short, (Clip(str(n), f"{n}.flac"),)) for n in range(30)]
    assert rows_of(choose(corpus, VGGISH)) == 30 * 20
