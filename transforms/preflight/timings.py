"""How long workers took, as they say it themselves."""

import dataclasses
import json
from collections.abc import Iterable

from transforms.corpus.packing import Compact


@dataclasses.dataclass(frozen=True)
class ReadingTiming(Compact):
    """Of one pass over a recording.

    Attributes:
      uri: Of the recording.
      worker: Host and process.
      started: In seconds since 1970.
      core_seconds: That it took of a core to decode, mix, resample and cut.
    """

    uri: str
    worker: str
    started: float
    core_seconds: float

    def to_json(self) -> bytes:
        """Returns a line of a report."""
        return json.dumps({"reading": dataclasses.asdict(self)}).encode()


@dataclasses.dataclass(frozen=True)
class BatchTiming(Compact):
    """Of one call of the model.

    Attributes:
      worker: Host and process.
      started: In seconds since 1970, waiting for other threads' calls included.
      ended: The same.
      num_rows: That came out; the model works on full batches all the same.
      num_cores: Of the worker.
      peak_bytes: The most memory that the process has had up to then; 0 where it is not known.
    """

    worker: str
    started: float
    ended: float
    num_rows: int
    num_cores: int
    peak_bytes: int

    def to_json(self) -> bytes:
        """Returns a line of a report."""
        return json.dumps({"batch": dataclasses.asdict(self)}).encode()


def parse_timings(lines: Iterable[bytes]) -> tuple[list[ReadingTiming], list[BatchTiming]]:
    """Reads the lines of a report, in any order.

    Raises:
      ValueError: A line is none of these.
    """
    readings, batches = [], []
    for line in lines:
        try:
            ((kind, values),) = json.loads(line).items()
            if kind == "batch":
                batches.append(BatchTiming(**values))
            else:
                readings.append(ReadingTiming(**values))
        except (AttributeError, TypeError) as error:
            raise ValueError(f"not a timing: {error}") from error
    return readings, batches
