"""Decoding of audio files to mono float32 samples, block by block.

Conventions: a block is float32 `[num_frames]`, full scale is [-1, 1]. Samples slightly beyond full
scale are kept (decoders of lossy formats overshoot, float files may); beyond `MAX_AMPLITUDE` the
file contains something else, such as integers stored as floats, and fails.

libsndfile decodes the formats that it supports, FFmpeg all others.
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
# Encodings of files without a header, by FFmpeg's names, which users know.
RAW_FORMATS = frozenset((*libsndfile.RAW_FORMATS, *ffmpeg.HEADERLESS.values()))
# At lower rates no useful audio is left, and a short file would become hours at 16 kHz; recorders
# use no higher ones (ultrasound is recorded at up to 500 kHz).
MIN_SAMPLE_RATE_HZ = 1_000
MAX_SAMPLE_RATE_HZ = 768_000
# 24 dB over full scale: above any overshoot of a decoder, far below 16-bit integers.
MAX_AMPLITUDE = 16.0
# Samples of all channels per block: 1 MB, about 3 s of 44.1 kHz stereo.
BLOCK_VALUES = 2**18


class Recording:
    """An open recording.

    Attributes:
      decoder: Name and version of the decoder.
      format: Container and codec, by the decoder's names.
      num_channels: Number of channels at the beginning.
      sample_rate_hz: Sample rate of the recording.
      num_frames: Exact length of a seekable recording; None if it is not seekable.
      header_seconds: Approximate length by the header; None if unknown.
      missing: Description of what is known to be missing at the end; None if nothing is.
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
        """Number of the next audio frame to read."""
        return self._decoder.position

    def seek(self, frame: int) -> None:
        """Goes to a frame, at most to the end; only forwards if `num_frames` is None.

        Raises:
          AudioError, OSError: As for `read`. Seeking to the end checks that the recording is
            complete.
        """
        if self.num_frames is not None:
            with self._errors_at_position():
                self._decoder.seek(min(frame, self.num_frames - 1))
        while self.position < frame and len(self.read(frame - self.position)):
            pass

    def read(self, num_frames: int | None = None) -> np.ndarray:
        """Returns the next block, mixed to mono; an empty block at the end.

        Args:
          num_frames: Maximum length of the block, in addition to the internal one.

        Raises:
          AudioError: `empty`, `no_channel`, or `decode_error` with the position in seconds.
          OSError: The storage failed.
        """
        block_frames = max(1, BLOCK_VALUES // self._decoder.num_channels)
        with self._errors_at_position():
            block = self._decoder.read(min(block_frames, num_frames or block_frames))
        if len(block):
            self._is_empty = False
        elif self._is_empty and not self.position:
            raise AudioError("empty", "the file contains no samples")
        return self._mix(block)

    def _mix(self, block: np.ndarray) -> np.ndarray:
        num_channels = block.shape[1]
        if self._channel is not None:
            if self._channel > num_channels:
                raise AudioError(
                    "no_channel",
                    f"--channel={self._channel}, and the recording has {num_channels} channels",
                )
            return block[:, self._channel - 1]
        if num_channels == 1:
            return block[:, 0]
        with np.errstate(invalid="ignore", over="ignore"):  # validate_samples rejects them later
            # Channel by channel: NumPy's mean over such a short axis takes ten times as long.
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
            message = f"decoding failed after {position:.3f} s: {error}"
            raise AudioError("decode_error", message) from error


def validate_samples(block: np.ndarray, first_frame: int, sample_rate_hz: int) -> None:
    """Validates the samples of a block.

    Args:
      block: float32 `[num_frames]`.
      first_frame: Position of the block in its recording.
      sample_rate_hz: Sample rate of the recording.

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
            f"a sample of {peak:.6g} (full scale: 1, allowed: {MAX_AMPLITUDE:g}); integers stored"
            " as floats? Divide them by their full scale",
        )


@contextlib.contextmanager
def open_recording(
    file: BinaryIO,
    suffix: str = "",
    raw_format: RawFormat | None = None,
    channel: int | None = None,
) -> Iterator[Recording]:
    """Opens a recording with the decoder that its content calls for.

    Args:
      file: Seekable binary file.
      suffix: Suffix of the file's name, in lower case and with the dot. Only used for formats
        without a header (`ffmpeg.HEADERLESS`), which cannot be detected by content.
      raw_format: Encoding of a file without a header; None for all other files.
      channel: Channel to return, from 1; None for the mean of all channels.

    Raises:
      AudioError: `empty` (no bytes), `unsupported_format` or `decode_error`.
      OSError: The storage failed.
    """
    if not file.seek(0, os.SEEK_END):
        raise AudioError("empty", "the file has no bytes")
    file.seek(0)
    with contextlib.closing(_open_decoder(file, suffix, raw_format)) as decoder:
        if not MIN_SAMPLE_RATE_HZ <= decoder.sample_rate_hz <= MAX_SAMPLE_RATE_HZ:
            raise AudioError(
                "unsupported_format",
                f"a sample rate of {decoder.sample_rate_hz} Hz (allowed: {MIN_SAMPLE_RATE_HZ} to"
                f" {MAX_SAMPLE_RATE_HZ})",
            )
        yield Recording(decoder, channel)


def _open_decoder(
    file: BinaryIO, suffix: str, raw_format: RawFormat | None
) -> LibsndfileDecoder | FfmpegDecoder:
    if raw_format is not None and raw_format.name not in libsndfile.RAW_FORMATS:
        return FfmpegDecoder(file, f".{raw_format.name}", "")
    try:
        return LibsndfileDecoder(file, raw_format)
    except UnknownFormatError as error:
        if raw_format is not None:
            raise AudioError("unsupported_format", str(error)) from error
        file.seek(0)
        return FfmpegDecoder(file, suffix, str(error), error.declared_length)
