"""Bytes of a file, read in large blocks."""

import os
import re
from typing import BinaryIO

# Small, because of a remote file often only the header is read.
_BLOCK_BYTES = 1 << 16
_NUM_BLOCKS = 64  # so that looking ahead and going back at a block's edge read nothing again
_NOT_ZERO = re.compile(rb"[^\x00]")


class Source:
    """Random access to a file that is read in blocks.

    Attributes:
      size: Size of the file in bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Finds the size of a file. Its position changes here and with every access.

        Raises:
          OSError: The storage failed, here and in all other methods.
        """
        self._file = file
        self._blocks: dict[int, bytes] = {}
        self._index = -1
        self._block = b""
        self.size = file.seek(0, os.SEEK_END)

    def at(self, position: int, num_bytes: int) -> bytes:
        """Returns `num_bytes` from a position on, or fewer at the end of the file."""
        offset = position % _BLOCK_BYTES
        if position - offset != self._index:
            self._load(position - offset)
        end = offset + num_bytes
        piece = self._block[offset:end]
        if end <= _BLOCK_BYTES:
            return piece
        pieces, position = [piece], position - offset + _BLOCK_BYTES
        while position < self.size and len(piece):
            self._load(position)
            piece = self._block[: end - _BLOCK_BYTES]
            pieces.append(piece)
            end -= _BLOCK_BYTES
            position += _BLOCK_BYTES
            if end <= _BLOCK_BYTES:
                break
        return b"".join(pieces)

    def find(self, pattern: "re.Pattern[bytes]", start: int, end: int, longest: int) -> int:
        """Returns where a pattern first matches in `[start, end)`; `end` if nowhere.

        Args:
          pattern: The pattern.
          start: Where the search begins.
          end: Where it ends.
          longest: Length in bytes of the longest match.
        """
        while start < end:
            index = start - start % _BLOCK_BYTES
            self._load(index)
            # The block itself is searched, not a copy: callers search again from every match on.
            if found := pattern.search(self._block, start - index, end - index):
                return index + found.start()
            first, start = start, index + _BLOCK_BYTES
            if start >= end or len(self._block) < _BLOCK_BYTES:
                break
            seam = max(first, start - longest + 1)  # a match over the edge of two blocks
            found = pattern.search(self.at(seam, min(start + longest - 1, end) - seam))
            if found and seam + found.start() < start:
                return seam + found.start()
        return end

    def end_of_zeros(self, start: int, end: int) -> int:
        """Returns where a run of zero bytes from `start` on ends, at `end` at the latest."""
        return self.find(_NOT_ZERO, start, end, 1)

    def start_of_zeros(self, start: int, end: int) -> int:
        """Returns where a run of zero bytes up to `end` begins, at `start` at the earliest."""
        while end > start:
            step = min(_BLOCK_BYTES, end - start)
            kept = len(self.at(end - step, step).rstrip(b"\0"))
            end -= step - kept
            if kept:
                break
        return end

    def _load(self, index: int) -> None:
        """Makes the block at a position the current one."""
        block = self._blocks.get(index)
        if block is None:
            block = b""
            if 0 <= index < self.size:
                self._file.seek(index)
                pieces, missing = [], min(_BLOCK_BYTES, self.size - index)
                while missing and (piece := self._file.read(missing)):
                    pieces.append(piece)
                    missing -= len(piece)
                block = b"".join(pieces)
            if len(self._blocks) >= _NUM_BLOCKS:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[index] = block
        self._index, self._block = index, block
