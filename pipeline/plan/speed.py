"""How fast the workers of a trial were, and what a corpus takes at that speed."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

from pipeline.plan.trial import Trial
from transforms.model.batching import BATCH_ROWS
from transforms.preflight.survey import Sums
from transforms.preflight.timings import BatchTiming

# Of intervals between batches, the longest and the shortest that are left out: other programs come
# and go on a machine.
_TRIMMED = 0.2
_FEW = 5
_HOUR = 3_600


@dataclasses.dataclass(frozen=True)
class Speed:
    """What was measured.

    Attributes:
      start_seconds: Until the first recording is read, and from the last batch on.
      num_workers: Processes that had a part in it.
      num_cores: Of all their machines.
      num_batches: That they worked on.
      num_rows: In these.
      batches_per_second: Of all workers together, decoding included.
      decoding: Seconds of a core for an hour of sound, by kind.
      decoded_core_seconds: That decoding took in the trial.
      peak_bytes: Of the process that took most; 0 where it is not known.
    """

    start_seconds: float
    num_workers: int
    num_cores: int
    num_batches: int
    num_rows: int
    batches_per_second: float
    decoding: Mapping[str, float]
    decoded_core_seconds: float
    peak_bytes: int

    @property
    def rows_per_second(self) -> float:
        """Of full batches, all workers together."""
        return self.batches_per_second * BATCH_ROWS

    def seconds(self, num_rows: float, kinds: Mapping[str, Sums], factor: float) -> float:
        """Returns how long these workers need for a corpus, without the start.

        Args:
          num_rows: Of the corpus.
          kinds: What is decoded for them, or a part of that.
          factor: By which the kinds are multiplied.
        """
        # Each worker's last batch is not full, and takes as long as if it were.
        num_batches = num_rows / BATCH_ROWS + self.num_batches - self.num_rows / BATCH_ROWS
        decoding = factor * sum(
            self.decoding.get(kind, self._any_kind) * sums.decoded_seconds / _HOUR
            for kind, sums in kinds.items()
        )
        # That of the trial's kinds is in the intervals between batches.
        as_in_trial = self.decoded_core_seconds * num_batches / self.num_batches
        seconds = num_batches / self.batches_per_second
        return max(0.0, seconds + (decoding - as_in_trial) / self.num_cores)

    @property
    def _any_kind(self) -> float:
        return max(self.decoding.values(), default=0.0)


def speed_of(trial: Trial) -> Speed | None:
    """Returns what the workers' timings say; None where no batch came as far as the model."""
    if not trial.batches or not trial.readings:
        return None
    by_worker: dict[str, list[BatchTiming]] = {}
    for batch in sorted(trial.batches, key=lambda batch: batch.ended):
        by_worker.setdefault(batch.worker, []).append(batch)
    rate = 0.0
    for worker, batches in by_worker.items():
        begun = [each.started for each in trial.readings if each.worker == worker]
        start = min([*begun, batches[0].started])
        rate += 1 / _interval([start, *(each.ended for each in batches)])
    work_began = min(each.started for each in trial.readings)
    work_ended = max(each.ended for each in trial.batches)
    hosts = {batch.worker.rpartition(":")[0]: batch.num_cores for batch in trial.batches}
    return Speed(
        start_seconds=max(0.0, trial.ended - trial.started - (work_ended - work_began)),
        num_workers=len(by_worker),
        num_cores=sum(hosts.values()),
        num_batches=len(trial.batches),
        num_rows=sum(each.num_rows for each in trial.batches),
        batches_per_second=rate,
        decoding=_decoding(trial),
        decoded_core_seconds=sum(each.core_seconds for each in trial.readings),
        peak_bytes=max(each.peak_bytes for each in trial.batches),
    )


def _interval(times: Sequence[float]) -> float:
    """Returns how long a batch takes: of many the mean without the extremes and the first one."""
    intervals = [after - before for before, after in itertools.pairwise(times)]
    if len(intervals) > _FEW:
        intervals = sorted(intervals[1:])
        cut = int(len(intervals) * _TRIMMED)
        intervals = intervals[cut : len(intervals) - cut]
    return max(1e-6, sum(intervals) / len(intervals))


def _decoding(trial: Trial) -> dict[str, float]:
    kind_of = {
        clip.uri: each.header.kind for each in trial.chosen.candidates for clip in each.clips
    }
    core_seconds: dict[str, float] = {}
    for reading in trial.readings:
        kind = kind_of.get(reading.uri, "")
        core_seconds[kind] = core_seconds.get(kind, 0.0) + reading.core_seconds
    return {
        kind: core_seconds[kind] * _HOUR / sums.decoded_seconds
        for kind, sums in trial.chosen.kinds.items()
        if kind in core_seconds and sums.decoded_seconds
    }
