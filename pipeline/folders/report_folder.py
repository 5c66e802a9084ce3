"""The folder through which workers report: there while a command runs, and gone without a trace."""

import contextlib
import os
import tempfile
import uuid

from transforms.preflight.report_files import MARK
from transforms.storage import files


class ReportFolder:
    """A folder of one command.

    Attributes:
      path: Absolute; there while the object is entered.
    """

    def __init__(self, path: str, made: list[str]) -> None:
        self.path = path
        self._made = made

    @classmethod
    def inside(cls, output: str, name: str) -> "ReportFolder":
        """Makes it in the output, which is made as well if it is not there.

        Args:
          output: Folder of the dataset.
          name: Stem of the dataset's names.

        Raises:
          OSError: It cannot be written.
        """
        path = f"{output.rstrip('/')}/.{name}.check-{uuid.uuid4().hex[:8]}"
        return cls(path, _absent(path))._begun()

    @classmethod
    def temporary(cls) -> "ReportFolder":
        """Makes it in this machine's place for temporary files: for workers in this process."""
        path = f"{tempfile.gettempdir()}/check-{uuid.uuid4().hex[:8]}"
        return cls(path, _absent(path))._begun()

    def __enter__(self) -> "ReportFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Deletes it, and the folders above it that were made for it."""
        with contextlib.suppress(OSError):
            files.delete_folder(self.path)
        for folder in self._made:
            with contextlib.suppress(OSError):  # somebody else has put something there
                os.rmdir(folder)

    def _begun(self) -> "ReportFolder":
        try:
            files.make_folder(self.path)
            files.write_atomically(f"{self.path}/{MARK}", [b"the launcher's"])
        except BaseException:
            self.remove()
            raise
        return self


def _absent(path: str) -> list[str]:
    """Returns the folders down to a path that are not there on this machine, deepest first."""
    absent = []
    while files.is_local(path) and not os.path.lexists(path):
        absent.append(path)
        path = os.path.dirname(path)
    return absent
