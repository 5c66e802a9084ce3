"""What a run will give, by what was found in all recordings, in a sample, and in a trial."""

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
    """Clips that will fail for one reason.

    Attributes:
      num_clips: How many.
      names: Of some that were found.
      is_exact: All were looked at; else it is concluded from some.
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
    """What is to be expected of a run.

    Attributes:
      found: In the recordings.
      trial: None where nothing could be tried.
      speed: None there, and where no clip of it became a record.
      records: Clips that become one.
      rows: Of these.
      hours: Of sound in these.
      slack: Of rows and hours, as a share, with a confidence of 95 %; 0 where all were opened.
      failures: By reason.
      num_bytes: Of the shards; None, as what follows, where the speed is not known.
      num_shards: The same.
      seconds: Of the run on the workers of the trial.
      work_seconds: Of these, what more workers would share.
    """

    found: CorpusSurvey
    trial: Trial | None
    speed: Speed | None
    records: float
    rows: float
    hours: float
    slack: float
    failures: Mapping[str, Expected]
    num_bytes: float | None = None
    num_shards: int | None = None
    seconds: float | None = None
    work_seconds: float | None = None

    @property
    def num_failed(self) -> float:
        """Clips that will fail."""
        return sum(each.num_clips for each in self.failures.values())

    @property
    def num_clips(self) -> float:
        """Clips that are asked for."""
        return self.records + self.num_failed

    @property
    def rows_per_second(self) -> float:
        """Of the workers of the trial together, the start left out; 0 where it is not known."""
        return self.rows / self.work_seconds if self.work_seconds else 0.0


def estimate(
    settings: EmbedSettings, found: CorpusSurvey, trial: Trial | None, seconds_before: float
) -> Estimate:
    """Returns what is to be expected.

    Args:
      settings: Of the run.
      found: In the recordings.
      trial: How it went; None where there was nothing to try.
      seconds_before: What a run does before the part that a trial is like.
    """
    sums = found.opened.sums
    # Recordings that do not say how long they are, are taken for as long as the others.
    known = sums.num_recordings - found.opened.counts.get("unknown_length", 0)
    longer = sums.num_recordings / known if known > 0 else 1.0
    in_decoding = _failed_in_trial(found, trial)
    good = 1 - sum(each.num_clips for each in in_decoding.values()) / max(
        1.0, found.factor * sums.num_clips
    )
    plain = Estimate(
        found=found,
        trial=trial,
        speed=None,
        records=found.factor * sums.num_clips * good,
        rows=found.factor * sums.num_rows * longer * good,
        hours=found.factor * sums.seconds * longer * good / 3_600,
        slack=_slack(found),
        failures=_failures(found, in_decoding),
    )
    speed = speed_of(trial) if trial is not None else None
    if trial is None or speed is None:
        return plain
    decoded_seconds = found.factor * longer * sums.decoded_seconds
    work = speed.seconds(plain.rows, decoded_seconds, plain.records)
    num_bytes = _num_bytes(settings, plain, trial)
    return dataclasses.replace(
        plain,
        speed=speed,
        num_bytes=num_bytes,
        num_shards=_num_shards(settings, found, num_bytes),
        seconds=seconds_before + speed.start_seconds + work,
        work_seconds=work,
    )


def _failures(found: CorpusSurvey, in_decoding: Mapping[str, Expected]) -> dict[str, Expected]:
    """Returns what fails: found while listing, by headers, and while decoding."""
    of_listing = {
        reason: Expected(each.num_clips, each.names, True)
        for reason, each in found.listed.failures.items()
    }
    of_headers = {
        reason: Expected(found.factor * each.num_clips, each.names, found.factor == 1)
        for reason, each in found.opened.failures.items()
    }
    failures: dict[str, Expected] = {}
    for part in (of_listing, of_headers, in_decoding):
        for reason, expected in part.items():
            failures[reason] = failures[reason] + expected if reason in failures else expected
    return dict(sorted(failures.items(), key=lambda item: -item[1].num_clips))


def _failed_in_trial(found: CorpusSurvey, trial: Trial | None) -> dict[str, Expected]:
    if trial is None or not trial.info["counts"]["clips"]:
        return {}
    num_clips = found.factor * found.opened.sums.num_clips
    factor = max(1.0, num_clips / trial.info["counts"]["clips"])
    is_all = factor == 1 and trial.chosen.sums.num_rows >= found.opened.sums.num_rows
    return {
        reason: Expected(factor * each.num_clips, each.names, is_all)
        for reason, each in trial.failures.items()
    }


def _slack(found: CorpusSurvey) -> float:
    number, rows = found.opened.num_recordings, found.opened.sums.num_rows
    if found.factor == 1 or number < 2 or not rows:
        return 0.0
    mean = rows / number
    variance = max(0.0, found.opened.rows_squared / number - mean**2)
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


def _num_shards(settings: EmbedSettings, found: CorpusSurvey, num_bytes: float) -> int:
    rows = {split: sums.num_rows for split, sums in found.opened.splits.items()}
    names = {*(name for name, _ in settings.split.shares)} if settings.split else set()
    in_all = max(1, sum(rows.values()))
    return sum(
        settings.num_shards or choose_num_shards(int(num_bytes * rows.get(name, 0) / in_all))
        for name in {*names, *rows}
    )
