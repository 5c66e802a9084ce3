"""Decoding with FFmpeg, as bundled with PyAV: compressed formats, and the audio of videos."""

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import av
import av.error
import numpy as np
from av.packet import Packet

from transforms.audio.decoders import ffmpeg_container
from transforms.audio.decoders.decoder import DamagedError, FilePart, UnknownFormatError
from transforms.audio.decoders.frame_samples import float_samples

VERSION = (
    f"PyAV {av.__version__} (libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))})"
)
# Timestamps are rounded, to milliseconds in Matroska, and jitter: only longer gaps are silence.
_MIN_GAP_SECONDS = 0.1
_MIN_GAP_SECONDS_AT_START = 0.0015
# In all, so that a few bytes with hostile timestamps do not become days of silence.
_MAX_SILENCE_SECONDS = 3_600.0
_SILENCE_FRAMES = 2**16
# FFmpeg counts the first page of FLAC in Ogg from 0, wherever it is. Lost pages are shorter.
_LEAST_START_SECONDS = 60.0
_MOST_PAGE_BYTES = 255 * 255
# Priming and padding, by which lengths in headers may differ from what is decoded.
_LENGTH_SLACK_SECONDS = 0.25
# A demuxer may go on after an error, but not for ever.
_MAX_DEMUX_ERRORS = 1_000
# Containers whose timestamps mean nothing.
_WITHOUT_TIMES = ("rm",)


class _Samples(NamedTuple):
    """Decoded audio, float32 `[num_frames, num_channels]`."""

    values: np.ndarray
    sample_rate_hz: int


class _Damage(NamedTuple):
    message: str
    num_seconds: float


