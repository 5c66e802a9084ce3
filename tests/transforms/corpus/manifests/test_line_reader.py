"""Lines of text: any encoding, any line end, bounded memory, and nothing binary."""

import codecs
import gzip
import io
import itertools
import tracemalloc
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.line_reader import (
    HEAD_BYTES,
    MAX_LINE_BYTES,
    read_lines,
)

BLOCK_BYTES = 1 << 18
LINES = (b"x" * 1023 + b"\n") * (HEAD_BYTES >> 10)  # as long as the head

text_of_lines = st.text(st.characters(exclude_categories=["Cs", "Cc"]))
line_ends = st.sampled_from(["\n", "\r\n", "\r"])


class Trickle(io.BytesIO):
    """A file that gives a few bytes at a time, as some storages do."""

    def __init__(self, data: bytes, num_bytes: int) -> None:
        super().__init__(data)
        self._num_bytes = num_bytes

    def read(self, size: int | None = -1, /) -> bytes:
        assert size
        return super().read(min(size, self._num_bytes))


class Repeated(io.BytesIO):
    """A file of any size at no cost."""

    def __init__(self, start: bytes, block: bytes, num_blocks: int) -> None:
        super().__init__()
        self._parts = iter([start, *[block] * num_blocks])

    def read(self, size: int | None = -1, /) -> bytes:
        return next(self._parts, b"")[:size]


def lines_of(data: bytes) -> list[str | None]:
    return [line for _, line in read_lines(io.BytesIO(data)).lines]


@given(lines=st.lists(st.tuples(text_of_lines, line_ends)), num_bytes=st.integers(1, 9))
def test_lines_have_their_ends_and_numbers_for_any_block_size(
    lines: list[tuple[str, str]], num_bytes: int
) -> None:
    # A line between CR and LF would be no line of its own.
    written = ["x" + line + end for line, end in lines]
    text = read_lines(Trickle("".join(written).encode("utf-8-sig"), num_bytes))
    assert list(text.lines) == list(enumerate(written, 1))


def test_only_the_three_line_ends_end_a_line() -> None:
    within = "words " * 9 + "\v\f\x1c\x1e\x85\u2028\u2029b"
    assert lines_of((within + "\n" + within).encode()) == [within + "\n", within]


def test_a_line_end_across_two_blocks_is_one() -> None:
    for before in range(BLOCK_BYTES - 3, BLOCK_BYTES + 2):
        head = b"x" * (HEAD_BYTES - 1) + b"\n"
        data = head + b"y" * before + b"\r\nz\rw"
        assert lines_of(data)[1:] == ["y" * before + "\r\n", "z\r", "w"]


def test_a_character_across_the_end_of_the_head_is_read_whole() -> None:
    for before in range(HEAD_BYTES - 3, HEAD_BYTES + 1):
        text = read_lines(io.BytesIO(LINES[: before - 1] + "\n€uro".encode()))
        assert text.encoding == "utf-8"
        assert list(text.lines)[-1][1] == "€uro"


ENCODINGS = [
    ("utf-8", b"", "utf-8"),
    ("utf-8-sig", b"", "utf-8"),
    ("utf-16-le", b"", "utf-16-le"),
    ("utf-16-be", b"", "utf-16-be"),
    ("utf-16-le", codecs.BOM_UTF16_LE, "utf-16-le"),
    ("utf-16-be", codecs.BOM_UTF16_BE, "utf-16-be"),
    ("utf-32-le", codecs.BOM_UTF32_LE, "utf-32-le"),
    ("utf-32-be", codecs.BOM_UTF32_BE, "utf-32-be"),
    ("latin-1", b"", "latin-1"),
]


def test_encodings_are_detected_by_byte_order_mark_or_content() -> None:
    for num_bytes, (encoding, mark, expected) in itertools.product([1, 7, 1 << 20], ENCODINGS):
        written = ["uri,labels\r\n", "a.wav,Café\n", "b.wav,ü\r", "c.wav,ß"]
        text = read_lines(Trickle(mark + "".join(written).encode(encoding), num_bytes))
        assert text.encoding == expected
        lines = [line for _, line in text.lines]
        assert lines == written
        assert not any(text.find_fault(line or "") for line in lines)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_may_hold_other_letters(encoding: str) -> None:
    text = read_lines(io.BytesIO("uri,名前\na.wav,日本語\n".encode(encoding)))
    assert (text.encoding, next(text.lines)) == (encoding, (1, "uri,名前\n"))


