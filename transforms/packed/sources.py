"""Packed files as bytes: read from front to back, decompressed, or a part of them."""

import bz2
import contextlib
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

from transforms.packed import address
from transforms.storage import files

_BLOCK_BYTES = 2**20
# Of a packed file that one task reads: about as much as is decoded within seconds.
UNIT_BYTES = 8 * 2**20
# Members of a compressed file that one task reads: it decompresses all that come before.
UNIT_MEMBERS = 100_000
# Up to here the bytes of a compressed member are kept in memory.
MEMORY_BYTES = 64 * 2**20


class DamagedShardError(OSError):
    """A packed file that cannot be read any further; the message says why."""


class Flaw(NamedTuple):
    """Damage of a packed file.

    Attributes:
      message: What is wrong, and where.
      is_in_member: Whether the file ends within the member that was listed last.
    """

    message: str
    is_in_member: bool = False


class Source:
    """A packed file that is read from front to back.

    Attributes:
      position: Offset of the next byte, after decompression.
      num_bytes: Size of the file; None for a compressed one, where skipping is reading.
    """

    def __init__(self, file: BinaryIO, num_bytes: int | None) -> None:
        self._file = file
        self.num_bytes = num_bytes
        self.position = 0

    def read(self, num_bytes: int) -> bytes:
        """Returns bytes, fewer only at the end of the file.

        Raises:
          OSError: The file cannot be read or decompressed.
        """
        parts = []
        while num_bytes > 0:
            part = self._file.read(min(num_bytes, _BLOCK_BYTES))
            if not part:
                break
            parts.append(part)
            num_bytes -= len(part)
            self.position += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def go_to(self, position: int) -> bool:
        """Goes forwards to a position; returns false if the file ends before it."""
        if self.num_bytes is not None:
            self.position = self._file.seek(min(position, self.num_bytes))
        else:
            while self.position < position:
                part = self._file.read(min(position - self.position, _BLOCK_BYTES))
                if not part:
                    break
                self.position += len(part)
        return self.position == position


@contextlib.contextmanager
def open_source(shard: str) -> Iterator[Source]:
    """Opens a packed file from its start, decompressed if its suffix says so.

    Raises:
      OSError: The file cannot be read; also within the block.
    """
    compression = address.compression_of(shard)
    with files.open_to_read(shard, in_parts=True) as file:
        if compression is None:
            num_bytes = file.seek(0, io.SEEK_END)
            file.seek(0)
            yield Source(file, num_bytes)
        else:
            with contextlib.closing(_Decompressed(file, compression)) as stream:
                yield Source(stream, None)  # type: ignore[arg-type]


class _Decompressed:
    """A decompressed file, whose reads raise nothing but `OSError`."""

    def __init__(self, file: BinaryIO, compression: str) -> None:
        self._errors: tuple[type[Exception], ...] = (
            EOFError,
            ValueError,
            zlib.error,
            lzma.LZMAError,
        )
        if compression == "zst":
            import zstandard

            self._errors += (zstandard.ZstdError,)
            self._file: Any = zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(
                file, read_across_frames=True, closefd=False
            )
        else:
            opened: dict[str, Callable[[BinaryIO], Any]] = {
                "gz": gzip.open,
                "bz2": bz2.open,
                "xz": lzma.open,
            }
            self._file = opened[compression](file)

    def read(self, num_bytes: int) -> bytes:
        try:
            return self._file.read(num_bytes)
        except self._errors as error:
            raise DamagedShardError(f"cannot be decompressed: {error}") from error

    def close(self) -> None:
        self._file.close()


class _Seekable(io.RawIOBase):
    """A file of a known length whose subclass reads at the position."""

    def __init__(self, num_bytes: int) -> None:
        self._num_bytes = num_bytes
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._num_bytes}
        if base[whence] + offset < 0:
            raise ValueError(f"negative position {base[whence] + offset}")
        self._position = base[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        wanted = min(len(view), self._num_bytes - self._position)
        data = self._read_here(wanted) if wanted > 0 else b""
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _read_here(self, num_bytes: int) -> bytes:
        raise NotImplementedError


class Window(_Seekable):
    """The bytes `[start, start + num_bytes)` of a file, which stays open when this is closed."""

    def __init__(self, file: BinaryIO, start: int, num_bytes: int) -> None:
        super().__init__(num_bytes)
        self._file = file
        self._start = start

    def _read_here(self, num_bytes: int) -> bytes:
        self._file.seek(self._start + self._position)
        return self._file.read(num_bytes)


class Rewindable(_Seekable):
    """A stream as a seekable file: going back means reading it again from its start.

    Args:
      open_stream: Opens the stream at its start.
      num_bytes: Its length.
    """

    def __init__(self, open_stream: Callable[[], Any], num_bytes: int) -> None:
        super().__init__(num_bytes)
        self._open_stream = open_stream
        self._stream = open_stream()
        self._stream_position = 0

    def _read_here(self, num_bytes: int) -> bytes:
        if self._position < self._stream_position:
            self._stream, self._stream_position = self._open_stream(), 0
        while self._stream_position < self._position:
            skipped = min(self._position - self._stream_position, _BLOCK_BYTES)
            self._stream_position += len(self._stream.read(skipped))
        data: bytes = self._stream.read(num_bytes)
        self._stream_position += len(data)
        return data


def buffered(file: io.RawIOBase) -> BinaryIO:
    """Returns a file with the buffer that decoders' small reads call for."""
    return io.BufferedReader(file, 2**16)


def fail(error: OSError) -> BinaryIO:
    """Raises an error, in place of the opening of a file that cannot be opened."""
    raise error
