"""One pass over a recording, for all the spans that want something of it."""

import heapq
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

from transforms.audio import decoding
from transforms.audio.decoding import Recording
from transforms.audio.errors import AudioError
from transforms.audio.span_patches import SpanPatches
from transforms.corpus.clips import Failure
from transforms.corpus.runs import DecodedClip, PatchRun
from transforms.corpus.spans import DecodeTask, FramingConfig, Span, cut_into_pieces


def decode_spans(
    open_file: Callable[[], AbstractContextManager[BinaryIO]],
    decode_task: DecodeTask,
    framing: FramingConfig,
    suffix: str = "",
) -> Iterator[PatchRun | DecodedClip | Failure]:
    """Reads what a reading wants, each frame of the recording once.

    A recording that can be read from anywhere is read at the spans only, and opened again behind
    damage. Any other is read from its start, and damage ends all that reaches it.

    Args:
      open_file: Opens the recording.
      decode_task: What is wanted.
      framing: How clips become patches.
      suffix: Of the recording's name, lower case with the dot.

    Yields:
      The patches of each span in their order; with the last span of each clip `DecodedClip`; and a
      `Failure` for a span that cannot be had, some of whose patches may have come before.
    """
    return iter(_Pass(open_file, decode_task, framing, suffix))


class _Pass:
    def __init__(
        self,
        open_file: Callable[[], AbstractContextManager[BinaryIO]],
        decode_task: DecodeTask,
        framing: FramingConfig,
        suffix: str,
    ) -> None:
        self._open_file = open_file
        self._decode_task = decode_task
        self._framing = framing
        self._suffix = suffix
        self._waiting = _Waiting(decode_task, framing)
        self._active: list[SpanPatches] = []

    def __iter__(self) -> Iterator[PatchRun | DecodedClip | Failure]:
        clip = self._decode_task.spans[0].clip
        while self._active or self._waiting:
            recording = None
            try:
                with (
                    self._open_file() as file,
                    decoding.open_recording(
                        file, self._suffix, clip.raw_format, self._framing.channel
                    ) as recording,
                ):
                    self._waiting.open(recording)
                    yield from self._read(recording)
            except AudioError as error:
                yield from self._failures(error.reason, str(error), recording)
            except FileNotFoundError as error:
                yield from self._failures("not_found", error.strerror or str(error))
            except OSError as error:
                yield from self._failures("unreadable", error.strerror or str(error))

    def _read(self, recording: Recording) -> Iterator[PatchRun | DecodedClip | Failure]:
        while True:
            yield from self._start(recording.position)
            upcoming = self._waiting.first_frame()
            if not self._active:
                if upcoming is None:
                    return
                recording.seek(upcoming)
                if recording.position < upcoming:
                    yield from self._end(recording)
                    return
                continue
            ends = [each.end_frame for each in self._active if each.end_frame is not None]
            until = min([*ends, *([] if upcoming is None else [upcoming])], default=None)
            block = recording.read(None if until is None else until - recording.position)
            if not len(block):
                yield from self._end(recording)
                return
            for patches in list(self._active):
                try:
                    yield from patches.push(block)
                except AudioError as error:
                    self._active.remove(patches)
                    yield _failure(patches.span, error.reason, str(error))
                    continue
                if patches.end_frame is not None and recording.position >= patches.end_frame:
                    self._active.remove(patches)
                    yield from self._finished(patches, recording.decoder)

    def _start(self, position: int) -> Iterator[Failure]:
        """Makes active what begins here."""
        while self._waiting.first_frame() == position:
            patches = self._waiting.take()
            if patches.end_frame is not None and patches.end_frame <= patches.first_frame:
                if not patches.span.is_remainder:
                    why = "no sample lies between the clip's start and its end"
                    yield _failure(patches.span, "empty", why)
            else:
                self._active.append(patches)

    def _finished(
        self, patches: SpanPatches, decoder: str
    ) -> Iterator[PatchRun | DecodedClip | Failure]:
        try:
            yield from patches.finish(decoder)
        except AudioError as error:
            yield _failure(patches.span, error.reason, str(error))

    def _end(self, recording: Recording) -> Iterator[PatchRun | DecodedClip | Failure]:
        """Finishes what was being read, and fails what begins behind the recording's end."""
        active, self._active = self._active, []
        for patches in active:
            if patches.num_frames:
                yield from self._finished(patches, recording.decoder)
        behind = [
            each.span for each in active if not each.num_frames and not each.span.is_remainder
        ]
        seconds = recording.position / recording.sample_rate_hz
        for span in [*behind, *self._waiting.rest()]:
            begins = span.clip.start_seconds - span.clip.recording_offset_seconds
            message = f"the recording ends after {seconds:.3f} s, and the clip begins at {begins} s"
            yield _failure(span, "out_of_range", message)

    def _failures(
        self, reason: str, message: str, recording: Recording | None = None
    ) -> Iterator[Failure]:
        """Fails what was being read, or else was to be read next, and what damage cuts off."""
        failed = [patches.span for patches in self._active]
        self._active = []
        num_frames = None if recording is None else recording.num_frames
        upcoming = self._waiting.first_frame()
        if num_frames is None or reason != "decode_error":
            if not failed:
                failed = [self._waiting.next_span()]
            failed += self._waiting.rest()
        elif not failed:
            # The recording is opened again, and read behind the damage.
            assert upcoming is not None
            behind_the_end = upcoming >= num_frames
            failed = self._waiting.rest() if behind_the_end else [self._waiting.next_span()]
        for span in failed:
            yield _failure(span, reason, message)


