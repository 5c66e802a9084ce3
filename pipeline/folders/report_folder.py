"""The folder of the workers' reports, which exists while a command runs."""

import contextlib
import os
import tempfile
import uuid

from transforms.preflight.report_files import MARK
from transforms.storage import files


class ReportFolder:
    """The folder of the reports of one command; as a context manager it removes itself.

    Attributes:
      path: The absolute path.
    """

    def __init__(self, path: str, made: list[str]) -> None:
        self.path = path
        self._made = made

    @classmethod
    def inside(cls, output: str, name: str) -> "ReportFolder":
        """Creates the folder in the output, which is created as well if it is absent.

        Args:
          output: The folder of the dataset.
          name: The stem of the dataset's file names.

        Raises:
          OSError: The output cannot be written.
        """
        path = f"{output.rstrip('/')}/.{name}.check-{uuid.uuid4().hex[:8]}"
        return cls(path, _absent(path))._created()

    @classmethod
    def temporary(cls) -> "ReportFolder":
        """Creates the folder among this machine's temporary files, for local workers."""
        path = f"{tempfile.gettempdir()}/check-{uuid.uuid4().hex[:8]}"
        return cls(path, _absent(path))._created()

    def __enter__(self) -> "ReportFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Deletes the folder, and the folders above it that were created for it."""
        with contextlib.suppress(OSError):
            files.delete_folder(self.path)
        for folder in self._made:
            with contextlib.suppress(OSError):  # others have written there
                os.rmdir(folder)

    def _created(self) -> "ReportFolder":
        try:
            files.make_folder(self.path)
            files.write_atomically(f"{self.path}/{MARK}", [b"the launcher's"])
        except BaseException:
            self.remove()
            raise
        return self


def _absent(path: str) -> list[str]:
    """Returns the absent folders down to a path on this machine, deepest first."""
    absent = []
    while files.is_local(path) and not os.path.lexists(path):
        absent.append(path)
        path = os.path.dirname(path)
    return absent
