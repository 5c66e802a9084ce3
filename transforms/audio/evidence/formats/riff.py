"""WAVE in RIFF, RIFX, RF64, BW64 and Sony's W64."""

from typing import Literal

from transforms.audio.evidence.account import Account, chained
from transforms.audio.evidence.formats import frames, linear, mpeg
from transforms.audio.evidence.formats.chunks import BIG_ENDIAN, RIFF, W64, Layout
from transforms.audio.evidence.source import Source

_MAGICS = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_HEADER_BYTES = 12
_W64_HEADER_BYTES = 40
_PCM, _FLOAT, _A_LAW, _MU_LAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_MPEG = (0x50, 0x55)
_SUBTYPES = {_A_LAW: "ALAW", _MU_LAW: "ULAW"}
_FLOATS = {4: "FLOAT", 8: "DOUBLE"}
_MOST_PARTS = 10_000


def fills(source: Source, start: int) -> bool:
    """Returns whether a file is by its header as long as it is, so that nothing is behind it."""
    order: Literal["little", "big"] = "big" if source.at(start, 4) == b"RIFX" else "little"
    size = int.from_bytes(source.at(start + 4, 4), order)
    return start + 8 + size == source.size


def is_wave(source: Source, position: int) -> bool:
    """Whether a WAVE file begins at a position."""
    head = source.at(position, _HEADER_BYTES)
    return head[:4] in _MAGICS and head[8:] == b"WAVE"


def walk(source: Source, start: int, end: int) -> Account:
    """Accounts for a WAVE file, or for several in a row.

    Args:
      source: The file.
      start: Where it begins.
      end: Where it ends, without tags.
    """
    starts = [start]
    while len(starts) < _MOST_PARTS and (following := _end_of_file(source, starts[-1], end)):
        starts.append(following)
    if len(starts) == 1:
        return _account(source, start, end)
    parts = tuple(zip(starts, [*starts[1:], end], strict=True))
    return chained(parts, [_account(source, *part) for part in parts])


def walk_w64(source: Source, start: int, end: int) -> Account:
    """As `walk`, for W64, whose files are never in a row."""
    container = int.from_bytes(source.at(start + 16, 8), "little")
    return _account_of_chunks(source, start + _W64_HEADER_BYTES, end, W64, start + container, None)


def _end_of_file(source: Source, start: int, end: int) -> int:
    """Returns where the next of several WAVE files in a row begins; 0 if there is none."""
    size = int.from_bytes(source.at(start + 4, 4), "little")
    following = start + 8 + size
    for position in (following, following + 1):
        if start + 8 < position < end and is_wave(source, position):
            return position
    return 0


def _account(source: Source, start: int, end: int) -> Account:
    head = source.at(start, _HEADER_BYTES)
    layout = BIG_ENDIAN if head[:4] == b"RIFX" else RIFF
    container_end: int | None = None
    size = int.from_bytes(head[4:8], "big" if layout is BIG_ENDIAN else "little")
    container_end = start + 8 + size
    declared = None
    position = start + _HEADER_BYTES
    for chunk in layout.walk(source, position, min(end, position + 4_096)):
        if chunk.name == b"ds64":
            sizes = source.at(chunk.start, 16)
            container_end = start + 8 + int.from_bytes(sizes[:8], "little")
            declared = int.from_bytes(sizes[8:16], "little")
            break
        if chunk.name == b"data":
            break
    return _account_of_chunks(source, position, end, layout, container_end, declared)


def _account_of_chunks(
    source: Source,
    position: int,
    end: int,
    layout: Layout,
    container_end: int,
    declared: int | None,
) -> Account:
    """Accounts for the chunks of a file.

    Args:
      source: The file.
      position: Where the chunks begin.
      end: Where they end.
      layout: How they are written.
      container_end: Where the file ends by its own header.
      declared: Size of the samples by a `ds64` chunk, which counts if the size of their own chunk
        is the largest number.
    """
    form = b""
    for chunk in layout.walk(source, position, end):
        if chunk.name == b"fmt ":
            form = source.at(chunk.start, min(chunk.size, 40))
        elif chunk.name == b"data":
            size: int | None = chunk.size
            if declared is not None and chunk.size == 0xFFFF_FFFF:
                size = declared
            samples = _samples(form, chunk.start, size, layout, container_end)
            return _account_of_samples(source, form, samples, end, layout)
    return Account()


def _samples(
    form: bytes, start: int, declared: int | None, layout: Layout, container_end: int
) -> linear.Samples:
    """Returns what a format chunk says about samples."""
    byteorder = "big" if layout is BIG_ENDIAN else "little"

    def number(first: int, last: int) -> int:
        return int.from_bytes(form[first:last], "big" if byteorder == "big" else "little")

    encoding, num_channels, rate_hz = number(0, 2), number(2, 4), number(4, 8)
    per_second, block_bytes, bits = number(8, 12), number(12, 14), number(14, 16)
    if encoding == _EXTENSIBLE:
        encoding = number(24, 26)
    width = block_bytes // num_channels if num_channels else 0
    is_even = bool(width) and width * num_channels == block_bytes
    subtype = ""
    if encoding == _PCM:
        subtype = linear.subtype_of_integers(width, are_signed_bytes=False)
    elif encoding == _FLOAT:
        subtype = _FLOATS.get(width, "")
    elif width == 1:
        subtype = _SUBTYPES.get(encoding, "")
    is_linear = is_even and encoding in (_PCM, _FLOAT, _A_LAW, _MU_LAW)
    if is_linear:
        per_second = block_bytes * rate_hz
    return linear.Samples(
        start,
        declared,
        rate_hz,
        num_channels,
        block_bytes if is_linear else 0,
        per_second,
        subtype if (bits + 7) // 8 == width else "",
        "BIG" if byteorder == "big" else "LITTLE",
        container_end,
    )


def _account_of_samples(
    source: Source, form: bytes, samples: linear.Samples, end: int, layout: Layout
) -> Account:
    account = linear.account_of(source, samples, end, layout)
    is_mpeg = int.from_bytes(form[:2], "little") in _MPEG
    if not is_mpeg or account.damages:
        return account
    codec = mpeg.Mpeg()
    stream_end = min(end, samples.start + (samples.declared or end))
    if not frames.is_stream(source, samples.start, codec):
        return account
    return frames.walk(source, samples.start, stream_end, codec)
