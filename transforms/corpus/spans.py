"""Spans of clips, and the decode tasks that read them in one pass over a recording each."""

import dataclasses
from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

from transforms.corpus.clips import Clip
from transforms.corpus.serialization import CompactPickle
from transforms.corpus.times import format_seconds

SAMPLE_RATE_HZ = 16_000
# Row i of google/vggish/1 depends on the samples [15360 i, 15360 i + 15600) and on no other:
# 96 hops of 10 ms, and the rest of the last 25 ms STFT window.
PATCH_SAMPLES = 15_600
MODEL_HOP_SAMPLES = 15_360
MAX_CHANNEL = 1_024  # more than any file has that decoders take
# About ten minutes: long compared to the second of context that a span costs, and short enough
# for a recording of hours to keep every worker busy.
SPAN_ROWS = 640


@dataclasses.dataclass(frozen=True)
class FramingConfig:
    """How recordings are cut into clips, and clips into patches.

    Attributes:
      patch_samples: Length of a patch in samples at 16 kHz.
      hop_samples: Distance between the starts of consecutive patches, in samples at 16 kHz.
      max_rows: Maximum number of rows of a clip; None for no limit.
      pad_short_clips: Whether to pad a clip shorter than one patch; otherwise it fails as
        `too_short`.
      clip_seconds: Length of the consecutive clips into which clips are cut; None for no cutting.
      channel: Channel to use, from 1; None for the mean of all channels.
      keep_damaged: Whether a damaged clip becomes a record of what decodes, which says how much is
        damaged; otherwise it fails.

    Raises:
      ValueError: A value is out of range.

    Example:
      >>> from transforms import FramingConfig
      >>> FramingConfig(hop_samples=16_000, max_rows=300)  # that of the profile youtube8m
      FramingConfig(patch_samples=15600, hop_samples=16000, max_rows=300, ...)
    """

    patch_samples: int = PATCH_SAMPLES
    hop_samples: int = MODEL_HOP_SAMPLES
    max_rows: int | None = None
    pad_short_clips: bool = True
    clip_seconds: Decimal | None = None
    channel: int | None = None
    keep_damaged: bool = False

    def __post_init__(self) -> None:
        for name in ("patch_samples", "hop_samples", "max_rows", "channel", "clip_seconds"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name}={value} (allowed: positive numbers)")

    def describe(self) -> dict[str, Any]:
        """Returns the entries of `dataset.json`."""
        return {
            "patch_samples": self.patch_samples,
            "hop_samples": self.hop_samples,
            "hop_seconds": self.hop_samples / SAMPLE_RATE_HZ,
            "max_rows": self.max_rows,
            "channels": "mean" if self.channel is None else f"number {self.channel}",
            "short_clips": "pad" if self.pad_short_clips else "skip",
            "damaged": "keep" if self.keep_damaged else "fail",
        }

    def num_rows(self, seconds: Fraction) -> int:
        """Returns the approximate number of rows of a clip of this length."""
        num_samples = int(seconds * SAMPLE_RATE_HZ)
        num_rows = count_patches(num_samples, self.patch_samples, self.hop_samples)
        return num_rows if self.max_rows is None else min(num_rows, self.max_rows)


@dataclasses.dataclass(frozen=True)
class Span(CompactPickle):
    """Consecutive rows of a clip.

    Attributes:
      clip: The clip.
      first_row: Index in the clip of the first row.
      num_rows: Number of rows; None for all rows up to the clip's end.
      is_remainder: Whether the clip is the remainder of a longer one after full pieces were cut
        off. A remainder too short for a row is skipped.
    """

    clip: Clip
    first_row: int = 0
    num_rows: int | None = None
    is_remainder: bool = False


@dataclasses.dataclass(frozen=True)
class DecodeTask(CompactPickle):
    """Spans of one recording that are decoded in one pass: of clips of the same channel.

    Attributes:
      uri: Path or URL of the recording.
      spans: Spans in the order of their clips' starts.
    """

    uri: str
    spans: tuple[Span, ...]


