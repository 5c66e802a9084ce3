"""Other formats whose structure tells that their end is missing: ASF, AVI, FLV, TTA and so on."""

import dataclasses
import math
import re
import struct
from typing import NamedTuple

from transforms.audio.evidence.account import Account, Damage
from transforms.audio.evidence.formats.chunks import RIFF
from transforms.audio.evidence.source import Source

ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_DATA_BYTES = 50
_ASF_LIVE_BYTES = 50
_ASF_PACKET = b"\x82\0\0"  # of nearly all programs: two bytes of error correction, all zero
_AMR_BYTES = (13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1)
_AMR_WB_BYTES = (18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1)
_AMR_SECONDS = 0.02
_FLV_TYPES = (8, 9, 18)
_TS_BYTES = 188
_TS_SYNC = 0x47
_FEW_BYTES = 64
# The chunks of larger files are not looked at one by one.
_SEARCHED_BYTES = 1 << 26
_AVI_CHUNK = re.compile(rb"[0-9A-Fa-f]{2}[A-Za-z]{2}|ix[0-9]{2}|JUNK|LIST|idx1")
_MOST_TTA_FRAMES = 10_000_000


def walk_asf(source: Source, start: int, end: int) -> Account:
    """Accounts for ASF: WMA and WMV. Its data object has to be there in full.

    Packets have one size; damage is where one does not begin as the first one.
    """
    position = start
    packets = _AsfPackets(0, 0.0)
    for _ in range(10_000):
        head = source.at(position, 24)
        size = int.from_bytes(head[16:], "little")
        if len(head) < 24 or size < 24:
            break
        if head[:16] == _ASF_DATA:
            missing = position + size - end
            if missing > 0 and size > _ASF_LIVE_BYTES and size < 1 << 62:
                return _cut(f"the file lacks {missing} of {size} bytes of its data")
            damage = _damage_of_packets(source, position, min(end, position + size), packets)
            return Account(damages=(damage,) if damage else ())
        if position + size > end:
            return _cut("the file ends in its header")
        if head[:16] == ASF_HEADER:
            packets = _asf_packets(source, position + 30, position + size)
        position += size
    return Account()


class _AsfPackets(NamedTuple):
    """Size of the packets of ASF, 0 if it is unknown, and how long all of them last."""

    num_bytes: int
    seconds: float


def _asf_packets(source: Source, position: int, end: int) -> _AsfPackets:
    """Reads the file properties among the objects of a header."""
    while position < end:
        head = source.at(position, 100)
        size = int.from_bytes(head[16:24], "little")
        if len(head) < 100 or size < 24:
            break
        if head[:16] == _ASF_PROPERTIES:
            duration, preroll, least, most = struct.unpack("<64xQ8xQ4xII", head)
            num_bytes = least if least == most else 0
            return _AsfPackets(num_bytes, max(0.0, duration / 1e7 - preroll / 1e3))
        position += size
    return _AsfPackets(0, 0.0)


def _damage_of_packets(source: Source, start: int, end: int, packets: _AsfPackets) -> Damage | None:
    """Returns where the first packet of a data object is that is none; None if all are."""
    first, step = start + _ASF_DATA_BYTES, packets.num_bytes
    if step < 16 or end > _SEARCHED_BYTES or source.at(first, 3) != _ASF_PACKET:
        return None
    broken = [
        position
        for position in range(first, end - step + 1, step)
        if source.at(position, 3) != _ASF_PACKET
    ]
    if not broken or source.end_of_zeros(broken[0], end) == end:
        return None
    share = packets.seconds / (end - first)
    lost = len(broken) * step * share
    message = f"{len(broken)} packets are none, from byte {broken[0]} on"
    return Damage((broken[0] - first) * share, lost, message)


def walk_avi(source: Source, start: int, end: int) -> Account:
    """Accounts for AVI: one or more RIFF chunks, the last of which is there in full."""
    position = start
    if end <= _SEARCHED_BYTES and (damage := _damage_of_movie(source, start, end)):
        return Account(damages=(damage,))
    while position < end and source.at(position, 4) == b"RIFF":
        size = int.from_bytes(source.at(position + 4, 4), "little")
        missing = position + 8 + size - end
        if missing > 0 and size < 0x7FFF_F000:
            return _cut(f"the file lacks its last {missing} bytes")
        if size < 4:
            break
        position += 8 + size + size % 2
    return Account()


def _damage_of_movie(source: Source, start: int, end: int) -> Damage | None:
    """Returns where the chunks of the first movie list of AVI are broken; None if nowhere."""
    movie = movie_end = 0
    for chunk in RIFF.walk(source, start + 12, end):
        if chunk.name == b"LIST" and source.at(chunk.start, 4) == b"movi":
            movie, movie_end = chunk.start + 4, chunk.start + chunk.size
            break
    if not movie or movie_end > end:
        return None
    position = movie
    while position < movie_end - 8:
        piece = RIFF.at(source, position)
        is_chunk = piece is not None and _AVI_CHUNK.match(piece.name)
        if piece is None or not is_chunk or piece.start + piece.size > movie_end:
            # Before the list there is the main header, with the length of the video.
            head = source.at(start + 32, 20)
            seconds = int.from_bytes(head[:4], "little") * int.from_bytes(head[16:], "little") / 1e6
            seconds *= (position - movie) / (movie_end - movie)
            return Damage(seconds or None, 0.0, f"byte {position} begins no chunk")
        position = piece.start + 4 if piece.name == b"LIST" else piece.next
    return None


