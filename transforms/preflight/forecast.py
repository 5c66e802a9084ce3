"""The forecast of the records and failures of a recording, by its header alone."""

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction

from transforms.corpus.clips import Clip, Failure, printable
from transforms.corpus.spans import SAMPLE_RATE_HZ, SPAN_ROWS, FramingConfig
from transforms.preflight.survey import Candidate, Failed, Header, Sums, Survey

# For a recording that is read from its start: a trial must not read for minutes before a clip.
_MAX_START_SECONDS = 600
_NUM_POSITIONS = 2**64


@dataclasses.dataclass(frozen=True)
class _Pieces:
    """The records of one clip: itself, or the pieces it is cut into."""

    num_clips: int = 0
    num_rows: int = 0
    seconds: Fraction = Fraction(0)
    last_rows: int = 0  # rows of the last one
    padded: int = 0
    truncated: int = 0
    damaged: int = 0  # of those that are kept
    reason: str | None = None  # of a failure that it gives besides


def position_of(uri: str) -> int:
    """Returns a position from 0 to 2**64, evenly spread, which depends on the name alone."""
    digest = hashlib.sha256(b"plan\0" + os.fsencode(uri)).digest()
    return int.from_bytes(digest[:8], "big")


def is_in_sample(uri: str, num_recordings: int, max_recordings: int) -> bool:
    """Returns whether a recording is in a sample of about `max_recordings`."""
    return position_of(uri) * num_recordings < max_recordings * _NUM_POSITIONS


def of_recording(clips: Sequence[Clip], header: Header, framing: FramingConfig) -> Survey:
    """Returns the forecast of clips of one recording, at least one."""
    splits: dict[str, Sums] = {}
    failures: dict[str, Failed] = {}
    counts = {"padded": 0, "truncated": 0, "damaged": 0}
    good = []
    for clip in clips:
        pieces = _pieces(clip, header, framing)
        if pieces.reason is not None:
            failures[pieces.reason] = failures.get(pieces.reason, Failed()) + failed(clip)
        elif pieces.num_rows:
            good.append(clip)
        own = Sums(0, pieces.num_clips, pieces.num_rows, float(pieces.seconds))
        splits[clip.split] = splits.get(clip.split, Sums()) + own
        counts["padded"] += pieces.padded
        counts["truncated"] += pieces.truncated
        counts["damaged"] += pieces.damaged
    if header.seconds is None:
        counts["unknown_length"] = 1
    sums = dataclasses.replace(
        sum(splits.values(), Sums()),
        num_recordings=1,
        decoded_seconds=float(_decoded_seconds(clips, header, framing)),
    )
    return Survey(
        num_recordings=1,
        num_listed=len(clips),
        rows_squared=float(sums.num_rows**2),
        kinds={header.kind: sums},
        splits=splits,
        failures=failures,
        counts={name: count for name, count in counts.items() if count},
        candidates=_candidates(good, header, framing),
    )


def _candidates(
    clips: Sequence[Clip], header: Header, framing: FramingConfig
) -> tuple[Candidate, ...]:
    """Returns the recording for a trial, if its good clips can be read quickly."""
    chosen = limited(clips, framing, SPAN_ROWS)
    if not chosen or header.missing is not None:
        return ()
    start = chosen[0].start_seconds - chosen[0].recording_offset_seconds
    if not header.can_seek and start > _MAX_START_SECONDS:
        return ()
    return (Candidate(position_of(chosen[0].uri), header, chosen),)


def of_broken(clips: Sequence[Clip], reason: str) -> Survey:
    """Returns the forecast of clips, at least one, of a recording that cannot be opened."""
    return Survey(
        num_recordings=1,
        num_listed=len(clips),
        failures={reason: sum(map(failed, clips), Failed())},
    )


def failed(clip: Clip | Failure) -> Failed:
    """Returns a clip as a failed one."""
    return Failed(1, (printable(clip.id),))


