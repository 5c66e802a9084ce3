"""Files of a model written below a folder, under names and in sizes that others chose."""

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from transforms.model.errors import ModelError

# Bounds on what a model may hold: the largest audio models are a tenth of this.
MAX_BYTES = 16 * 2**30
MAX_FILES = 10_000
READ_BYTES = 2**20


class Writer:
    """Writes files below a folder and nowhere else, and no more than the bounds allow."""

    def __init__(self, folder: Path, origin: str) -> None:
        """Makes the folder.

        Args:
          folder: A new one.
          origin: Where the files come from, for messages.

        Raises:
          OSError: It cannot be made.
        """
        folder.mkdir()
        self._folder = folder.resolve()
        self._origin = origin
        self._num_files = 0
        self._num_bytes = 0

    def write(
        self, name: str, source: BinaryIO, watch: Callable[[bytes], object] | None = None
    ) -> int:
        """Writes a file and returns its size in bytes.

        Args:
          name: With folders above it, divided by `/`.
          source: Is read to its end.
          watch: Is called with each block that is written.

        Raises:
          ModelError: The name leads out of the folder, or a bound is passed.
          OSError: It cannot be written.
        """
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
            raise ModelError(
                f"{self._origin}: the member {name!r} would be written outside its folder"
            )
        self._num_files += 1
        if self._num_files > MAX_FILES:
            raise ModelError(f"{self._origin} holds more than {MAX_FILES} files")
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            while block := source.read(READ_BYTES):
                self.count(len(block))
                file.write(block)
                if watch:
                    watch(block)
            file.flush()
            # The folder is renamed when it is whole: after a power cut it must not be found empty.
            os.fsync(file.fileno())
            return file.tell()

    def count(self, num_bytes: int) -> None:
        """Counts bytes towards the bound.

        Raises:
          ModelError: It is passed.
        """
        self._num_bytes += num_bytes
        if self._num_bytes > MAX_BYTES:
            raise ModelError(f"{self._origin} unpacks to more than {MAX_BYTES} bytes")
