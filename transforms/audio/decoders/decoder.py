"""What decoders have in common: damage that they find, and views of files for them."""

import os
from typing import BinaryIO, Protocol

import numpy as np


class DamagedError(Exception):
    """Audio that is missing or does not decode, at the decoder's position.

    Attributes:
      num_seconds: Length of the audio that is lost; 0 if it is unknown.
      is_end: Whether nothing can be read after it.
    """

    def __init__(self, message: str, num_seconds: float = 0.0, *, is_end: bool = False) -> None:
        super().__init__(message)
        self.num_seconds = num_seconds
        self.is_end = is_end


class UnknownFormatError(Exception):
    """A decoder does not take the file."""


class NoAudioError(UnknownFormatError):
    """A decoder takes the file, and there is no audio that it decodes."""


class Decoder(Protocol):
    """A decoder of an open recording.

    Attributes:
      name: Name and version of the decoder.
      format: Container and codec, by the decoder's names.
      sample_rate_hz: Sample rate of the block read last, or else of the first one.
      num_channels: Number of channels at the beginning.
      num_frames: Exact length of a seekable recording; None if it is not seekable.
      header_seconds: Approximate length by the header; None if unknown.
      is_float: Whether the samples are stored as floats, so that they may be anything.
    """

    name: str
    format: str
    sample_rate_hz: int
    num_channels: int
    num_frames: int | None
    header_seconds: float | None
    is_float: bool

    def seek(self, frame: int) -> None:
        """Goes to a frame of a seekable recording.

        Raises:
          DamagedError: The frame cannot be reached.
        """

    def read(self, num_frames: int) -> np.ndarray:
        """Returns the next float32 `[up to num_frames, num_channels]`; none at the end.

        All frames of a block have one sample rate and number of channels.

        Raises:
          DamagedError: Damage. All frames before it have been returned; reads go on after it.
          OSError: The storage failed.
        """

    def is_complete(self) -> bool:
        """Returns whether all audio has been decoded that the container lists."""

    def close(self) -> None:
        """Closes the decoder, but not the file."""


class FilePart:
    """A part of a file, without its name, as a file for decoders.

    Decoders take an exception of a file for its end, so that it is kept for `raise_error`.

    Attributes:
      size: Number of bytes.
    """

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        """Presents the bytes `[start, end)` of a file."""
        self.size = end - start
        self._file = file
        self._start = start
        self._position = 0
        self._error: Exception | None = None

    def part(self, start: int, end: int) -> "FilePart":
        """Returns the bytes `[start, end)` of the part as a part of their own."""
        return FilePart(self._file, self._start + start, self._start + end)

    def raise_error(self) -> None:
        """Raises the error that occurred in a call by a decoder, if any."""
        if self._error is not None:
            raise self._error

    def read(self, num_bytes: int = -1) -> bytes:
        """Reads bytes; returns none after an error."""
        rest = self.size - self._position
        wanted = rest if num_bytes < 0 else min(num_bytes, rest)
        if self._error is not None:
            return b""
        try:
            self._file.seek(self._start + self._position)
            data = self._file.read(wanted)
        except Exception as error:
            self._error = error
            return b""
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Goes to a position, to the start for a negative one, as from a damaged header.

        Returns:
          The position; -1, as the operating system, for one that lies behind the end.
        """
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        if origin + offset > self.size:
            return -1
        self._position = max(0, origin + offset)
        return self._position

    def tell(self) -> int:
        """Returns the position."""
        return self._position

    def descriptor(self) -> int | None:
        """Returns the descriptor of a whole local file, at its start; None for any other part."""
        try:
            descriptor = self._file.fileno()
        except (AttributeError, OSError):
            return None
        # Also makes Python drop its buffer and its cached position of the descriptor.
        if self._start or self._file.seek(0, os.SEEK_END) != self.size:
            return None
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor
