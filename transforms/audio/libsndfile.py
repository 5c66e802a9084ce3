"""Decoding through libsndfile: uncompressed formats, FLAC, Ogg Vorbis, MP3."""

import dataclasses
import os
from typing import Any, BinaryIO

import numpy as np
import soundfile

from transforms.audio import truncation
from transforms.audio.errors import AudioError
from transforms.corpus.clips import RawFormat

VERSION = f"libsndfile {soundfile.__libsndfile_version__}"
# Headerless encodings by the names that FFmpeg gave them; libsndfile's subtype and byte order.
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
# Where every sample stands at a place that follows from its index: a seek is exact.
_SEEKABLE_FORMATS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "RAW", "FLAC")
_SEEKABLE_SUBTYPES = (
    *("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
)
# Headers that do not know the length say so by a number that no recording reaches.
_MAX_FRAMES = 2**48
# libsndfile's codes for content in none of its formats, and for a codec that it does not have.
_UNRECOGNISED_FORMAT = 1
_UNSUPPORTED_ENCODING = 4
# The rate of Opus itself; libsndfile may decode at a lower one, which the header names.
_OPUS_RATE_HZ = 48_000


class UnknownFormatError(Exception):
    """libsndfile does not know the format, or reads it badly: another decoder may do better.

    Attributes:
      account: What was found of the recording's end, where that holds for any decoder.
    """

    def __init__(self, message: str, account: truncation.DeclaredLength | None = None) -> None:
        super().__init__(message)
        self.account = account


class LibsndfileDecoder:
    """An open recording.

    Attributes:
      format: Container and codec, by libsndfile's names.
      sample_rate_hz: Of the recording.
      num_channels: Of the recording.
      num_frames: Length of a recording that can be read from anywhere, exactly; else None.
      header_seconds: About how long it is by its header; None where that does not say.
      missing: What is known to be missing at its end, in words; None where nothing is.
      position: Frames up to here are decoded.
    """

    name = VERSION

    def __init__(self, file: BinaryIO, raw_format: RawFormat | None = None) -> None:
        """Opens a recording; the format is told by the content alone.

        Args:
          file: Seekable and binary, at its start. A file of this machine is read by libsndfile
            itself, through its descriptor; anything else through Python.
          raw_format: Of a file without a header: its content tells nothing.

        Raises:
          UnknownFormatError: Of libsndfile's formats it is none, or one for another decoder.
          AudioError: `decode_error`.
        """
        self._remembering = _Remembering(file)
        descriptor = _descriptor(file)
        how = _raw_arguments(raw_format) if raw_format else {}
        try:
            if descriptor is not None:
                # A descriptor of its own, because libsndfile closes it.
                self._sound = _Stream(os.dup(descriptor), closefd=True, **how)
            else:
                self._sound = _Stream(self._remembering, **how)
        except soundfile.LibsndfileError as error:
            self._remembering.raise_error()
            text = error.error_string.rstrip(".")
            if error.code in (_UNRECOGNISED_FORMAT, _UNSUPPORTED_ENCODING):
                raise UnknownFormatError(f"libsndfile: {text}") from error
            raise AudioError("decode_error", f"libsndfile cannot open it: {text}") from error
        # The look through the file must not move the place where libsndfile is.
        place = file.tell() if descriptor is None else os.lseek(descriptor, 0, os.SEEK_CUR)
        self._account = truncation.declared_length(self._sound, file)
        if self._account.libsndfile_stops_early:
            self.close()
            raise UnknownFormatError("libsndfile would read it in part")
        if self._sound.subtype == "OPUS":
            # The libopus in soundfile's wheels takes twice as long as the one in PyAV's.
            times = _OPUS_RATE_HZ // self._sound.samplerate
            self.close()
            raise UnknownFormatError(
                "libsndfile would take long",
                dataclasses.replace(
                    self._account,
                    num_frames=self._account.num_frames * times,
                    slack_frames=times - 1,
                ),
            )
        if descriptor is None:
            file.seek(place)
        else:
            os.lseek(descriptor, place, os.SEEK_SET)
        self.format = f"{self._sound.format} {self._sound.subtype}"
        self.sample_rate_hz: int = self._sound.samplerate
        self.num_channels: int = self._sound.channels
        self.num_frames = self._exact_length()
        num_frames = self._account.num_frames or self._sound.frames
        is_known = 0 < num_frames < _MAX_FRAMES
        self.header_seconds = num_frames / self.sample_rate_hz if is_known else None
        self.missing = self._account.missing
        self.position = 0

    def seek(self, frame: int) -> None:
        """Goes to a frame of a recording whose `num_frames` is known.

        Raises:
          AudioError: `decode_error`.
        """
        self.position = frame
        try:
            self._sound.seek(frame)
        except soundfile.LibsndfileError as error:
            self._remembering.raise_error()
            raise AudioError("decode_error", _text(error)) from error

    def read(self, num_frames: int) -> np.ndarray:
        """Returns the next float32 `[num_frames, num_channels]`; fewer or none at the end.

        Raises:
          AudioError: `decode_error`: it is damaged, or ends before its audio does.
        """
        try:
            block = self._sound.read(num_frames, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            self._remembering.raise_error()
            # The good part of the block counts too, where libsndfile knows it.
            self.position = max(self.position, self._sound.tell())
            raise AudioError("decode_error", _text(error)) from error
        self._remembering.raise_error()
        self.position += len(block)
        if not len(block):
            missing = self._account.missing_end(self.position, self.sample_rate_hz)
            if missing:
                raise AudioError("decode_error", f"truncated: {missing}")
        return np.asarray(block)

    def close(self) -> None:
        """Closes the decoder, not the file."""
        self._sound.close()

    def _exact_length(self) -> int | None:
        sound = self._sound
        exact = sound.format in _SEEKABLE_FORMATS and sound.subtype in _SEEKABLE_SUBTYPES
        known = sound.can_seek() and 0 < sound.frames < _MAX_FRAMES
        return int(sound.frames) if exact and known else None


class _Stream(soundfile.SoundFile):  # type: ignore[misc]
    """Reads on without ever seeking.

    Where a file can seek, soundfile seeks after each read to where it is already, and reads no
    further than the header's length. In MP3 and Opus that changes samples, and the length may be
    a guess.
    """

    def seekable(self) -> bool:
        """Says that it cannot seek, which keeps soundfile from doing so."""
        return False

    def can_seek(self) -> bool:
        """Tells whether it really can."""
        return bool(super().seekable())


class _Remembering:
    """A file for libsndfile's callbacks, which would take an exception for the file's end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: Exception | None = None

    def raise_error(self) -> None:
        """Raises what went wrong in a callback, if anything did."""
        if self._error is not None:
            raise self._error

    def read(self, num_bytes: int = -1) -> bytes:
        """Returns bytes, none after an error."""
        try:
            return self._file.read(num_bytes) if self._error is None else b""
        except Exception as error:
            self._error = error
            return b""

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Goes to a position; one before the file's start, as of a damaged header, is its start."""
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
    """Returns a file's descriptor, or None for one that is not of this machine."""
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
