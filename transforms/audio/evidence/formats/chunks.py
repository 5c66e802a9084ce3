"""Chunks of the families of RIFF, AIFF, CAF and W64: an identifier, a size, and the content."""

import dataclasses
import re
from collections.abc import Iterator
from typing import NamedTuple

from transforms.audio.evidence.source import Source

_MOST_CHUNKS = 100_000
_TAIL_BYTES = 1 << 20  # at the end of a file, in which chunks behind unmeasured samples begin
_MOST_TAIL_STEPS = 20_000
_KNOWN_NAMES = (
    rb"LIST|id3 |bext|cue |smpl|inst|fact|iXML|axml|chna|_PMX|PEAK|[Jj][Uu][Nn][Kk]|FLLR|acid"
    rb"|afsp|LGWV|levl|cart|DISP|plst|note|umid|strc|minf|elm1|regn|PAD |SAUR|NAME"
    rb"|AUTH|ANNO|MARK|INST|COMT|APPL|ID3 |\(c\) "
)
_KNOWN_NAME = re.compile(_KNOWN_NAMES)
_TAIL_NAME = re.compile(_KNOWN_NAMES + rb"|[A-Z]{4}")
_PRINTABLE = re.compile(rb"[ -~]{4}")


class Chunk(NamedTuple):
    """A chunk: its identifier, where its content begins, and the size that it declares."""

    name: bytes
    start: int
    size: int
    next: int


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a family of formats writes chunks.

    Attributes:
      name_bytes: Length of an identifier, of which the first four bytes count.
      size_bytes: Length of a size.
      byteorder: Byte order of sizes, `little` or `big`.
      counts_header: Whether a size includes the chunk's own header.
      align: A chunk begins at a multiple of this from the first one on.
    """

    name_bytes: int
    size_bytes: int
    byteorder: str
    counts_header: bool = False
    align: int = 2

    @property
    def header_bytes(self) -> int:
        """Length of the header of a chunk."""
        return self.name_bytes + self.size_bytes

    def at(self, source: Source, position: int) -> Chunk | None:
        """Returns the chunk at a position; None if there is none."""
        header = source.at(position, self.header_bytes)
        if len(header) < self.header_bytes or not _PRINTABLE.match(header):
            return None
        size = self._int(header[self.name_bytes :])
        size -= self.header_bytes if self.counts_header else 0
        if size < 0:
            return None
        start = position + self.header_bytes
        end = start + size + -size % self.align
        if size % self.align and self.align == 2:  # some programs do not pad
            is_padded = _PRINTABLE.match(source.at(end, 4))
            end -= not is_padded and _PRINTABLE.match(source.at(end - 1, 4)) is not None
        return Chunk(header[:4], start, size, end)

    def walk(self, source: Source, position: int, end: int) -> Iterator[Chunk]:
        """Yields chunks up to the end, or to what is none."""
        for _ in range(_MOST_CHUNKS):
            if position >= end or (chunk := self.at(source, position)) is None:
                return
            yield chunk
            position = chunk.next

    def leads_to(self, source: Source, position: int, end: int) -> bool:
        """Whether the bytes from a position to the end are chunks, padding, or very few.

        The last chunk may be cut: what is behind samples is no audio.
        """
        for index, chunk in enumerate(self.walk(source, position, end)):
            position = chunk.next
            if position > end:
                return index > 0 or _KNOWN_NAME.match(chunk.name) is not None
        return end - position < self.header_bytes or source.end_of_zeros(position, end) == end

    def start_of_tail(self, source: Source, start: int, end: int) -> int:
        """Returns where the chunks begin that lead exactly to the end; `end` if there are none."""
        if self.name_bytes != 4:
            return end
        start = max(start, end - _TAIL_BYTES)
        budget = _MOST_TAIL_STEPS
        for found in _TAIL_NAME.finditer(source.at(start, end - start)):
            position = start + found.start()
            for chunk in self.walk(source, position, end):
                budget -= 1
                position = chunk.next
                if budget < 0:
                    return end
            if end <= position <= end + 1:
                return start + found.start()
        return end

    def _int(self, encoded: bytes) -> int:
        is_signed = self.size_bytes == 8
        return int.from_bytes(
            encoded, "little" if self.byteorder == "little" else "big", signed=is_signed
        )


RIFF = Layout(4, 4, "little")
BIG_ENDIAN = Layout(4, 4, "big")  # RIFX, AIFF
CAF = Layout(4, 8, "big", align=1)
W64 = Layout(16, 8, "little", counts_header=True, align=8)
