"""A file whose beginning is known before it is read."""

from typing import BinaryIO


class PeekedFile:
    """A file whose first bytes are known, and are read again.

    Args:
      file: Only its `read` is used, but for `whole`.
      num_bytes: Number of bytes to know.

    Attributes:
      head: The first bytes.
    """

    def __init__(self, file: "BinaryIO | PeekedFile", num_bytes: int) -> None:
        self.head = read_head(file, num_bytes)
        self._file = file
        self._rest = self.head

    def read(self, size: int = -1) -> bytes:
        """Reads as a file does."""
        if size < 0 or not self._rest:
            start, self._rest = self._rest, b""
            return start + self._file.read(size)
        start, self._rest = self._rest[:size], self._rest[size:]
        return start

    def read_line(self) -> bytes:
        """Reads the first line, of what is known of the file."""
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def whole(self) -> BinaryIO:
        """Returns the file at its beginning.

        Raises:
          OSError: The file cannot seek.
        """
        if isinstance(self._file, PeekedFile):
            return self._file.whole()
        self._file.seek(0)
        return self._file


def read_head(file: BinaryIO | PeekedFile, num_bytes: int) -> bytes:
    """Reads the first bytes of a file: fewer than wanted only if it has no more."""
    head = bytearray()
    while len(head) < num_bytes and (block := file.read(num_bytes - len(head))):
        head += block
    return bytes(head)
