"""A remote file as a seekable file object that transfers little more than what is read."""

import collections
import dataclasses
import io
from collections.abc import Callable
from typing import BinaryIO

from transforms.storage.guarding import outside_errors

# Holds the header of most formats, and all of a short compressed clip.
FIRST_BYTES = 512 * 2**10
# A file up to this size is fetched whole: decoders seek, and each seek may be a request.
WHOLE_BYTES = 64 * 2**20
# Bytes per request of a larger file: a quarter of what was read so far without a gap. A piece from
# the middle wastes little, and a whole recording takes few requests.
_MIN_AHEAD_BYTES = 512 * 2**10
_MAX_AHEAD_BYTES = 8 * 2**20
_AHEAD_SHARE = 4
# Decoders go back and forth between a header, an index at the end and the sound.
_NUM_BLOCKS = 4
# Between Python's small reads and the blocks.
_BUFFER_BYTES = 64 * 2**10


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of a remote file.

    Attributes:
      data: Its bytes.
      start: Their offset in the file.
      total_bytes: Size of the file.
      version: Differs between contents; empty where the storage has none.
    """

    data: bytes
    start: int
    total_bytes: int
    version: str = ""


Fetch = Callable[[int, int], Part]
"""Returns the part from a byte up to another, which may lie behind the file's end.

The part may be longer, and shorter at the file's end only.
"""


def open_ranges(fetch: Fetch, name: str, whole_bytes: int = WHOLE_BYTES) -> BinaryIO:
    """Opens a remote file and fetches its beginning.

    Args:
      fetch: Fetches a part, or raises `OSError`.
      name: Name of the file, for messages.
      whole_bytes: Every fetched byte of a file up to this size is kept; of a larger file, a few
        parts.

    Raises:
      OSError: It is absent or cannot be read. Reading raises it too, also if the file was replaced.
    """
    return io.BufferedReader(_Ranged(fetch, name, whole_bytes), _BUFFER_BYTES)


class _Ranged(io.RawIOBase):
    def __init__(self, fetch: Fetch, name: str, whole_bytes: int) -> None:
        self._fetch = fetch
        self._name = name
        self._first = fetch(0, FIRST_BYTES)
        self._total_bytes = self._first.total_bytes
        self._is_whole = self._total_bytes <= whole_bytes
        self._blocks = collections.deque(
            [self._first], maxlen=None if self._is_whole else _NUM_BLOCKS
        )
        self._position = 0
        # The end of the last block, and the number of bytes fetched up to there without a gap.
        self._end = 0
        self._run_bytes = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._total_bytes}
        position = base[whence] + offset
        if position < 0:
            raise ValueError(f"negative position {position}")
        self._position = position
        return position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: object) -> int:
        """Fills a buffer, at most up to the end of a block."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        if self._position >= self._total_bytes or not len(view):
            return 0
        block = self._block()
        offset = self._position - block.start
        data = memoryview(block.data)[offset : offset + len(view)]
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        self._blocks.clear()
        super().close()

    def _block(self) -> Part:
        for block in self._blocks:
            if block.start <= self._position < block.start + len(block.data):
                return block
        if self._is_whole:
            begin = len(self._first.data)
            start = self._position - (self._position - begin) % _MAX_AHEAD_BYTES
            end = min(start + _MAX_AHEAD_BYTES, self._total_bytes)
        else:
            start = self._position
            self._run_bytes = self._run_bytes if start == self._end else 0
            ahead = min(max(self._run_bytes // _AHEAD_SHARE, _MIN_AHEAD_BYTES), _MAX_AHEAD_BYTES)
            end = min(start + ahead, self._total_bytes)
        with outside_errors(self._name):
            block = self._fetch(start, end)
        if (block.total_bytes, block.version) != (self._total_bytes, self._first.version):
            raise OSError(f"{self._name} was replaced while it was read")
        if not block.start <= self._position < block.start + len(block.data):
            raise OSError(f"{self._name}: the storage sent another range than the requested one")
        self._end = block.start + len(block.data)
        self._run_bytes += len(block.data)
        self._blocks.appendleft(block)
        return block
