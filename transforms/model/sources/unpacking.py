"""Archives of a SavedModel, from anywhere: nothing in them is trusted."""

import contextlib
import gzip
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from transforms.model.errors import ModelError, in_one_line
from transforms.model.sources.caching import require_disk_space
from transforms.model.sources.names import ARCHIVE_SUFFIXES
from transforms.model.sources.writing import MAX_BYTES, READ_BYTES, Writer, outside_folder

# The magic numbers of formats: offset and bytes.
_GZIP = (0, b"\x1f\x8b")
_ZIP = (0, b"PK\x03\x04")
_TAR = (257, b"ustar")
_HEAD_BYTES = 512
_SHOWN_BYTES = 40
# Of one header of a tar archive, and of all: `MAX_FILES` members have 15 MB with long names.
_MAX_TAR_HEADER_BYTES = 2**16
_MAX_TAR_HEADERS_BYTES = 2**25
# Python's reader takes the square of their number in time: 10 s for 64 KB.
_MANY_DIGITS = re.compile(rb"\d{256}")
# `MAX_FILES` members have a directory of 2 MB with long names.
_MAX_ZIP_READ_BYTES = 2**22
# What the readers raise for bytes that are not of their format. Encrypted members are a
# RuntimeError; unknown compressions are a NotImplementedError, which is one as well.
_DAMAGED = (
    EOFError,
    RuntimeError,
    ValueError,
    struct.error,
    gzip.BadGzipFile,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


def unpack(archive: Path, folder: Path, origin: str, max_bytes: int = MAX_BYTES) -> Path:
    """Unpacks an archive and returns the folder of the SavedModel in it.

    Args:
      archive: A file, whose format its first bytes tell.
      folder: A new one, for all members.
      origin: Where the archive comes from, for messages.
      max_bytes: Limit of what it unpacks to.

    Raises:
      ModelError: It is not an archive, it is damaged or truncated, a member is a link, a device,
        sparse, there twice or leads out of the folder, its headers are too large, it unpacks to too
        much, or it holds not exactly one SavedModel.
      OSError: The disk cannot be read or written.
    """
    try:
        with require_disk_space(archive.stat().st_size, folder.parent, origin):
            _unpack(archive, Writer(folder, origin, max_bytes), origin)
    except _DAMAGED as error:
        raise ModelError(
            f"cannot unpack the model archive {origin}: {in_one_line(error)}"
        ) from error
    found = sorted(path.parent for path in folder.rglob("saved_model.pb"))
    if folder in found:
        return folder
    if len(found) != 1:
        raise ModelError(f"{origin} holds {len(found)} SavedModels (saved_model.pb), wanted one")
    return found[0]


def _unpack(archive: Path, writer: Writer, origin: str) -> None:
    with archive.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        file.seek(0)
        if _has(head, _ZIP):
            members = _zip_members(file, origin)
        elif _has(head, _GZIP):
            members = _tar_members(gzip.GzipFile(fileobj=file), writer, origin)
        elif _has(head, _TAR):
            members = _tar_members(file, writer, origin)
        else:
            begins = f"it begins with {head[:_SHOWN_BYTES]!r}" if head else "it is empty"
            raise ModelError(
                f"cannot unpack the model archive {origin}: {begins}, as no archive"
                f" ({' '.join(ARCHIVE_SUFFIXES)}) does"
            )
        for name, member in members:
            with member:
                writer.write(name, member)


def _has(head: bytes, mark: tuple[int, bytes]) -> bool:
    offset, magic = mark
    return head[offset:].startswith(magic)


def _zip_members(file: BinaryIO, origin: str) -> Iterator[tuple[str, Any]]:
    """Yields names and contents of the regular files in a zip archive."""
    # The reader holds the whole directory in memory; the members it reads in blocks.
    with zipfile.ZipFile(_Bounded(file, _MAX_ZIP_READ_BYTES)) as bundle:
        for entry in bundle.infolist():
            if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ModelError(f"{origin}: the member {entry.filename!r} is not a regular file")
            # Other methods decompress a block to any size at once.
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ModelError(
                    f"{origin}: the member {entry.filename!r} is compressed with method"
                    f" {entry.compress_type} of zip (allowed: {zipfile.ZIP_STORED} and"
                    f" {zipfile.ZIP_DEFLATED}, stored and deflated)"
                )
            if not entry.is_dir():
                yield entry.filename, bundle.open(entry)


def _tar_members(file: Any, writer: Writer, origin: str) -> Iterator[tuple[str, Any]]:
    """Yields names and contents of the regular files in a tar archive, and reads it to its end.

    Python's data filter is one of two locks: `Writer` checks names as well.
    """
    if not hasattr(tarfile, "data_filter"):
        raise ModelError(
            f"{origin} is a tar archive, which this Python cannot unpack safely (needed: 3.10.12,"
            " 3.11.4 or newer)"
        )
    bounded = _Bounded(file, _MAX_TAR_HEADER_BYTES, _MAX_TAR_HEADERS_BYTES)
    with tarfile.open(fileobj=bounded, mode="r:") as tar:  # type: ignore[call-overload]
        for member in tar:
            if member.isdir():
                continue
            if not member.isreg() or member.issparse() or member.size < 0:
                raise ModelError(f"{origin}: the member {member.name!r} is not a regular file")
            try:
                filtered = tarfile.data_filter(member, str(writer.folder))
            except tarfile.FilterError as error:
                raise outside_folder(origin, member.name) from error
            with bounded.unlimited():
                yield member.name, tar.extractfile(filtered)
    # An archive ends with blocks of zeros. Python's reader does not require them, and would accept
    # an archive that is truncated or damaged between two members.
    if bounded.last_read != bytes(tarfile.BLOCKSIZE):
        raise EOFError("it is truncated or damaged: its end-of-archive mark is missing")
    while block := file.read(READ_BYTES):  # the checksum of gzip comes last
        writer.count(len(block))


class _Bounded:
    """A file for a reader of archives, which reads as much at once as the archive says.

    A header of a tar archive may claim any size, and 2 MB of gzip hold 2 GB of one.

    Args:
      file: The archive.
      most_at_once: Most bytes of one read.
      most: Most bytes of all reads; None for any number.

    Attributes:
      last_read: The last block that was read.
    """

    def __init__(self, file: BinaryIO, most_at_once: int, most: int | None = None) -> None:
        self._file = file
        self._most_at_once = most_at_once
        self._most = most
        self._is_limited = True
        self._num_bytes = 0
        self.last_read = b""
        self.seek = file.seek
        self.tell = file.tell
        self.seekable = file.seekable

    def read(self, size: int = -1) -> bytes:
        if not self._is_limited:
            self.last_read = self._file.read(size)
            return self.last_read
        if size > self._most_at_once:
            raise ValueError(
                f"a header of {size} bytes (allowed: up to {self._most_at_once} bytes)"
            )
        self.last_read = self._file.read(size if size >= 0 else self._most_at_once + 1)
        self._num_bytes += len(self.last_read)
        if len(self.last_read) > self._most_at_once:  # to the file's end
            raise ValueError(f"a header of more than {self._most_at_once} bytes")
        if self._most is not None:  # a tar archive's
            if self._num_bytes > self._most:
                raise ValueError(f"more than {self._most} bytes of headers")
            if _MANY_DIGITS.search(self.last_read):
                raise ValueError("a header with a number of 256 digits or more")
        return self.last_read

    @contextlib.contextmanager
    def unlimited(self) -> Iterator[None]:
        """Lifts the limits within the block, in which contents are read instead of headers."""
        self._is_limited = False
        try:
            yield
        finally:
            self._is_limited = True
