"""The estimate of a run, from the survey of the corpus and a trial."""

import dataclasses
import math
from collections.abc import Mapping

from pipeline.commands.plan.speed import Speed, speed_of
from pipeline.commands.plan.survey_job import CorpusSurvey
from pipeline.commands.plan.trial_job import Trial
from pipeline.options.settings import EmbedSettings
from transforms.dataset.sequence_examples import FEATURE_OVERHEAD_BYTES
from transforms.dataset.shards import choose_num_shards
from transforms.model.postprocessing import EMBEDDING_SIZE
from transforms.preflight.survey import Failed

_FLOAT_BYTES = 4


@dataclasses.dataclass(frozen=True)
class Expected:
    """Clips that are expected to fail for one reason.

    Attributes:
      num_clips: The number of clips.
      names: The ids of some of them.
      is_exact: All clips were checked; else the number is extrapolated.
    """

    num_clips: float
    names: tuple[str, ...]
    is_exact: bool

    def __add__(self, other: "Expected") -> "Expected":
        failed = Failed(0, self.names) + Failed(0, other.names)
        is_exact = self.is_exact and other.is_exact
        return Expected(self.num_clips + other.num_clips, failed.names, is_exact)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """The expected results of a run.

    Attributes:
      survey: The survey of the corpus.
      trial: The trial; None if there was no clip to try.
      speed: The speed of the trial; None without a trial, or if it gave no record.
      records: The number of records.
      rows: The rows of these records.
      hours: The hours of audio of these records.
      error: The relative error of rows and hours, with a confidence of 95 %; 0 if all recordings
        were opened.
      failures: The expected failures by reason.
      num_bytes: The size of the shards; like the following ones None without a speed.
      num_shards: The number of shards.
      seconds: The time of the run on the workers of the trial.
      work_seconds: The part of this time that more workers would share.
    """

    survey: CorpusSurvey
    trial: Trial | None
    speed: Speed | None
    records: float
    rows: float
    hours: float
    error: float
    failures: Mapping[str, Expected]
    num_bytes: float | None = None
    num_shards: int | None = None
    seconds: float | None = None
    work_seconds: float | None = None

    @property
    def num_failed(self) -> float:
        """The number of clips that will fail."""
        return sum(each.num_clips for each in self.failures.values())

    @property
    def num_clips(self) -> float:
        """The number of all clips."""
        return self.records + self.num_failed

    @property
    def rows_per_second(self) -> float:
        """The speed of all workers of the trial together, after the start; 0 if unknown."""
        return self.rows / self.work_seconds if self.work_seconds else 0.0


def estimate(
    settings: EmbedSettings, survey: CorpusSurvey, trial: Trial | None, seconds_before: float
) -> Estimate:
    """Returns the estimate of a run.

    Args:
      settings: The options of the run.
      survey: The survey of the corpus.
      trial: The trial; None if there was no clip to try.
      seconds_before: The time a run takes before the part that a trial covers.
    """
    sums = survey.opened.sums
    # Recordings of unknown length are assumed to be as long as the others.
    known = sums.num_recordings - survey.opened.counts.get("unknown_length", 0)
    longer = sums.num_recordings / known if known > 0 else 1.0
    in_decoding = _failed_in_trial(survey, trial)
    good = 1 - sum(each.num_clips for each in in_decoding.values()) / max(
        1.0, survey.factor * sums.num_clips
    )
    plain = Estimate(
        survey=survey,
        trial=trial,
        speed=None,
        records=survey.factor * sums.num_clips * good,
        rows=survey.factor * sums.num_rows * longer * good,
        hours=survey.factor * sums.seconds * longer * good / 3_600,
        error=_sampling_error(survey),
        failures=_failures(survey, in_decoding),
    )
    speed = speed_of(trial) if trial is not None else None
    if trial is None or speed is None:
        return plain
    decoded_seconds = survey.factor * longer * sums.decoded_seconds
    work = speed.seconds(plain.rows, decoded_seconds, plain.records)
    num_bytes = _num_bytes(settings, plain, trial)
    return dataclasses.replace(
        plain,
        speed=speed,
        num_bytes=num_bytes,
        num_shards=_num_shards(settings, survey, num_bytes),
        seconds=seconds_before + speed.start_seconds + work,
        work_seconds=work,
    )


def _failures(survey: CorpusSurvey, in_decoding: Mapping[str, Expected]) -> dict[str, Expected]:
    """Returns all failures: of listing, by headers, and of decoding."""
    of_listing = {
        reason: Expected(each.num_clips, each.names, True)
        for reason, each in survey.listed.failures.items()
    }
    of_headers = {
        reason: Expected(survey.factor * each.num_clips, each.names, survey.factor == 1)
        for reason, each in survey.opened.failures.items()
    }
    failures: dict[str, Expected] = {}
    for part in (of_listing, of_headers, in_decoding):
        for reason, expected in part.items():
            failures[reason] = failures[reason] + expected if reason in failures else expected
    return dict(sorted(failures.items(), key=lambda item: -item[1].num_clips))


def _failed_in_trial(survey: CorpusSurvey, trial: Trial | None) -> dict[str, Expected]:
    if trial is None or not trial.info["counts"]["clips"]:
        return {}
    num_clips = survey.factor * survey.opened.sums.num_clips
    factor = max(1.0, num_clips / trial.info["counts"]["clips"])
    is_all = factor == 1 and trial.chosen.sums.num_rows >= survey.opened.sums.num_rows
    return {
        reason: Expected(factor * each.num_clips, each.names, is_all)
        for reason, each in trial.failures.items()
    }


def _sampling_error(survey: CorpusSurvey) -> float:
    number, rows = survey.opened.num_recordings, survey.opened.sums.num_rows
    if survey.factor == 1 or number < 2 or not rows:
        return 0.0
    mean = rows / number
    variance = max(0.0, survey.opened.rows_squared / number - mean**2)
    return 2 * math.sqrt(variance / number) / mean


def _num_bytes(settings: EmbedSettings, plain: Estimate, trial: Trial) -> float:
    counts = trial.info["counts"]
    size = EMBEDDING_SIZE
    if not settings.profile.quantised:
        size = _FLOAT_BYTES * trial.info["model"]["embedding_size"]
    of_row = size + FEATURE_OVERHEAD_BYTES
    parts = trial.info.get("splits", [trial.info])
    in_trial = sum(shard["bytes"] for part in parts for shard in part["shards"])
    of_record = (in_trial - of_row * counts["rows"]) / counts["records"]
    return of_record * plain.records + of_row * plain.rows


def _num_shards(settings: EmbedSettings, survey: CorpusSurvey, num_bytes: float) -> int:
    rows = {split: sums.num_rows for split, sums in survey.opened.splits.items()}
    names = {*(name for name, _ in settings.split.shares)} if settings.split else set()
    in_all = max(1, sum(rows.values()))
    return sum(
        settings.num_shards or choose_num_shards(int(num_bytes * rows.get(name, 0) / in_all))
        for name in {*names, *rows}
    )