def count_patches(num_samples: int, patch_samples: int, hop_samples: int) -> int:
    """Returns the number of complete patches in a waveform of `num_samples` samples."""
    return max(0, (num_samples - patch_samples) // hop_samples + 1)


def single_task(clips: Iterable[Clip]) -> DecodeTask:
    """Returns one task that decodes whole clips of one recording: at least one, in any order."""
    spans = tuple(Span(clip) for clip in sorted(clips, key=_sort_key))
    return DecodeTask(spans[0].clip.uri, spans)


def requested_seconds(clips: Iterable[Clip]) -> Decimal | None:
    """Returns the total length of a recording's clips; None if one has no `end_seconds`."""
    total = Decimal(0)
    for clip in clips:
        if clip.end_seconds is None:
            return None
        total += clip.end_seconds - clip.start_seconds
    return total


def split_into_tasks(
    clips: Iterable[Clip],
    recording_seconds: Fraction,
    framing: FramingConfig,
    span_rows: int = SPAN_ROWS,
) -> Iterator[DecodeTask]:
    """Splits the decoding of a seekable recording into tasks of about equal size.

    Args:
      clips: Clips of the recording, at least one.
      recording_seconds: Length of the recording.
      framing: How clips are cut into patches.
      span_rows: Approximate number of rows per task.

    Yields:
      Tasks that together contain every row of every clip once. The last span of a clip is
      open-ended: the decoded audio decides which row is the last one.
    """
    pending: list[Span] = []
    num_pending = 0
    for clip in sorted(clips, key=_sort_key):
        for span, num_rows in _spans(clip, recording_seconds, framing, span_rows):
            if pending and num_pending + num_rows > span_rows:
                yield DecodeTask(clip.uri, tuple(pending))
                pending, num_pending = [], 0
            pending.append(span)
            num_pending += num_rows
    yield DecodeTask(pending[0].clip.uri, tuple(pending))


def cut_into_pieces(clip: Clip, clip_seconds: Decimal) -> Iterator[Clip]:
    """Cuts a clip into consecutive clips of equal length, the last of which may be shorter.

    Yields:
      Clips with ids made of the clip's id, `#` and the start in seconds. Without `end_seconds` of
      the clip there is no last one.
    """
    start = clip.start_seconds
    while clip.end_seconds is None or start < clip.end_seconds:
        end = start + clip_seconds
        if clip.end_seconds is not None:
            end = min(end, clip.end_seconds)
        yield dataclasses.replace(
            clip,
            id=f"{clip.id}#{format_seconds(start)}",
            start_seconds=start,
            end_seconds=end,
            recording=clip.recording or clip.id,
        )
        start = end


def _spans(
    clip: Clip, recording_seconds: Fraction, framing: FramingConfig, span_rows: int
) -> Iterator[tuple[Span, int]]:
    """Yields the spans of a clip, each with its approximate number of rows."""
    start = Fraction(clip.start_seconds)
    end = recording_seconds + Fraction(clip.recording_offset_seconds)
    if clip.end_seconds is not None:
        end = min(end, Fraction(clip.end_seconds))
    if framing.clip_seconds is not None:
        yield from _spans_of_whole_pieces(clip, end, framing, framing.clip_seconds, span_rows)
        return
    num_rows = framing.num_rows(end - start)
    first_row = 0
    while num_rows - first_row >= 2 * span_rows:  # the last span may have up to twice as many
        yield Span(clip, first_row, span_rows), span_rows
        first_row += span_rows
    yield Span(clip, first_row), num_rows - first_row


def _spans_of_whole_pieces(
    clip: Clip, end: Fraction, framing: FramingConfig, clip_seconds: Decimal, span_rows: int
) -> Iterator[tuple[Span, int]]:
    """Yields spans of a clip that will be cut: each but the last is a whole number of pieces."""
    rows_per_piece = max(1, framing.num_rows(Fraction(clip_seconds)))
    length = max(1, span_rows // rows_per_piece) * clip_seconds
    start = clip.start_seconds
    while end - Fraction(start) >= 2 * length:
        part = dataclasses.replace(clip, start_seconds=start, end_seconds=start + length)
        yield Span(part), span_rows
        start += length
    yield Span(dataclasses.replace(clip, start_seconds=start)), span_rows


def _sort_key(clip: Clip) -> tuple[Decimal, str]:
    return clip.start_seconds - clip.recording_offset_seconds, clip.id
