"""Structures of containers: their units (chunks, boxes, pages, frames), and numbers in them."""

import itertools
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

MOST_UNITS = 400


class Field(NamedTuple):
    """A number in a file.

    Attributes:
      start: Offset of its first byte.
      num_bytes: Its size.
      kind: `big`, `little`, `synchsafe` (ID3: seven bits a byte), `vint` (EBML: a length prefix)
        or `text` (decimal digits).
    """

    start: int
    num_bytes: int
    kind: str

    @property
    def order(self) -> Literal["big", "little"]:
        """Order of its bytes."""
        return "little" if self.kind == "little" else "big"

    def written(self, value: int) -> bytes:
        """Returns the bytes of a number, cut to the size of the field."""
        if self.kind == "text":
            return str(value).encode()
        if self.kind == "synchsafe":
            return bytes(value >> 7 * shift & 0x7F for shift in reversed(range(self.num_bytes)))
        if self.kind == "vint":
            marker = 1 << 7 * self.num_bytes
            return (marker | value & (marker - 1)).to_bytes(self.num_bytes, "big")
        value &= (1 << 8 * self.num_bytes) - 1
        return value.to_bytes(self.num_bytes, self.order)


class Unit(NamedTuple):
    """A part of a file that can be moved, and the numbers in its header."""

    start: int
    end: int
    fields: tuple[Field, ...]


def units(data: bytes) -> list[Unit]:
    """Returns the units of a file, in the order of their starts; none in an unknown format."""
    found: list[Unit] = []
    start = 0
    if data[:3] == b"ID3" and len(data) > 10:
        start = 10 + int.from_bytes(bytes(byte & 0x7F for byte in data[6:10]), "big")
        sizes = [Field(at + 4, 4, "synchsafe") for at in range(10, min(start, 200), 10)]
        found.append(Unit(0, start, (Field(6, 4, "synchsafe"), *sizes)))
    for offset, magic, walk in _WALKS:
        if data[start + offset : start + offset + len(magic)] == magic:
            found += itertools.islice(walk(data, start), MOST_UNITS)
            break
    else:
        found += itertools.islice(_mpeg(data, start), MOST_UNITS)
    for text in itertools.islice(re.finditer(rb"(?<=[ =:])\d{1,12}(?=[\s,<])", data[:2_048]), 30):
        found.append(Unit(*text.span(), (Field(text.start(), len(text[0]), "text"),)))
    inside = [unit for unit in found if unit.start < unit.end <= len(data)]
    return [
        Unit(unit.start, unit.end, tuple(each for each in unit.fields if _is_inside(each, data)))
        for unit in inside
    ]


def _is_inside(field: Field, data: bytes) -> bool:
    return field.start >= 0 and field.start + field.num_bytes <= len(data)


def with_valid_checksums(data: bytes) -> bytes:
    """Returns an Ogg file whose pages have the checksums of what is in them; others as they are."""
    if data[:4] != b"OggS":
        return data
    repaired = bytearray(data)
    for unit in itertools.islice(_ogg(data, 0), MOST_UNITS):
        page = bytearray(data[unit.start : unit.end])
        page[22:26] = bytes(4)
        # The polynomial of zlib, from the most significant bit on, and without its inversions.
        crc = zlib.crc32(page.translate(_REVERSED_BITS), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
        page[22:26] = crc.to_bytes(4, "big").translate(_REVERSED_BITS)
        repaired[unit.start : unit.end] = page
    return bytes(repaired)


_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _words(start: int, end: int, num_bytes: int, kind: str, most: int = 16) -> tuple[Field, ...]:
    starts = itertools.islice(range(start, end - num_bytes + 1, num_bytes), most)
    return tuple(Field(at, num_bytes, kind) for at in starts)


def _chunks(
    data: bytes, start: int, kind: str, id_bytes: int, size_bytes: int, header: int
) -> Iterator[Unit]:
    """Yields chunks: id, size, content; the size counts the header where that is given."""
    while start + id_bytes + size_bytes <= len(data):
        size_at = start + id_bytes
        size = int.from_bytes(
            data[size_at : size_at + size_bytes], "big" if kind == "big" else "little"
        )
        content = size_at + size_bytes
        end = start + size if header else content + size + size % 2
        size_field = Field(size_at, size_bytes, kind)
        halves = _words(content, min(end, content + 24), 2, kind)
        words = _words(content, min(end, content + 32), 4, kind)
        yield Unit(start, max(content, min(end, len(data))), (size_field, *halves, *words))
        is_list = data[start : start + 4] in (b"LIST", b"RIFF")
        start = content + 4 if is_list else max(end, content)


def _riff(data: bytes, start: int) -> Iterator[Unit]:
    kind = "big" if data[start : start + 4] in (b"FORM", b"RIFX") else "little"
    yield Unit(start, len(data), (Field(start + 4, 4, kind),))
    yield from _chunks(data, start + 12, kind, 4, 4, 0)


def _w64(data: bytes, start: int) -> Iterator[Unit]:
    yield Unit(start, len(data), (Field(start + 16, 8, "little"),))
    yield from _chunks(data, start + 40, "little", 16, 8, 24)


def _caf(data: bytes, start: int) -> Iterator[Unit]:
    yield from _chunks(data, start + 8, "big", 4, 8, 0)


def _asf(data: bytes, start: int) -> Iterator[Unit]:
    yield Unit(start, len(data), (Field(start + 16, 8, "little"), Field(start + 24, 4, "little")))
    yield from _chunks(data, start + 30, "little", 16, 8, 24)


def _header_of_words(data: bytes, start: int) -> Iterator[Unit]:
    for kind in ("big", "little"):
        yield Unit(start, min(len(data), 64), _words(start + 4, start + 64, 4, kind))


def _flac(data: bytes, start: int) -> Iterator[Unit]:
    start += 4
    while start + 4 <= len(data):
        end = start + 4 + int.from_bytes(data[start + 1 : start + 4], "big")
        at = start + 4
        streaminfo = ((at, 2), (at + 2, 2), (at + 4, 3), (at + 7, 3), (at + 10, 8), (at + 13, 5))
        fields = [Field(offset, size, "big") for offset, size in ((start + 1, 3), *streaminfo)]
        yield Unit(start, end, tuple(fields))
        if data[start] & 0x80:
            break
        start = end
    # The frames: their number is coded behind the sync code and two bytes.
    for frame in re.finditer(rb"\xff[\xf8\xf9]", data):
        at = frame.start()
        yield Unit(
            at, min(len(data), at + 1_024), (Field(at + 2, 2, "big"), Field(at + 4, 2, "big"))
        )


def _ogg(data: bytes, start: int) -> Iterator[Unit]:
    while (start := data.find(b"OggS", start)) >= 0 and start + 27 <= len(data):
        segments = data[start + 27 : start + 27 + data[start + 26]]
        content = start + 27 + len(segments)
        end = min(len(data), content + sum(segments))
        places = ((start + 5, 1), (start + 6, 8), (start + 14, 4), (start + 18, 4), (start + 26, 1))
        fields = [Field(offset, size, "little") for offset, size in places]
        lacing = _words(start + 27, content, 1, "little", 4)
        yield Unit(start, end, (*fields, *lacing, *_words(content + 8, end, 4, "little", 6)))
        start = max(end, start + 4)


_MP4_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"mvex")


