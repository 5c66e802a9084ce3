"""The bytes of a text file as its lines: what its encoding is, and where each line ends.

The input is hostile. A file is read once, from front to back, in constant memory. What makes
the whole file useless is a `ManifestError`; what is wrong with one line stays with that line.
"""

import codecs
import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

# Bytes at the beginning that tell what the file is.
HEAD_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 20
TOO_LONG = f"the line is longer than {MAX_LINE_BYTES} bytes"

_BLOCK_BYTES = 1 << 18
# Binary formats show within their first bytes; a zero further on spoils only its own line.
_BINARY_BYTES = 4096
# The first letters of a header are ASCII, and in UTF-16 every second byte of these is zero.
_UTF16_BYTES = 8
# UTF-32 comes first: its mark for little endian begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
_WRITE_TEXT = "write the table as CSV, TSV or JSON lines"
_DECOMPRESS = "decompress it, or give it the suffix .gz, .bz2 or .xz"
_SOUND = "it is a recording: give recordings with --input"
_SIGNATURES = (
    (b"\x1f\x8b", "gzip", _DECOMPRESS),
    (b"BZh", "bzip2", _DECOMPRESS),
    (b"\xfd7zXZ", "xz", _DECOMPRESS),
    (b"\x28\xb5\x2f\xfd", "Zstandard", _DECOMPRESS),
    (b"PK", "a zip archive or an Excel workbook", _WRITE_TEXT),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", _WRITE_TEXT),
    (b"PAR1", "Parquet", _WRITE_TEXT),
    (b"ARROW1", "Arrow", _WRITE_TEXT),
    (b"Obj\x01", "Avro", _WRITE_TEXT),
    (b"SQLite", "SQLite", _WRITE_TEXT),
    (b"RIFF", "WAV", _SOUND),
    (b"RF64", "WAV", _SOUND),
    (b"FORM", "AIFF", _SOUND),
    (b"fLaC", "FLAC", _SOUND),
    (b"OggS", "Ogg", _SOUND),
    (b"ID3", "MP3", _SOUND),
)
# Of C0 all but tab, line feed, vertical tab, form feed and carriage return.
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r")) + b"\x7f"
_INVALID = re.compile("[\ud800-\udfff]")


def _half_a_pair(error: UnicodeError) -> tuple[str, int]:
    """Stands half a surrogate pair for bytes that are not valid UTF-16 or UTF-32.

    It is not valid in UTF-8 either, and so is found in the line it is in.
    """
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


codecs.register_error("half_a_pair", _half_a_pair)


class ManifestError(Exception):
    """A manifest of which nothing can be used. The text says what is wrong, and the way out."""


@dataclasses.dataclass(frozen=True)
class BadLine:
    """A line that holds no record.

    Attributes:
      message: For people: what was found, and what is allowed.
    """

    message: str


@dataclasses.dataclass(frozen=True)
class TextLines:
    """A text file.

    Attributes:
      encoding: `utf-8`, `latin-1`, `utf-16-le`, `utf-16-be`, `utf-32-le` or `utf-32-be`.
      lines: Number, from 1, and text with its line end (LF, CR LF or CR) of each line. None stands
        for a line of more than `MAX_LINE_BYTES`. Text may hold what `find_fault` finds.
    """

    encoding: str
    lines: Iterator[tuple[int, str | None]]

    def find_fault(self, text: str) -> str:
        """Returns what is wrong with a text out of these lines; empty if nothing is."""
        if "\0" in text:
            return "there is a byte of value 0"
        if not text.isascii() and _INVALID.search(text):
            return f"there are bytes that are not valid {self.encoding}, the encoding of the file"
        return ""


def read_lines(file: BinaryIO) -> TextLines:
    """Opens a text file.

    Args:
      file: Only its `read` is used. It is read as the lines are taken.

    Raises:
      ManifestError: It is not text.
    """
    head = _read_head(file)
    mark, encoding = _tell_encoding(head)
    blocks = itertools.chain([head[len(mark) :]], iter(lambda: file.read(_BLOCK_BYTES), b""))
    if encoding.startswith("utf-") and encoding != "utf-8":
        lines = _decode(_split(_as_utf8(blocks, encoding)), "utf-8")
    else:
        lines = _decode(_split(blocks), encoding)
    return TextLines(encoding, enumerate(lines, 1))


def _read_head(file: BinaryIO) -> bytes:
    head = bytearray()
    while len(head) < HEAD_BYTES and (block := file.read(HEAD_BYTES - len(head))):
        head += block
    return bytes(head)


def _tell_encoding(head: bytes) -> tuple[bytes, str]:
    """Returns the byte order mark, which may be empty, and the encoding."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return mark, encoding
    first, second = head[:_UTF16_BYTES:2], head[1:_UTF16_BYTES:2]
    if len(head) >= _UTF16_BYTES and all(first) and not any(second):
        return b"", "utf-16-le"
    if len(head) >= _UTF16_BYTES and all(second) and not any(first):
        return b"", "utf-16-be"
    _check_not_binary(head)
    try:
        # A character that is cut at the end of the head is not yet wrong.
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < HEAD_BYTES)
    except UnicodeDecodeError:
        return b"", "latin-1"
    return b"", "utf-8"


def _check_not_binary(head: bytes) -> None:
    num_controls = len(head) - len(head.translate(None, delete=_CONTROLS))
    if 0 not in head[:_BINARY_BYTES] and num_controls * 20 <= len(head):
        return
    for signature, name, hint in _SIGNATURES:
        if head.startswith(signature):
            raise ManifestError(f"binary, not text: it looks like {name}; {hint}")
    raise ManifestError(f"binary, not text; {_WRITE_TEXT}")


def _as_utf8(blocks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("half_a_pair")
    for block in blocks:
        yield decoder.decode(block).encode("utf-8", "surrogatepass")
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")


def _split(blocks: Iterable[bytes]) -> Iterator[bytes | None]:
    """Yields lines with their ends; None for one that is too long."""
    rest = b""
    is_cut = False
    for block in blocks:
        lines = (rest + block).splitlines(keepends=True)
        # A carriage return at the end of a block may be the first half of a line end.
        rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        for line in lines:
            yield None if is_cut or len(line) > MAX_LINE_BYTES else line
            is_cut = False
        if len(rest) > MAX_LINE_BYTES:
            # The last byte is kept for the carriage return that it may be.
            rest = rest[-1:]
            is_cut = True
    if rest:
        yield None if is_cut else rest


def _decode(lines: Iterable[bytes | None], encoding: str) -> Iterator[str | None]:
    for line in lines:
        yield None if line is None else line.decode(encoding, "surrogateescape")
