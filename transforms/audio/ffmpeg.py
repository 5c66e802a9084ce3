"""Decoding through FFmpeg, in PyAV's wheel: Opus, AAC, WMA, AMR and the sound of videos."""

import itertools
from collections.abc import Iterator
from typing import BinaryIO

import av
import av.error
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.codec import CodecContext
from av.container import InputContainer

from transforms.audio.errors import AudioError
from transforms.audio.truncation import DeclaredLength

VERSION = (
    f"PyAV {av.__version__} (libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))})"
)
# Formats that are told by the suffix alone, by FFmpeg's name: they have no header.
HEADERLESS = {".g722": "g722"}
# Containers by FFmpeg's names, and no other: playlists (hls, concat, dash) would open further files
# and addresses, and some of FFmpeg's formats take any text or bytes for their own.
_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,g722,matroska,mov,mp3,mpc,mpc8,mpeg,"
    "mpegts,ogg,oma,rm,shn,tak,tta,wav,wv"
)
# Beginnings of files that FFmpeg must be able to open: a failure is damage, not another format.
_KNOWN_BEGINNINGS = (
    (4, b"ftyp"),
    (0, b"\x1aE\xdf\xa3"),
    (0, b"0&\xb2u\x8ef\xcf\x11"),
    (0, b"#!AMR"),
)
# Where the length in the header is the audio's own, and how far it may be off: priming, padding
# and time stamps in milliseconds.
_LENGTH_SLACK_SECONDS = 0.25
_LENGTH_OF_STREAM = "mov,mp4,m4a,3gp,3g2,mj2"
_LENGTH_OF_CONTAINER = ("matroska,webm", "flv")
# The decoder of Opus that defines it: FFmpeg's own has speech up to 4 samples off.
_REFERENCE_OF_OPUS = "libopus"
# Full scale of FFmpeg's sample formats, planar or not, and what stands for silence.
_SAMPLE_FORMATS = {
    "u8": (2.0**7, 2.0**7),
    "s16": (2.0**15, 0.0),
    "s32": (2.0**31, 0.0),
    "s64": (2.0**63, 0.0),
    "flt": (1.0, 0.0),
    "dbl": (1.0, 0.0),
}


