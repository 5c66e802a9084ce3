"""AIFF, AIFF-C, AU, CAF and NIST SPHERE."""

import math
import re
import struct

from transforms.audio.evidence.account import Account
from transforms.audio.evidence.formats import chunks, linear
from transforms.audio.evidence.source import Source

_MU_LAW, _A_LAW = "ULAW", "ALAW"
# AIFF-C: encoding and byte order; the empty name stands for integers of the declared width.
_AIFF_TYPES = {
    b"NONE": ("", "BIG"),
    b"twos": ("", "BIG"),
    b"in24": ("PCM_24", "BIG"),
    b"in32": ("PCM_32", "BIG"),
    b"sowt": ("", "LITTLE"),
    b"raw ": ("PCM_U8", "BIG"),
    b"fl32": ("FLOAT", "BIG"),
    b"FL32": ("FLOAT", "BIG"),
    b"fl64": ("DOUBLE", "BIG"),
    b"FL64": ("DOUBLE", "BIG"),
    b"ulaw": (_MU_LAW, "BIG"),
    b"ULAW": (_MU_LAW, "BIG"),
    b"alaw": (_A_LAW, "BIG"),
    b"ALAW": (_A_LAW, "BIG"),
}
_AU_TYPES = {1: _MU_LAW, 2: "PCM_S8", 3: "PCM_16", 4: "PCM_24", 5: "PCM_32"}
_AU_TYPES |= {6: "FLOAT", 7: "DOUBLE", 27: _A_LAW}
_WIDTHS = {_MU_LAW: 1, _A_LAW: 1, "PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3}
_WIDTHS |= {"PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
_NIST_HEADER_BYTES = 1 << 16


def walk_aiff(source: Source, start: int, end: int) -> Account:
    """Accounts for an AIFF or AIFF-C file from `start` to `end`."""
    common, sound = b"", None
    container_end = start + 8 + int.from_bytes(source.at(start + 4, 4), "big")
    for chunk in chunks.BIG_ENDIAN.walk(source, start + 12, end):
        if chunk.name == b"COMM":
            common = source.at(chunk.start, min(chunk.size, 22))
        elif chunk.name == b"SSND":
            sound = chunk
        if common and sound:
            break
    if sound is None or len(common) < 18:
        return Account()
    num_channels, num_frames, bits = struct.unpack(">HIH", common[:8])
    rate_hz = _extended(common[8:18])
    kind, endian = _AIFF_TYPES.get(common[18:22] or b"NONE", (None, "BIG"))
    if kind == "":
        kind = linear.subtype_of_integers((bits + 7) // 8, are_signed_bytes=True)
    offset = int.from_bytes(source.at(sound.start, 4), "big")
    offset = offset if offset <= sound.size else 0
    declared: int | None = sound.size - 8 - offset
    block_bytes = _WIDTHS.get(kind or "", 0) * num_channels
    if sound.size == 0 or linear.is_placeholder(sound.size):
        is_unknown = linear.is_placeholder(num_frames)
        declared = None if is_unknown else num_frames * block_bytes or None
    samples = linear.Samples(
        sound.start + 8 + offset,
        declared,
        rate_hz,
        num_channels,
        block_bytes,
        block_bytes * rate_hz,
        kind or "",
        endian,
        container_end,
    )
    return linear.account_of(source, samples, end, chunks.BIG_ENDIAN)


def walk_au(source: Source, start: int, end: int) -> Account:
    """Accounts for an AU file, of either byte order."""
    head = source.at(start, 24)
    if len(head) < 24:
        return Account()
    endian = "BIG" if head[:4] == b".snd" else "LITTLE"
    numbers = struct.unpack(">5I" if endian == "BIG" else "<5I", head[4:])
    offset, size, encoding, rate_hz, num_channels = numbers
    subtype = _AU_TYPES.get(encoding, "")
    block_bytes = _WIDTHS.get(subtype, 0) * num_channels
    declared = None if linear.is_placeholder(size) else size
    samples = linear.Samples(
        start + max(24, offset),
        declared,
        rate_hz,
        num_channels,
        block_bytes,
        block_bytes * rate_hz,
        subtype,
        endian,
    )
    return linear.account_of(source, samples, end, None)


def walk_caf(source: Source, start: int, end: int) -> Account:
    """Accounts for a Core Audio file."""
    form = b""
    position = start + 8
    while position < end:
        header = source.at(position, 12)
        size = int.from_bytes(header[4:], "big", signed=True)
        if header[:4] == b"desc":
            form = source.at(position + 12, 32)
        elif header[:4] == b"data":
            declared = size - 4 if size >= 4 else None  # behind the number of edits
            samples = _caf_samples(form, position + 16, declared)
            return linear.account_of(source, samples, end, chunks.CAF)
        if size < 0 or len(header) < 12:
            break
        position += 12 + size
    return Account()


def _caf_samples(form: bytes, start: int, declared: int | None) -> linear.Samples:
    if len(form) < 32:
        return linear.Samples(start, declared, 0, 0, 0, 0)
    rate, name, flags, packet_bytes, packet_frames, num_channels, bits = struct.unpack(
        ">d4s5I", form
    )
    rate_hz = int(rate) if math.isfinite(rate) and 0 < rate < 1 << 31 else 0
    subtype = ""
    if name == b"lpcm":
        subtype = linear.subtype_of_integers(bits // 8, are_signed_bytes=True)
        if flags & 1:
            subtype = {32: "FLOAT", 64: "DOUBLE"}.get(bits, "")
    elif name in (b"ulaw", b"alaw"):
        subtype = name.decode().upper()
    block_bytes = _WIDTHS.get(subtype, 0) * num_channels
    block_bytes = block_bytes if block_bytes == packet_bytes else 0
    per_second = packet_bytes / packet_frames * rate_hz if packet_frames else 0.0
    endian = "LITTLE" if flags & 2 and name == b"lpcm" else "BIG"
    return linear.Samples(
        start, declared, rate_hz, num_channels, block_bytes, per_second, subtype, endian
    )


def walk_nist(source: Source, start: int, end: int) -> Account:
    """Accounts for a NIST SPHERE file."""
    first = source.at(start, 16).split()
    size = int(first[1]) if len(first) > 1 and first[1].isdigit() and len(first[1]) < 8 else 0
    if not 16 < size <= _NIST_HEADER_BYTES:
        return Account()
    fields = dict(
        re.findall(rb"^(\w+) -(?:i|s\d+) ([^\s;]{1,64})", source.at(start, size), re.MULTILINE)
    )

    def number(name: bytes, default: int) -> int:
        text = fields.get(name, b"")
        return int(text) if text.isdigit() and len(text) < 19 else default

    rate_hz, num_channels = number(b"sample_rate", 0), number(b"channel_count", 1)
    width, num_frames = number(b"sample_n_bytes", 2), number(b"sample_count", 0)
    coding = fields.get(b"sample_coding", b"pcm")
    if coding in (b"ulaw", b"mu-law", b"alaw"):
        subtype = _A_LAW if coding == b"alaw" else _MU_LAW
    elif coding == b"pcm":
        subtype = linear.subtype_of_integers(width, are_signed_bytes=True)
    else:  # compressed
        return Account(rates_hz=(rate_hz,) if rate_hz else ())
    block_bytes = _WIDTHS.get(subtype, 0) * num_channels
    samples = linear.Samples(
        start + size,
        num_frames * block_bytes or None,
        rate_hz,
        num_channels,
        block_bytes,
        block_bytes * rate_hz,
        subtype,
        "BIG" if fields.get(b"sample_byte_format") == b"10" else "LITTLE",
    )
    return linear.account_of(source, samples, end, None)


def _extended(encoded: bytes) -> int:
    """Returns the integer part of a sample rate in 80-bit floating point; 0 if it is none."""
    exponent, mantissa = struct.unpack(">HQ", encoded)
    shift = 63 - (exponent - 16_383)
    return int(mantissa >> shift) if 0 < shift < 64 else 0
