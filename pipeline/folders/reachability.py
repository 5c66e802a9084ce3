"""Whether the storages that a run names answer: before it starts, and before anything is listed."""

import concurrent.futures
from collections.abc import Iterable

from pipeline.errors import UsageError
from transforms.corpus.clips import printable
from transforms.storage import files

# A storage says within this what is wrong with it, or else that is what is wrong.
_MAX_SECONDS = 29.0


def check_storages(paths: Iterable[tuple[str, str]], to_write: bool = False) -> None:
    """Refuses paths on storages that cannot be reached, asking all at the same time.

    Args:
      paths: The flag and the path that it names; a path on this machine is only spelt right.
        To read from, each bucket is asked once.
      to_write: They are folders to write to: a file is made in each and deleted.

    Raises:
      UsageError: Names the flag, the path and what is wrong, within half a minute.
    """
    first_in: dict[str, tuple[str, str]] = {}
    for flag, path in paths:
        # Who may write to one folder of a bucket may be kept from another.
        first_in.setdefault(path if to_write else _where(path), (flag, path))
    if not first_in:
        return
    pool = concurrent.futures.ThreadPoolExecutor(len(first_in))
    asked = {
        pool.submit(files.check_reachable, path, to_write): (flag, path)
        for flag, path in first_in.values()
    }
    _, pending = concurrent.futures.wait(asked, _MAX_SECONDS)
    pool.shutdown(wait=False)
    for future, (flag, path) in asked.items():
        label = f"{flag}={printable(path)}"
        if future in pending:
            raise UsageError(f"{label}: its storage does not answer within {_MAX_SECONDS:.0f} s")
        error = future.exception()
        if isinstance(error, OSError):
            raise UsageError(f"{label}: {error}") from error
        future.result()


def _where(path: str) -> str:
    """Returns the bucket or host of a path; all paths of this machine that look like no other."""
    scheme, separator, rest = path.partition("://")
    if separator:
        return f"{scheme}://{rest.partition('/')[0]}"
    return path if ":" in path else ""
