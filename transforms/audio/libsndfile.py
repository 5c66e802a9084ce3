"""Decoding with libsndfile: uncompressed formats, FLAC, Ogg Vorbis, MP3."""

import dataclasses
import os
from typing import Any, BinaryIO

import numpy as np
import soundfile

from transforms.audio import truncation
from transforms.audio.errors import AudioError
from transforms.audio.truncation import DeclaredLength
from transforms.corpus.clips import RawFormat

VERSION = f"libsndfile {soundfile.__libsndfile_version__}"
# Encodings of files without a header, by FFmpeg's names; libsndfile's subtype and byte order.
RAW_FORMATS = {
    "s8": ("PCM_S8", "FILE"),
    "u8": ("PCM_U8", "FILE"),
    "s16le": ("PCM_16", "LITTLE"),
    "s16be": ("PCM_16", "BIG"),
    "s24le": ("PCM_24", "LITTLE"),
    "s24be": ("PCM_24", "BIG"),
    "s32le": ("PCM_32", "LITTLE"),
    "s32be": ("PCM_32", "BIG"),
    "f32le": ("FLOAT", "LITTLE"),
    "f32be": ("FLOAT", "BIG"),
    "f64le": ("DOUBLE", "LITTLE"),
    "f64be": ("DOUBLE", "BIG"),
    "mulaw": ("ULAW", "FILE"),
    "alaw": ("ALAW", "FILE"),
    "gsm": ("GSM610", "FILE"),
}
# Formats in which a sample's index determines its position in the file, so that seeks are exact.
_SEEKABLE_FORMATS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "RAW", "FLAC")
_SEEKABLE_SUBTYPES = (
    *("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
)
# Headers of unknown length contain a number that no recording reaches.
_MAX_FRAMES = 2**48
# libsndfile's error codes.
_UNRECOGNISED_FORMAT = 1
_UNSUPPORTED_ENCODING = 4
# The native rate of Opus. libsndfile decodes at the rate in the header, which may be lower.
_OPUS_RATE_HZ = 48_000


class UnknownFormatError(Exception):
    """The recording is better read by another decoder, because libsndfile has limited support.

    Attributes:
      declared_length: Length of the recording, if it is valid for other decoders, too.
    """

    def __init__(self, message: str, declared_length: DeclaredLength | None = None) -> None:
        super().__init__(message)
        self.declared_length = declared_length


class LibsndfileDecoder:
    """A decoder of a recording.

    Attributes:
      format: Container and codec, by libsndfile's names.
      sample_rate_hz: Sample rate of the recording.
      num_channels: Number of channels.
      num_frames: Exact length of a seekable recording; None if it is not seekable.
      header_seconds: Approximate length by the header; None if unknown.
      missing: Description of what is known to be missing at the end; None if nothing is.
      position: Number of the next audio frame to read.
    """

    name = VERSION

    def __init__(self, file: BinaryIO, raw_format: RawFormat | None = None) -> None:
        """Opens a recording, whose format is detected by content.

        Args:
          file: Seekable binary file, at its start. libsndfile reads a local file itself, through
            its descriptor; any other file is read through Python.
          raw_format: Encoding of a file without a header; None for all other files.

        Raises:
          UnknownFormatError: libsndfile does not support the format, or another decoder is better.
          AudioError: `decode_error`.
        """
        self._file = _ErrorCapturingFile(file)
        descriptor = _descriptor(file)
        self._sound = self._open(descriptor, raw_format)
        # Restores libsndfile's position in the file afterwards.
        position = file.tell() if descriptor is None else os.lseek(descriptor, 0, os.SEEK_CUR)
        self._declared_length = truncation.declared_length(self._sound, file)
        self._check_other_decoders()
        if descriptor is None:
            file.seek(position)
        else:
            os.lseek(descriptor, position, os.SEEK_SET)
        self.format = f"{self._sound.format} {self._sound.subtype}"
        self.sample_rate_hz: int = self._sound.samplerate
        self.num_channels: int = self._sound.channels
        self.num_frames = self._exact_length()
        num_frames = self._declared_length.num_frames or self._sound.frames
        is_known = 0 < num_frames < _MAX_FRAMES
        self.header_seconds = num_frames / self.sample_rate_hz if is_known else None
        self.missing = self._declared_length.missing
        self.position = 0

    def _open(self, descriptor: int | None, raw_format: RawFormat | None) -> "_SequentialSoundFile":
        arguments = _raw_arguments(raw_format) if raw_format else {}
        try:
            if descriptor is None:
                return _SequentialSoundFile(self._file, **arguments)
            # A duplicate, because libsndfile closes its descriptor.
            return _SequentialSoundFile(os.dup(descriptor), closefd=True, **arguments)
        except soundfile.LibsndfileError as error:
            self._file.raise_error()
            text = error.error_string.rstrip(".")
            if error.code in (_UNRECOGNISED_FORMAT, _UNSUPPORTED_ENCODING):
                raise UnknownFormatError(f"libsndfile: {text}") from error
            raise AudioError("decode_error", f"libsndfile cannot open the file: {text}") from error

    def _check_other_decoders(self) -> None:
        """Closes the recording and raises `UnknownFormatError` if another decoder is better."""
        if self._declared_length.libsndfile_stops_early:
            self.close()
            raise UnknownFormatError("libsndfile would stop before the end")
        if self._sound.subtype == "OPUS":
            # The libopus in soundfile's wheels takes twice as long as the one in PyAV's.
            factor = _OPUS_RATE_HZ // self._sound.samplerate
            self.close()
            raise UnknownFormatError(
                "libsndfile decodes Opus slowly",
                dataclasses.replace(
                    self._declared_length,
                    num_frames=self._declared_length.num_frames * factor,
                    slack_frames=factor - 1,
                ),
            )

    def seek(self, frame: int) -> None:
        """Goes to a frame of a seekable recording.

        Raises:
          AudioError: `decode_error`.
        """
        self.position = frame
        try:
            self._sound.seek(frame)
        except soundfile.LibsndfileError as error:
            self._file.raise_error()
            raise AudioError("decode_error", _text(error)) from error

    def read(self, num_frames: int) -> np.ndarray:
        """Returns the next float32 `[num_frames, num_channels]`; fewer or none at the end.

        Raises:
          AudioError: `decode_error`: the recording is damaged or truncated.
        """
        try:
            block = self._sound.read(num_frames, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            self._file.raise_error()
            # Counts the frames of the block before the damage, if libsndfile knows them.
            self.position = max(self.position, self._sound.tell())
            raise AudioError("decode_error", _text(error)) from error
        self._file.raise_error()
        self.position += len(block)
        if not len(block):
            missing = self._declared_length.missing_after(self.position, self.sample_rate_hz)
            if missing:
                raise AudioError("decode_error", f"truncated: {missing}")
        return np.asarray(block)

    def close(self) -> None:
        """Closes the decoder, but not the file."""
        self._sound.close()

    def _exact_length(self) -> int | None:
        sound = self._sound
        is_exact = sound.format in _SEEKABLE_FORMATS and sound.subtype in _SEEKABLE_SUBTYPES
        is_known = sound.can_seek() and 0 < sound.frames < _MAX_FRAMES
        return int(sound.frames) if is_exact and is_known else None


class _SequentialSoundFile(soundfile.SoundFile):  # type: ignore[misc]
    """A `SoundFile` that reads without seeking.

    soundfile seeks to the current position after each read of a seekable file, and stops at the
    length in the header. For MP3 and Opus such seeks change samples, and the length may be an
    estimate.
    """

    def seekable(self) -> bool:
        """Returns False, which keeps soundfile from seeking."""
        return False

    def can_seek(self) -> bool:
        """Returns whether the file is seekable."""
        return bool(super().seekable())


class _ErrorCapturingFile:
    """A file for libsndfile's callbacks, which would treat an exception as the end of the file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: Exception | None = None

    def raise_error(self) -> None:
        """Raises the error that occurred in a callback, if any."""
        if self._error is not None:
            raise self._error

    def read(self, num_bytes: int = -1) -> bytes:
        """Reads bytes; returns none after an error."""
        try:
            return self._file.read(num_bytes) if self._error is None else b""
        except Exception as error:
            self._error = error
            return b""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Goes to a position; to the start for a negative one, as from a damaged header."""
        try:
            return self._file.seek(offset, whence)
        except ValueError:
            return self._file.seek(0)
        except Exception as error:
            self._error = error
            return 0

    def tell(self) -> int:
        """Returns the position."""
        return self._file.tell()


def _descriptor(file: BinaryIO) -> int | None:
    """Returns the descriptor of a local file; None for any other file."""
    try:
        return file.fileno()
    except (AttributeError, OSError):
        return None


def _raw_arguments(raw_format: RawFormat) -> dict[str, Any]:
    subtype, endian = RAW_FORMATS[raw_format.name]
    return {
        "format": "RAW",
        "subtype": subtype,
        "endian": endian,
        "samplerate": raw_format.sample_rate_hz,
        "channels": raw_format.num_channels,
    }


def _text(error: soundfile.LibsndfileError) -> str:
    return str(error.error_string.removeprefix("Error : ").rstrip("."))