def test_bytes_that_are_invalid_in_the_encoding_spoil_their_own_line_only() -> None:
    for data, encoding in [
        (LINES + b"bad\xff\ngood\xc3\xa9\n", "utf-8"),
        (codecs.BOM_UTF8 + b"bad\xff\ngood\xc3\xa9\n", "utf-8"),
        (codecs.BOM_UTF16_LE + b"\x00\xd8\n\0" + "goodé\n".encode("utf-16-le"), "utf-16-le"),
        (codecs.BOM_UTF32_BE + b"\0\x11\0\0\0\0\0\n" + "goodé\n".encode("utf-32-be"), "utf-32-be"),
    ]:
        text = read_lines(io.BytesIO(data))
        *_, (_, bad), (_, good) = text.lines
        assert f"not valid {encoding}" in text.find_fault(bad or "")
        assert (good, text.find_fault(good or "")) == ("goodé\n", "")


def test_half_a_character_at_the_end_of_utf16_is_a_fault() -> None:
    text = read_lines(io.BytesIO(codecs.BOM_UTF16_LE + "a\nb".encode("utf-16-le") + b"c"))
    (_, _), (_, last) = text.lines
    assert "not valid utf-16-le" in text.find_fault(last or "")


def test_a_zero_far_from_the_beginning_spoils_its_own_line_only() -> None:
    text = read_lines(io.BytesIO(b"x\n" * 5000 + b"a\0b\nc\n"))
    *_, (_, bad), (_, good) = text.lines
    assert "contains NUL" in text.find_fault(bad or "")
    assert good == "c\n"


def test_a_line_as_long_as_allowed_is_read_and_a_longer_one_is_none() -> None:
    for before, end in itertools.product([b"", LINES], ["\n", "\r\n", "\r", ""]):
        longest = "y" * (MAX_LINE_BYTES - len(end)) + end
        after = "z\n" if end else ""
        for line, expected in ((longest, longest), ("y" + longest, None), ("y" * 9**7 + end, None)):
            lines = lines_of(before + line.encode() + after.encode())
            assert lines[before.count(b"\n") :] == [expected, *([after] if end else [])]


def test_a_line_without_end_takes_bounded_memory() -> None:
    text = read_lines(Repeated(b"uri\n", b"x" * BLOCK_BYTES, 1_000))
    tracemalloc.start()
    try:
        assert [line for _, line in text.lines] == ["uri\n", None]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * MAX_LINE_BYTES


def zipped(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, "x")
    return file.getvalue()


def test_binary_files_are_rejected_by_name_and_with_a_hint() -> None:
    for make, what, hint in [
        (lambda: gzip.compress(b"uri\na.wav\n", mtime=0), "gzip", "decompress"),
        (lambda: zipped("xl/workbook.xml"), "zip archive or an Excel", "CSV"),
        (lambda: b"PAR1\x15\x04\x15\x10\x00" * 9, "Parquet", "JSON lines"),
        (lambda: b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0", "WAV", "--input"),
        (lambda: b"fLaC\0\0\0\x22", "FLAC", "--input"),
        (lambda: b"uri\n\0", "binary, not text", "CSV"),
        (lambda: b"uri\na\0b\n", "binary, not text", "CSV"),
        (lambda: b"u\0\0\0r\0\0\0i\0\0\0\n\0\0\0", "binary, not text", "CSV"),
        (lambda: b"\0", "binary, not text", "CSV"),
        (lambda: bytes(range(1, 256)), "binary, not text", "CSV"),
    ]:
        with pytest.raises(ManifestError, match=what) as error:
            read_lines(io.BytesIO(make()))
        assert hint in str(error.value)


@given(data=st.binary(max_size=200))
def test_any_bytes_are_lines_or_a_manifest_error(data: bytes) -> None:
    try:
        text = read_lines(io.BytesIO(data))
    except ManifestError:
        return
    for _, line in text.lines:
        if line is not None and not text.find_fault(line):
            line.encode()
