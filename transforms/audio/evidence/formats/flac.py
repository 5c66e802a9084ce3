"""Native FLAC (RFC 9639): its true length, by the number of its last frame."""

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

from transforms.audio.evidence.account import Account, Damage, chained
from transforms.audio.evidence.formats import tags
from transforms.audio.evidence.source import Source

_STREAMINFO_BYTES = 4 + 4 + 34
_SYNC = re.compile(rb"\xff[\xf8\xf9]")
_HEADER_BYTES = 16  # the longest header of a frame, with its checksum
_BLOCK_SIZES = {1: 192, **{code: 144 << code for code in range(2, 6)}}
_BLOCK_SIZES |= {code: 1 << code for code in range(8, 16)}
_RATES_HZ = {1: 88_200, 2: 176_400, 3: 192_000, 4: 8_000, 5: 16_000, 6: 22_050, 7: 24_000}
_RATES_HZ |= {8: 32_000, 9: 44_100, 10: 48_000, 11: 96_000}
_STEP_BYTES = 1 << 16
_SHORTEST_FRAME_BYTES = 10
_MOST_FRAME_BYTES = 1 << 22  # 65,535 samples of eight channels and 32 bits have 2 MiB
_MOST_CHECKED_BYTES = 1 << 23  # by checksums; each costs a tenth of a microsecond
_MOST_METADATA_BLOCKS = 10_000
_UNKNOWN_LENGTHS = (0, (1 << 36) - 1)
_SLACK_SECONDS = 0.25
_FEW_BYTES = 64
_MOST_LENGTHS = 100  # of a frame whose end is not known; junk behind it has more
_MOST_LATER = 4  # candidates that may be false, inside frames
# A file of at most this size is read as a whole, to find another one behind its end.
_SEARCHED_BYTES = 1 << 26
_ANOTHER = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")


class _Frame(NamedTuple):
    """A frame: where it is, and the samples it has."""

    start: int
    first_sample: int
    num_samples: int


class _StreamInfo(NamedTuple):
    most_samples: int  # of a frame; of every frame but the last, if the number does not vary
    rate_hz: int
    num_channels: int
    declared: int
    audio_start: int


def walk(source: Source, start: int, end: int) -> Account:
    """Accounts for a FLAC file.

    Args:
      source: The file.
      start: Where it begins.
      end: Where it ends, without tags; they may begin inside it if its last bytes look like some.
    """
    starts = [start]
    info = _stream_info(source, start, end)
    audio_start = info.audio_start if info else end  # metadata may contain another file
    if source.size <= _SEARCHED_BYTES:
        while len(starts) < 1_000:
            found = source.find(_ANOTHER, max(audio_start, starts[-1] + _STREAMINFO_BYTES), end, 8)
            if found >= end:
                break
            starts.append(found)
    if len(starts) == 1:
        return _account(source, start, end)
    parts = tuple(zip(starts, [*starts[1:], end], strict=True))
    return chained(parts, [_account(source, *part) for part in parts])


def _account(source: Source, start: int, end: int) -> Account:
    info = _stream_info(source, start, end)
    if info is None or not info.rate_hz:
        return Account()
    if info.audio_start >= end:
        seconds = 0.0 if info.declared in _UNKNOWN_LENGTHS else info.declared / info.rate_hz
        lost = Damage(None, seconds, "the file ends before its first frame")
        return Account(0, 0.0, (info.rate_hz,), damages=(lost,))
    limit = source.start_of_zeros(info.audio_start, end)
    last, audio_end, damage = _Tail(source, info, limit).find()
    if last is None:
        return Account(rates_hz=(info.rate_hz,))
    if end - audio_end <= 2:
        audio_end = end  # a checksum may end with zeros
    num_frames = last.first_sample + last.num_samples
    missing = 0 if info.declared in _UNKNOWN_LENGTHS else info.declared - num_frames
    slack = max(_SLACK_SECONDS * info.rate_hz, 2 * info.most_samples)
    if missing > slack:
        message = f"the header declares {info.declared} samples, there are {num_frames}"
        damage = Damage(None, missing / info.rate_hz, message)
    return Account(
        num_frames,
        num_frames / info.rate_hz,
        (info.rate_hz,),
        damages=() if damage is None else (damage,),
        audio_range=(start, audio_end) if start or audio_end < source.size else None,
    )


def _stream_info(source: Source, start: int, end: int) -> _StreamInfo | None:
    """Returns what the metadata say; None if they are none."""
    head = source.at(start, _STREAMINFO_BYTES)
    if len(head) < _STREAMINFO_BYTES or head[4] & 0x7F:
        return None
    info = head[8:]
    packed = int.from_bytes(info[10:18], "big")
    position = start + 4
    for _ in range(_MOST_METADATA_BLOCKS):
        header = source.at(position, 4)
        if len(header) < 4:
            break
        position += 4 + int.from_bytes(header[1:], "big")
        if header[0] & 0x80 or position >= end:
            break
    return _StreamInfo(
        int.from_bytes(info[2:4], "big"),
        packed >> 44,
        (packed >> 41 & 7) + 1,
        packed & (1 << 36) - 1,
        position,
    )


