"""Decoding of audio files to mono float32 samples, block by block.

Conventions: a block is float32 `[num_frames]`, full scale is [-1, 1]. Samples slightly beyond full
scale are kept (decoders of lossy formats overshoot, float files may); files of floats beyond
`MAX_AMPLITUDE` contain something else, such as integers stored as floats, and fail.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from transforms.audio import not_audio
from transforms.audio.decoders import choosing, ffmpeg, libsndfile, raw_formats
from transforms.audio.decoders.decoder import FilePart
from transforms.audio.errors import AudioError
from transforms.audio.evidence.account import Account
from transforms.audio.evidence.examination import examine
from transforms.audio.recording import Recording
from transforms.corpus.clips import RawFormat

VERSIONS = f"{libsndfile.VERSION}; {ffmpeg.VERSION}"
RAW_FORMATS = raw_formats.RAW_FORMATS
# At lower rates no useful audio is left, and a short file would become hours at 16 kHz; recorders
# use no higher ones (ultrasound is recorded at up to 500 kHz).
MIN_SAMPLE_RATE_HZ = 1_000
MAX_SAMPLE_RATE_HZ = 768_000
# 24 dB over full scale: above any overshoot of float files, far below 16-bit integers.
MAX_AMPLITUDE = 16.0
# Lossy codecs overshoot: up to 30 was seen. Far beyond that, what they decode is damaged.
MAX_LOSSY_AMPLITUDE = 1_000.0


@contextlib.contextmanager
def open_recording(
    file: BinaryIO,
    suffix: str = "",
    raw_format: RawFormat | None = None,
    channel: int | None = None,
    keep_damaged: bool = False,
) -> Iterator[Recording]:
    """Opens a recording with the decoder that its content calls for.

    Args:
      file: Seekable binary file.
      suffix: Suffix of the file's name, in lower case and with the dot. Only used for formats
        without a header (`raw_formats.SUFFIXES`), which cannot be detected by content.
      raw_format: Encoding of a file without a header; None for all other files.
      channel: Channel to return, from 1; None for the mean of all channels.
      keep_damaged: Whether to return what decodes of a damaged recording, and to note the damage in
        `damaged`, instead of raising `decode_error`.

    Raises:
      AudioError: `empty` (no bytes), `unsupported_format` or `decode_error`.
      OSError: The storage failed.
    """
    size = file.seek(0, os.SEEK_END)
    if not size:
        raise AudioError("empty", "the file has no bytes")
    file.seek(0)
    if raw_format is None and suffix in raw_formats.SUFFIXES:
        raw_format = choosing.raw_format_of(suffix, file.read(not_audio.NUM_BYTES))
    account = Account() if raw_format else examine(file)
    ranges = account.parts or (account.audio_range or (0, size),)
    first, *later = (FilePart(file, start, end) for start, end in ranges)
    decoder = choosing.open_part(first, raw_format, account)
    with contextlib.closing(Recording(account, decoder, later, channel, keep_damaged)) as recording:
        if not MIN_SAMPLE_RATE_HZ <= decoder.sample_rate_hz <= MAX_SAMPLE_RATE_HZ:
            raise AudioError(
                "unsupported_format",
                f"a sample rate of {decoder.sample_rate_hz} Hz (allowed: {MIN_SAMPLE_RATE_HZ} to"
                f" {MAX_SAMPLE_RATE_HZ})",
            )
        yield recording


def validate_samples(
    block: np.ndarray, first_frame: int, sample_rate_hz: int, is_float: bool = True
) -> None:
    """Validates the samples of a block.

    Args:
      block: float32 `[num_frames]`.
      first_frame: Position of the block in its recording.
      sample_rate_hz: Sample rate of the recording.
      is_float: Whether the samples are stored as floats, so that they may be anything. Lossy
        formats may overshoot; their samples are kept.

    Raises:
      AudioError: `non_finite` or `over_full_scale`.
    """
    if not len(block):
        return
    peak = max(float(block.max()), -float(block.min()))  # NaN if any value is
    if not np.isfinite(peak):
        where = first_frame + int(np.argmin(np.isfinite(block)))
        raise AudioError("non_finite", f"NaN or infinity at {where / sample_rate_hz:.3f} s")
    if not is_float and peak > MAX_LOSSY_AMPLITUDE:
        seconds = (first_frame + int(np.argmax(np.abs(block)))) / sample_rate_hz
        raise AudioError(
            "decode_error",
            f"a sample of {peak:.6g} at {seconds:.3f} s (full scale: 1): the recording is damaged",
        )
    if is_float and peak > MAX_AMPLITUDE:
        raise AudioError(
            "over_full_scale",
            f"a sample of {peak:.6g} (full scale: 1, allowed: {MAX_AMPLITUDE:g}); integers stored"
            " as floats? Divide them by their full scale",
        )
