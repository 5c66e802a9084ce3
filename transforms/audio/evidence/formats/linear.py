"""Samples between a header and an end: how many are there, whatever the header declares."""

import dataclasses

from transforms.audio.evidence.account import Account, Damage, LinearSamples
from transforms.audio.evidence.formats.chunks import Layout
from transforms.audio.evidence.source import Source

# What programs write that do not know the size, such as those that write to a pipe: the largest
# number of 31 or 32 bits, less a header or rounded down (0x7FFFF000: sox); and 2e9 (speech
# synthesis). Other large sizes are those of files that were cut.
_SLACK_BYTES = 0x1000
_PLACEHOLDERS = (
    range(0xFFFF_FFFF - _SLACK_BYTES, 0x1_0000_0000),
    range(0x7FFF_F000, 0x8000_0100),
    range(2_000_000_000 - _SLACK_BYTES, 2_000_000_000 + _SLACK_BYTES),
    range(0x7FFF_FFFF_FFFF_FFFF - _SLACK_BYTES, 0x1_0000_0000_0000_0000),
)
# Fewer bytes than this at the end are no audio that anybody misses.
_FEW_BYTES = 64
_FEW_SECONDS = 0.025


@dataclasses.dataclass(frozen=True)
class Samples:
    """What a header says about samples.

    Attributes:
      start: Position of the first byte.
      declared: Declared size in bytes; None if it is declared to be unknown.
      rate_hz: Sample rate.
      num_channels: Number of interleaved channels.
      block_bytes: Size of an audio frame; 0 if the encoding is not linear.
      bytes_per_second: Bytes per second; 0 if unknown.
      subtype: Encoding by libsndfile's name; empty if libsndfile has none without a header.
      endian: `LITTLE` or `BIG`.
      container_end: Where the file ends by its own header; None if that is not told.
    """

    start: int
    declared: int | None
    rate_hz: int
    num_channels: int
    block_bytes: int
    bytes_per_second: float
    subtype: str = ""
    endian: str = "LITTLE"
    container_end: int | None = None


def subtype_of_integers(bytes_per_sample: int, are_signed_bytes: bool) -> str:
    """Returns libsndfile's name of linear integers; empty if it has none."""
    one = "PCM_S8" if are_signed_bytes else "PCM_U8"
    return {1: one, 2: "PCM_16", 3: "PCM_24", 4: "PCM_32"}.get(bytes_per_sample, "")


def is_placeholder(declared: int | None) -> bool:
    """Whether a size means that the program did not know it."""
    return not declared or any(declared in numbers for numbers in _PLACEHOLDERS)


def account_of(source: Source, samples: Samples, end: int, layout: Layout | None) -> Account:
    """Accounts for the samples of a file.

    Args:
      source: The file.
      samples: What its header says.
      end: Where the file ends, without tags.
      layout: The chunks that may be behind the samples; None if the format has none.
    """
    data_end, is_right, damage = _measure(source, samples, end, layout)
    damages = () if damage is None else (damage,)
    rates_hz = (samples.rate_hz,) if samples.rate_hz > 0 else ()
    if not samples.block_bytes or samples.rate_hz <= 0:
        return Account(rates_hz=rates_hz, damages=damages)
    num_frames = max(0, data_end - samples.start) // samples.block_bytes
    raw = None
    if not is_right and samples.subtype and num_frames:
        raw = LinearSamples(
            samples.start,
            samples.start + num_frames * samples.block_bytes,
            samples.subtype,
            samples.endian,
            samples.rate_hz,
            samples.num_channels,
        )
    return Account(num_frames, num_frames / samples.rate_hz, rates_hz, (), damages, raw)


def _measure(
    source: Source, samples: Samples, end: int, layout: Layout | None
) -> tuple[int, bool, Damage | None]:
    """Returns where samples end, whether the header is right about it, and what is damaged."""
    declared, start = samples.declared, samples.start
    if declared is not None and declared <= end - start:
        data_end = start + declared
        is_empty = not declared and data_end < end
        if layout is None:
            is_whole = end - data_end < max(1, _few_bytes(samples))
        else:
            is_whole = layout.leads_to(source, data_end, end)
        if is_whole and not (is_empty and layout is None):
            return data_end, True, None
        if declared:
            return _measure_rest(source, samples, data_end, end, layout)
    data_end = end if layout is None else layout.start_of_tail(source, start, end)
    if declared is None or is_placeholder(declared):
        return data_end, False, None
    missing = declared - (data_end - start)
    counts_header = missing <= min(start + 8, _few_bytes(samples)) or abs(missing - start) <= 8
    counts_header |= abs(declared - end) <= 8  # the size of the file
    if missing <= max(_FEW_BYTES, samples.block_bytes) or counts_header:
        return data_end, False, None
    present = max(0, data_end - start)
    message = f"the header declares {declared} bytes of samples, the file has {present}"
    return data_end, False, Damage(None, _seconds(samples, missing), message)


def _measure_rest(
    source: Source, samples: Samples, data_end: int, end: int, layout: Layout | None
) -> tuple[int, bool, Damage | None]:
    """As `_measure`, where bytes that are no chunks follow the declared samples."""
    tail = end if layout is None else layout.start_of_tail(source, samples.start, end)
    if tail < data_end and data_end - tail <= max(_FEW_BYTES, samples.start + 8):
        return tail, False, None  # the header was counted in
    if tail - data_end <= _few_bytes(samples):
        return data_end, True, None
    if source.end_of_zeros(data_end, tail) == tail:
        return data_end, True, None
    container_end = samples.container_end
    if container_end is not None and abs(container_end - data_end) > 1:
        return tail, False, None  # one size is right, or none: a recorder that crashed
    if (wrapped := tail - data_end) >= 1 << 32 and wrapped % (1 << 32) <= 1:
        return tail, False, None  # more than 4 GiB, of which 32 bits hold the rest only
    message = f"{tail - data_end} bytes behind the samples belong to nothing"
    seconds = _seconds(samples, tail - data_end)
    return data_end, True, Damage(_seconds(samples, data_end - samples.start), seconds, message)


def _seconds(samples: Samples, num_bytes: int) -> float:
    return num_bytes / samples.bytes_per_second if samples.bytes_per_second > 0 else 0.0


def _few_bytes(samples: Samples) -> int:
    return max(_FEW_BYTES, int(_FEW_SECONDS * samples.bytes_per_second))
