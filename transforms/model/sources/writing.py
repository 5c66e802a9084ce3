"""The files of a model, written below a folder under names and in sizes that others chose."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from transforms.model.errors import ModelError

# Limits of a model: the largest audio models are a tenth of this.
MAX_BYTES = 16 * 2**30
# A model never takes the rest of a disk.
_DISK_SHARE = 0.95
MAX_FILES = 10_000
READ_BYTES = 2**20


def outside_folder(origin: str, name: str) -> ModelError:
    """Returns the error for a name that leads out of the folder."""
    return ModelError(f"{origin}: the member {name!r} would be written outside its folder")


class Writer:
    """Writes files below a folder and nowhere else, within the limits.

    Attributes:
      folder: Absolute.
    """

    def __init__(self, folder: Path, origin: str, max_bytes: int = MAX_BYTES) -> None:
        """Makes the folder.

        Args:
          folder: A new one.
          origin: Where the files come from, for messages.
          max_bytes: Limit of their size together; what the disk has free is another.
        """
        folder.mkdir()
        self.folder = folder.resolve()
        self._origin = origin
        self._free_bytes = int(_DISK_SHARE * shutil.disk_usage(folder).free)
        self._max_bytes = max_bytes
        self._num_files = 0
        self._num_bytes = 0

    def write(
        self, name: str, source: BinaryIO, watch: Callable[[bytes], object] | None = None
    ) -> int:
        """Writes a file and returns its size in bytes.

        Args:
          name: Relative, with `/` between folders.
          source: Read to its end.
          watch: Called with each block.

        Raises:
          ModelError: The name leads out of the folder, or a limit is exceeded.
          OSError: The file cannot be written.
        """
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
            raise outside_folder(self._origin, name)
        self._num_files += 1
        if self._num_files > MAX_FILES:
            raise ModelError(f"{self._origin} holds more than {MAX_FILES} files")
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_file():
            raise ModelError(f"{self._origin} holds two members {name!r}")
        with target.open("wb") as file:
            while block := source.read(READ_BYTES):
                self.count(len(block))
                file.write(block)
                if watch:
                    watch(block)
            file.flush()
            # The folder is renamed at the end: its files must survive a power cut after that.
            os.fsync(file.fileno())
            return file.tell()

    def count(self, num_bytes: int) -> None:
        """Counts bytes towards the limit.

        Raises:
          ModelError: It is exceeded.
        """
        self._num_bytes += num_bytes
        if self._num_bytes > self._max_bytes:
            raise ModelError(
                f"{self._origin} unpacks to more than {self._max_bytes} bytes; --max_model_bytes"
                " allows more"
            )
        if self._num_bytes > self._free_bytes:
            raise ModelError(
                f"{self._origin} unpacks to more than the {self._free_bytes} bytes that"
                f" {self.folder} has free; $XDG_CACHE_HOME names a folder on another disk"
            )
