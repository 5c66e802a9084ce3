"""The speed of a trial, and the time of a corpus at that speed."""

import dataclasses

import numpy as np

from pipeline.commands.plan.trial_job import Trial
from transforms.metrics.run_times import ASSEMBLING, DECODING, MODEL, WRITING


@dataclasses.dataclass(frozen=True)
class Speed:
    """The speed of the workers of a trial.

    The time of a run is divided as in `run_times.run_info`: the model's own time, the time it waits
    for decoding, and the rest, for which the rows wait.

    Attributes:
      start_seconds: The part of the trial's time that any run needs to start and to end.
      num_workers: The number of worker processes.
      num_batches: The number of batches that the model computed.
      num_rows: The rows of these batches, without padding.
      batch_rows: The rows of a full batch; the mean where workers differ.
      batch_seconds: The time that the workers together need for a batch.
      waiting: The seconds that the model waits for each second of decoded audio.
      record_seconds: The time to assemble and write a record.
      peak_bytes: The peak memory of the largest process; 0 if unknown.
    """

    start_seconds: float
    num_workers: int
    num_batches: int
    num_rows: int
    batch_rows: float
    batch_seconds: float
    waiting: float
    record_seconds: float
    peak_bytes: int

    def seconds(self, num_rows: float, decoded_seconds: float, num_records: float) -> float:
        """Returns the time that these workers need for a corpus, without the start.

        Args:
          num_rows: The rows of the corpus.
          decoded_seconds: The audio that is decoded for them.
          num_records: The records that hold them.
        """
        # The last batch of each thread is not full, but takes as long as a full one.
        not_full = max(0.0, self.num_batches - self.num_rows / self.batch_rows)
        num_batches = num_rows / self.batch_rows + not_full
        return (
            num_batches * self.batch_seconds
            + decoded_seconds * self.waiting
            + num_records * self.record_seconds
        )


def speed_of(trial: Trial) -> Speed | None:
    """Returns the speed of a trial; None if no batch reached the model."""
    run, counts = trial.info["run"], trial.info["counts"]
    decoded_seconds = trial.chosen.sums.decoded_seconds
    if not run["batches"] or not counts["records"] or not decoded_seconds:
        return None
    seconds = {step: run["seconds"] * each["share"] for step, each in run["steps"].items()}
    waiting = seconds.get(DECODING, 0.0)
    recording = seconds.get(ASSEMBLING, 0.0) + seconds.get(WRITING, 0.0)
    return Speed(
        start_seconds=max(0.0, trial.seconds - seconds[MODEL] - waiting - recording),
        num_workers=run["workers"],
        num_batches=run["batches"],
        num_rows=counts["rows"],
        batch_rows=float(np.mean(trial.info["model"]["batch_rows"])),
        batch_seconds=seconds[MODEL] / run["batches"],
        waiting=waiting / decoded_seconds,
        record_seconds=recording / counts["records"],
        peak_bytes=run["peak_bytes"],
    )
