"""The check that the storages of a run answer, before anything is listed."""

import concurrent.futures
from collections.abc import Iterable

from pipeline.errors import UsageError
from transforms.corpus.clips import printable
from transforms.storage import files

# A storage that needs longer than this for its answer is refused.
_MAX_SECONDS = 29.0


def check_storages(paths: Iterable[tuple[str, str]], to_write: bool = False) -> None:
    """Refuses paths on storages that cannot be reached; checks all at the same time.

    Args:
      paths: Flags with their paths. Of a local path only the spelling is checked; of paths to read
        in the same bucket one is.
      to_write: The paths are output folders: a file is created in each and deleted.

    Raises:
      UsageError: Names flag, path and reason, within half a minute.
    """
    first_in: dict[str, tuple[str, str]] = {}
    for flag, path in paths:
        # The right to write may differ between the folders of a bucket.
        first_in.setdefault(path if to_write else _bucket(path), (flag, path))
    if not first_in:
        return
    pool = concurrent.futures.ThreadPoolExecutor(len(first_in))
    checks = {
        pool.submit(files.check_reachable, path, to_write): (flag, path)
        for flag, path in first_in.values()
    }
    _, pending = concurrent.futures.wait(checks, _MAX_SECONDS)
    pool.shutdown(wait=False)
    for future, (flag, path) in checks.items():
        label = f"{flag}={printable(path)}"
        if future in pending:
            raise UsageError(f"{label}: its storage does not answer within {_MAX_SECONDS:.0f} s")
        error = future.exception()
        if isinstance(error, OSError):
            raise UsageError(f"{label}: {error}") from error
        future.result()


def _bucket(path: str) -> str:
    """Returns the bucket or host of a path; the same for all local paths without a colon."""
    scheme, separator, rest = path.partition("://")
    if separator:
        return f"{scheme}://{rest.partition('/')[0]}"
    return path if ":" in path else ""
