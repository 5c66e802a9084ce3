"""Tags of music players, which stand before, between and behind the frames of many formats.

ID3v2 (id3.org), ID3v1 with its extension TAG+, APEv1 and APEv2 (Monkey's Audio), Lyrics3.
"""

import re

from transforms.audio.evidence.source import Source

_ID3V2_BYTES = 10
_ID3V1_BYTES = 128
_ID3V1_EXTENDED_BYTES = 227
_APE_BYTES = 32
_APE_IS_HEADER = 1 << 29
_APE_HAS_HEADER = 1 << 31
_LYRICS_START = b"LYRICSBEGIN"
_LYRICS_END = re.compile(rb"LYRICSEND|LYRICS200")
_LYRICS_LIMIT_BYTES = 1 << 13  # in front of other frames; at the end, the tag tells its size
_MOST_TAGS = 1_000


def end_of_tag(source: Source, start: int, end: int) -> int:
    """Returns where the tag that begins at `start` ends; `start` if none begins there."""
    head = source.at(start, min(_APE_BYTES, end - start))
    tag_end = start
    if head[:3] == b"ID3" and _is_id3v2(head):
        # 28 bits in four bytes, the top bit of each unused (ID3v2.4, 6.2).
        tag_end += _ID3V2_BYTES + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
        tag_end += _ID3V2_BYTES if head[5] & 0x10 else 0  # a footer
    elif head[:4] == b"TAG+" and source.at(start + _ID3V1_EXTENDED_BYTES, 3) == b"TAG":
        tag_end += _ID3V1_EXTENDED_BYTES + _ID3V1_BYTES
    elif head[:3] == b"TAG":
        tag_end += _ID3V1_BYTES
    elif head[:8] == b"APETAGEX" and len(head) == _APE_BYTES:
        is_header = int.from_bytes(head[20:24], "little") & _APE_IS_HEADER
        size = int.from_bytes(head[12:16], "little")  # without a header, with the footer
        tag_end += _APE_BYTES + (size if is_header else 0)
    elif head[: len(_LYRICS_START)] == _LYRICS_START:
        limit = min(end, start + _LYRICS_LIMIT_BYTES)
        found = source.find(_LYRICS_END, start, limit, 9)
        tag_end = found + 9 if found < limit else start
    return tag_end if tag_end <= end else start


def end_of_tags(source: Source, start: int, end: int) -> int:
    """Returns where the tags in a row end that begin at `start`; `start` if there are none."""
    for _ in range(_MOST_TAGS):
        tag_end = end_of_tag(source, start, end)
        if tag_end == start:
            break
        start = tag_end
    return start


def end_of_leading_tags(source: Source) -> int:
    """Returns where the ID3v2 tags in front of a recording end."""
    position = 0
    for _ in range(_MOST_TAGS):
        tag_end = end_of_tag(source, position, source.size)
        if tag_end == position or source.at(position, 3) != b"ID3":
            break
        position = tag_end
    return position


def start_of_trailing_tags(source: Source, start: int) -> int:
    """Returns where the tags at the end of a file begin; its size if there are none.

    Args:
      source: The file.
      start: Where its recording begins, which no tag reaches.
    """
    end = source.size
    for _ in range(_MOST_TAGS):
        tag_start = _start_of_last_tag(source, start, end)
        if tag_start == end and source.at(end - 1, 1) == b"\0":
            tag_start = _start_of_padded_tag(source, start, end)
        if tag_start == end:
            break
        end = tag_start
    return end


def _start_of_padded_tag(source: Source, start: int, end: int) -> int:
    """As `_start_of_last_tag`, for a tag, which may end with zeros itself, and zeros behind it."""
    zeros = source.start_of_zeros(start, end)
    for tag_end in range(zeros, min(end, zeros + _ID3V1_BYTES)):
        tag_start = _start_of_last_tag(source, start, tag_end)
        if tag_start < tag_end:
            return tag_start
    return end


def _start_of_last_tag(source: Source, start: int, end: int) -> int:
    """Returns where the tag that ends at `end` begins; `end` if there is none."""
    tag_start = end
    foot = source.at(max(0, end - _APE_BYTES), min(_APE_BYTES, end))
    if source.at(max(0, end - _ID3V1_BYTES), 3) == b"TAG":
        tag_start -= _ID3V1_BYTES
        extended = max(0, tag_start - _ID3V1_EXTENDED_BYTES)
        if source.at(extended, 4) == b"TAG+":
            tag_start = extended
    elif foot[:8] == b"APETAGEX" and len(foot) == _APE_BYTES:
        flags = int.from_bytes(foot[20:24], "little")
        tag_start -= int.from_bytes(foot[12:16], "little")
        has_header = flags & _APE_HAS_HEADER or source.at(max(0, tag_start - 32), 8) == foot[:8]
        tag_start -= _APE_BYTES if has_header else 0
    elif foot[-9:] == b"LYRICS200" and foot[-15:-9].isdigit():
        tag_start -= 15 + int(foot[-15:-9])
    elif foot[-9:] == b"LYRICSEND":
        limit = max(start, end - 5_200)  # the longest text of Lyrics3 v1 has 5,100 bytes
        tag_start = limit + source.at(limit, end - limit).rfind(_LYRICS_START)
        tag_start = tag_start if tag_start >= limit else end
    elif foot[-10:-7] == b"3DI" and len(foot) >= _ID3V2_BYTES:
        size = foot[-4] << 21 | foot[-3] << 14 | foot[-2] << 7 | foot[-1]
        tag_start -= 2 * _ID3V2_BYTES + size
        tag_start = tag_start if source.at(max(0, tag_start), 3) == b"ID3" else end
    return tag_start if start <= tag_start < end else end


def _is_id3v2(head: bytes) -> bool:
    return len(head) >= _ID3V2_BYTES and max(head[3:5]) < 0xFF and max(head[6:10]) < 0x80
