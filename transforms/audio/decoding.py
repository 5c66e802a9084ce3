"""Sound files to mono float32 samples, block by block.

Conventions: a block is float32 `[num_frames]`, full scale is [-1, 1]. Samples somewhat beyond
full scale are kept as they are (decoders of lossy formats overshoot, float files may); beyond
`MAX_AMPLITUDE` the file holds something else, such as integers stored as floats, and fails.

What libsndfile knows, it decodes; the rest goes to FFmpeg.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from transforms.audio import ffmpeg, libsndfile
from transforms.audio.errors import AudioError
from transforms.audio.ffmpeg import FfmpegDecoder
from transforms.audio.libsndfile import LibsndfileDecoder, UnknownFormatError

VERSIONS = f"{libsndfile.VERSION}; {ffmpeg.VERSION}"
# Below, no sound worth a row is left, and a short file would grow to hours at 16 kHz; above,
# no recorder goes (ultrasound is recorded at up to 500 kHz).
MIN_SAMPLE_RATE_HZ = 1_000
MAX_SAMPLE_RATE_HZ = 768_000
# 24 dB over full scale: more than any overshoot of a decoder, far less than 16-bit integers.
MAX_AMPLITUDE = 16.0
# Values decoded at a time, over all channels: 4 MB, about 12 s of 44.1 kHz stereo.
BLOCK_VALUES = 2**20


class Recording:
    """An open recording.

    Attributes:
      sample_rate_hz: Of the recording itself.
      num_frames: Frames delivered by `blocks` so far.
    """

    def __init__(self, decoder: LibsndfileDecoder | FfmpegDecoder) -> None:
        self._decoder = decoder
        self.sample_rate_hz = decoder.sample_rate_hz
        self.num_frames = 0

    def blocks(self) -> Iterator[np.ndarray]:
        """Yields the whole recording, mixed to mono by the mean of its channels.

        Raises:
          AudioError: `empty`, `decode_error` (with the position in seconds), `non_finite` or
            `over_full_scale`. Blocks may have been delivered before.
          OSError: The storage fails.
        """
        try:
            for block in self._decoder.blocks(BLOCK_VALUES):
                self._check_values(block)
                self.num_frames += len(block)
                yield block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
        except AudioError as error:
            if error.reason != "decode_error":
                raise
            # What the decoder lost of its last block was good.
            self.num_frames = max(self.num_frames, self._decoder.num_frames)
            position = self.num_frames / self.sample_rate_hz
            message = f"decoding fails after {position:.3f} s: {error}"
            raise AudioError("decode_error", message) from error
        if not self.num_frames:
            raise AudioError("empty", "the file is audio without a single sample")

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
def open_recording(file: BinaryIO, suffix: str = "") -> Iterator[Recording]:
    """Opens a recording; its content says which decoder reads it.

    Args:
      file: Seekable and binary.
      suffix: Of the file's name, lower case with the dot. It counts only for formats without a
        header (`ffmpeg.HEADERLESS`), where the content says nothing.

    Raises:
      AudioError: `empty` (no bytes), `unsupported_format` or `decode_error`.
      OSError: The storage fails.
    """
    if not file.seek(0, os.SEEK_END):
        raise AudioError("empty", "the file has no bytes")
    file.seek(0)
    decoder: LibsndfileDecoder | FfmpegDecoder
    try:
        decoder = LibsndfileDecoder(file)
    except UnknownFormatError as unknown:
        file.seek(0)
        decoder = FfmpegDecoder(file, suffix, str(unknown))
    with contextlib.closing(decoder):
        if not MIN_SAMPLE_RATE_HZ <= decoder.sample_rate_hz <= MAX_SAMPLE_RATE_HZ:
            raise AudioError(
                "unsupported_format",
                f"a sample rate of {decoder.sample_rate_hz} Hz (allowed: {MIN_SAMPLE_RATE_HZ} to"
                f" {MAX_SAMPLE_RATE_HZ})",
            )
        yield Recording(decoder)