def walk_flv(source: Source, start: int, end: int) -> Account:
    """Accounts for Flash video: a row of tags."""
    position = start + int.from_bytes(source.at(start + 5, 4), "big") + 4
    seconds = 0.0
    while position < end:
        head = source.at(position, 11)
        if len(head) < 11:
            return _cut("the last tag is cut") if head[:1] in b"\x08\x09\x12" else Account()
        following = position + 11 + int.from_bytes(head[1:4], "big")
        if head[0] & 0x1F not in _FLV_TYPES or head[8:11] != bytes(3):  # the stream is always 0
            account = _rest(source, position, end, "tag")
            damages = (dataclasses.replace(each, start_seconds=seconds) for each in account.damages)
            return Account(damages=tuple(damages))
        if following > end:
            return _cut("the last tag is cut")
        seconds = int.from_bytes(head[7:8] + head[4:7], "big") / 1e3
        position = following + 4
    return Account()


def walk_tta(source: Source, start: int, end: int) -> Account:
    """Accounts for True Audio, whose header has the size of every frame."""
    head = source.at(start, 22)
    if len(head) < 22:
        return _cut("the file ends in its header")
    rate_hz, num_samples = struct.unpack("<10xII4x", head)
    if not rate_hz:
        return Account()
    num_frames = math.ceil(num_samples * 245 / (256 * rate_hz))
    if num_frames * 4 > end - start or num_frames > _MOST_TTA_FRAMES:
        return _cut("the file ends in the table of its frames")
    table = source.at(start + 22, 4 * num_frames)
    sizes = struct.unpack(f"<{len(table) // 4}I", table[: len(table) // 4 * 4])
    total = start + 22 + len(table) + 4 + sum(sizes)
    if total <= end:
        return Account(rates_hz=(rate_hz,))
    position, whole = start + 26 + len(table), 0
    for size in sizes:
        position += size
        whole += position <= end
    seconds = num_samples / rate_hz - whole * 256 / 245
    damage = Damage(None, max(0.0, seconds), f"the file lacks its last {total - end} bytes")
    return Account(rates_hz=(rate_hz,), damages=(damage,))


def walk_wavpack(source: Source, start: int, end: int) -> Account:
    """Accounts for WavPack: a row of blocks, each with its number and the total of samples."""
    position, total, counted = start, 0, 0
    while position < end:
        head = source.at(position, 32)
        if head[:4] != b"wvpk"[: len(head)]:
            account = _rest(source, position, end, "block")
            if account.damages:
                return account
            return Account(audio_range=(start, position))
        following = position + 8 + int.from_bytes(head[4:8], "little")
        if len(head) < 32 or following > end or following < position + 32:
            return _cut("the last block is cut")
        if not total:
            total = int.from_bytes(head[12:16], "little")
        index, num_samples = struct.unpack("<16xII8x", head)
        counted = max(counted, index + num_samples)
        position = following
    if total not in (0, 0xFFFF_FFFF) and total > counted + 1:
        return _cut(f"the header declares {total} samples, there are {counted}")
    return Account(audio_range=(start, end) if end < source.size else None)


def walk_amr(source: Source, start: int, end: int) -> Account:
    """Accounts for AMR and AMR-WB: a row of frames of 20 ms."""
    is_wide = source.at(start, 9) == b"#!AMR-WB\n"
    sizes = _AMR_WB_BYTES if is_wide else _AMR_BYTES
    position, num_frames = start + (9 if is_wide else 6), 0
    rates_hz = (16_000 if is_wide else 8_000,)
    while position < end:
        head = source.at(position, 1)
        size = sizes[head[0] >> 3 & 15] if head and not head[0] & 0x83 else 0
        seconds = num_frames * _AMR_SECONDS
        if not size:
            damages = _rest(source, position, end, "frame").damages
            return Account(None, seconds, rates_hz, damages=damages)
        position += size
        if position > end:
            damage = Damage(None, _AMR_SECONDS, "the last frame is cut")
            return Account(None, seconds, rates_hz, damages=(damage,))
        num_frames += 1
    return Account(None, num_frames * _AMR_SECONDS, rates_hz)


def is_transport_stream(source: Source, start: int) -> bool:
    """Whether five packets of an MPEG transport stream stand at a position."""
    head = source.at(start, 4 * _TS_BYTES + 1)
    return len(head) > 4 * _TS_BYTES and set(head[::_TS_BYTES]) == {_TS_SYNC}


def walk_transport_stream(source: Source, start: int, end: int) -> Account:
    """Accounts for the last packet of an MPEG transport stream."""
    zeros = source.start_of_zeros(start, end)
    if end - zeros >= _TS_BYTES:  # a packet may end with zeros
        whole = start + -(-(zeros - start) // _TS_BYTES) * _TS_BYTES
        return Account(audio_range=(start, min(end, whole)))
    rest = (end - start) % _TS_BYTES
    is_packet = rest and source.at(end - rest, 1)[:1] == bytes([_TS_SYNC])
    return _cut("the last packet is cut") if is_packet else Account()


def walk_dsf(source: Source, start: int, end: int) -> Account:
    """Accounts for DSF, which declares the size of the file."""
    del end
    missing = start + int.from_bytes(source.at(start + 12, 8), "little") - source.size
    if 0 < missing < 1 << 62:
        return _cut(f"the file lacks its last {missing} bytes")
    return Account()


def _cut(message: str) -> Account:
    return Account(damages=(Damage(None, 0.0, message),))


def _rest(source: Source, position: int, end: int, name: str) -> Account:
    """Accounts for bytes at the end that are nothing known."""
    num_bytes = end - position
    if num_bytes < _FEW_BYTES or source.end_of_zeros(position, end) == end:
        return Account()
    return _cut(f"{num_bytes} bytes from byte {position} on are no {name}")
