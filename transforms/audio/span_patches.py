"""The patches of one span: resampled, cut and counted."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction

import numpy as np

from transforms.audio import decoding, resampling
from transforms.audio.errors import AudioError
from transforms.audio.framing import PatchCutter, pad_to_patch
from transforms.audio.recording import DamagedRange
from transforms.corpus.runs import DamagedAudio, DecodedClip, PatchRun
from transforms.corpus.spans import SAMPLE_RATE_HZ, FramingConfig, Span, count_patches


class SpanPatches:
    """Computes the patches of a span from the blocks of its recording.

    A clip is the frames `[start, end)` of its recording, each rounded once at the recording's own
    rate. Its waveform is the result of resampling these frames alone, without the audio around
    them. The later spans of a clip start some context before their rows, an integral number of
    resampler periods after the clip's start, so that their samples equal those of the whole clip.

    Attributes:
      span: The span.
      first_frame: First frame of the recording that is needed.
      end_frame: End of the frames that are needed; None for the end of the recording.
      num_frames: Number of frames received so far.
      damage: Description of the first damage in the span; empty if there is none.
    """

    def __init__(
        self,
        span: Span,
        framing: FramingConfig,
        sample_rate_hz: int,
        num_frames: int | None,
        is_float: bool = True,
    ) -> None:
        """Determines which frames are needed.

        Args:
          span: The span.
          framing: How clips are cut into patches.
          sample_rate_hz: Sample rate of the recording.
          num_frames: Length of the recording; None if unknown.
          is_float: Whether its samples are stored as floats, so that they may be anything.
        """
        self.span = span
        self._framing = framing
        self._sample_rate_hz = sample_rate_hz
        self._recording_frames = num_frames
        self._is_float = is_float
        self._clip_frame, self._clip_end = self._frames_of_clip()
        first_sample = span.first_row * framing.hop_samples
        out_period, in_period = resampling.period(sample_rate_hz)
        periods = max(0, first_sample - resampling.CONTEXT_SAMPLES) // out_period
        # Number of the clip's samples before `first_frame`.
        self._num_samples_before = periods * out_period
        self.first_frame = self._clip_frame + periods * in_period
        self.end_frame = self._find_end_frame()
        self.num_frames = 0
        self.damage = ""
        self._num_damages = 0
        self._num_samples = 0
        self._num_rows = 0
        self._num_rows_skipped = 0
        self._beginning: list[np.ndarray] = []
        self._resampler = resampling.Resampler(sample_rate_hz)
        self._cutter = PatchCutter(
            framing.patch_samples, framing.hop_samples, first_sample - self._num_samples_before
        )

    def damages(self, found: Sequence[DamagedRange]) -> Iterator[DamagedAudio]:
        """Yields the damage of the span among all damage of the recording, each once.

        Args:
          found: The damage found so far, to which more may be appended between calls.
        """
        rate_hz = self._sample_rate_hz
        for start, end, message in _joined(found[self._num_damages :]):
            is_before_end = self.end_frame is None or start < self.end_frame
            if end > self.first_frame and is_before_end:
                self.damage = self.damage or message
                yield DamagedAudio(self.span.clip.id, start / rate_hz, end / rate_hz, message)
        self._num_damages = len(found)

    def push(self, block: np.ndarray) -> Iterator[PatchRun]:
        """Takes the next frames, from `first_frame` on; yields the patches that are complete now.

        Args:
          block: float32 `[num_frames]`.

        Raises:
          AudioError: `non_finite` or `over_full_scale`.
        """
        first_frame = self.first_frame + self.num_frames
        decoding.validate_samples(block, first_frame, self._sample_rate_hz, self._is_float)
        self.num_frames += len(block)
        yield from self._cut(self._resampler.push(block))

    def finish(self, decoder: str) -> Iterator[PatchRun | DecodedClip]:
        """Yields the last patches and, for the last span of a clip, the decoded clip.

        At least one frame must have been pushed. A remainder too short for a row yields nothing.

        Args:
          decoder: Name of the decoder.

        Raises:
          AudioError: `too_short`, or `decode_error` if rows are missing that the recording's length
            implies.
        """
        yield from self._cut(self._resampler.finish())
        end_frame = self.first_frame + self.num_frames
        span = self.span
        if span.num_rows is not None:
            if self._num_rows < span.num_rows:
                seconds = end_frame / self._sample_rate_hz
                raise AudioError("decode_error", f"the recording ends early, after {seconds:.3f} s")
            return
        num_rows = span.first_row + self._num_rows
        if not num_rows and span.is_remainder and not self._is_whole_piece(end_frame):
            if self.damage:
                raise AudioError("decode_error", f"{self.damage}, and no row is left")
            return
        padded = not num_rows
        if padded:
            yield self._padded()
        yield self._decoded(num_rows or 1, end_frame, padded, decoder)

    def _is_whole_piece(self, end_frame: int) -> bool:
        """Returns whether the clip is a piece of full length, even if rounding drops a sample."""
        clip = self.span.clip
        return (
            clip.end_seconds is not None
            and end_frame == self._clip_end
            and clip.end_seconds - clip.start_seconds == self._framing.clip_seconds
        )

    def _frames_of_clip(self) -> tuple[int, int | None]:
        """Returns the first and the end frame of the clip, each rounded once."""
        clip = self.span.clip
        start = _frame(clip.start_seconds - clip.recording_offset_seconds, self._sample_rate_hz)
        if clip.end_seconds is None:
            return start, None
        return start, _frame(clip.end_seconds - clip.recording_offset_seconds, self._sample_rate_hz)

    def _find_end_frame(self) -> int | None:
        """Returns the end of the frames that are needed; None for the end of the recording."""
        num_rows = self.span.num_rows
        if num_rows is None and self._framing.max_rows is not None and self._recording_frames:
            # Skipped rows are counted from the recording's length, without reading them.
            num_rows = self._framing.max_rows - self.span.first_row
        if num_rows is None:
            return self._clip_end
        out_period, in_period = resampling.period(self._sample_rate_hz)
        framing = self._framing
        last_row = self.span.first_row + num_rows - 1
        sample = last_row * framing.hop_samples + framing.patch_samples + resampling.CONTEXT_SAMPLES
        frame = self._clip_frame - (-sample // out_period) * in_period
        return frame if self._clip_end is None else min(frame, self._clip_end)

    def _cut(self, samples: np.ndarray) -> Iterator[PatchRun]:
        if self._num_samples < self._framing.patch_samples:
            self._beginning.append(samples)
        self._num_samples += len(samples)
        patches = self._cutter.push(samples)
        kept = patches
        first_row = self.span.first_row + self._num_rows
        if self.span.num_rows is not None:
            kept = patches[: self.span.num_rows - self._num_rows]
        elif self._framing.max_rows is not None:
            kept = patches[: self._framing.max_rows - first_row]
            self._num_rows_skipped += len(patches) - len(kept)
        self._num_rows += len(kept)
        if len(kept):
            yield PatchRun(self.span.clip.id, first_row, kept)

    def _padded(self) -> PatchRun:
        patch_samples = self._framing.patch_samples
        if not self._framing.pad_short_clips:
            raise AudioError(
                "too_short",
                f"{self.num_frames / self._sample_rate_hz:.3f} s; a row needs {patch_samples}"
                f" samples at 16 kHz ({patch_samples / SAMPLE_RATE_HZ} s), and --short_clips=skip",
            )
        patch = pad_to_patch(np.concatenate(self._beginning), patch_samples)
        return PatchRun(self.span.clip.id, 0, patch)

    def _decoded(self, num_rows: int, end_frame: int, padded: bool, decoder: str) -> DecodedClip:
        clip = self.span.clip
        num_samples = self._num_samples_before + self._num_samples
        num_skipped = self._num_rows_skipped
        if end_frame == self.end_frame != self._clip_end:  # stopped at the maximum number of rows
            assert self._recording_frames is not None
            end_frame = self._recording_frames
            if self._clip_end is not None:
                end_frame = min(end_frame, self._clip_end)
            num_samples = resampling.count_samples(
                end_frame - self._clip_frame, self._sample_rate_hz
            )
            num_all_rows = count_patches(
                num_samples, self._framing.patch_samples, self._framing.hop_samples
            )
            num_skipped = num_all_rows - num_rows
        # The last piece of a clip that is cut into pieces is expected to be shorter.
        ends_early = self._clip_end is not None and end_frame < self._clip_end
        truncated = ends_early and self._framing.clip_seconds is None
        if clip.end_seconds is not None and not ends_early:
            end_seconds = float(clip.end_seconds)
        else:
            end = Fraction(end_frame, self._sample_rate_hz) + Fraction(
                clip.recording_offset_seconds
            )
            end_seconds = float(end)
        return DecodedClip(
            clip,
            num_rows,
            num_samples,
            end_seconds,
            decoder,
            padded=padded,
            truncated=truncated,
            num_rows_skipped=num_skipped,
        )


def _joined(found: Iterable[DamagedRange]) -> Iterator[DamagedRange]:
    """Joins consecutive ranges with the same message that follow each other closely."""
    last: DamagedRange | None = None
    for each in found:
        if last is not None and last.message == each.message and each.start <= last.end:
            last = DamagedRange(last.start, max(last.end, each.end), last.message)
            continue
        if last is not None:
            yield last
        last = each
    if last is not None:
        yield last


def _frame(seconds: Decimal, sample_rate_hz: int) -> int:
    """Returns the frame nearest to a time, rounding half up."""
    return int((Fraction(seconds) * sample_rate_hz + Fraction(1, 2)) // 1)
