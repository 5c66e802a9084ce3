"""MP4 and QuickTime (ISO 14496-12): the boxes of a file, hopped over by size."""

from typing import NamedTuple

from transforms.audio.evidence.account import Account, Damage
from transforms.audio.evidence.source import Source

_FIRST = (b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"sidx")
_MOST_BOXES = 1_000_000
_MOST_PARTS = 10_000
_FEW_BYTES = 64
_NO_INDEX = "the index (moov) is missing, as in a file that was cut"


class _Box(NamedTuple):
    name: bytes
    start: int
    content: int
    end: int


def is_mp4(source: Source, start: int) -> bool:
    """Whether a box that a file begins with is at a position."""
    return source.at(start + 4, 4) in _FIRST


def walk(source: Source, start: int, end: int) -> Account:
    """Walks the boxes of a file.

    Args:
      source: The file.
      start: Where it begins.
      end: Where it ends, without tags.
    """
    has_fragments, seconds, position = False, 0.0, start
    has_index, parts = False, [start]
    for _ in range(_MOST_BOXES):
        rest = end - position
        if rest <= 0:
            break
        box = _box(source, position, end)
        if box is None:
            return _account_of_rest(source, position, end, has_fragments)
        if box.name == b"ftyp" and has_index and len(parts) < _MOST_PARTS:
            parts.append(position)
            has_fragments = has_index = False
        has_index |= box.name == b"moov"
        if box.end > end and not has_index and len(parts) == 1:
            return Account(damages=(Damage(None, 0.0, _NO_INDEX),))
        has_fragments |= box.name == b"moof"
        if box.name == b"moov":
            seconds = _seconds(source, box)
        if box.end > end and box.name == b"moof":  # decoders refuse a file that ends so
            lost = Damage(None, 0.0, "the last fragment is cut")
            return Account(damages=(lost,), audio_range=(start, position), is_open=True)
        if box.end > end:
            return _account_of_cut(box, end, 0.0 if has_fragments else seconds)
        position = box.end
    ends = (*parts[1:], end)
    return Account(parts=tuple(zip(parts, ends, strict=True)) if len(parts) > 1 else ())


def _account_of_cut(box: _Box, end: int, seconds: float) -> Account:
    missing, size = box.end - end, box.end - box.content
    if box.name == b"mdat":
        message = f"the last media data have {size - missing} of {size} bytes"
        return Account(damages=(Damage(None, seconds * missing / max(1, size), message),))
    return Account()


def _account_of_rest(source: Source, position: int, end: int, has_fragments: bool) -> Account:
    """Accounts for bytes at the end that are no box."""
    num_bytes = end - position
    if source.end_of_zeros(position, end) == end and (num_bytes > 3 or not has_fragments):
        return Account()
    if num_bytes < 8 and has_fragments:
        return Account(damages=(Damage(None, 0.0, "the last fragment is cut"),), is_open=True)
    if num_bytes < _FEW_BYTES:
        return Account()
    message = f"{num_bytes} bytes at the end are no box"
    return Account(damages=(Damage(None, 0.0, message),))


def _box(source: Source, position: int, end: int) -> _Box | None:
    head = source.at(position, 16)
    if len(head) < 8 or end - position < 8:
        return None
    size, content = int.from_bytes(head[:4], "big"), position + 8
    if size == 1:
        size, content = int.from_bytes(head[8:16], "big"), position + 16
        if len(head) < 16:  # cut in the size
            size = 1 << 62
    elif size == 0:
        size = end - position
    if size < content - position or not all(
        0x20 <= byte < 0x7F or byte == 0xA9 for byte in head[4:8]
    ):
        return None
    return _Box(head[4:8], position, content, position + size)


def _seconds(source: Source, movie: _Box) -> float:
    """Returns the length by the header of a movie; 0 if it is unknown."""
    box = _box(source, movie.content, movie.end)
    if box is None or box.name != b"mvhd":
        return 0.0
    head = source.at(box.content, 32)
    long = head[:1] == b"\1"
    scale = int.from_bytes(head[20:24] if long else head[12:16], "big")
    duration = int.from_bytes(head[24:32] if long else head[16:20], "big")
    return duration / scale if scale and duration < 1 << 40 else 0.0
