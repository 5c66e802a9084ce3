"""Matroska and WebM (RFC 9559): the elements of segments and clusters, hopped over by size."""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from transforms.audio.evidence.account import Account, DamageList
from transforms.audio.evidence.source import Source

_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_INFO, _VOID, _CRC = 0x1549A966, 0xEC, 0xBF
_TIMESTAMP, _SCALE, _DURATION = 0xE7, 0x2AD7B1, 0x4489
_TOP = {_INFO, 0x114D9B74, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367, _CLUSTER}
_IN_CLUSTER = {_TIMESTAMP, 0xA3, 0xA0, 0xA7, 0xAB, 0xAF, 0x5854}
_KNOWN = {_EBML, _SEGMENT, _VOID, _CRC} | _TOP | _IN_CLUSTER
_STARTS = re.compile(
    b"|".join(re.escape(name.to_bytes(4, "big")) for name in sorted(_TOP | {_EBML})), re.DOTALL
)
_FEW_BYTES = 64
_MOST_PARTS = 10_000
_INFO_BYTES = 1 << 16
_CLUSTER_HEAD_BYTES = 64
_BLOCK = 0xA3
# The blocks of larger files, which are videos, are not looked at one by one.
_SEARCHED_BYTES = 1 << 26


class _Element(NamedTuple):
    name: int
    start: int  # of its content
    size: int | None  # None if it is unknown


def walk(source: Source, start: int, end: int) -> Account:
    """Walks the elements of a file.

    Args:
      source: The file.
      start: Where it begins.
      end: Where it ends, without tags.
    """
    return _Walk(source, start, end).account()


