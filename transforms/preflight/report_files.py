"""Files through which workers report to the launcher, because no engine hands results back."""

from transforms.corpus.clips import printable
from transforms.storage import files

# What the launcher writes, for workers to tell that the folder is the launcher's own.
MARK = "launcher"
# Begins the text of the error where a worker cannot report.
CANNOT_REPORT = "the output cannot be used from the worker"


def check_mark(folder: str, where: str) -> None:
    """Makes sure that a folder is the launcher's.

    Args:
      folder: Of the reports.
      where: Name of this worker.

    Raises:
      OSError: It cannot be read, or is another one of the same name.
    """
    try:
        with files.open_to_read(f"{folder}/{MARK}"):
            pass
    except FileNotFoundError:
        raise OSError(
            f"{CANNOT_REPORT} {where}: what the launcher has written to {printable(folder)}"
            " is not there, so that it is another folder; name one that all machines share, or an"
            " object storage"
        ) from None
    except OSError as error:
        raise OSError(f"{CANNOT_REPORT} {where}: {error}") from error


def write(path: str, report: bytes, where: str) -> None:
    """Writes a report.

    Raises:
      OSError: It cannot be written; the text names the worker.
    """
    try:
        files.write_atomically(path, [report])
    except OSError as error:
        raise OSError(f"{CANNOT_REPORT} {where}: {error}") from error
