"""A clip's rows on their way from sound to record."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from transforms.corpus.clips import Clip, Failure
from transforms.corpus.serialization import CompactPickle, deserialize


@dataclasses.dataclass(frozen=True, eq=False)
class PatchRun:
    """Consecutive patches of a clip.

    Attributes:
      clip_id: Whose they are.
      first_row: Index of the first patch's row in the clip.
      patches: float32 `[num_rows, patch_samples]`.
    """

    clip_id: str
    first_row: int
    patches: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class RowRun:
    """Consecutive rows of a clip.

    Attributes:
      first_row: Index of the first one in the clip.
      rows: float32 or uint8 `[num_rows, embedding_size]`.
    """

    first_row: int
    rows: np.ndarray

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        # Numpy's own way takes three times as long for a row.
        rows = np.ascontiguousarray(self.rows)
        return _row_run, (self.first_row, rows.dtype.str, rows.shape[1], rows.tobytes())


def _row_run(first_row: int, dtype: str, size: int, data: bytes) -> RowRun:
    return RowRun(first_row, np.frombuffer(data, dtype).reshape(-1, size))


@dataclasses.dataclass(frozen=True)
class DecodedClip(CompactPickle):
    """What decoding a clip to its end found: what its record must hold.

    Attributes:
      clip: Whose sound it is.
      num_rows: Due in the record; at least 1.
      num_samples: Of the clip at 16 kHz, padding not counted.
      end_seconds: Where the clip really ends, on its own time line.
      decoder: Name and version of what decoded it.
      padded: The clip was shorter than one patch and was filled up with zeros.
      truncated: The recording ends before the clip was to end.
      num_rows_skipped: Rows behind the profile's last one.
    """

    clip: Clip
    num_rows: int
    num_samples: int
    end_seconds: float
    decoder: str
    padded: bool = False
    truncated: bool = False
    num_rows_skipped: int = 0


def join_rows(runs: Iterable[RowRun], num_rows: int) -> np.ndarray | None:
    """Puts a clip's rows in order.

    Args:
      runs: In any order. Rows that come twice, as after a retry, count once.
      num_rows: How many there must be.

    Returns:
      `[num_rows, embedding_size]`, or None where a row is missing or too many.
    """
    joined: np.ndarray | None = None
    is_there = np.zeros(num_rows, bool)
    for run in runs:
        end = run.first_row + len(run.rows)
        if run.first_row < 0 or end > num_rows:
            return None
        if joined is None:
            joined = np.empty((num_rows, *run.rows.shape[1:]), run.rows.dtype)
        joined[run.first_row : end] = run.rows
        is_there[run.first_row : end] = True
    return joined if is_there.all() else None


def complete_clip(
    clip_id: str, found: Mapping[str, Iterable[Any]]
) -> tuple[DecodedClip, np.ndarray] | Failure:
    """Joins what became of a clip, and proves that no row is missing.

    Args:
      clip_id: The clip's.
      found: In any order and perhaps twice, `decode_results` (serialized `DecodedClip` or
        `Failure`), `rows` (`RowRun`) and `model_failures` (messages).

    Returns:
      The clip with all its rows `[num_rows, embedding_size]`, or why it has none.
    """
    decode_results = list(map(deserialize, found["decode_results"]))
    # Each span of a clip may have failed; which of them is told must not depend on the order.
    failures = sorted(each for each in decode_results if isinstance(each, Failure))
    if failures:
        return failures[0]
    if not decode_results:
        return Failure(clip_id, "", "assemble", "incomplete", "it was never decoded to its end")
    decoded: DecodedClip = decode_results[0]
    if any(each != decoded for each in decode_results[1:]):
        message = "different sound has the same id: give each clip an id of its own"
        return decoded.clip.failure("assemble", "duplicate_id", message)
    model_failures = sorted(map(str, found["model_failures"]))
    if model_failures:
        return decoded.clip.failure("embed", "model_error", model_failures[0])
    rows = join_rows(found["rows"], decoded.num_rows)
    if rows is None:
        message = f"rows are missing: {decoded.num_rows} were due"
        return decoded.clip.failure("assemble", "incomplete", message)
    return decoded, rows