class _Walk:
    def __init__(self, source: Source, start: int, end: int) -> None:
        self._source = source
        self._start, self._end = start, end
        self._damages = DamageList()
        self._parts: list[int] = []
        self._has_segment = False
        self._segment_end = 0
        self._scale_seconds = 1e-3
        self._cluster_seconds = 0.0  # of the cluster that the walk has reached
        self._track_seconds: dict[int, float] = {}  # of the last block of each track there
        self._hole: tuple[float, str] | None = None  # since the last block
        self._duration = 0.0  # by the header

    def account(self) -> Account:
        position = self._start
        while position < self._end:
            element = self._element(position)
            if element is None:
                position = self._skip(position)
            elif element.size is None or element.name == _SEGMENT or self._is_searched(element):
                self._enter(element)
                position = element.start
            else:
                position = self._hop(position, element)
        self._check_segment(self._end)
        self._end_hole(max(self._seconds, self._duration))
        ends = [*self._parts[1:], self._end]
        return Account(
            parts=tuple(zip(self._parts, ends, strict=True)) if len(ends) > 1 else (),
            damages=self._damages.ordered(),
        )

    def _element(self, position: int) -> _Element | None:
        """Returns the element at a position; None if there is none. A cut header ends behind."""
        element = _parse(self._source.at(position, min(12, self._end - position)), position)
        if element is None or element.name in _KNOWN:
            unknown_size = element is not None and element.size is None
            is_master = element is not None and element.name in (_SEGMENT, _CLUSTER, 0)
            return None if unknown_size and not is_master else element
        if element.name == 0 or element.size is None:
            return element if element.name == 0 else None
        following = element.start + element.size  # a private element, if another is behind it
        if following < self._end:
            behind = _parse(self._source.at(following, 12), following)
            return element if behind and behind.name in _KNOWN else None
        return element if following == self._end else None

    @property
    def _seconds(self) -> float:
        """Time up to which there is audio, whichever track it is."""
        return max(self._cluster_seconds, min(self._track_seconds.values(), default=0.0))

    def _is_searched(self, element: _Element) -> bool:
        """Whether the blocks of a cluster are looked at: one that is there in full."""
        is_small = element.name == _CLUSTER and self._end <= _SEARCHED_BYTES
        return is_small and element.start + (element.size or 0) <= self._end

    def _enter(self, element: _Element) -> None:
        if element.name == _SEGMENT:
            self._has_segment = True
            self._segment_end = 0 if element.size is None else element.start + element.size
        elif element.name == _CLUSTER:
            self._note_time(element.start, self._end)

    def _hop(self, position: int, element: _Element) -> int:
        """Returns where an element of known size ends."""
        following = element.start + (element.size or 0)
        if element.name == _EBML:
            if self._has_segment or not self._parts:
                self._check_segment(position)
                if len(self._parts) < _MOST_PARTS:
                    self._parts.append(position)
            self._has_segment = False
        elif element.name == _CLUSTER:
            self._note_time(element.start, following)
        elif element.name == _BLOCK:
            self._note_block(element.start)
        elif element.name == _INFO:
            self._note_duration(element.start, min(following, element.start + _INFO_BYTES))
        if following <= self._end:
            return following
        found = self._source.find(_STARTS, position + 4, self._end, 4)
        if found < self._end and self._element(found):
            self._begin_hole(f"{found - position} bytes are no whole element")
            return found
        if self._segment_end <= self._end:  # else it is told of the segment
            self._damages.add(None, 0.0, "the last element is cut")
        return self._end

    def _skip(self, position: int) -> int:
        """Accounts for bytes that are no element, and returns where the next one begins."""
        found = position
        while found < self._end:
            found = self._source.find(_STARTS, found + 1, self._end, 4)
            if found < self._end and self._element(found):
                break
        num_bytes = found - position
        if found < self._end:
            self._begin_hole(f"{num_bytes} bytes are no element")
        elif num_bytes > _FEW_BYTES and self._source.end_of_zeros(position, found) < found:
            self._damages.add(None, 0.0, f"{num_bytes} bytes at the end are no element")
        return found

    def _check_segment(self, end: int) -> None:
        """Tells a segment that is cut."""
        if self._segment_end > end:
            missing = self._segment_end - end
            message = f"the file lacks its last {missing} bytes"
            if end == self._end:
                self._damages.add(None, 0.0, message)
            else:
                rest = max(0.0, self._duration - self._seconds)
                self._damages.add(self._seconds, rest, message)
        self._segment_end = 0

    def _note_time(self, start: int, end: int) -> None:
        end = min(end, start + _CLUSTER_HEAD_BYTES)
        for name, content in self._children(start, end):
            if name == _TIMESTAMP:
                self._cluster_seconds = int.from_bytes(content, "big") * self._scale_seconds
                self._track_seconds.clear()
                self._end_hole(self._cluster_seconds)
                return

    def _begin_hole(self, message: str) -> None:
        self._end_hole(self._seconds)
        self._hole = self._seconds, message

    def _end_hole(self, seconds: float) -> None:
        """Tells what was lost since a block, now that the time of the next one is known."""
        if self._hole:
            start, message = self._hole
            self._damages.add(start, seconds - start, message)
        self._hole = None

    def _note_block(self, start: int) -> None:
        head = self._source.at(start, 3)
        if len(head) == 3 and head[0] & 0x80:  # one of the first 127 tracks
            offset = int.from_bytes(head[1:], "big", signed=True)
            seconds = self._cluster_seconds + offset * self._scale_seconds
            self._track_seconds[head[0]] = max(0.0, seconds)

    def _note_duration(self, start: int, end: int) -> None:
        duration = 0.0
        for name, content in self._children(start, end):
            if name == _SCALE:
                self._scale_seconds = int.from_bytes(content, "big") * 1e-9
            elif name == _DURATION and len(content) in (4, 8):
                duration = struct.unpack(">f" if len(content) == 4 else ">d", content)[0]
        duration *= self._scale_seconds
        self._duration = duration if 0 < duration < 1e9 else 0.0

    def _children(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Yields the name and the content of small elements in a range."""
        while start < end:
            element = _parse(self._source.at(start, 12), start)
            if element is None or element.size is None or not element.name:
                return
            yield element.name, self._source.at(element.start, min(element.size, 8))
            start = element.start + element.size


def _parse(head: bytes, position: int) -> _Element | None:
    """Returns the element whose header begins `head`.

    None if no element begins so; one of name 0 that has more bytes than there can be, if `head`
    ends inside the header.
    """
    cut = _Element(0, position, 1 << 62)
    name_bytes = 9 - head[0].bit_length() if head else 0
    if not 1 <= name_bytes <= 4:
        return None
    if len(head) <= name_bytes:
        return cut
    name = int.from_bytes(head[:name_bytes], "big")
    size_bytes = 9 - head[name_bytes].bit_length()
    if size_bytes > 8:
        return None
    encoded = head[name_bytes : name_bytes + size_bytes]
    if len(encoded) < size_bytes:
        return cut
    ones = (1 << 7 * size_bytes) - 1
    size = int.from_bytes(encoded, "big") & ones
    return _Element(name, position + name_bytes + size_bytes, None if size == ones else size)
