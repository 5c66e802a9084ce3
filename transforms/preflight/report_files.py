"""Files through which workers report to the launcher: no runner returns results."""

from transforms.corpus.clips import printable
from transforms.storage import files

# The file by which workers recognise the launcher's folder.
MARK = "launcher"
# The beginning of the error of a worker that cannot report.
CANNOT_REPORT = "the output cannot be used from the worker"


def check_mark(folder: str, where: str) -> None:
    """Checks that a folder is the launcher's.

    Args:
      folder: The folder of the reports.
      where: The name of this worker.

    Raises:
      OSError: The folder cannot be read, or is another one of the same name.
    """
    try:
        with files.open_to_read(f"{folder}/{MARK}"):
            pass
    except FileNotFoundError:
        raise OSError(
            f"{CANNOT_REPORT} {where}: the launcher's file in {printable(folder)} is missing, so"
            " this is another folder; use one that all machines share, or an object storage"
        ) from None
    except OSError as error:
        raise OSError(f"{CANNOT_REPORT} {where}: {error}") from error


def write(path: str, report: bytes, where: str) -> None:
    """Writes a report.

    Raises:
      OSError: The report cannot be written; the message names the worker.
    """
    try:
        files.write_atomically(path, [report])
    except OSError as error:
        raise OSError(f"{CANNOT_REPORT} {where}: {error}") from error
