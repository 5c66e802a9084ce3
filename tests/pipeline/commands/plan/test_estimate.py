"""From survey and trial to the estimate and the table."""

import dataclasses
from typing import Any

import pytest

from pipeline.commands.plan.estimate import Estimate, Expected, estimate
from pipeline.commands.plan.survey_job import CorpusSurvey
from pipeline.commands.plan.table import duration, table
from pipeline.commands.plan.trial_job import Trial
from pipeline.options.settings import EmbedSettings
from transforms.corpus.splits import parse_splits
from transforms.dataset.profiles import PROFILES
from transforms.preflight.survey import Failed, Sums, Survey

KINDS = {"FLAC": Sums(60, 60, 600, 600.0, 600.0), "MP3": Sums(30, 30, 300, 300.0, 300.0)}
SETTINGS = EmbedSettings(
    output="out", inputs=("in",), profile=PROFILES["raw"], model="gs://m/vggish"
)


def found(factor: int = 1) -> CorpusSurvey:
    """100 recordings were opened, 10 of them in vain; there are `factor` times as many."""
    listed = Survey(
        num_recordings=100 * factor,
        num_listed=100 * factor,
        failures={"duplicate_id": Failed(5, ("a", "b", "c"))},
    )
    opened = Survey(
        num_recordings=100,
        num_listed=100,
        rows_squared=90 * 10**2,
        kinds=KINDS,
        splits={"": Sums(0, 90, 900, 900.0)},
        failures={"decode_error": Failed(10, ("d", "e", "f"))},
        counts={"truncated": 2},
    )
    return CorpusSurvey(listed, opened)


def trial(num_failed: int = 0) -> Trial:
    """A third of the clips, in 12 s of which 3.6 are for the rows."""
    counts = {"clips": 30, "records": 30 - num_failed, "rows": 300, "failures": num_failed}
    info: dict[str, Any] = {
        "counts": counts,
        "model": {"embedding_size": 128, "batch_rows": 128},
        "run": {
            "seconds": 5.0,
            "steps": {
                "decoding": {"seconds": 5.0, "share": 0.06},
                "loading the model": {"seconds": 1.0, "share": 0.2},
                "the model": {"seconds": 3.0, "share": 0.6},
                "assembling": {"seconds": 0.1, "share": 0.02},
                "writing": {"seconds": 0.2, "share": 0.04},
            },
            "bounded_by": "the model",
            "workers": 1,
            "batches": 3,
            "peak_bytes": 2 * 10**9,
        },
        "shards": [{"bytes": 300 * (512 + 9) + (30 - num_failed) * 100}],
    }
    failures = {"model_error": Failed(num_failed, ("g",))} if num_failed else {}
    chosen = Survey(kinds={"FLAC": Sums(30, 30, 300, 300.0, 300.0)})
    return Trial(12.0, chosen, info, failures)


def expected(**changes: Any) -> Estimate:
    arguments: dict[str, Any] = {
        "settings": SETTINGS,
        "survey": found(),
        "trial": trial(),
        "seconds_before": 1.0,
    }
    return estimate(**arguments | changes)


def test_where_all_were_opened_the_counts_are_exact() -> None:
    plan = expected()
    assert (plan.records, plan.rows, plan.error) == (90, 900, 0)
    assert plan.num_clips == 105
    assert plan.failures == {
        "decode_error": Expected(10, ("d", "e", "f"), True),
        "duplicate_id": Expected(5, ("a", "b", "c"), True),
    }
    assert plan.num_bytes == pytest.approx(900 * 521 + 90 * 100)
    assert plan.num_shards == 1
    # Of three times the trial, whose last batch is not full.
    model = 3.0 / 3 * (900 / 128 + 3 - 300 / 128)
    assert plan.work_seconds is not None
    assert plan.work_seconds == pytest.approx(model + 3 * 0.3 + 3 * 0.3)
    assert plan.seconds == pytest.approx(1 + 12 - 3 - 0.3 - 0.3 + plan.work_seconds)


def test_counts_of_a_sample_are_extrapolated_with_an_error() -> None:
    plan = expected(survey=found(10))
    assert (plan.records, plan.rows) == (900, 9_000)
    assert plan.failures["decode_error"] == Expected(100, ("d", "e", "f"), False)
    assert plan.failures["duplicate_id"].num_clips == 5
    assert 0.05 < plan.error < 0.08
    text = table(plan)
    assert "about 1,005, of 1,000 existing recordings" in text
    assert "about 9,000 (± 6.7%)" in text
    assert "about 100 decode_error: d, e, f, … (extrapolated)" in text
    assert "5 duplicate_id: a, b, c, …" in text
    assert "the headers of 100 recordings, chosen by their names" in text


def test_failures_of_the_trial_are_extrapolated() -> None:
    plan = expected(trial=trial(num_failed=3))
    assert plan.failures["model_error"] == Expected(9, ("g",), False)
    assert (plan.records, plan.num_clips) == (81, 105)


def test_recordings_of_unknown_length_count_as_long_as_the_others() -> None:
    opened = dataclasses.replace(found().opened, counts={"unknown_length": 45})
    plan = expected(survey=CorpusSurvey(found().listed, opened))
    assert plan.rows == 1_800
    assert "45 recordings are of unknown length" in table(plan)


def test_each_split_has_shards_of_its_own() -> None:
    settings = dataclasses.replace(SETTINGS, split=parse_splits("train=0.5,test=0.5"))
    splits = {"train": Sums(0, 90, 900, 900.0)}
    opened = dataclasses.replace(found().opened, splits=splits)
    plan = expected(settings=settings, survey=CorpusSurvey(found().listed, opened))
    assert plan.num_shards == 2
    settings = dataclasses.replace(settings, num_shards=7)
    assert expected(settings=settings, survey=CorpusSurvey(found().listed, opened)).num_shards == 14


def test_without_a_trial_there_is_no_time() -> None:
    plan = expected(trial=None)
    assert (plan.seconds, plan.num_bytes) == (None, None)
    assert "not measured: there was no clip to try" in table(plan)


def test_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert table(expected()).splitlines() == [
        "clips       105, of 100 existing recordings; 90 would become records; 2 are",
        "            truncated by the end of their recording",
        "audio       0.25 h",
        "rows        900",
        "formats     67% FLAC",
        "            33% MP3",
        "would fail  15 clips (14%); 30 clips were decoded, of the others at most the",
        "            headers were read",
        "            10 decode_error: d, e, f, …",
        "            5 duplicate_id: a, b, c, …",
        "dataset     about 478 kB in 1 shard",
        "time        about 19 s on 1 worker like the trial's: 9.4 s to start and to end,",
        "            9.5 s for the rows",
        "trial       300 rows of 30 clips in 3 batches, bound by the model; 95 rows/s",
        "            after the start",
        "workers     like these, 1: 19 s, 10: 10 s, 100: 9.5 s",
        "memory      up to 2.0 GB in a worker process",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1.25, "1.2 s"), (75, "75 s"), (300, "5 min"), (20_000, "5.6 h"), (10**7, "116 days")],
)
def test_a_time_has_a_suitable_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text
