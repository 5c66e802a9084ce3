"""Decoding with libsndfile: encodings in which every frame has its place, and FLAC."""

import os
from typing import Any, NamedTuple

import numpy as np
import soundfile

from transforms.audio.decoders.decoder import DamagedError, FilePart, UnknownFormatError

VERSION = f"libsndfile {soundfile.__libsndfile_version__}"
# Formats in which a sample's index determines its position in the file, so that seeks are exact.
_SEEKABLE_FORMATS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "RAW", "FLAC")
_SEEKABLE_SUBTYPES = (
    *("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
)
# FFmpeg loses the last frames of some recordings in these encodings.
_BETTER_SUBTYPES = ("VORBIS", "ALAC_16", "ALAC_20", "ALAC_24", "ALAC_32")
# The beginnings of files in these formats, and names of the formats.
_MAGIC = {
    **dict.fromkeys((b"RIFF", b"RIFX"), "WAV"),
    **dict.fromkeys((b".snd", b"dns."), "AU"),
    b"RF64": "RF64",
    b"riff": "W64",
    b"FORM": "AIFF",
    b"caff": "CAF",
    b"NIST": "NIST",
    b"fLaC": "FLAC",
}
# Headers of unknown length contain a number that no recording reaches.
_MAX_FRAMES = 2**48
# A length by a header that is not exact.
_SLACK_SECONDS = 0.25


class RawEncoding(NamedTuple):
    """The encoding of samples without a header, by libsndfile's names."""

    subtype: str
    endian: str
    sample_rate_hz: int
    num_channels: int
    container: str = "RAW"

    def arguments(self) -> dict[str, Any]:
        """Returns the arguments of `SoundFile`."""
        return {
            "format": "RAW",
            "subtype": self.subtype,
            "endian": self.endian,
            "samplerate": self.sample_rate_hz,
            "channels": self.num_channels,
        }


class LibsndfileDecoder:
    """A decoder of a recording; its attributes are those of `Decoder`, and these.

    Attributes:
      is_better: Whether FFmpeg is a worse decoder for the recording.
    """

    name = VERSION

    def __init__(
        self, part: FilePart, raw: RawEncoding | None = None, num_frames: int | None = None
    ) -> None:
        """Opens a recording, whose format is detected by content.

        Args:
          part: The file. libsndfile reads a whole local file itself, through its descriptor; any
            other file is read through Python.
          raw: Encoding of a file without a header; None for all other files.
          num_frames: Length of the recording, if it is known; libsndfile's is that of the header.

        Raises:
          UnknownFormatError: libsndfile does not take the file.
          OSError: The storage failed.
        """
        self._part = part
        self._sound = self._open(part, raw)
        sound = self._sound
        if sound.format == "SD2":
            # Its header is another file. Opened without a name, that is `._` of the current folder.
            self.close()
            raise UnknownFormatError("libsndfile: Format not recognised")
        self.format = f"{raw.container if raw else sound.format} {sound.subtype}"
        self.sample_rate_hz = int(sound.samplerate)
        self.num_channels = int(sound.channels)
        self.is_float = sound.subtype in ("FLOAT", "DOUBLE")
        is_known = 0 < sound.frames < _MAX_FRAMES
        self._header_frames = int(sound.frames) if is_known else None
        is_exact = sound.format in _SEEKABLE_FORMATS and sound.subtype in _SEEKABLE_SUBTYPES
        # FLAC's header may claim anything; libsndfile checks other headers against the file.
        header_frames = None if sound.format == "FLAC" else self._header_frames
        length = num_frames or header_frames
        self.num_frames = length if is_exact and sound.can_seek() else None
        self.is_better = is_exact or sound.subtype in _BETTER_SUBTYPES
        self.header_seconds = length / self.sample_rate_hz if length else None
        self._position = 0

    def _open(self, part: FilePart, raw: "RawEncoding | None") -> "_SequentialSoundFile":
        arguments = raw.arguments() if raw else {}
        descriptor = part.descriptor()
        try:
            if descriptor is None:
                part.seek(0)
                return _SequentialSoundFile(part, **arguments)
            # A duplicate, because libsndfile closes its descriptor.
            return _SequentialSoundFile(os.dup(descriptor), closefd=True, **arguments)
        except soundfile.LibsndfileError as error:
            self._part.raise_error()
            raise UnknownFormatError(f"libsndfile: {_text(error)}") from error

    def seek(self, frame: int) -> None:
        """Goes to a frame of a seekable recording.

        Raises:
          DamagedError: The frame cannot be reached.
        """
        self._position = frame
        try:
            self._sound.seek(frame)
        except soundfile.LibsndfileError as error:
            self._part.raise_error()
            raise DamagedError(f"libsndfile: {_text(error)}", is_end=True) from error

    def read(self, num_frames: int) -> np.ndarray:
        """Returns the next float32 `[up to num_frames, num_channels]`; none at the end.

        Raises:
          DamagedError: The recording is damaged; nothing can be read afterwards.
          OSError: The storage failed.
        """
        if self.num_frames is not None:
            # Beyond the end there may be tags, on which decoders break.
            num_frames = min(num_frames, max(0, self.num_frames - self._position))
            if not num_frames:
                self._part.raise_error()
                return np.empty((0, self.num_channels), np.float32)
        try:
            block = self._sound.read(num_frames, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            self._part.raise_error()
            raise DamagedError(f"libsndfile: {_text(error)}", is_end=True) from error
        self._part.raise_error()
        self._position += len(block)
        if num_frames and not len(block):
            self._check_end()
        return np.asarray(block)

    def _check_end(self) -> None:
        length = self.num_frames or self._header_frames
        if length is None:
            return
        missing = (length - self._position) / self.sample_rate_hz
        if missing > (0 if self.num_frames else _SLACK_SECONDS):
            seconds = length / self.sample_rate_hz
            raise DamagedError(f"the end is missing, of {seconds:.3f} s", missing, is_end=True)

    def is_complete(self) -> bool:
        """Returns False: the file has no list of its audio."""
        return False

    def close(self) -> None:
        """Closes the decoder, but not the file."""
        self._sound.close()


def is_better(beginning: bytes) -> bool:
    """Returns whether libsndfile may be a better decoder than FFmpeg for a file.

    Args:
      beginning: The first bytes of the file.
    """
    is_vorbis = beginning.startswith(b"OggS") and beginning[28:35] == b"\x01vorbis"
    return is_vorbis or beginning[:4] in _MAGIC


def container_of(beginning: bytes) -> str:
    """Returns the name of the format of a file with these first bytes."""
    return _MAGIC.get(beginning[:4], "RAW")


class _SequentialSoundFile(soundfile.SoundFile):  # type: ignore[misc]
    """A `SoundFile` that reads without seeking.

    soundfile seeks to the current position after each read of a seekable file, and stops at the
    length in the header. For some formats such seeks change samples, and the length may be wrong.
    """

    def seekable(self) -> bool:
        """Returns False, which keeps soundfile from seeking."""
        return False

    def can_seek(self) -> bool:
        """Returns whether the file is seekable."""
        return bool(super().seekable())


def _text(error: soundfile.LibsndfileError) -> str:
    text = str(error.error_string).removeprefix("Error : ").rstrip(".")
    # What libsndfile says of some files that exist.
    return "Format not recognised" if text.startswith("File does not exist") else text
