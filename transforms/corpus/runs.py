"""Runs of consecutive patches and rows of a clip, and how they become its rows again."""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from transforms.corpus.clips import AudioNote, Clip, Failure
from transforms.corpus.serialization import CompactPickle


@dataclasses.dataclass(frozen=True, eq=False)
class PatchRun:
    """Consecutive patches of a clip.

    Attributes:
      clip_id: Id of the clip.
      first_row: Index in the clip of the first patch's row.
      patches: float32 `[num_rows, patch_samples]`.
    """

    clip_id: str
    first_row: int
    patches: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class RowRun:
    """Consecutive rows of a clip.

    Attributes:
      first_row: Index in the clip of the first row.
      rows: float32 or uint8 `[num_rows, embedding_size]`.
    """

    first_row: int
    rows: np.ndarray

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        # NumPy's own pickling takes three times as long for a single row.
        rows = np.ascontiguousarray(self.rows)
        return _row_run, (self.first_row, rows.dtype.str, rows.shape[1], rows.tobytes())


def _row_run(first_row: int, dtype: str, size: int, data: bytes) -> RowRun:
    return RowRun(first_row, np.frombuffer(data, dtype).reshape(-1, size))


@dataclasses.dataclass(frozen=True, order=True)
class DamagedAudio(CompactPickle):
    """Audio of a clip that is missing or does not decode.

    Several spans of a clip may report the same damage, or parts of it: the union of all intervals
    counts. What exceeds the clip is cut off.

    Attributes:
      clip_id: Id of the clip.
      start_seconds: Start of the damage, on the time line of the recording's file.
      end_seconds: End of the damage; equal to the start if its length is unknown.
      message: What is damaged, for people, without the position.
    """

    clip_id: str
    start_seconds: float
    end_seconds: float
    message: str


@dataclasses.dataclass(frozen=True)
class DecodedClip(CompactPickle):
    """The outcome of decoding a clip to its end, from which its record is completed and checked.

    Attributes:
      clip: The clip.
      num_rows: Expected number of rows in the record, at least 1.
      num_samples: Length of the clip at 16 kHz, without padding.
      end_seconds: Actual end of the clip, on the clip's time line.
      decoder: Name and version of the decoder.
      padded: Whether the clip is shorter than one patch and was padded with zeros.
      truncated: Whether the recording ends before the clip's `end_seconds`.
      num_rows_skipped: Number of rows beyond the profile's maximum.
      damages: Damage in the clip, in order of time; known once all spans are joined.
    """

    clip: Clip
    num_rows: int
    num_samples: int
    end_seconds: float
    decoder: str
    padded: bool = False
    truncated: bool = False
    num_rows_skipped: int = 0
    damages: tuple[DamagedAudio, ...] = ()

    @property
    def damaged_microseconds(self) -> int:
        """Total length of the damage whose length is known."""
        intervals = (_microseconds(each.start_seconds, each.end_seconds) for each in self.damages)
        return sum(end - start for start, end in _union(intervals))

    @property
    def damaged_seconds(self) -> float:
        """Total length of the damage whose length is known."""
        return self.damaged_microseconds / 1_000_000

    def notes(self) -> list[AudioNote]:
        """Returns a note for each damage."""
        clip = self.clip
        return [
            AudioNote(
                clip.id, clip.uri, each.start_seconds, each.end_seconds, each.message, clip.split
            )
            for each in self.damages
        ]


def join_rows(runs: Iterable[RowRun], num_rows: int) -> np.ndarray | None:
    """Joins a clip's rows in order.

    Args:
      runs: Runs in any order. Rows that occur twice, as after a retry, count once.
      num_rows: Expected number of rows.

    Returns:
      `[num_rows, embedding_size]`, or None if a row is missing or beyond the last one.
    """
    joined: np.ndarray | None = None
    is_present = np.zeros(num_rows, bool)
    for run in runs:
        end = run.first_row + len(run.rows)
        if run.first_row < 0 or end > num_rows:
            return None
        if joined is None:
            joined = np.empty((num_rows, *run.rows.shape[1:]), run.rows.dtype)
        joined[run.first_row : end] = run.rows
        is_present[run.first_row : end] = True
    return joined if is_present.all() else None


def complete_clip(
    clip_id: str, results: Iterable[Any], keep_damaged: bool
) -> tuple[DecodedClip, np.ndarray] | Failure | None:
    """Joins the results of a clip's spans, and checks that no row is missing.

    Args:
      clip_id: Id of the clip.
      results: `DecodedClip`, `DamagedAudio` and `Failure` of decoding; `RowRun` of the model, or
        `str`, why it gives no rows; in any order and possibly repeated.
      keep_damaged: Whether a damaged clip is complete; otherwise it fails.

    Returns:
      The clip with all its rows `[num_rows, embedding_size]`, or its failure. None if nothing but
      damage is known of it: then it is no clip of the corpus.
    """
    by_kind: dict[type, list[Any]] = {}
    for each in results:
        by_kind.setdefault(type(each), []).append(each)
    # Several spans may have failed; which failure is reported must not depend on their order.
    if failures := by_kind.get(Failure):
        return min(failures)
    damages = by_kind.get(DamagedAudio, [])
    decoded_clips = by_kind.get(DecodedClip)
    if not decoded_clips:
        if by_kind.keys() == {DamagedAudio}:
            return None
        return Failure(clip_id, "", "assemble", "incomplete", "the clip was not decoded to its end")
    decoded = decoded_clips[0]
    if any(each != decoded for each in decoded_clips[1:]):
        message = "different audio has the same id; give each clip a unique id"
        return decoded.clip.failure("assemble", "duplicate_id", message)
    if damages and not keep_damaged:
        first = min(damages)
        message = f"{first.message}, at {first.start_seconds:.3f} s"
        return decoded.clip.failure("decode", "decode_error", message)
    if model_failures := by_kind.get(str):
        return decoded.clip.failure("embed", "model_error", min(model_failures))
    rows = join_rows(by_kind.get(RowRun, ()), decoded.num_rows)
    if rows is None:
        message = f"rows are missing (expected: {decoded.num_rows})"
        return decoded.clip.failure("assemble", "incomplete", message)
    return dataclasses.replace(decoded, damages=_damages_of(decoded.clip, damages)), rows


def _damages_of(clip: Clip, damages: Iterable[DamagedAudio]) -> tuple[DamagedAudio, ...]:
    """Returns the damage within a clip, overlapping damage with the same message as one."""
    low = float(clip.start_seconds - clip.recording_offset_seconds)
    high = math.inf
    if clip.end_seconds is not None:
        high = float(clip.end_seconds - clip.recording_offset_seconds)
    by_message: dict[str, list[tuple[int, int]]] = {}
    for each in damages:
        start, end = (min(max(low, at), high) for at in (each.start_seconds, each.end_seconds))
        by_message.setdefault(each.message, []).append(_microseconds(start, end))
    found = [
        DamagedAudio(clip.id, start / 1_000_000, end / 1_000_000, message)
        for message, intervals in by_message.items()
        for start, end in _union(intervals)
    ]
    return tuple(sorted(found))


def _microseconds(start_seconds: float, end_seconds: float) -> tuple[int, int]:
    return round(start_seconds * 1_000_000), round(end_seconds * 1_000_000)


def _union(intervals: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Returns the union of closed intervals as disjoint ones, in order."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined
