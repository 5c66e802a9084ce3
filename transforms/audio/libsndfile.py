"""Decoding through libsndfile: uncompressed formats, FLAC, Ogg Vorbis and Opus, MP3."""

import os
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import soundfile

from transforms.audio import truncation
from transforms.audio.errors import AudioError

VERSION = f"libsndfile {soundfile.__libsndfile_version__}"
# libsndfile's codes for content in none of its formats, and for a codec that it does not have.
_UNRECOGNISED_FORMAT = 1
_UNSUPPORTED_ENCODING = 4


class UnknownFormatError(Exception):
    """libsndfile does not know the format: another decoder may."""


class LibsndfileDecoder:
    """An open recording.

    Attributes:
      sample_rate_hz: Of the recording.
      num_frames: Frames decoded so far.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Opens a recording; the format is told by the content alone.

        Args:
          file: Seekable and binary, at its start. A file of this machine is read by libsndfile
            itself, through its descriptor; anything else through Python.

        Raises:
          UnknownFormatError: Of libsndfile's formats it is none.
          AudioError: `decode_error`.
        """
        self._remembering = _Remembering(file)
        descriptor = _descriptor(file)
        try:
            if descriptor is not None:
                # A descriptor of its own, because libsndfile closes it.
                self._sound = _Stream(os.dup(descriptor), closefd=True)
            else:
                self._sound = _Stream(self._remembering)
        except soundfile.LibsndfileError as error:
            self._remembering.raise_error()
            text = error.error_string.rstrip(".")
            if error.code in (_UNRECOGNISED_FORMAT, _UNSUPPORTED_ENCODING):
                raise UnknownFormatError(f"libsndfile: {text}") from error
            raise AudioError("decode_error", f"libsndfile cannot open it: {text}") from error
        # The look through the file must not move the place where libsndfile is.
        place = file.tell() if descriptor is None else os.lseek(descriptor, 0, os.SEEK_CUR)
        self._account = truncation.account(self._sound, file)
        if self._account.is_read_in_part:
            self.close()
            raise UnknownFormatError("libsndfile would read it in part")
        if descriptor is None:
            file.seek(place)
        else:
            os.lseek(descriptor, place, os.SEEK_SET)
        self.sample_rate_hz: int = self._sound.samplerate
        self.num_frames = 0

    def blocks(self, num_values: int) -> Iterator[np.ndarray]:
        """Yields float32 `[num_frames, num_channels]` of about `num_values` values each.

        Raises:
          AudioError: `decode_error`: it is damaged, or ends before its audio does.
        """
        block_frames = max(1, num_values // self._sound.channels)
        while True:
            try:
                block = self._sound.read(block_frames, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                self._remembering.raise_error()
                # The good part of the block counts too, where libsndfile knows it.
                self.num_frames = max(self.num_frames, self._sound.tell())
                text = error.error_string.removeprefix("Error : ").rstrip(".")
                raise AudioError("decode_error", text) from error
            self._remembering.raise_error()
            if not len(block):
                break
            self.num_frames += len(block)
            yield block
        missing = self._account.missing_end(self.num_frames, self.sample_rate_hz)
        if missing:
            raise AudioError("decode_error", f"truncated: {missing}")

    def close(self) -> None:
        """Closes the decoder, not the file."""
        self._sound.close()


class _Stream(soundfile.SoundFile):  # type: ignore[misc]
    """Reads on without ever seeking.

    Where a file can seek, soundfile seeks after each read to where it is already, and reads no
    further than the header's length. In MP3 and Opus that changes samples, and the length may be
    a guess.
    """

    def seekable(self) -> bool:
        """Says that it cannot seek, which keeps soundfile from doing so."""
        return False


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