class FfmpegDecoder:
    """A decoder of the first audio stream of a file; its attributes are those of `Decoder`.

    Audio is where its timestamps say, counted from the container's start: where it starts after the
    video, or has gaps, there is silence.
    """

    name = VERSION
    num_frames: int | None = None

    def __init__(self, part: FilePart, raw_format: str | None = None) -> None:
        """Opens a recording.

        Args:
          part: The file.
          raw_format: FFmpeg's name of a format without a header; None to detect the format.

        Raises:
          UnknownFormatError: FFmpeg does not take the file, or it has no audio.
          OSError: The storage failed.
        """
        self._part = part
        self._container = ffmpeg_container.open_container(part, raw_format)
        try:
            self._stream, self._codec = ffmpeg_container.first_audio_stream(self._container)
            names = (self._container.format.name, self._stream.codec_context.codec.canonical_name)
            self.format = " ".join(dict.fromkeys(names))
            self.sample_rate_hz = int(self._codec.sample_rate)
            self.num_channels = max(1, int(self._codec.channels))
            self.is_float = self._stream.codec_context.name.startswith(("pcm_f", "pcm_double"))
            self.header_seconds = ffmpeg_container.header_seconds(self._container, self._stream)
            self._timeline = _Timeline(self)
            self._events = self._decode()
            self._next: _Samples | _Damage | None = next(self._events, None)
        except BaseException:
            self.close()
            raise
        if isinstance(self._next, _Samples):
            # The header may have another rate, as with HE-AAC.
            self.sample_rate_hz = self._next.sample_rate_hz
            self.num_channels = self._next.values.shape[1]
        elif self.sample_rate_hz <= 0:
            self.close()
            raise UnknownFormatError("FFmpeg: no audio could be decoded")

    def seek(self, frame: int) -> None:
        """Raises an error: the recording is not seekable, as `num_frames` tells."""
        raise NotImplementedError(f"seek to frame {frame}")

    def read(self, num_frames: int) -> np.ndarray:
        """Returns the next float32 `[up to num_frames, num_channels]`; none at the end.

        Raises:
          DamagedError: Damage. All frames before it have been returned; reads go on after it.
          OSError: The storage failed.
        """
        if isinstance(self._next, _Damage):
            damage, self._next = self._next, next(self._events, None)
            raise DamagedError(damage.message, damage.num_seconds)
        if self._next is None:
            return np.empty((0, self.num_channels), np.float32)
        first = self._next
        self.sample_rate_hz = first.sample_rate_hz
        # Channels one behind the other, as most decoders give them and as they are mixed.
        block = np.empty((first.values.shape[1], num_frames), np.float32).T
        num_filled = 0
        while isinstance(self._next, _Samples) and _alike(first, self._next):
            values = self._next.values
            taken = values[: num_frames - num_filled]
            block[num_filled : num_filled + len(taken)] = taken
            num_filled += len(taken)
            if len(taken) < len(values):
                self._next = first._replace(values=values[len(taken) :])
                break
            self._next = next(self._events, None)
            if num_filled == num_frames:
                break
        return block[:num_filled]

    def is_complete(self) -> bool:
        """Returns whether all audio has been decoded that the container lists."""
        stream = self._stream
        # Only MP4 lists the samples of each stream; other durations are of the file, or guesses.
        if "mov" not in self._container.format.name or not stream.duration or not stream.time_base:
            return False
        end = float(((stream.start_time or 0) + stream.duration) * stream.time_base)
        return self._timeline.end_seconds >= end - _LENGTH_SLACK_SECONDS

    def close(self) -> None:
        """Closes the decoder, but not the file."""
        self._container.close()

    def _decode(self) -> Iterator[_Samples | _Damage]:
        """Yields samples, with silence where the timestamps have gaps, and damage between them."""
        is_pcm = self._codec.name.startswith("pcm_")
        damage, lost_seconds = "", 0.0
        for packet in self._packets():
            frames: list[av.AudioFrame] = []
            if isinstance(packet, str):
                damage = damage or packet
            else:
                self._timeline.start_packet(packet)
                try:
                    frames = self._codec.decode(packet)
                except av.error.FFmpegError as error:
                    damage = damage or f"FFmpeg: {error.strerror}"
                    lost_seconds += _duration(packet)
                if packet.is_corrupt and not is_pcm:
                    damage = damage or "a packet is truncated"
            for frame in frames:
                values = self._timeline.trim(float_samples(frame), frame)
                if not len(values):
                    continue
                gap, is_lost = self._timeline.place(frame, len(values), bool(damage))
                if damage or is_lost:
                    yield _Damage(damage or "audio is missing", gap or lost_seconds)
                    damage, lost_seconds = "", 0.0
                if gap:
                    yield from _silence(gap, values.shape[1], frame.sample_rate)
                yield _Samples(values, frame.sample_rate)
        if damage:
            yield _Damage(damage, lost_seconds)

    def _packets(self) -> Iterator[Packet | str]:
        """Yields packets, and messages of errors between them."""
        for _ in range(_MAX_DEMUX_ERRORS):
            num_packets = 0
            try:
                for packet in self._container.demux(self._stream):
                    self._part.raise_error()
                    num_packets += 1
                    # One without bytes flushes the decoder; with a time it ends a stream of NUT.
                    if packet.size or packet.pts is None:
                        yield packet
            except av.error.FFmpegError as error:
                self._part.raise_error()
                yield f"FFmpeg: {error.strerror}"
                if not num_packets:
                    return
            except IndexError:
                # At the end, behind this stream, PyAV asks for those that have appeared since.
                return
            else:
                return


