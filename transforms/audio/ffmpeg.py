"""Decoding with FFmpeg, as bundled with PyAV: Opus, AAC, WMA, AMR and the audio of videos."""

import itertools
from collections.abc import Iterator
from typing import BinaryIO

import av
import av.error
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.codec import CodecContext
from av.container import InputContainer

from transforms.audio.errors import AudioError
from transforms.audio.truncation import DeclaredLength

VERSION = (
    f"PyAV {av.__version__} (libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))})"
)
# Formats without a header, detected by suffix only; FFmpeg's names.
HEADERLESS = {".g722": "g722"}
# The only containers that are allowed, by FFmpeg's names: playlists (hls, concat, dash) would open
# further files and URLs, and some of FFmpeg's demuxers accept any text or bytes.
_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,g722,matroska,mov,mp3,mpc,mpc8,mpeg,"
    "mpegts,ogg,oma,rm,shn,tak,tta,wav,wv"
)
# Offset and magic bytes of formats that FFmpeg supports: a file of them that fails is damaged.
_SIGNATURES = (
    (4, b"ftyp"),
    (0, b"\x1aE\xdf\xa3"),
    (0, b"0&\xb2u\x8ef\xcf\x11"),
    (0, b"#!AMR"),
)
# Containers whose header gives the length of the audio itself, per stream or for the file; and the
# error of that length: priming, padding and timestamps in milliseconds.
_LENGTH_SLACK_SECONDS = 0.25
_LENGTH_PER_STREAM = "mov,mp4,m4a,3gp,3g2,mj2"
_LENGTH_PER_FILE = ("matroska,webm", "flv")
# The reference decoder of Opus. FFmpeg's own shifts speech by up to 4 samples.
_OPUS_REFERENCE = "libopus"
# Full scale and silence of FFmpeg's sample formats, planar or not.
_SAMPLE_FORMATS = {
    "u8": (2.0**7, 2.0**7),
    "s16": (2.0**15, 0.0),
    "s32": (2.0**31, 0.0),
    "s64": (2.0**63, 0.0),
    "flt": (1.0, 0.0),
    "dbl": (1.0, 0.0),
}


class FfmpegDecoder:
    """A decoder of the first audio stream of a file.

    Attributes:
      format: Container and codec, by FFmpeg's names.
      sample_rate_hz: Sample rate of the recording.
      num_channels: Number of channels at the beginning.
      num_frames: None: the recording is not seekable.
      header_seconds: Approximate length by the header; None if unknown.
      missing: Description of what is known to be missing at the end; None if nothing is.
      position: Number of the next audio frame to read.
    """

    name = VERSION
    num_frames = None

    def __init__(
        self,
        file: BinaryIO,
        suffix: str,
        previous_error: str,
        declared_length: DeclaredLength | None = None,
    ) -> None:
        """Opens a recording.

        Args:
          file: Seekable binary file, at its start.
          suffix: Suffix of the file's name, with the dot.
          previous_error: Error of the decoder tried before, for the message.
          declared_length: Length of the recording as determined by that decoder.

        Raises:
          AudioError: `unsupported_format` or `decode_error`.
          OSError: The storage failed.
        """
        self._container = _open_container(file, suffix, previous_error)
        try:
            self._stream, codec = _first_audio_stream(self._container)
        except AudioError:
            self.close()
            raise
        self.format = f"{self._container.format.name} {codec.name}"
        self.sample_rate_hz = int(codec.sample_rate)
        self.num_channels = max(1, int(codec.channels))
        self._declared_length = declared_length or DeclaredLength()
        self.missing = self._declared_length.missing
        self.header_seconds = self._header_seconds()
        self._codec = _opus_reference(codec) or codec
        self.position = 0
        self._frames = self._decode_frames()
        self._rest = np.empty((0, self.num_channels), np.float32)
        self._error: AudioError | None = None

    def seek(self, frame: int) -> None:
        """Raises an error: the recording is not seekable, as `num_frames` tells."""
        raise NotImplementedError(f"seek to frame {frame}")

    def read(self, num_frames: int) -> np.ndarray:
        """Returns the next float32 `[up to num_frames, num_channels]`; none at the end.

        Raises:
          AudioError: `decode_error`: the recording is damaged or truncated. All frames before the
            damage have been returned.
          OSError: The storage failed.
        """
        block = self._next_block(num_frames)
        self.position += len(block)
        if not len(block):
            if self._error is not None:
                raise self._error
            missing = self._declared_length.missing_after(self.position, self.sample_rate_hz)
            declared = self._declared_seconds()
            if (
                not missing
                and self.position / self.sample_rate_hz < declared - _LENGTH_SLACK_SECONDS
            ):
                missing = f"the header declares {declared:.3f} s"
            if missing:
                raise AudioError("decode_error", f"truncated: {missing}")
        return block

    def _next_block(self, num_frames: int) -> np.ndarray:
        """Returns up to `num_frames` frames; ends where the number of channels changes."""
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
        """Closes the decoder, but not the file."""
        self._container.close()

    def _decode_frames(self) -> Iterator[np.ndarray]:
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

    def _header_seconds(self) -> float | None:
        """Returns the length by the header, or as estimated by FFmpeg from the bit rate."""
        stream = self._stream
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        duration = self._container.duration
        return float(duration / av.time_base) if duration else None

    def _declared_seconds(self) -> float:
        """Returns the length by the header; 0 if that may not be the length of the audio."""
        container = self._container.format.name
        stream = self._stream
        if container == _LENGTH_PER_STREAM and stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        is_only_stream = len(self._container.streams) == 1
        if container in _LENGTH_PER_FILE and is_only_stream and self._container.duration:
            return float(self._container.duration / av.time_base)
        return 0.0