class _Waiting:
    """The spans that are still to be read, in the order of their first frames."""

    def __init__(self, decode_task: DecodeTask, framing: FramingConfig) -> None:
        self._spans = decode_task.spans
        self._framing = framing
        self._ended = False
        self._queue: Iterator[SpanPatches] | None = None
        self._next: SpanPatches | None = None

    def __bool__(self) -> bool:
        return not self._ended and (self._queue is None or self._next is not None)

    def open(self, recording: Recording) -> None:
        """Takes notice of the recording's rate and length, the first time."""
        if self._queue is None:
            of_each = [
                (
                    SpanPatches(each, self._framing, recording.sample_rate_hz, recording.num_frames)
                    for each in self._cut(span)
                )
                for span in self._spans
            ]
            self._queue = heapq.merge(*of_each, key=lambda patches: patches.first_frame)
            self._next = next(self._queue, None)

    def first_frame(self) -> int | None:
        """Returns where the next span begins, or None."""
        return None if self._next is None else self._next.first_frame

    def take(self) -> SpanPatches:
        """Returns the next span, which must be there."""
        assert self._queue is not None
        assert self._next is not None
        taken, self._next = self._next, next(self._queue, None)
        return taken

    def next_span(self) -> Span:
        """Takes and returns the next span, which must be there; it need not have been opened."""
        if self._queue is not None:
            return self.take().span
        span, *others = self._spans
        self._spans = tuple(others)
        return next(self._cut(span))

    def rest(self) -> list[Span]:
        """Takes and returns the clips that were asked for and have not begun; ends the queue."""
        if self._queue is None:
            spans = [next(self._cut(span)) for span in self._spans]
        else:
            self._ended = True  # where clips are cut off an end that is not known, no more come
            spans = []
            while self._next is not None:
                spans.append(self.take().span)
        self._ended = True
        self._spans = ()
        return [span for span in spans if not span.is_remainder]

    def _cut(self, span: Span) -> Iterator[Span]:
        if self._framing.clip_seconds is None:
            yield span
            return
        for index, clip in enumerate(cut_into_pieces(span.clip, self._framing.clip_seconds)):
            if index and self._ended:
                return
            yield Span(clip, is_remainder=span.is_remainder or index > 0)


def _failure(span: Span, reason: str, message: str) -> Failure:
    return span.clip.failure("decode", reason, message)
