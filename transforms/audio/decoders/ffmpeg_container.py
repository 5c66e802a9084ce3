"""Containers as FFmpeg opens them, and the time line of their audio."""

import av
import av.error
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.codec import CodecContext
from av.container import InputContainer
from av.stream import Disposition, Stream

from transforms.audio.decoders.decoder import FilePart, NoAudioError, UnknownFormatError

# The only containers that are allowed, by FFmpeg's names: playlists (hls, concat, dash) would open
# further files and URLs, and some of FFmpeg's demuxers accept any text or bytes.
_CONTAINERS = (
    "aac,ac3,adx,aiff,amr,ape,asf,au,avi,caf,dsf,dts,dtshd,eac3,flac,flv,iff,loas,matroska,mlp,mov,"
    "mp3,mpc,mpc8,mpeg,mpegts,mxf,nistsphere,nut,ogg,oma,rm,shn,sox,swf,tak,truehd,tta,voc,w64,wav,wv,"
    "xwma"
)
# The reference decoder of Opus. FFmpeg's own shifts speech by up to 4 samples.
_OPUS_REFERENCE = "libopus"
# A wrong checksum is an error only for FLAC: other encoders write checksums that are wrong.
_STRICT_CODECS = ("flac",)


def open_container(part: FilePart, raw_format: str | None = None) -> InputContainer:
    """Opens a container, which is detected by content alone.

    Args:
      part: The file. It has no name, so that FFmpeg does not judge by its suffix.
      raw_format: FFmpeg's name of a format without a header; None to detect the format.

    Raises:
      UnknownFormatError: FFmpeg does not take the file.
      OSError: The storage failed.
    """
    part.seek(0)
    options = {"format_whitelist": raw_format or _CONTAINERS, "protocol_whitelist": ""}
    try:
        container = av.open(part, "r", format=raw_format, metadata_errors="ignore", options=options)
        part.raise_error()
        return container
    except av.error.FFmpegError as error:
        part.raise_error()
        raise UnknownFormatError(f"FFmpeg: {error.strerror}") from error


def first_audio_stream(container: InputContainer) -> tuple[AudioStream, AudioCodecContext]:
    """Returns the first audio stream and its decoder.

    Raises:
      NoAudioError: There is none.
    """
    streams = container.streams.audio
    if not streams:
        raise NoAudioError("the file has no audio stream")
    codec = streams[0].codec_context
    if codec is None:
        raise NoAudioError("FFmpeg has no decoder for the audio stream")
    if codec.name in _STRICT_CODECS:
        codec.options = {"err_detect": "crccheck+explode"}
    return streams[0], _opus_reference(codec) or codec


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


def other_start_seconds(container: InputContainer, stream: AudioStream) -> float | None:
    """Returns when the other streams of a container begin; None if there are none.

    Pictures that are attached to music have no time.
    """
    starts = [
        float(other.start_time * other.time_base)
        for other in (*container.streams.video, *container.streams.audio)
        if other.index != stream.index
        and other.start_time is not None
        and other.time_base is not None
        and not _is_picture(other)
    ]
    return min(starts, default=None)


def _is_picture(stream: Stream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def header_seconds(container: InputContainer, stream: AudioStream) -> float | None:
    """Returns the length by the header, or as estimated by FFmpeg from the bit rate."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if not container.duration:
        return None
    # The duration of some containers counts from time 0.
    late = container.start_time or 0 if container.format.name.startswith("matroska") else 0
    seconds = float((container.duration - late) / av.time_base)
    return seconds if seconds > 0 else None