def _mp4(data: bytes, start: int) -> Iterator[Unit]:
    while start + 8 <= len(data):
        size = int.from_bytes(data[start : start + 4], "big")
        end = start + size if size >= 8 else len(data)
        words = _words(start + 8, min(end, start + 8 + 96), 4, "big", 24)
        yield Unit(start, min(end, len(data)), (Field(start, 4, "big"), *words))
        start = start + 8 if data[start + 4 : start + 8] in _MP4_PARENTS else end


# Segment, cluster, tracks, track entry, audio, group of blocks, cues: what holds other elements.
_EBML_PARENTS = {0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE, 0xE1, 0xA0, 0x1C53BB6B, 0x1549A966}


def _ebml(data: bytes, start: int) -> Iterator[Unit]:
    while start + 2 <= len(data):
        id_bytes = 9 - data[start].bit_length()
        size_at = start + id_bytes
        if id_bytes > 4 or size_at >= len(data) or not data[size_at]:
            start += 1
            continue
        size_bytes = 9 - data[size_at].bit_length()
        coded = int.from_bytes(data[size_at : size_at + size_bytes], "big")
        size = coded & ((1 << 7 * size_bytes) - 1)
        content = size_at + size_bytes
        end = min(len(data), content + size)
        value = Field(content, min(size, 8), "big")
        yield Unit(start, end, (Field(size_at, size_bytes, "vint"), value))
        is_parent = int.from_bytes(data[start:size_at], "big") in _EBML_PARENTS
        start = content if is_parent else max(end, content)


def _mpeg(data: bytes, start: int) -> Iterator[Unit]:
    """Yields what may be frames of MPEG audio, ADTS or a transport stream, and a Xing header."""
    for name in (b"Xing", b"Info", b"LAME", b"APETAGEX", b"TAG", b"VBRI"):
        at = data.find(name)
        if at >= 0:
            words = _words(at + len(name), at + len(name) + 24, 4, "big")
            yield Unit(at, min(len(data), at + 24), words)
    if data[start : start + 1] == b"\x47":
        for at in range(start, len(data), 188):
            yield Unit(at, min(len(data), at + 188), _words(at + 1, at + 12, 1, "big"))
        return
    previous = None
    for sync in re.finditer(
        rb"\xff[\xe2-\xff]|\x0b\x77|wvpk|\x00\x00\x01[\xba-\xef]", data[start:]
    ):
        at = start + sync.start()
        if previous is not None:
            words = _words(previous + 4, previous + 32, 4, "little")
            header = (Field(previous + 2, 2, "big"), Field(previous + 3, 3, "big"))
            yield Unit(previous, at, (*header, *words))
        previous = at


_Walk = Callable[[bytes, int], Iterator[Unit]]
_WALKS: tuple[tuple[int, bytes, _Walk], ...] = (
    *((0, magic, _riff) for magic in (b"RIFF", b"RF64", b"RIFX", b"FORM")),
    (0, b"riff\x2e\x91\xcf\x11", _w64),
    (0, b"caff", _caf),
    (0, b"fLaC", _flac),
    (0, b"OggS", _ogg),
    (4, b"ftyp", _mp4),
    (4, b"moov", _mp4),
    (4, b"wide", _mp4),
    (0, b"\x1aE\xdf\xa3", _ebml),
    (0, b"0&\xb2u\x8ef\xcf\x11", _asf),
    *((0, magic, _header_of_words) for magic in (b".snd", b"dns.", b"TTA1", b".RMF", b"FLV")),
)
