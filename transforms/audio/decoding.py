"""Sound files to mono float32 samples, block by block, through libsndfile.

Conventions: a block is float32 `[num_frames]`, full scale is [-1, 1]. Samples somewhat beyond
full scale are kept as they are (decoders of lossy formats overshoot, float files may); beyond
`MAX_AMPLITUDE` the file holds something else, such as integers stored as floats, and fails.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import soundfile

from transforms.audio import truncation
from transforms.audio.errors import AudioError

# Below, no sound worth a row is left, and a short file would grow to hours at 16 kHz; above,
# no recorder goes (ultrasound is recorded at up to 500 kHz).
MIN_SAMPLE_RATE_HZ = 1_000
MAX_SAMPLE_RATE_HZ = 768_000
# 24 dB over full scale: more than any overshoot of a decoder, far less than 16-bit integers.
MAX_AMPLITUDE = 16.0
# Values decoded at a time, over all channels: 4 MB, about 12 s of 44.1 kHz stereo.
BLOCK_VALUES = 2**20
# libsndfile's error for content in none of its formats (SF_ERR_UNRECOGNISED_FORMAT).
_UNRECOGNISED_FORMAT = 1


class Recording:
    """An open recording.

    Attributes:
      sample_rate_hz: Of the recording itself.
      num_frames: Frames delivered by `blocks` so far.
    """

    def __init__(self, sound: soundfile.SoundFile, file: "BinaryIO | _Remembering") -> None:
        self._sound = sound
        self._file = file
        self.sample_rate_hz: int = sound.samplerate
        self.num_frames = 0

    def blocks(self) -> Iterator[np.ndarray]:
        """Yields the whole recording, mixed to mono by the mean of its channels.

        Raises:
          AudioError: `empty`, `decode_error` (with the position in seconds), `non_finite` or
            `over_full_scale`. Blocks may have been delivered before.
        """
        block_frames = max(1, BLOCK_VALUES // self._sound.channels)
        while True:
            try:
                block = self._sound.read(block_frames, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                self._raise_storage_error()
                # The good part of the block counts too, where libsndfile knows it.
                self.num_frames = max(self.num_frames, self._sound.tell())
                text = error.error_string.removeprefix("Error : ").rstrip(".")
                raise AudioError(
                    "decode_error", f"decoding fails after {self._seconds}: {text}"
                ) from error
            self._raise_storage_error()
            if not len(block):
                break
            self._check_values(block)
            self.num_frames += len(block)
            yield block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
        missing = truncation.missing_end(self._sound, self.num_frames, self._file)
        if missing:
            raise AudioError("decode_error", f"truncated after {self._seconds}: {missing}")
        if not self.num_frames:
            raise AudioError("empty", "the file is audio without a single sample")

    def _raise_storage_error(self) -> None:
        if isinstance(self._file, _Remembering):
            self._file.raise_error()

    @property
    def _seconds(self) -> str:
        return f"{self.num_frames / self.sample_rate_hz:.3f} s"

    def _check_values(self, block: np.ndarray) -> None:
        peak = max(float(block.max()), -float(block.min()))  # NaN if any value is
        if not np.isfinite(peak):
            where = int(np.argmin(np.isfinite(block).all(axis=1)))
            position = (self.num_frames + where) / self.sample_rate_hz
            raise AudioError("non_finite", f"NaN or infinity at {position:.3f} s")
        if peak > MAX_AMPLITUDE:
            raise AudioError(
                "over_full_scale",
                f"a sample of {peak:.6g} where full scale is 1 (allowed: {MAX_AMPLITUDE:g}):"
                " integers stored as floats? Divide them by their full scale",
            )


@contextlib.contextmanager
def open_recording(file: BinaryIO) -> Iterator[Recording]:
    """Opens a recording; the format is told by the content alone.

    Args:
      file: Seekable and binary. A file of this machine is read by libsndfile itself, through
        its descriptor; anything else through Python.

    Raises:
      AudioError: `empty` (no bytes), `unsupported_format` or `decode_error`.
    """
    if not file.seek(0, os.SEEK_END):
        raise AudioError("empty", "the file has no bytes")
    file.seek(0)
    source: BinaryIO | _Remembering = file
    try:
        if _has_descriptor(file):
            # A descriptor of its own, because libsndfile closes it.
            sound = _Stream(os.dup(file.fileno()), closefd=True)
        else:
            source = _Remembering(file)
            sound = _Stream(source)
    except soundfile.LibsndfileError as error:
        if isinstance(source, _Remembering):
            source.raise_error()
        text = error.error_string.rstrip(".")
        if error.code == _UNRECOGNISED_FORMAT:
            raise AudioError("unsupported_format", f"libsndfile: {text}") from error
        raise AudioError("decode_error", f"libsndfile cannot open it: {text}") from error
    with sound:
        if not MIN_SAMPLE_RATE_HZ <= sound.samplerate <= MAX_SAMPLE_RATE_HZ:
            raise AudioError(
                "unsupported_format",
                f"a sample rate of {sound.samplerate} Hz (allowed: {MIN_SAMPLE_RATE_HZ} to"
                f" {MAX_SAMPLE_RATE_HZ})",
            )
        yield Recording(sound, source)


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

    def write(self, _: bytes) -> int:
        """Is asked for by soundfile, and never called."""
        raise AssertionError("recordings are only read")


def _has_descriptor(file: BinaryIO) -> bool:
    try:
        file.fileno()
    except (AttributeError, OSError):
        return False
    return True
