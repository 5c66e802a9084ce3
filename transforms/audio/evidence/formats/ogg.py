"""Ogg (RFC 3533): its pages, and the times of Vorbis, Opus, FLAC and Speex."""

import dataclasses
import re
import zlib
from collections.abc import Callable
from typing import NamedTuple

from transforms.audio.evidence.account import Account, Damage, DamageList
from transforms.audio.evidence.formats import packets, tags
from transforms.audio.evidence.source import Source

_CAPTURE = b"OggS"
_CAPTURE_PATTERN = re.compile(_CAPTURE)
_HEADER_BYTES = 27  # followed by the lengths of up to 255 segments
_CONTINUED, _FIRST, _LAST = 1, 2, 4
_CHECKSUM = (22, 26)
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_MOST_STREAMS = 1_000
_MOST_PARTS = 10_000
_MOST_HOLES = 100
_CUT_OUT_SAMPLES = 10_000  # encoders count the first page a few packets off
_LONGEST_PAGE_SECONDS = 60  # 255 packets of Vorbis at 44.1 kHz have 47 s
# Checksums of pages whose length is not confirmed by a page behind them: what hostile files may
# cost beyond one pass.
_UNCONFIRMED_BYTES = 1 << 26


class Page(NamedTuple):
    """A page of an Ogg file."""

    start: int
    end: int
    flags: int
    granule: int
    serial: int
    sequence: int
    segments: bytes  # the sizes of pieces of packets; smaller than 255 at the end of a packet
    is_open: bool  # the last packet goes on in the next page


def walk(source: Source, start: int, end: int) -> Account:
    """Walks the pages of an Ogg file.

    Args:
      source: The file.
      start: Where its first page begins.
      end: Where its tags end it.
    """
    return _Walk(source, start, end).account()


