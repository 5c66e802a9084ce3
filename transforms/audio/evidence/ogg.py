"""Ogg (RFC 3533): its pages, and the times of Vorbis, Opus, FLAC and Speex."""

import dataclasses
import re
import zlib
from typing import NamedTuple

from transforms.audio.evidence.account import Account, Damage, DamageList
from transforms.audio.evidence.source import Source

_CAPTURE = b"OggS"
_CAPTURE_PATTERN = re.compile(_CAPTURE)
_HEADER_BYTES = 27  # followed by the lengths of up to 255 segments
_FIRST, _LAST = 2, 4
_NOT_AUDIO = (
    b"\x80theora",
    b"fishead\0",
    b"\x80kate",
    b"BBCD",
    b"OVP80",
    b"\x01video",
    b"\x01text",
)
_CHECKSUM = (22, 26)
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_MOST_STREAMS = 1_000
_MOST_PARTS = 10_000
_MOST_HOLES = 100
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


def _rate_and_delay(packet: bytes) -> tuple[int, int]:
    """Returns the rate of a stream's granule positions, and how many come before its audio.

    Zeros for streams that are no audio, or of unknown encoding.
    """
    if packet[:7] == b"\x01vorbis" and len(packet) >= 16:
        return int.from_bytes(packet[12:16], "little"), 0
    if packet[:8] == b"OpusHead" and len(packet) >= 12:
        return 48_000, int.from_bytes(packet[10:12], "little")
    if packet[:5] == b"\x7fFLAC" and len(packet) >= 30:
        return int.from_bytes(packet[27:30], "big") >> 4, 0
    if packet[:4] == b"fLaC" and len(packet) >= 21:
        return int.from_bytes(packet[18:21], "big") >> 4, 0
    if packet[:8] == b"Speex   " and len(packet) >= 40:
        return int.from_bytes(packet[36:40], "little"), 0
    return 0, 0


@dataclasses.dataclass
class _Stream:
    """A logical stream, as far as it has been walked."""

    rate_hz: int
    delay: int
    may_be_audio: bool
    last: Page
    num_pages: int = 1
    first_granule: int = 0  # of the first page with audio
    base: int | None = None  # position at which the audio begins; None before a second such page
    granule: int = 0  # of the last page with audio
    holes: list[Damage] = dataclasses.field(default_factory=list)
    num_holes: int = 0
    begins_with_hole: bool = False  # pages are missing before the first one with audio

    def seconds(self, granule: int) -> float:
        """Returns the time of a granule position."""
        if not self.rate_hz or not granule:
            return 0.0
        base = self.delay if self.base is None else self.base
        return max(0, granule - base) / self.rate_hz

    def advance(self, granule: int) -> None:
        """Moves on to the granule position of the next page."""
        if granule <= 0:
            return
        if not self.first_granule:
            self.first_granule = granule
        elif self.base is None:
            # A stream that was cut out of another one begins somewhere else than at 0.
            step = max(0, granule - self.first_granule)
            is_late = self.first_granule > _LONGEST_PAGE_SECONDS * self.rate_hz
            is_cut_out = self.begins_with_hole or is_late
            self.base = max(0, self.first_granule - step) if is_cut_out else self.delay
        self.granule = granule


class _Walk:
    def __init__(self, source: Source, start: int, end: int) -> None:
        self._source = source
        self._start, self._end = start, end
        self._streams: dict[int, _Stream] = {}
        self._has_data = False
        self._part_starts: list[int] = []
        self._rates_hz: list[int] = []
        self._seconds = 0.0  # of the parts before this one
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
            num_seconds=self._seconds if self._seconds else None,
            rates_hz=tuple(self._rates_hz),
            parts=tuple(zip(self._part_starts, ends, strict=True)) if len(ends) > 1 else (),
            damages=self._damages.ordered(),
        )

    def _page(self, position: int) -> Page | None:
        """Returns the page at a position, which may end behind the file; None if there is none."""
        header = self._source.at(position, _HEADER_BYTES)
        if header[:4] != _CAPTURE[: len(header)] or header[4:5] not in (b"\0", b""):
            return None
        end, is_open = self._end + 1, False
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
        if stream is None or not stream.may_be_audio:
            return
        missing = page.sequence - stream.last.sequence - 1
        if self._broken or (stream.granule and 0 < missing < 1 << 31):
            self._add_hole(stream, page, min(max(0, missing), 1 << 31))
        stream.begins_with_hole |= not stream.granule and missing > 0
        stream.advance(page.granule)
        stream.last = page
        stream.num_pages += 1

    def _begin_stream(self, page: Page) -> None:
        if self._has_data or not self._part_starts:
            self._end_part(is_end=False)
            if len(self._part_starts) < _MOST_PARTS:
                self._part_starts.append(page.start if self._part_starts else self._start)
        if len(self._streams) < _MOST_STREAMS:
            packet = self._source.at(page.start, min(page.end - page.start, 512))
            packet = packet[_HEADER_BYTES + packet[26] :]
            is_audio = not packet.startswith(_NOT_AUDIO)
            self._streams[page.serial] = _Stream(*_rate_and_delay(packet), is_audio, page)

    def _may_be_audio(self, page: Page) -> bool:
        stream = self._streams.get(page.serial)
        return stream is None or stream.may_be_audio

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

    def _skip(self, position: int, page: Page | None) -> int:
        """Accounts for bytes that are no page, and returns where the next one begins."""
        found = self._source.find(_CAPTURE_PATTERN, position + 1, self._end, len(_CAPTURE))
        zeros_end = self._source.end_of_zeros(position, found)
        if zeros_end == found:
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
        self._seconds = self._now()
        self._streams, self._has_data = {}, False