class _Tail:
    """The search for the last frame, from the end on."""

    def __init__(self, source: Source, info: _StreamInfo, limit: int) -> None:
        self._source = source
        self._info = info
        self._limit = limit  # where content ends, up to zeros
        self._budget = _MOST_CHECKED_BYTES

    def find(self) -> tuple[_Frame | None, int, Damage | None]:
        """Returns the last whole frame, where it ends, and what is damaged behind it."""
        later: list[_Frame] = []  # candidates behind the present one, the nearest last
        for frame in self._candidates():
            if len(later) < _MOST_LATER and self._is_whole(frame.start, self._limit):
                return frame, self._limit, None
            for following in reversed(later[-_MOST_LATER:]):
                if self._is_whole(frame.start, following.start):
                    return self._judge(frame, following)
            later.append(frame)
            if self._budget <= 0:
                break
        return self._judge(None, later[-1]) if later else (None, self._limit, None)

    def _judge(
        self, frame: _Frame | None, following: _Frame
    ) -> tuple[_Frame | None, int, Damage | None]:
        """As `find`, where a frame begins behind the last one that is whole up to another."""
        num_bytes = min(self._limit - following.start, _MOST_FRAME_BYTES)
        # A checksum is right by chance too, inside a frame: the end is where tags lead on.
        lengths = _frame_lengths(self._source.at(following.start, num_bytes))
        rests = {following.start + each: self._rest(following.start + each) for each in lengths}
        if not rests:
            damage = Damage(
                None, following.num_samples / self._info.rate_hz, "the last frame is cut"
            )
            return following._replace(num_samples=0), following.start, damage
        for frame_end, rest in rests.items():
            if rest < _FEW_BYTES:
                return following, frame_end, None
        frame_end, rest = next(iter(rests.items()))
        damage = Damage(None, 0.0, f"{rest} bytes at the end are no FLAC frame")
        return following, frame_end, damage

    def _rest(self, frame_end: int) -> int:
        """Number of bytes behind a frame, and behind the tags that follow it.

        These may be between this file and another one, and end with zeros.
        """
        return self._limit - tags.end_of_tags(self._source, frame_end, self._source.size)

    def _candidates(self) -> Iterator[_Frame]:
        """Yields what may be headers of frames, from the last one on backwards."""
        end = self._limit
        while end > self._info.audio_start:
            start = max(self._info.audio_start, end - _STEP_BYTES)
            piece = self._source.at(start, end - start + _HEADER_BYTES)
            starts = [match.start() for match in _SYNC.finditer(piece, 0, end - start + 1)]
            for position in reversed(starts):
                header = piece[position : position + _HEADER_BYTES]
                frame = _frame(header, start + position, self._info)
                if frame and start + position < end:
                    yield frame
            end = start

    def _is_whole(self, start: int, end: int) -> bool:
        """Whether the checksum of a frame is right."""
        if not _SHORTEST_FRAME_BYTES <= end - start <= _MOST_FRAME_BYTES:
            return False
        self._budget -= end - start
        return self._budget > 0 and _crc_16(self._source.at(start, end - start)) == 0


def _frame(header: bytes, start: int, info: _StreamInfo) -> _Frame | None:
    """Returns the frame with this header; None if it is none of this stream."""
    if len(header) < 6 or header[3] & 1:
        return None
    size_code, rate_code, channels = header[2] >> 4, header[2] & 15, header[3] >> 4
    if not size_code or rate_code == 15 or channels > 10:
        return None
    if (channels if channels < 8 else 1) + 1 != info.num_channels:
        return None
    if _RATES_HZ.get(rate_code, info.rate_hz) != info.rate_hz:
        return None
    ones = 8 - (header[4] ^ 0xFF).bit_length()  # as in UTF-8
    length = max(1, ones)
    if ones in (1, 8) or len(header) < 8 + length:
        return None
    number = header[4] & (0x7F >> ones)
    for byte in header[5 : 4 + length]:
        if byte >> 6 != 2:
            return None
        number = number << 6 | byte & 0x3F
    position = 4 + length
    size_bytes = {6: 1, 7: 2}.get(size_code, 0)
    num_samples = _BLOCK_SIZES.get(size_code, 0)
    if size_bytes:
        num_samples = 1 + int.from_bytes(header[position : position + size_bytes], "big")
    position += size_bytes + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if position >= len(header) or _crc_8(header[:position]) != header[position]:
        return None
    if num_samples > max(info.most_samples, 16):
        return None
    first = number if header[1] & 1 else number * info.most_samples
    return _Frame(start, first, num_samples)


@functools.cache
def _crc_table(polynomial: int, num_bits: int) -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte << num_bits - 8
        for _ in range(8):
            crc = crc << 1 ^ (polynomial if crc >> num_bits - 1 else 0)
        table.append(crc & (1 << num_bits) - 1)
    return tuple(table)


def _crc_8(content: bytes) -> int:
    crc, table = 0, _crc_table(0x107, 8)
    for byte in content:
        crc = table[crc ^ byte]
    return crc


def _crc_16(content: bytes) -> int:
    crc, table = 0, _crc_table(0x18005, 16)
    for byte in content:
        crc = (crc << 8 & 0xFF00) ^ table[crc >> 8 ^ byte]
    return crc


def _frame_lengths(content: bytes) -> list[int]:
    """Returns the first lengths at which the checksum of a frame is right."""
    crc, table = 0, _crc_table(0x18005, 16)
    lengths: list[int] = []
    for length, byte in enumerate(content, 1):
        crc = (crc << 8 & 0xFF00) ^ table[crc >> 8 ^ byte]
        if not crc and length >= _SHORTEST_FRAME_BYTES and len(lengths) < _MOST_LENGTHS:
            lengths.append(length)
    return lengths
