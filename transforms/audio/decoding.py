"""Sound files to mono float32 samples, block by block.

Conventions: a block is float32 `[num_frames]`, full scale is [-1, 1]. Samples somewhat beyond
full scale are kept as they are (decoders of lossy formats overshoot, float files may); beyond
`MAX_AMPLITUDE` the file holds something else, such as integers stored as floats, and fails.

What libsndfile knows, it decodes; the rest goes to FFmpeg.
"""

import contextlib
import functools
import os
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from transforms.audio import ffmpeg, libsndfile
from transforms.audio.errors import AudioError
from transforms.audio.ffmpeg import FfmpegDecoder
from transforms.audio.libsndfile import LibsndfileDecoder, UnknownFormatError
from transforms.corpus.clips import RawFormat

VERSIONS = f"{libsndfile.VERSION}; {ffmpeg.VERSION}"
# What a file without a header may hold, by the names that users know from FFmpeg.
RAW_FORMATS = frozenset((*libsndfile.RAW_FORMATS, *ffmpeg.HEADERLESS.values()))
# Below, no sound worth a row is left, and a short file would grow to hours at 16 kHz; above,
# no recorder goes (ultrasound is recorded at up to 500 kHz).
MIN_SAMPLE_RATE_HZ = 1_000
MAX_SAMPLE_RATE_HZ = 768_000
# 24 dB over full scale: more than any overshoot of a decoder, far less than 16-bit integers.
MAX_AMPLITUDE = 16.0
# Values decoded at a time, over all channels: 1 MB, about 3 s of 44.1 kHz stereo.
BLOCK_VALUES = 2**18


class Recording:
    """An open recording.

    Attributes:
      decoder: Name and version of what decodes it.
      format: Container and codec, by the names of that decoder.
      num_channels: At its beginning.
      sample_rate_hz: Of the recording itself.
      num_frames: Length of a recording that can be read from anywhere, exactly; else None.
      header_seconds: About how long it is by its header; None where that does not say.
      missing: What is known to be missing at its end, in words; None where nothing is.
    """

    def __init__(
        self, decoder: LibsndfileDecoder | FfmpegDecoder, channel: int | None = None
    ) -> None:
        self._decoder = decoder
        self._channel = channel
        self._is_empty = True
        self.decoder = decoder.name
        self.format = decoder.format
        self.num_channels = decoder.num_channels
        self.sample_rate_hz = decoder.sample_rate_hz
        self.num_frames = decoder.num_frames
        self.header_seconds = decoder.header_seconds
        self.missing = decoder.missing

    @property
    def position(self) -> int:
        """Frames up to here are read."""
        return self._decoder.position

    def seek(self, frame: int) -> None:
        """Goes to a frame, forwards where `num_frames` is None; at most to the recording's end.

        Raises:
          AudioError, OSError: As `read`. At its end the recording has been looked at for being
            whole.
        """
        if self.num_frames is not None:
            with self._errors_at_position():
                self._decoder.seek(min(frame, self.num_frames - 1))
        while self.position < frame and len(self.read(frame - self.position)):
            pass

    def read(self, num_frames: int | None = None) -> np.ndarray:
        """Returns the next block, mixed to mono; an empty one at the end.

        Args:
          num_frames: At most; there is a bound of its own.

        Raises:
          AudioError: `empty`, `no_channel`, or `decode_error` with the position in seconds.
          OSError: The storage fails.
        """
        block_frames = max(1, BLOCK_VALUES // self._decoder.num_channels)
        with self._errors_at_position():
            block = self._decoder.read(min(block_frames, num_frames or block_frames))
        if len(block):
            self._is_empty = False
        elif self._is_empty and not self.position:
            raise AudioError("empty", "the file is audio without a single sample")
        return self._mixed(block)

    def _mixed(self, block: np.ndarray) -> np.ndarray:
        num_channels = block.shape[1]
        if self._channel is not None:
            if self._channel > num_channels:
                raise AudioError(
                    "no_channel",
                    f"--channel asks for number {self._channel}, and it has {num_channels}",
                )
            return block[:, self._channel - 1]
        if num_channels == 1:
            return block[:, 0]
        with np.errstate(invalid="ignore", over="ignore"):  # what is not sound is refused later
            # Channel by channel: numpy's mean over so short an axis takes ten times as long.
            mono: np.ndarray = functools.reduce(np.add, block.T) / np.float32(num_channels)
        return mono

    @contextlib.contextmanager
    def _errors_at_position(self) -> Iterator[None]:
        try:
            yield
        except AudioError as error:
            if error.reason != "decode_error":
                raise
            position = self.position / self.sample_rate_hz
            message = f"decoding fails after {position:.3f} s: {error}"
            raise AudioError("decode_error", message) from error


def validate_samples(block: np.ndarray, first_frame: int, sample_rate_hz: int) -> None:
    """Refuses what is not sound.

    Args:
      block: float32 `[num_frames]`.
      first_frame: Where it begins in its recording.
      sample_rate_hz: Of the recording.

    Raises:
      AudioError: `non_finite` or `over_full_scale`.
    """
    if not len(block):
        return
    peak = max(float(block.max()), -float(block.min()))  # NaN if any value is
    if not np.isfinite(peak):
        where = first_frame + int(np.argmin(np.isfinite(block)))
        raise AudioError("non_finite", f"NaN or infinity at {where / sample_rate_hz:.3f} s")
    if peak > MAX_AMPLITUDE:
        raise AudioError(
            "over_full_scale",
            f"a sample of {peak:.6g} where full scale is 1 (allowed: {MAX_AMPLITUDE:g}):"
            " integers stored as floats? Divide them by their full scale",
        )


@contextlib.contextmanager
def open_recording(
    file: BinaryIO,
    suffix: str = "",
    raw_format: RawFormat | None = None,
    channel: int | None = None,
) -> Iterator[Recording]:
    """Opens a recording; its content says which decoder reads it.

    Args:
      file: Seekable and binary.
      suffix: Of the file's name, lower case with the dot. It counts only for formats without a
        header (`ffmpeg.HEADERLESS`), where the content says nothing.
      raw_format: Of a file without a header, where it is known.
      channel: From 1, or None for the mean of all.

    Raises:
      AudioError: `empty` (no bytes), `unsupported_format` or `decode_error`.
      OSError: The storage fails.
    """
    if not file.seek(0, os.SEEK_END):
        raise AudioError("empty", "the file has no bytes")
    file.seek(0)
    with contextlib.closing(_decoder(file, suffix, raw_format)) as decoder:
        if not MIN_SAMPLE_RATE_HZ <= decoder.sample_rate_hz <= MAX_SAMPLE_RATE_HZ:
            raise AudioError(
                "unsupported_format",
                f"a sample rate of {decoder.sample_rate_hz} Hz (allowed: {MIN_SAMPLE_RATE_HZ} to"
                f" {MAX_SAMPLE_RATE_HZ})",
            )
        yield Recording(decoder, channel)


def _decoder(
    file: BinaryIO, suffix: str, raw_format: RawFormat | None
) -> LibsndfileDecoder | FfmpegDecoder:
    if raw_format is not None and raw_format.name not in libsndfile.RAW_FORMATS:
        return FfmpegDecoder(file, f".{raw_format.name}", "")
    try:
        return LibsndfileDecoder(file, raw_format)
    except UnknownFormatError as unknown:
        if raw_format is not None:
            raise AudioError("unsupported_format", str(unknown)) from unknown
        file.seek(0)
        return FfmpegDecoder(file, suffix, str(unknown), unknown.account)
