"""How fast the workers of a trial were, and what a corpus takes at that speed."""

import dataclasses

import numpy as np

from pipeline.commands.plan.trial_job import Trial
from transforms.metrics.run_times import ASSEMBLING, DECODING, MODEL, WRITING


@dataclasses.dataclass(frozen=True)
class Speed:
    """What was measured.

    A run's time is divided as `run_times.run_info` does it: the model's own time, the time in which
    it waits for decoding, and the rest for which the rows wait.

    Attributes:
      start_seconds: Of the trial's time, what any run needs to start and to end.
      num_workers: Processes that had a part in it.
      num_batches: That the model computed.
      num_rows: In these, but for what filled them up.
      batch_rows: Of a full batch; where workers differ, about.
      batch_seconds: That the workers together need for a batch.
      waiting: Seconds in which the model waits, for each second of sound that is decoded.
      record_seconds: To assemble and to write a record.
      peak_bytes: Of the process that took most; 0 where it is not known.
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
        """Returns how long these workers need for a corpus, without the start.

        Args:
          num_rows: Of the corpus.
          decoded_seconds: Of sound, to have them.
          num_records: That they are in.
        """
        # Each thread's last batch is not full, and takes as long as if it were.
        not_full = max(0.0, self.num_batches - self.num_rows / self.batch_rows)
        num_batches = num_rows / self.batch_rows + not_full
        return (
            num_batches * self.batch_seconds
            + decoded_seconds * self.waiting
            + num_records * self.record_seconds
        )


def speed_of(trial: Trial) -> Speed | None:
    """Returns what was measured; None where no batch came as far as the model."""
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