def _opus_reference(codec: AudioCodecContext) -> AudioCodecContext | None:
    """Returns the reference decoder for an Opus stream; None for others, or if not available."""
    if codec.name != "opus" or _OPUS_REFERENCE not in av.codecs_available:
        return None
    reference = CodecContext.create(_OPUS_REFERENCE, "r")
    assert isinstance(reference, AudioCodecContext)
    reference.extradata = codec.extradata
    reference.sample_rate = codec.sample_rate
    reference.options = {"request_sample_fmt": "flt"}  # the default is 16-bit integers
    return reference


def _open_container(file: BinaryIO, suffix: str, previous_error: str) -> InputContainer:
    beginning = file.read(16)
    file.seek(0)
    options = {"format_whitelist": _CONTAINERS, "protocol_whitelist": ""}
    try:
        try:
            return av.open(file, "r", metadata_errors="ignore", options=options)
        except av.error.FFmpegError:
            if suffix not in HEADERLESS:
                raise
        file.seek(0)
        name = HEADERLESS[suffix]
        return av.open(file, "r", format=name, metadata_errors="ignore", options=options)
    except av.error.FFmpegError as error:
        if any(beginning[offset:].startswith(magic) for offset, magic in _SIGNATURES):
            message = f"FFmpeg cannot open the file: {error.strerror}"
            raise AudioError("decode_error", message) from error
        message = f"{previous_error}; FFmpeg: {error.strerror}"
        raise AudioError("unsupported_format", message) from error


def _first_audio_stream(container: InputContainer) -> tuple[AudioStream, AudioCodecContext]:
    streams = container.streams.audio
    if not streams:
        raise AudioError("unsupported_format", "the file has no audio stream")
    codec = streams[0].codec_context
    if codec is None:
        raise AudioError("unsupported_format", "FFmpeg has no decoder for the audio stream")
    return streams[0], codec


def _float_samples(frame: av.AudioFrame) -> np.ndarray:
    """Converts a frame to float32 `[num_frames, num_channels]`."""
    name = frame.format.name
    if name.removesuffix("p") not in _SAMPLE_FORMATS:
        raise AudioError("unsupported_format", f"FFmpeg's sample format {name}")
    full_scale, silence = _SAMPLE_FORMATS[name.removesuffix("p")]
    values = frame.to_ndarray()
    planar = frame.format.is_planar
    values = values.T if planar else values.reshape(-1, frame.layout.nb_channels)
    if full_scale == 1.0:
        return values.astype(np.float32)
    # float64 represents 32-bit integers exactly.
    return ((values.astype(np.float64) - silence) / full_scale).astype(np.float32)
