"""Counters of the workers in this process, and in those it starts, while a job runs.

They feed the progress bar. No job depends on them, and those of other machines are not collected:
runners there show Beam's own counters, which have the same names.
"""

import collections
import contextlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

# Folder into which worker processes write their counts; they inherit it from the launcher.
_FOLDER = "BEAM_AUDIO_EMBEDDINGS_COUNTS"
_WRITE_SECONDS = 0.5
# True in a process that was started within `shared`; read once, because it takes as long as
# counting.
_IS_SHARED = _FOLDER in os.environ

_lock = threading.Lock()
_counts: collections.Counter[str] = collections.Counter()
_writer: threading.Thread | None = None


def count(**amounts: int) -> None:
    """Adds to the counts of this process.

    Args:
      amounts: By name: clips `found`, and `done`, which means decoded or failed; `failures`;
        `decode_tasks` planned and `decode_tasks_done`; `patches` decoded, and
        `audio_milliseconds` of complete clips; `rows` and `batches` embedded in
        `model_milliseconds`; models that are `loading`; clips `assembled`; `records` made;
        `shards` written.
    """
    with _lock:
        for name, amount in amounts.items():
            _counts[name] += amount
        if _IS_SHARED:
            _start_writer()


def reset() -> None:
    """Sets all counts to 0."""
    with _lock:
        _counts.clear()


def total() -> dict[str, int]:
    """Returns the counts of this process."""
    with _lock:
        return dict(_counts)


@contextlib.contextmanager
def shared(folder: str) -> Iterator[None]:
    """Makes worker processes that start within this context write their counts to a folder."""
    os.environ[_FOLDER] = folder
    try:
        yield
    finally:
        del os.environ[_FOLDER]


def total_of_processes(folder: str) -> dict[str, int]:
    """Returns the sums of the counts that worker processes have written to a folder."""
    found: collections.Counter[str] = collections.Counter()
    for path in Path(folder).glob("*.json"):
        with contextlib.suppress(OSError, ValueError):
            found.update(json.loads(path.read_text()))
    return dict(found)


def _start_writer() -> None:
    global _writer
    if _writer is None:
        _writer = threading.Thread(
            target=_keep_writing, args=(os.environ[_FOLDER],), name="counts", daemon=True
        )
        _writer.start()


def _keep_writing(folder: str) -> None:
    path = Path(folder, f"{os.getpid()}.json")
    written: dict[str, int] = {}
    pause = threading.Event()
    while True:
        counts = total()
        if counts != written:
            try:
                path.with_suffix(".new").write_text(json.dumps(counts))
                path.with_suffix(".new").rename(path)
            except OSError:
                return  # the job has ended
            written = counts
        pause.wait(_WRITE_SECONDS)
