"""Decoding of the spans of a recording in one pass."""

import heapq
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

from transforms.audio import decoding
from transforms.audio.errors import AudioError
from transforms.audio.recording import Recording
from transforms.audio.span_patches import SpanPatches
from transforms.corpus.clips import Failure
from transforms.corpus.runs import DamagedAudio, DecodedClip, PatchRun
from transforms.corpus.spans import DecodeTask, FramingConfig, Span, cut_into_pieces

Decoded = PatchRun | DamagedAudio | DecodedClip | Failure


def decode_spans(
    open_file: Callable[[], AbstractContextManager[BinaryIO]],
    decode_task: DecodeTask,
    framing: FramingConfig,
    suffix: str = "",
) -> Iterator[Decoded]:
    """Decodes the spans of a task, each audio frame of the recording once.

    Of a seekable recording only the spans are read, and it is reopened after damage. Any other is
    read from its start, and damage fails all spans from there on.

    Args:
      open_file: Opens the recording's file.
      decode_task: The recording and its spans.
      framing: How clips are cut into patches.
      suffix: Suffix of the recording's name, in lower case and with the dot.

    Yields:
      The patches of each span, in order, and its damage, if that is kept; a `DecodedClip` after the
      last span of each clip; and a `Failure` for each span that fails, after which earlier patches
      of it are void.
    """
    return iter(_TaskDecoder(open_file, decode_task, framing, suffix))


class _TaskDecoder:
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
        self._queue = _SpanQueue(decode_task, framing)
        self._active: list[SpanPatches] = []

    def __iter__(self) -> Iterator[Decoded]:
        clip = self._decode_task.spans[0].clip
        while self._active or self._queue:
            recording = None
            try:
                with (
                    self._open_file() as file,
                    decoding.open_recording(
                        file,
                        self._suffix,
                        clip.raw_format,
                        self._framing.channel if clip.channel is None else clip.channel,
                        self._framing.keep_damaged,
                    ) as recording,
                ):
                    self._queue.open(recording)
                    yield from self._read(recording)
            except AudioError as error:
                yield from self._failures(error.reason, str(error), recording)
            except FileNotFoundError as error:
                yield from self._failures("not_found", error.strerror or str(error))
            except OSError as error:
                yield from self._failures("unreadable", error.strerror or str(error))

    def _read(self, recording: Recording) -> Iterator[Decoded]:
        while True:
            yield from self._start(recording.position)
            upcoming = self._queue.first_frame()
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
            for patches in self._active:
                yield from patches.damages(recording.damaged)
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
                    yield from self._finish(patches, recording.decoder)

    def _start(self, position: int) -> Iterator[Failure]:
        """Activates the spans that begin here."""
        while self._queue.first_frame() == position:
            patches = self._queue.take()
            if patches.end_frame is not None and patches.end_frame <= patches.first_frame:
                if not patches.span.is_remainder:
                    message = "there is no sample between the clip's start and end"
                    yield _failure(patches.span, "empty", message)
            else:
                self._active.append(patches)

    def _finish(self, patches: SpanPatches, decoder: str) -> Iterator[Decoded]:
        try:
            yield from patches.finish(decoder)
        except AudioError as error:
            yield _failure(patches.span, error.reason, str(error))

    def _end(self, recording: Recording) -> Iterator[Decoded]:
        """Finishes the active spans, and fails those that begin after the recording's end."""
        active, self._active = self._active, []
        for patches in active:
            if patches.num_frames or (patches.span.is_remainder and patches.damage):
                yield from self._finish(patches, recording.decoder)
        out_of_range = [
            each.span for each in active if not each.num_frames and not each.span.is_remainder
        ]
        seconds = recording.position / recording.sample_rate_hz
        for span in [*out_of_range, *self._queue.take_all()]:
            start = span.clip.start_seconds - span.clip.recording_offset_seconds
            message = f"the recording ends after {seconds:.3f} s, and the clip starts at {start} s"
            yield _failure(span, "out_of_range", message)

    def _failures(
        self, reason: str, message: str, recording: Recording | None = None
    ) -> Iterator[Failure]:
        """Fails the active spans or else the next one, and all spans that can no longer be read."""
        failed = [patches.span for patches in self._active]
        self._active = []
        num_frames = None if recording is None else recording.num_frames
        upcoming = self._queue.first_frame()
        if num_frames is None or reason != "decode_error":
            if not failed:
                failed = [self._queue.take_span()]
            failed += self._queue.take_all()
        elif not failed:
            # Afterwards the recording is reopened, and read from after the damage on.
            assert upcoming is not None
            is_at_end = upcoming >= num_frames
            failed = self._queue.take_all() if is_at_end else [self._queue.take_span()]
        for span in failed:
            yield _failure(span, reason, message)


class _SpanQueue:
    """The spans that have not begun, in the order of their first frames."""

    def __init__(self, decode_task: DecodeTask, framing: FramingConfig) -> None:
        self._spans = decode_task.spans
        self._framing = framing
        self._is_ended = False
        self._upcoming: Iterator[SpanPatches] | None = None
        self._next: SpanPatches | None = None

    def __bool__(self) -> bool:
        return not self._is_ended and (self._upcoming is None or self._next is not None)

    def open(self, recording: Recording) -> None:
        """Sorts the spans by the recording's rate and length; has no effect the second time."""
        if self._upcoming is None:
            by_span = [
                (
                    SpanPatches(
                        each,
                        self._framing,
                        recording.sample_rate_hz,
                        recording.num_frames,
                        recording.is_float,
                    )
                    for each in self._cut(span)
                )
                for span in self._spans
            ]
            self._upcoming = heapq.merge(*by_span, key=lambda patches: patches.first_frame)
            self._next = next(self._upcoming, None)

    def first_frame(self) -> int | None:
        """Returns the first frame of the next span; None if there is none."""
        return None if self._next is None else self._next.first_frame

    def take(self) -> SpanPatches:
        """Takes the next span, which must exist."""
        assert self._upcoming is not None
        assert self._next is not None
        taken, self._next = self._next, next(self._upcoming, None)
        return taken

    def take_span(self) -> Span:
        """Takes the next span, which must exist; works before `open`, too."""
        if self._upcoming is not None:
            return self.take().span
        span, *others = self._spans
        self._spans = tuple(others)
        return next(self._cut(span))

    def take_all(self) -> list[Span]:
        """Takes all spans but remainders, and ends the queue."""
        if self._upcoming is None:
            spans = [next(self._cut(span)) for span in self._spans]
        else:
            self._is_ended = True  # ends the endless pieces of a clip without `end_seconds`
            spans = []
            while self._next is not None:
                spans.append(self.take().span)
        self._is_ended = True
        self._spans = ()
        return [span for span in spans if not span.is_remainder]

    def _cut(self, span: Span) -> Iterator[Span]:
        if self._framing.clip_seconds is None:
            yield span
            return
        for index, clip in enumerate(cut_into_pieces(span.clip, self._framing.clip_seconds)):
            if index and self._is_ended:
                return
            yield Span(clip, is_remainder=span.is_remainder or index > 0)


def _failure(span: Span, reason: str, message: str) -> Failure:
    return span.clip.failure("decode", reason, message)