def limited(clips: Iterable[Clip], framing: FramingConfig, num_rows: int) -> tuple[Clip, ...]:
    """Returns the first clips of a recording, up to about `num_rows`, the last one shortened."""
    length = Decimal((num_rows - 1) * framing.hop_samples + framing.patch_samples) / SAMPLE_RATE_HZ
    if framing.clip_seconds is not None:
        num_pieces = (length / framing.clip_seconds).to_integral_value(ROUND_CEILING)
        length = num_pieces * framing.clip_seconds
    kept: list[Clip] = []
    for clip in sorted(
        clips, key=lambda clip: (clip.start_seconds - clip.recording_offset_seconds, clip.id)
    ):
        if kept and length <= 0:
            break
        end = clip.start_seconds + max(length, Decimal(1))
        if clip.end_seconds is None or clip.end_seconds > end:
            clip = dataclasses.replace(clip, end_seconds=end)
        assert clip.end_seconds is not None
        length -= clip.end_seconds - clip.start_seconds
        kept.append(clip)
    return tuple(kept)


def _end(clip: Clip, header: Header) -> Fraction | None:
    """Returns the end of a clip on its own time line; None if unknown."""
    ends = (
        [] if header.seconds is None else [header.seconds + Fraction(clip.recording_offset_seconds)]
    )
    if clip.end_seconds is not None:
        ends.append(Fraction(clip.end_seconds))
    return min(ends, default=None)


def _pieces(clip: Clip, header: Header, framing: FramingConfig) -> _Pieces:
    end = _end(clip, header)
    if end is None:
        return _Pieces(num_clips=1)
    length = end - Fraction(clip.start_seconds)
    if length <= 0:
        is_empty = header.seconds is None or (
            Fraction(clip.start_seconds - clip.recording_offset_seconds) < header.seconds
        )
        return _Pieces(reason="empty" if is_empty else "out_of_range")
    truncated = int(clip.end_seconds is not None and end < clip.end_seconds)
    if framing.clip_seconds is not None:
        pieces = _cut(length, Fraction(framing.clip_seconds), framing)
    else:
        pieces = _whole(length, framing, truncated)
    if header.missing is not None and (clip.end_seconds is None or truncated):
        if framing.keep_damaged:
            return dataclasses.replace(pieces, damaged=int(pieces.num_clips > 0))
        # The last piece is damaged and fails; the pieces before it are good.
        if pieces.num_clips <= 1:
            return _Pieces(reason="decode_error")
        return dataclasses.replace(
            pieces,
            num_clips=pieces.num_clips - 1,
            num_rows=pieces.num_rows - pieces.last_rows,
            reason="decode_error",
        )
    return pieces


def _cut(length: Fraction, clip_seconds: Fraction, framing: FramingConfig) -> _Pieces:
    number, rest = divmod(length, clip_seconds)
    rows_of_rest = framing.num_rows(rest)
    if not number and not rows_of_rest:
        return _whole(length, framing)
    rows_of_piece = max(1, framing.num_rows(clip_seconds))
    seconds = number * clip_seconds + (rest if rows_of_rest else 0)
    return _Pieces(
        number + (rows_of_rest > 0),
        number * rows_of_piece + rows_of_rest,
        seconds,
        rows_of_rest or rows_of_piece,
    )


def _whole(length: Fraction, framing: FramingConfig, truncated: int = 0) -> _Pieces:
    num_rows = framing.num_rows(length)
    if not num_rows and not framing.pad_short_clips:
        return _Pieces(reason="too_short")
    return _Pieces(1, num_rows or 1, length, padded=int(not num_rows), truncated=truncated)


def _decoded_seconds(clips: Iterable[Clip], header: Header, framing: FramingConfig) -> Fraction:
    """Returns how much of a recording is decoded: all up to the last clip, or its clips only."""
    bound = None
    if framing.max_rows is not None and framing.clip_seconds is None:
        samples = framing.max_rows * framing.hop_samples + framing.patch_samples
        bound = Fraction(samples, SAMPLE_RATE_HZ)
    total, last = Fraction(0), Fraction(0)
    for clip in clips:
        end = _end(clip, header)
        if end is None:
            continue
        last = max(last, end - Fraction(clip.recording_offset_seconds))
        length = max(Fraction(0), end - Fraction(clip.start_seconds))
        total += length if bound is None else min(length, bound)
    return min(total, header.seconds or total) if header.can_seek else last