class _Timeline:
    """Places audio on the time line of its container."""

    def __init__(self, decoder: FfmpegDecoder) -> None:
        container, stream = decoder._container, decoder._stream
        has_times = container.format.name not in _WITHOUT_TIMES
        self._time_base = float(stream.time_base) if stream.time_base and has_times else 0.0
        # As integers: a packet's own time base is a new `Fraction` each time, which takes as long
        # to make and multiply as a tenth of decoding MP3.
        self._tick_seconds = (stream.time_base or Fraction(0)).as_integer_ratio()
        self._start = ffmpeg_container.other_start_seconds(container, stream)
        # In FLAC every frame has its number.
        self._is_numbered = container.format.name == "flac"
        # The last packet of a track may be shorter than its frame, if times are exact.
        rate_hz = decoder.sample_rate_hz  # 0 in damaged files
        is_exact = stream.time_base and rate_hz and stream.time_base.denominator % rate_hz == 0
        self._trims = bool("mov" in container.format.name and is_exact)
        self._silence_seconds = 0.0
        self._is_first = True
        self._is_reference = decoder._codec is not stream.codec_context
        self._packet_seconds = 0.0
        self._may_start_late = decoder.format == "ogg flac"
        self._num_bytes = 0
        # Time of the audio that follows without a gap, by the timestamps.
        self.end_seconds = 0.0

    def start_packet(self, packet: Packet) -> None:
        """Takes the times of the packet that is decoded next."""
        if packet.size:  # the last one is empty, for what the decoder has delayed
            numerator, denominator = self._tick_seconds
            self._packet_seconds = (packet.duration or 0) * numerator / denominator
            self._num_bytes += packet.size
            self._may_start_late &= self._num_bytes < 2 * _MOST_PAGE_BYTES

    def trim(self, values: np.ndarray, frame: av.AudioFrame) -> np.ndarray:
        """Drops the padding of a packet that lasts less than its frame."""
        num_frames = round(self._packet_seconds * frame.sample_rate)
        return values[:num_frames] if self._trims and 0 < num_frames < len(values) else values

    def place(
        self, frame: av.AudioFrame, num_frames: int, after_damage: bool
    ) -> tuple[float, bool]:
        """Returns the seconds of silence before a frame, and whether audio is lost there."""
        gap, is_lost = 0.0, False
        if frame.pts is not None and self._time_base:
            time = frame.pts * self._time_base
            if self._is_first and self._is_reference:
                # Its time is that of the packet, whose first samples were dropped.
                time += max(0.0, self._packet_seconds - num_frames / frame.sample_rate)
            gap, is_lost = self._gap(time, frame.sample_rate, after_damage)
            goes_back = time < self.end_seconds - _MIN_GAP_SECONDS
            if gap or is_lost or goes_back or self._is_first:
                self.end_seconds = time
        self._is_first = False
        self._silence_seconds += gap
        self.end_seconds += num_frames / frame.sample_rate
        return gap, is_lost

    def _gap(self, time: float, rate_hz: int, after_damage: bool) -> tuple[float, bool]:
        if self._is_first:
            start = time if self._start is None else min(self._start, time)
            gap, least = time - start, _MIN_GAP_SECONDS_AT_START
        elif self._is_numbered or after_damage:
            gap, least = time - self.end_seconds, 0.5 / rate_hz
        else:
            gap, least = time - self.end_seconds, _MIN_GAP_SECONDS
        if gap < least:
            return 0.0, False
        if self._may_start_late and gap > _LEAST_START_SECONDS:
            self._may_start_late = False
            self.end_seconds = time  # the recording was cut out of a longer one
            return 0.0, False
        if self._silence_seconds + gap > _MAX_SILENCE_SECONDS:
            return 0.0, True
        return gap, self._is_numbered and not self._is_first


def _silence(seconds: float, num_channels: int, rate_hz: int) -> Iterator[_Samples]:
    rest = round(seconds * rate_hz)
    while rest > 0:
        num_frames = min(rest, _SILENCE_FRAMES)
        yield _Samples(np.zeros((num_frames, num_channels), np.float32), rate_hz)
        rest -= num_frames


def _duration(packet: Packet) -> float:
    return float((packet.duration or 0) * (packet.time_base or 0))


def _alike(one: _Samples, other: _Samples) -> bool:
    """Returns whether samples can be in one block."""
    return (
        one.sample_rate_hz == other.sample_rate_hz and one.values.shape[1] == other.values.shape[1]
    )
