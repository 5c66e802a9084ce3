"""The headers of a tar archive, read from front to back; nothing in them is trusted.

POSIX.1-2001 (ustar and pax) and GNU tar. Python's own reader takes a header's word for its size,
ends silently at damage, and keeps every header in memory.
"""

import contextlib
import re
from collections.abc import Generator, Iterator, Mapping
from typing import NamedTuple

from transforms.packed.sources import Flaw, Source

_BLOCK = 512
_ZEROS = bytes(_BLOCK)
# Long names and pax records; the largest in practice are a few KB.
_MAX_EXTENSION_BYTES = 2**20
_OCTAL = re.compile(rb"[0-7]*")
_PAX = re.compile(rb"(\d{1,9}) ([^=\n]+)=")
_OTHER_KINDS = {
    b"1": "a link to another member",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"S": "a sparse file",
}
_FOLDER = b"5"


class TarMember(NamedTuple):
    """A member of a tar archive.

    Attributes:
      name: Its name; bytes that are not UTF-8 are surrogates.
      start: Offset of its content.
      num_bytes: Size of its content.
      problem: Why it cannot be read, such as `a symbolic link`; empty if it can.
    """

    name: str
    start: int
    num_bytes: int
    problem: str = ""


class _HeaderError(ValueError):
    """A block that is no header."""


def read_members(source: Source) -> Iterator[TarMember | Flaw]:
    """Yields the members of an archive except folders, in order, and its flaws.

    The content of a member may be read from the source before the next one is requested. After a
    damaged header the reader goes on at the next block that is one.

    Members end with a flaw where the source cannot be read any further.
    """
    try:
        yield from _read_members(source)
    except OSError as error:
        yield Flaw(f"it cannot be read beyond byte {source.position}: {error}")


def _read_members(source: Source) -> Iterator[TarMember | Flaw]:
    extensions = _Extensions()
    num_zero_blocks, num_headers = 0, 0
    while block := source.read(_BLOCK):
        at = source.position - len(block)
        if block == _ZEROS:
            num_zero_blocks += 1
            continue
        if len(block) < _BLOCK:
            yield Flaw(f"it ends within the header at byte {at}: it is truncated")
            return
        try:
            header = _Header(block)
        except _HeaderError as error:
            found = _next_header(source)
            rest = "nothing behind it is a header" if found is None else "what follows is read"
            yield Flaw(f"at byte {at}: {error}; {rest}")
            if found is None:
                return
            header, extensions = found, _Extensions(extensions.of_all)
        num_zero_blocks = 0
        num_headers += 1
        if not (yield from _member(source, header, extensions)):
            return
    if not num_zero_blocks and num_headers:
        yield Flaw(
            "its end-of-archive mark is missing: it may be truncated, and members be missing"
        )


def _member(
    source: Source, header: "_Header", extensions: "_Extensions"
) -> Generator[TarMember | Flaw, None, bool]:
    """Yields a member, or remembers what a header says of the next one; returns if more follows."""
    start = source.position
    if header.kind in b"LKxgX":
        extensions.add(source, header)
        num_bytes = header.num_bytes
    else:
        name, num_bytes, problem = extensions.applied(header)
        if header.kind in b"125346":  # what has no content may state a size
            num_bytes = 0
        if header.kind != _FOLDER and not (header.kind in b"0\x007" and name.endswith("/")):
            is_whole = source.num_bytes is None or start + num_bytes <= source.num_bytes
            problem = problem or ("" if is_whole else _truncated(source, start, num_bytes))
            yield TarMember(name, start, num_bytes, problem)
    padded = -(-num_bytes // _BLOCK) * _BLOCK
    why = "it is truncated"
    try:
        if source.go_to(start + padded):
            return True
    except OSError as error:
        why = str(error)
    if source.position < start + num_bytes:
        yield Flaw(
            f"it ends at byte {source.position}, within the member at byte {start}, and later"
            f" members are missing: {why}",
            is_in_member=True,
        )
        return False
    return True


def _truncated(source: Source, start: int, num_bytes: int) -> str:
    assert source.num_bytes is not None
    return (
        f"the shard is truncated: it has {max(0, source.num_bytes - start)} of the member's"
        f" {num_bytes} bytes"
    )


def _next_header(source: Source) -> "_Header | None":
    while len(block := source.read(_BLOCK)) == _BLOCK:
        if block[257:262] == b"ustar":
            with contextlib.suppress(_HeaderError):
                return _Header(block)
    return None


class _Header:
    """A header block.

    Raises:
      _HeaderError: The block is none.
    """

    def __init__(self, block: bytes) -> None:
        stated = _number(block[148:156])
        as_spaces = block[:148] + b" " * 8 + block[156:]
        total = sum(as_spaces)
        # Old programs added signed bytes.
        if stated not in (total, total - 256 * sum(byte > 127 for byte in as_spaces)):
            raise _HeaderError("a damaged header (its checksum is wrong)")
        self.num_bytes = _number(block[124:136])
        self.kind = block[156:157]
        name = _text(block[:100])
        is_posix = block[257:263] == b"ustar\0"
        prefix = _text(block[345:500]) if is_posix and self.kind not in b"LKxgX" else b""
        self.name = prefix + b"/" + name if prefix else name


class _Extensions:
    """Long names and pax records, which describe the member that follows them."""

    def __init__(self, of_all: Mapping[bytes, bytes] | None = None) -> None:
        self.of_all = dict(of_all or {})
        self._own: dict[bytes, bytes] = {}
        self._problem = ""

    def add(self, source: Source, header: _Header) -> None:
        if header.num_bytes > _MAX_EXTENSION_BYTES:
            self._problem = (
                f"a header of {header.num_bytes} bytes (allowed: up to {_MAX_EXTENSION_BYTES})"
            )
            return
        data = source.read(header.num_bytes)
        if header.kind == b"L":
            self._own[b"path"] = _text(data)
        elif header.kind == b"g":
            self._read_records(data, self.of_all)
        elif header.kind in b"xX":
            self._read_records(data, self._own)

    def applied(self, header: _Header) -> tuple[str, int, str]:
        """Returns name, size and problem of a member, and forgets what described it."""
        records = self.of_all | self._own
        problem, self._own, self._problem = self._problem, {}, ""
        name = records.get(b"path", header.name)
        num_bytes = header.num_bytes
        if b"size" in records:
            if re.fullmatch(rb"\d{1,19}", records[b"size"]):
                num_bytes = int(records[b"size"])
            else:
                problem = problem or "a header with an invalid size"
        if any(key.startswith(b"GNU.sparse.") for key in records):
            problem = problem or _OTHER_KINDS[b"S"]
        if header.kind not in b"0\x007" + _FOLDER:
            kind = _OTHER_KINDS.get(header.kind, f"a member of type {header.kind!r}")
            problem = problem or f"{kind}, which is not followed"
        if b"\0" in name:
            problem = problem or "its name holds NUL"
        return name.decode("utf-8", "surrogateescape"), num_bytes, problem

    def _read_records(self, data: bytes, into: dict[bytes, bytes]) -> None:
        at = 0
        while at < len(data) and data[at]:
            match = _PAX.match(data, at)
            end = at + int(match[1]) if match else 0
            if match is None or not match.end() < end <= len(data) or data[end - 1] != 0x0A:
                self._problem = "a damaged pax header"
                return
            into[match[2]] = data[match.end() : end - 1]
            at = end


def _number(field: bytes) -> int:
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    text = field.strip(b" \0")
    if not _OCTAL.fullmatch(text):
        raise _HeaderError(f"a damaged header (the number {field!r})")
    return int(text or b"0", 8)


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]