class FfmpegDecoder:
    """An open recording: the first audio stream of a file.

    Attributes:
      format: Container and codec, by FFmpeg's names.
      sample_rate_hz: Of the recording.
      num_channels: At its beginning.
      num_frames: None, because it can only be read from its start.
      header_seconds: About how long it is by its header; None where that does not say.
      missing: What is known to be missing at its end, in words; None where nothing is.
      position: Frames up to here are read.
    """

    name = VERSION
    num_frames = None

    def __init__(
        self, file: BinaryIO, suffix: str, otherwise: str, account: DeclaredLength | None = None
    ) -> None:
        """Opens a recording.

        Args:
          file: Seekable and binary, at its start.
          suffix: Of the file's name, with the dot.
          otherwise: What another decoder said, for the message.
          account: What that one found of the recording's end, to be held against what comes.

        Raises:
          AudioError: `unsupported_format` or `decode_error`.
          OSError: The storage fails.
        """
        beginning = file.read(16)
        file.seek(0)
        try:
            self._container = _opened(file, suffix)
        except av.error.FFmpegError as error:
            if any(beginning[at:].startswith(mark) for at, mark in _KNOWN_BEGINNINGS):
                message = f"FFmpeg cannot open it: {error.strerror}"
                raise AudioError("decode_error", message) from error
            message = f"{otherwise}; FFmpeg: {error.strerror}"
            raise AudioError("unsupported_format", message) from error
        streams = self._container.streams.audio
        if not streams:
            self.close()
            raise AudioError("unsupported_format", "the file has no audio stream")
        self._stream = streams[0]
        codec = self._stream.codec_context
        if codec is None:
            self.close()
            raise AudioError("unsupported_format", "FFmpeg has no decoder for its audio stream")
        self.format = f"{self._container.format.name} {codec.name}"
        self.sample_rate_hz = int(codec.sample_rate)
        self.num_channels = max(1, int(codec.channels))
        self._account = account or DeclaredLength()
        self.missing = self._account.missing
        self.header_seconds = self._length()
        self._codec = _reference_of_opus(codec) or codec
        self.position = 0
        self._frames = self._decoded_frames()
        self._rest = np.empty((0, self.num_channels), np.float32)
        self._error: AudioError | None = None

    def seek(self, frame: int) -> None:
        """Cannot be done: `num_frames` says so."""
        raise NotImplementedError(f"to frame {frame}")

    def read(self, num_frames: int) -> np.ndarray:
        """Returns the next float32 `[up to num_frames, num_channels]`; none at the end.

        Raises:
          AudioError: `decode_error`: it is damaged, or ends before its audio does. What was good
            before the damage has been returned.
          OSError: The storage fails.
        """
        block = self._collected(num_frames)
        self.position += len(block)
        if not len(block):
            if self._error is not None:
                raise self._error
            if missing := self._account.missing_end(self.position, self.sample_rate_hz):
                raise AudioError("decode_error", f"truncated: {missing}")
            due = self._seconds_due()
            if self.position / self.sample_rate_hz < due - _LENGTH_SLACK_SECONDS:
                raise AudioError("decode_error", f"truncated: its header promises {due:.3f} s")
        return block

    def _collected(self, num_frames: int) -> np.ndarray:
        """Returns frames of one number of channels, which may change on the way."""
        collected = [self._rest]
        num_collected = len(self._rest)
        self._rest = self._rest[:0]
        while num_collected < num_frames and self._error is None:
            try:
                samples = next(self._frames)
            except StopIteration:
                break
            except AudioError as error:
                self._error = error
                break
            if samples.shape[1] != collected[0].shape[1]:
                if num_collected:
                    self._rest = samples
                    break
                collected = []
            collected.append(samples)
            num_collected += len(samples)
        block = np.concatenate(collected)
        if len(block) > num_frames:
            block, self._rest = block[:num_frames], block[num_frames:]
        return block

    def close(self) -> None:
        """Closes the decoder, not the file."""
        self._container.close()

    def _decoded_frames(self) -> Iterator[np.ndarray]:
        try:
            packets = self._container.demux(self._stream)
            for frame in itertools.chain.from_iterable(map(self._codec.decode, packets)):
                if frame.sample_rate != self.sample_rate_hz:
                    raise AudioError(
                        "decode_error",
                        f"the sample rate changes from {self.sample_rate_hz} Hz to"
                        f" {frame.sample_rate} Hz",
                    )
                yield _float_samples(frame)
        except av.error.FFmpegError as error:
            raise AudioError("decode_error", f"FFmpeg: {error.strerror}") from error

    def _length(self) -> float | None:
        """Returns what the header says, or FFmpeg guesses by the bit rate."""
        stream = self._stream
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        duration = self._container.duration
        return float(duration / av.time_base) if duration else None

    def _seconds_due(self) -> float:
        """Returns the length in seconds by the header, or 0 where it is not the audio's own."""
        container = self._container.format.name
        stream = self._stream
        if container == _LENGTH_OF_STREAM and stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        alone = len(self._container.streams) == 1
        if container in _LENGTH_OF_CONTAINER and alone and self._container.duration:
            return float(self._container.duration / av.time_base)
        return 0.0


def _reference_of_opus(codec: AudioCodecContext) -> AudioCodecContext | None:
    """Returns the reference decoder for a stream of Opus; None for others, or where it is not."""
    if codec.name != "opus" or _REFERENCE_OF_OPUS not in av.codecs_available:
        return None
    reference = CodecContext.create(_REFERENCE_OF_OPUS, "r")
    assert isinstance(reference, AudioCodecContext)
    reference.extradata = codec.extradata
    reference.sample_rate = codec.sample_rate
    reference.options = {"request_sample_fmt": "flt"}  # 16 bits otherwise
    return reference


def _opened(file: BinaryIO, suffix: str) -> InputContainer:
    options = {"format_whitelist": _CONTAINERS, "protocol_whitelist": ""}
    try:
        return av.open(file, "r", metadata_errors="ignore", options=options)
    except av.error.FFmpegError:
        if suffix not in HEADERLESS:
            raise
    file.seek(0)
    by_name = HEADERLESS[suffix]
    return av.open(file, "r", format=by_name, metadata_errors="ignore", options=options)


def _float_samples(frame: av.AudioFrame) -> np.ndarray:
    """Returns a frame as float32 `[num_frames, num_channels]`."""
    name = frame.format.name
    if name.removesuffix("p") not in _SAMPLE_FORMATS:
        raise AudioError("unsupported_format", f"samples in FFmpeg's format {name}")
    full_scale, silence = _SAMPLE_FORMATS[name.removesuffix("p")]
    values = frame.to_ndarray()
    planar = frame.format.is_planar
    values = values.T if planar else values.reshape(-1, frame.layout.nb_channels)
    if full_scale == 1.0:
        return values.astype(np.float32)
    # In float64, where 32-bit integers are exact.
    return ((values.astype(np.float64) - silence) / full_scale).astype(np.float32)