def has_valid_checksum(page: bytes) -> bool:
    """Checks the checksum of a page: CRC-32 with the most significant bit first."""
    start, end = _CHECKSUM
    zeroed = page[:start] + bytes(end - start) + page[end:]
    # zlib's has the least significant bit first, and is inverted at both ends.
    crc = zlib.crc32(zeroed.translate(_REVERSED_BITS), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return crc.to_bytes(4, "big").translate(_REVERSED_BITS) == page[start:end]


@dataclasses.dataclass
class _Stream:
    """A logical stream, as far as it has been walked."""

    identity: packets.Identity
    last: Page
    num_pages: int = 1
    base: int = 0  # position at which the audio begins
    granule: int = 0  # of the last page with audio
    counted: int = 0  # samples that there are: gaps in granule positions are none
    length: Callable[[bytes], int] | None = None  # of a packet
    num_headers: int = 1
    header_end: bytes = b""
    open_samples: int = 0  # of the packet that goes on in the next page
    ended_samples: int = 0  # of packets since the last granule position
    holes: list[Damage] = dataclasses.field(default_factory=list)
    num_holes: int = 0
    begins_with_hole: bool = False  # pages are missing before the first one with audio

    @property
    def rate_hz(self) -> int:
        """Rate of granule positions; 0 if unknown."""
        return self.identity.rate_hz

    def seconds(self, granule: int) -> float:
        """Returns the time of a granule position."""
        if not self.rate_hz or not granule:
            return 0.0
        return max(0, granule - self.base) / self.rate_hz

    def advance(self, page: Page, content: bytes) -> None:
        """Moves on to the next page.

        Args:
          page: The page.
          content: Its bytes behind the header.
        """
        self._add_packets(page, content)
        if page.granule <= 0:
            if not page.granule and not self.granule:  # nothing but headers
                self.ended_samples = 0
            return
        most = self.ended_samples if self.length else 1 << 62
        self.ended_samples = 0
        if self.granule:
            self.counted += min(max(0, page.granule - self.granule), most)
        elif self.begins_with_hole or page.granule - self.identity.delay > most + _CUT_OUT_SAMPLES:
            # A stream that was cut out of another one begins somewhere else than at 0.
            self.base = max(0, page.granule - most)
        else:
            self.base = self.identity.delay
            self.counted += min(max(0, page.granule - self.base), most)
        self.granule = page.granule

    def _add_packets(self, page: Page, content: bytes) -> None:
        if self.identity.lengths is None:
            return
        position, is_start = 0, not page.flags & _CONTINUED
        for size in page.segments:
            is_end = size < 255
            if self.num_headers < self.identity.num_headers:
                header = self.header_end + content[position : position + size]
                self.header_end = header[-packets.SETUP_TAIL_BYTES :]
                self.num_headers += is_end
            else:
                self.length = self.length or self.identity.lengths(self.header_end)
                if is_start:
                    self.open_samples = self.length(content[position : position + 2])
                self.ended_samples += self.open_samples if is_end else 0
            is_start = is_end
            position += size


class _Walk:
    def __init__(self, source: Source, start: int, end: int) -> None:
        self._source = source
        self._start, self._end = start, end
        self._streams: dict[int, _Stream] = {}
        self._has_data = False
        self._part_starts: list[int] = []
        self._rates_hz: list[int] = []
        self._seconds = 0.0  # of the parts before this one
        self._counted_seconds = 0.0
        self._damages = DamageList()
        self._broken: tuple[str, Page | None] | None = None  # since the last whole page
        self._unconfirmed_bytes = _UNCONFIRMED_BYTES

    def account(self) -> Account:
        position = self._start
        while position < self._end:
            page = self._page(position)
            if page is None or page.end > self._end:
                position = self._skip(position, page)
                continue
            is_confirmed = self._is_boundary(page.end)
            is_valid = self._check(page, is_confirmed)
            if not is_valid and not is_confirmed:
                position = self._skip(position, page)
                continue
            if is_valid:
                self._take(page)
            elif self._may_be_audio(page):
                self._broken = ("the checksum of a page is wrong", page)
            position = page.end
        self._end_part(is_end=True)
        ends = [*self._part_starts[1:], self._end]
        return Account(
            num_seconds=self._counted_seconds or None,
            rates_hz=tuple(self._rates_hz),
            parts=tuple(zip(self._part_starts, ends, strict=True)) if len(ends) > 1 else (),
            damages=self._damages.ordered(),
        )

    def _page(self, position: int) -> Page | None:
        """Returns the page at a position, which may end behind the file; None if there is none."""
        header = self._source.at(position, _HEADER_BYTES)
        if header[:4] != _CAPTURE[: len(header)] or header[4:5] not in (b"\0", b""):
            return None
        end, is_open, segments = self._end + 1, False, b""
        if len(header) == _HEADER_BYTES:
            segments = self._source.at(position + _HEADER_BYTES, header[26])
            if len(segments) == header[26]:
                end = position + _HEADER_BYTES + len(segments) + sum(segments)
                is_open = segments[-1:] == b"\xff"
        return Page(
            position,
            end,
            header[5] if len(header) > 5 else 0,
            int.from_bytes(header[6:14], "little", signed=True),
            int.from_bytes(header[14:18], "little"),
            int.from_bytes(header[18:22], "little"),
            segments,
            is_open,
        )

    def _is_boundary(self, position: int) -> bool:
        return position == self._end or self._source.at(position, 4) == _CAPTURE

    def _check(self, page: Page, is_confirmed: bool) -> bool:
        """Checks a page's checksum; one that nothing confirms only as long as it may cost."""
        if not is_confirmed:
            self._unconfirmed_bytes -= page.end - page.start
            if self._unconfirmed_bytes < 0:
                return False
        return has_valid_checksum(self._source.at(page.start, page.end - page.start))

    def _take(self, page: Page) -> None:
        """Accounts for a whole page."""
        if page.flags & _FIRST:
            self._begin_stream(page)
            return
        self._has_data = True
        stream = self._streams.get(page.serial)
        if stream is None or not stream.identity.may_be_audio:
            return
        missing = page.sequence - stream.last.sequence - 1
        if self._broken or (stream.granule and 0 < missing < 1 << 31):
            self._add_hole(stream, page, min(max(0, missing), 1 << 31))
        if missing == -1 and stream.granule and not stream.last.flags & _LAST:
            self._add_repetition(stream)
        if not stream.granule:
            stream.begins_with_hole |= missing > 0
        stream.advance(page, self._content(page))
        stream.last = page
        stream.num_pages += 1

    def _begin_stream(self, page: Page) -> None:
        if self._has_data or not self._part_starts:
            self._end_part(is_end=False)
            if len(self._part_starts) < _MOST_PARTS:
                self._part_starts.append(page.start if self._part_starts else self._start)
        if len(self._streams) < _MOST_STREAMS:
            identity = packets.identify(self._content(page)[:512])
            self._streams[page.serial] = _Stream(identity, page)

    def _content(self, page: Page) -> bytes:
        start = page.start + _HEADER_BYTES + len(page.segments)
        return self._source.at(start, page.end - start)

    def _may_be_audio(self, page: Page) -> bool:
        stream = self._streams.get(page.serial)
        return stream is None or stream.identity.may_be_audio

    def _add_hole(self, stream: _Stream, page: Page, missing: int) -> None:
        """Notes what is missing before a page: pages of its stream, or what was broken."""
        # The page itself is in what its granule position has advanced by.
        advance = max(0, page.granule - stream.granule) * missing / (missing + 1)
        seconds = advance / stream.rate_hz if stream.rate_hz and stream.granule else 0.0
        start = self._seconds + stream.seconds(stream.granule)
        if self._broken:
            self._damages.add(start, seconds, self._broken[0])
            self._broken = None
            return
        stream.num_holes += 1
        if len(stream.holes) < _MOST_HOLES:
            stream.holes.append(Damage(start, seconds, f"{missing} pages are missing"))

    def _add_repetition(self, stream: _Stream) -> None:
        """Notes that a page comes twice: decoders play it twice."""
        stream.num_holes += 1
        if len(stream.holes) < _MOST_HOLES:
            start = self._seconds + stream.seconds(stream.granule)
            stream.holes.append(Damage(start, 0.0, "a page is repeated"))

    def _skip(self, position: int, page: Page | None) -> int:
        """Accounts for bytes that are no page, and returns where the next one begins."""
        found = self._source.find(_CAPTURE_PATTERN, position + 1, self._end, len(_CAPTURE))
        if self._source.end_of_zeros(position, found) == found:
            return found
        if tags.end_of_tags(self._source, position, found) == found:
            return found
        num_bytes = found - position
        if found < self._end:
            if self._part_starts:
                self._broken = (f"{num_bytes} bytes between pages are no page", page)
        elif page is not None:
            is_cut = page.end > self._end
            message = "the last page is cut" if is_cut else "the last page is damaged"
            self._broken = (message, page)
        elif num_bytes >= _HEADER_BYTES:
            self._damages.add(None, 0.0, f"{num_bytes} bytes at the end are no page")
        return found

    def _audio(self) -> list[_Stream]:
        return [stream for stream in self._streams.values() if stream.rate_hz]

    def _now(self) -> float:
        """Returns the time that the walk has reached."""
        streams = self._audio()
        return self._seconds + max(
            (stream.seconds(stream.granule) for stream in streams), default=0
        )

    def _end_part(self, is_end: bool) -> None:
        """Ends a recording of the chain."""
        streams = self._audio()
        is_broken = self._broken is not None
        if self._broken:
            message, page = self._broken
            stream = self._streams.get(page.serial) if page else None
            seconds = 0.0
            if page and stream:
                seconds = stream.seconds(page.granule) - stream.seconds(stream.granule)
                seconds = seconds if seconds < _LONGEST_PAGE_SECONDS else 0.0
            self._damages.add(None if is_end else self._now(), seconds, message)
            self._broken = None
        for stream in streams:
            # Some programs count pages in their own way: then nothing is known to be missing.
            if stream.num_holes and 2 * stream.num_holes < stream.num_pages:
                for hole in stream.holes:
                    self._damages.add(hole.start_seconds, hole.num_seconds, hole.message)
            if stream.last.is_open and not stream.last.flags & _LAST and not is_broken:
                start = None if is_end else self._now()
                self._damages.add(start, 0.0, "the last packet is cut")
        if streams:
            self._rates_hz.append(streams[0].rate_hz)
        counted = (stream.counted / stream.rate_hz for stream in streams)
        self._counted_seconds += max(counted, default=0.0)
        self._seconds = self._now()
        self._streams, self._has_data = {}, False
