"""The directory of a zip archive, and its members; nothing in them is trusted.

The format is PKWARE's APPNOTE.TXT, with zip64. Python's own reader keeps the whole directory in
memory, and reads it again for each member that is opened.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from transforms.packed.sources import MEMORY_BYTES, DamagedShardError, Rewindable, Window, buffered

STORED, DEFLATED = 0, 8
_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s4B4HL2L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_MAX_COMMENT_BYTES = 2**16
_MAX_32 = 2**32 - 1
_ENCRYPTED, _CHECKSUM_FOLLOWS, _UTF_8 = 0x1, 0x8, 0x800
_KIND_BITS, _LINK, _REGULAR_KINDS = 0o170000, 0o120000, (0, 0o100000, 0o040000)
_BLOCK_BYTES = 2**18


class ZipMember(NamedTuple):
    """A member of a zip archive.

    Attributes:
      name: Its name.
      start: Offset of its local header.
      packed_bytes: Size of its content in the archive.
      num_bytes: Size of its content.
      problem: Why it cannot be read; empty if it can.
    """

    name: str
    start: int
    packed_bytes: int
    num_bytes: int
    problem: str = ""


def read_members(file: BinaryIO) -> Iterator[ZipMember]:
    """Yields the members of an archive except folders, in the order of its directory.

    Raises:
      OSError: The file cannot be read or is no zip archive, or its directory is damaged.
    """
    size = file.seek(0, io.SEEK_END)
    num_members, directory_bytes, directory, prefix_bytes = _directory(file, size)
    position, total_packed = directory, 0
    for number in range(num_members):
        file.seek(position)
        head = file.read(_ENTRY.size)
        if len(head) < _ENTRY.size or not head.startswith(b"PK\x01\x02"):
            raise DamagedShardError(
                f"its directory is damaged: entry {number} of {num_members} is not one; later"
                " members are missing"
            )
        entry = _ENTRY.unpack(head)
        name_bytes, extra_bytes, comment_bytes = entry[12:15]
        rest = file.read(name_bytes + extra_bytes)
        position += _ENTRY.size + name_bytes + extra_bytes + comment_bytes
        member = _member(entry, rest[:name_bytes], rest[name_bytes:], prefix_bytes)
        total_packed += member.packed_bytes
        if not member.problem and member.start + _LOCAL.size + member.packed_bytes > size:
            member = member._replace(problem="the archive ends before it: it is truncated")
        elif not member.problem and total_packed > size:
            member = member._replace(problem="members overlap, or a size in the directory is wrong")
        if not member.name.endswith("/"):
            yield member
    if position > directory + directory_bytes:
        raise DamagedShardError("its directory is longer than it states")


def open_member(file: BinaryIO, member: ZipMember) -> BinaryIO:
    """Opens a member as a seekable file; up to `MEMORY_BYTES` are kept in memory and checked.

    Raises:
      OSError: The archive is damaged there, or the member's checksum is wrong.
    """
    file.seek(member.start)
    head = file.read(_LOCAL.size)
    if len(head) < _LOCAL.size or not head.startswith(b"PK\x03\x04"):
        raise DamagedShardError("the member's header is damaged")
    fields = _LOCAL.unpack(head)
    start = member.start + _LOCAL.size + fields[9] + fields[10]
    packed = Window(file, start, member.packed_bytes)
    checksum = fields[6]
    if fields[2] & _CHECKSUM_FOLLOWS:
        file.seek(start + member.packed_bytes)
        (checksum,) = struct.unpack("<L", file.read(8).removeprefix(b"PK\x07\x08")[:4].ljust(4))
    if fields[3] == STORED and member.packed_bytes != member.num_bytes:
        raise DamagedShardError("the member's sizes contradict each other")
    if fields[3] not in (STORED, DEFLATED):
        raise DamagedShardError(_other_method(fields[3]))

    def open_stream() -> "_Checked":
        packed.seek(0)
        inner = _Inflated(packed) if fields[3] == DEFLATED else packed
        return _Checked(inner, member.num_bytes, checksum)

    if member.num_bytes <= MEMORY_BYTES:
        return io.BytesIO(open_stream().read_all())
    if fields[3] == STORED:
        stream = open_stream()
        while stream.read(_BLOCK_BYTES):
            pass  # to the checksum
        return buffered(packed)
    return buffered(Rewindable(open_stream, member.num_bytes))


class _Inflated:
    """A deflated stream, decompressed in blocks."""

    def __init__(self, packed: Window) -> None:
        self._packed = packed
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)

    def read(self, num_bytes: int) -> bytes:
        while num_bytes and not self._inflate.eof:
            block = self._inflate.unconsumed_tail or self._packed.read(_BLOCK_BYTES)
            try:
                data = self._inflate.decompress(block, num_bytes)
            except zlib.error as error:
                raise DamagedShardError(f"the member cannot be decompressed: {error}") from error
            if data or not block:
                return data
        return b""


class _Checked:
    """A stream that must have a certain length and checksum."""

    def __init__(self, stream: "_Inflated | Window", num_bytes: int, checksum: int) -> None:
        self._stream = stream
        self._left = num_bytes
        self._checksum = checksum
        self._actual = 0

    def read(self, num_bytes: int) -> bytes:
        data = self._stream.read(min(num_bytes, self._left)) or b""
        if not data and self._left:
            raise DamagedShardError(f"the member ends {self._left} bytes too early")
        self._left -= len(data)
        self._actual = zlib.crc32(data, self._actual)
        if data and not self._left:
            if self._stream.read(1):
                raise DamagedShardError("the member is longer than the directory states")
            if self._actual != self._checksum:
                raise DamagedShardError("the member is damaged: its checksum is wrong")
        return data

    def read_all(self) -> bytes:
        parts = []
        while self._left:
            parts.append(self.read(_BLOCK_BYTES))
        return b"".join(parts)


def _directory(file: BinaryIO, size: int) -> tuple[int, int, int, int]:
    """Returns number of members, size and offset of the directory, and the bytes before the zip."""
    tail_start = max(0, size - _END.size - _MAX_COMMENT_BYTES)
    file.seek(tail_start)
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        raise DamagedShardError("it has no directory of a zip archive at its end: it is truncated")
    _, disk, first_disk, _, num_members, num_bytes, offset, _ = _END.unpack_from(tail, at)
    end = tail_start + at
    if 0xFFFF in (disk, num_members) or _MAX_32 in (num_bytes, offset):
        found = _directory_64(file, end)
        if found is not None:
            disk, first_disk, num_members, num_bytes, offset, end = found
    if disk or first_disk:
        raise DamagedShardError("it is one of several volumes: join them first")
    directory = end - num_bytes
    if directory < offset:
        raise DamagedShardError("its directory lies outside of it: it is damaged")
    return num_members, num_bytes, directory, directory - offset


def _directory_64(file: BinaryIO, end: int) -> tuple[int, int, int, int, int, int] | None:
    if end < _END64_LOCATOR.size:
        return None
    file.seek(end - _END64_LOCATOR.size)
    locator = file.read(_END64_LOCATOR.size)
    if not locator.startswith(b"PK\x06\x07"):
        return None
    # Its offset counts from the start of the zip, which may lie behind other bytes.
    at = max(0, end - _END64_LOCATOR.size - _END64.size)
    file.seek(at)
    record = file.read(_END64.size)
    if not record.startswith(b"PK\x06\x06"):
        at = _END64_LOCATOR.unpack(locator)[2]
        if at + _END64.size > end:
            raise DamagedShardError("its directory is damaged")
        file.seek(at)
        record = file.read(_END64.size)
        if not record.startswith(b"PK\x06\x06"):
            raise DamagedShardError("its directory is damaged")
    fields = _END64.unpack(record)
    return fields[4], fields[5], fields[7], fields[8], fields[9], at


def _member(entry: tuple, name: bytes, extra: bytes, prefix_bytes: int) -> ZipMember:
    made_by, flags, method = entry[2], entry[5], entry[6]
    packed_bytes, num_bytes, attributes, start = entry[10], entry[11], entry[17], entry[18]
    packed_bytes, num_bytes, start = _zip64(extra, packed_bytes, num_bytes, start)
    problem = ""
    mode = attributes >> 16
    if flags & _ENCRYPTED:
        problem = "it is encrypted"
    elif made_by == 3 and mode & _KIND_BITS == _LINK:
        problem = "a symbolic link, which is not followed"
    elif made_by == 3 and mode & _KIND_BITS not in _REGULAR_KINDS:
        problem = "not a regular file"
    elif method not in (STORED, DEFLATED):
        problem = _other_method(method)
    try:
        text = name.decode("utf-8" if flags & _UTF_8 else "cp437")
    except UnicodeDecodeError:
        text = name.decode("utf-8", "surrogateescape")
    return ZipMember(text, prefix_bytes + start, packed_bytes, num_bytes, problem)


def _zip64(extra: bytes, packed_bytes: int, num_bytes: int, start: int) -> tuple[int, int, int]:
    """Returns sizes and offset, from the extra field where the entry has no room for them."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        data = extra[at + 4 : at + 4 + length]
        at += 4 + length
        if kind != 1:
            continue
        values = iter(struct.unpack(f"<{len(data) // 8}Q", data[: len(data) // 8 * 8]))
        if num_bytes == _MAX_32:
            num_bytes = next(values, num_bytes)
        if packed_bytes == _MAX_32:
            packed_bytes = next(values, packed_bytes)
        if start == _MAX_32:
            start = next(values, start)
    return packed_bytes, num_bytes, start


def _other_method(method: int) -> str:
    return (
        f"compressed with method {method} of zip (allowed: {STORED} and {DEFLATED}, stored and"
        " deflated)"
    )
