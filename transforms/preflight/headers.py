"""The header of a recording, with the beginning of its audio decoded."""

from fractions import Fraction
from typing import BinaryIO

from transforms.audio import decoding
from transforms.audio.errors import AudioError
from transforms.audio.recording import Recording
from transforms.corpus import recordings
from transforms.corpus.clips import Clip
from transforms.packed import address
from transforms.preflight.survey import Header


def read_header(clip: Clip, channel: int | None = None, num_seconds: int = 0) -> Header:
    """Opens the recording of a clip, and decodes its beginning and what is cheap of its end.

    Args:
      clip: A clip of the recording; its times do not matter.
      channel: The channel to decode unless the clip has its own, from 1; None for the mean of all.
      num_seconds: Seconds to decode at least, besides the first block.

    Raises:
      AudioError: The recording cannot be decoded.
      OSError: The recording cannot be read.
    """
    with recordings.open_recording_file(clip, in_parts=True) as file:
        return read_opened_header(file, clip, channel, num_seconds)


def read_opened_header(
    file: BinaryIO, clip: Clip, channel: int | None = None, num_seconds: int = 0
) -> Header:
    """Returns the header of a clip's recording, which is open; see `read_header`."""
    suffix = address.suffix_of(clip.uri)
    channel = channel if clip.channel is None else clip.channel
    with decoding.open_recording(file, suffix, clip.raw_format, channel) as recording:
        _decode_beginning(recording, num_seconds)
        channels = f"{recording.num_channels} channel{'s' * (recording.num_channels > 1)}"
        return Header(
            f"{recording.format}, {recording.sample_rate_hz} Hz, {channels}",
            _length_in_seconds(recording),
            recording.num_frames is not None,
            recording.missing or _missing_end(recording),
        )


def _decode_beginning(recording: Recording, num_seconds: int) -> None:
    rate_hz = recording.sample_rate_hz
    start, block = 0, recording.read()
    decoding.validate_samples(block, start, rate_hz)
    while len(block) and recording.position < num_seconds * rate_hz:
        start = recording.position
        block = recording.read(num_seconds * rate_hz - start)
        decoding.validate_samples(block, start, rate_hz)


def _length_in_seconds(recording: Recording) -> Fraction | None:
    if recording.num_frames is not None:
        return Fraction(recording.num_frames, recording.sample_rate_hz)
    return None if recording.header_seconds is None else Fraction(recording.header_seconds)


def _missing_end(recording: Recording) -> str | None:
    """Returns what is missing at the end of a recording that can be read from there, or None."""
    if recording.num_frames is None:
        return None
    try:
        recording.seek(recording.num_frames)
        recording.read()
    except AudioError as error:
        return str(error)
    return None
