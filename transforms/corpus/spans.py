"""How clips become runs of rows, and which of them are read in one pass over their recording."""

import dataclasses
from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction

from transforms.corpus.clips import Clip
from transforms.corpus.serialization import CompactPickle
from transforms.corpus.times import format_seconds

SAMPLE_RATE_HZ = 16_000
# Row i of google/vggish/1 depends on the samples [15360 i, 15360 i + 15600) and on no other:
# 96 hops of 10 ms, and the rest of the last 25 ms STFT window.
PATCH_SAMPLES = 15_600
MODEL_HOP_SAMPLES = 15_360
# About ten minutes: much more than the second of context that a span costs, and little enough
# that a recording of hours keeps every worker busy.
SPAN_ROWS = 640


@dataclasses.dataclass(frozen=True)
class FramingConfig:
    """How a recording becomes clips, and a clip patches.

    Attributes:
      patch_samples: Length of a patch at 16 kHz.
      hop_samples: From one patch's start to the next one's, at 16 kHz.
      max_rows: Rows of a clip after which the rest is left out, or None.
      pad_short_clips: Fill up a clip shorter than one patch; else it fails as `too_short`.
      clip_seconds: Cut what is asked for into consecutive clips of this length, or None.
      channel: From 1, or None for the mean of all channels.
    """

    patch_samples: int = PATCH_SAMPLES
    hop_samples: int = MODEL_HOP_SAMPLES
    max_rows: int | None = None
    pad_short_clips: bool = True
    clip_seconds: Decimal | None = None
    channel: int | None = None

    def num_rows(self, seconds: Fraction) -> int:
        """Returns about how many rows a clip of this length has."""
        num_samples = int(seconds * SAMPLE_RATE_HZ)
        num_rows = count_patches(num_samples, self.patch_samples, self.hop_samples)
        return num_rows if self.max_rows is None else min(num_rows, self.max_rows)


@dataclasses.dataclass(frozen=True)
class Span(CompactPickle):
    """A run of rows of a clip.

    Attributes:
      clip: Whose rows they are.
      first_row: Index of the first one in the clip.
      num_rows: How many; None for all up to the clip's end.
      is_remainder: The clip is what remains behind others that were cut off a longer one: where
        it is too short for a row it is skipped. A piece of full length is none.
    """

    clip: Clip
    first_row: int = 0
    num_rows: int | None = None
    is_remainder: bool = False


@dataclasses.dataclass(frozen=True)
class DecodeTask(CompactPickle):
    """What is read in one pass over a recording.

    Attributes:
      uri: Of the recording.
      spans: In the order of their starts.
    """

    uri: str
    spans: tuple[Span, ...]


def count_patches(num_samples: int, patch_samples: int, hop_samples: int) -> int:
    """Returns how many patches a waveform of `num_samples` holds."""
    return max(0, (num_samples - patch_samples) // hop_samples + 1)


def single_task(clips: Iterable[Clip]) -> DecodeTask:
    """Returns the reading of whole clips of one recording, at least one, in any order."""
    spans = tuple(Span(clip) for clip in sorted(clips, key=_order))
    return DecodeTask(spans[0].clip.uri, spans)


def requested_seconds(clips: Iterable[Clip]) -> Decimal | None:
    """Returns how much of a recording its clips take; None where one goes to its unknown end."""
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
    """Splits the work on one recording that can be read from anywhere.

    Args:
      clips: At least one.
      recording_seconds: Length of the recording.
      framing: How clips become patches.
      span_rows: About how many rows make a reading.

    Yields:
      Readings that together hold every row of every clip once. The last span of a clip is
      open-ended, so that what the recording really holds decides on the last row.
    """
    collected: list[Span] = []
    num_collected = 0
    for clip in sorted(clips, key=_order):
        for span, num_rows in _spans(clip, recording_seconds, framing, span_rows):
            if collected and num_collected + num_rows > span_rows:
                yield DecodeTask(clip.uri, tuple(collected))
                collected, num_collected = [], 0
            collected.append(span)
            num_collected += num_rows
    yield DecodeTask(collected[0].clip.uri, tuple(collected))


def cut_into_pieces(clip: Clip, clip_seconds: Decimal) -> Iterator[Clip]:
    """Cuts a clip into consecutive ones of equal length; the last one may reach beyond its end.

    Yields:
      Clips without end, where the clip has none. Their ids are that of the clip, `#`, and the
      start in seconds.
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
    """Yields the spans of a clip, each with its number of rows."""
    start = Fraction(clip.start_seconds)
    end = recording_seconds + Fraction(clip.recording_offset_seconds)
    if clip.end_seconds is not None:
        end = min(end, Fraction(clip.end_seconds))
    if framing.clip_seconds is not None:
        yield from _parts_to_cut(clip, end, framing, framing.clip_seconds, span_rows)
        return
    num_rows = framing.num_rows(end - start)
    first_row = 0
    while num_rows - first_row >= 2 * span_rows:  # the last one takes the rest as well
        yield Span(clip, first_row, span_rows), span_rows
        first_row += span_rows
    yield Span(clip, first_row), num_rows - first_row


def _parts_to_cut(
    clip: Clip, end: Fraction, framing: FramingConfig, clip_seconds: Decimal, span_rows: int
) -> Iterator[tuple[Span, int]]:
    """Yields parts of a clip that is to be cut, each a whole number of pieces but the last."""
    rows_of_piece = max(1, framing.num_rows(Fraction(clip_seconds)))
    length = max(1, span_rows // rows_of_piece) * clip_seconds
    start = clip.start_seconds
    while end - Fraction(start) >= 2 * length:
        part = dataclasses.replace(clip, start_seconds=start, end_seconds=start + length)
        yield Span(part), span_rows
        start += length
    yield Span(dataclasses.replace(clip, start_seconds=start)), span_rows


def _order(clip: Clip) -> tuple[Decimal, str]:
    return clip.start_seconds - clip.recording_offset_seconds, clip.id
