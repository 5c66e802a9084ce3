"""Reader of text files: detects the encoding, and splits bytes into lines.

The input is hostile. A file is read once, sequentially, in constant memory. A `ManifestError` means
that the whole file is unusable; an invalid line does not affect the others.
"""

import codecs
import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.peeked_file import PeekedFile, read_head

# Bytes at the beginning from which the encoding is detected.
HEAD_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 20
TOO_LONG = f"the line is longer than {MAX_LINE_BYTES} bytes"

_BLOCK_BYTES = 1 << 18
# Binary formats have NUL bytes near their beginning; a later one makes only its own line invalid.
_BINARY_BYTES = 4096
# The first letters of a header are ASCII, in which every second byte of UTF-16 is zero.
_UTF16_BYTES = 8
# UTF-32 first: its little-endian mark starts with that of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
_WRITE_TEXT = "write the table as CSV, TSV or JSON lines"
_DECOMPRESS = "decompress it, or give it the suffix .gz, .bz2 or .xz"
_PASS_AS_INPUT = "it is a recording: pass recordings with --input"
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
    (b"RIFF", "WAV", _PASS_AS_INPUT),
    (b"RF64", "WAV", _PASS_AS_INPUT),
    (b"FORM", "AIFF", _PASS_AS_INPUT),
    (b"fLaC", "FLAC", _PASS_AS_INPUT),
    (b"OggS", "Ogg", _PASS_AS_INPUT),
    (b"ID3", "MP3", _PASS_AS_INPUT),
)
# C0 control characters other than tab, line feed, vertical tab, form feed and carriage return.
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r")) + b"\x7f"
_INVALID = re.compile("[\ud800-\udfff]")


def _lone_surrogate(error: UnicodeError) -> tuple[str, int]:
    """Replaces invalid UTF-16 or UTF-32 by a lone surrogate.

    That is invalid in UTF-8, too, so `TextLines.find_fault` finds it in its line.
    """
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


codecs.register_error("lone_surrogate", _lone_surrogate)


@dataclasses.dataclass(frozen=True)
class BadLine:
    """A line without a valid record.

    Attributes:
      message: Explanation for people: what was found, and what is allowed.
    """

    message: str


@dataclasses.dataclass(frozen=True)
class TextLines:
    """An open text file.

    Attributes:
      encoding: `utf-8`, `latin-1`, `utf-16-le`, `utf-16-be`, `utf-32-le` or `utf-32-be`.
      lines: Number, from 1, and text of each line with its line end (LF, CR LF or CR); None for a
        line longer than `MAX_LINE_BYTES`. Text is unchecked: see `find_fault`.
    """

    encoding: str
    lines: Iterator[tuple[int, str | None]]

    def find_fault(self, text: str) -> str:
        """Returns why a text from these lines is invalid; empty if it is valid."""
        if "\0" in text:
            return "the line contains NUL"
        if not text.isascii() and _INVALID.search(text):
            return (
                f"the line contains bytes that are not valid {self.encoding}, the file's encoding"
            )
        return ""


def read_lines(file: BinaryIO | PeekedFile) -> TextLines:
    """Opens a text file.

    Args:
      file: Read sequentially and lazily; only its `read` is used.

    Raises:
      ManifestError: The file is not text.
    """
    encoding, blocks = read_blocks(file)
    if encoding.startswith("utf-") and encoding != "utf-8":
        lines = _decode(_split(_transcode_to_utf8(blocks, encoding)), "utf-8")
    else:
        lines = _decode(_split(blocks), encoding)
    return TextLines(encoding, enumerate(lines, 1))


def decode_head(head: bytes) -> str:
    """Returns the first bytes of a text file as text; empty if they are not text."""
    try:
        mark, encoding = _detect_encoding(head)
    except ManifestError:
        return ""
    return head[len(mark) :].decode(encoding, "replace")


def read_blocks(file: BinaryIO | PeekedFile) -> tuple[str, Iterator[bytes]]:
    """Opens a text file.

    Returns:
      The encoding, and the bytes without byte order mark, read lazily.

    Raises:
      ManifestError: The file is not text.
    """
    head = read_head(file, HEAD_BYTES)
    mark, encoding = _detect_encoding(head)
    return encoding, itertools.chain(
        [head[len(mark) :]], iter(lambda: file.read(_BLOCK_BYTES), b"")
    )


def _detect_encoding(head: bytes) -> tuple[bytes, str]:
    """Returns the byte order mark, empty if there is none, and the encoding."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return mark, encoding
    first, second = head[:_UTF16_BYTES:2], head[1:_UTF16_BYTES:2]
    if len(head) >= _UTF16_BYTES and all(first) and not any(second):
        return b"", "utf-16-le"
    if len(head) >= _UTF16_BYTES and all(second) and not any(first):
        return b"", "utf-16-be"
    _check_not_binary(head)
    try:
        # A character may continue after the end of the head.
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


def _transcode_to_utf8(blocks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("lone_surrogate")
    for block in blocks:
        yield decoder.decode(block).encode("utf-8", "surrogatepass")
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")


def _split(blocks: Iterable[bytes]) -> Iterator[bytes | None]:
    """Yields lines with their line ends; None for a line that is too long."""
    rest = b""
    is_too_long = False
    for block in blocks:
        lines = (rest + block).splitlines(keepends=True)
        # CR at the end of a block may be the first half of CR LF.
        rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        for line in lines:
            yield None if is_too_long or len(line) > MAX_LINE_BYTES else line
            is_too_long = False
        if len(rest) > MAX_LINE_BYTES:
            # Keeps the last byte, which may be the first half of a line end.
            rest = rest[-1:]
            is_too_long = True
    if rest:
        yield None if is_too_long else rest


def _decode(lines: Iterable[bytes | None], encoding: str) -> Iterator[str | None]:
    for line in lines:
        yield None if line is None else line.decode(encoding, "surrogateescape")
