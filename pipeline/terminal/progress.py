"""The progress of a running job: a bar on a terminal, else a line every 30 seconds."""

import collections
import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TextIO

from tqdm import tqdm

from transforms.metrics import live_counts

LINE_SECONDS = 30.0
BAR_SECONDS = 0.5
# The period of the rate: batches are rare.
_RATE_SECONDS = 30.0
# A stopped terminal (Ctrl-S) accepts nothing; the end of the job does not wait for it.
_STOPPED_SECONDS = 2.0
_BAR = "{percentage:3.0f}%|{bar}| {desc}"


class Report:
    """The progress as text, with rates and the time left.

    Args:
      hop_seconds: Seconds from one row to the next.
      is_cut: Recordings are cut into clips, whose number is known only after decoding.
      clock: Returns seconds.
    """

    def __init__(
        self, hop_seconds: float, is_cut: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._hop_seconds = hop_seconds
        self._is_cut = is_cut
        self._clock = clock
        self._started = clock()
        # The start of decoding, and the number of parts done by then: failures of listing.
        self._begin: tuple[float, int] | None = None
        self._rows: collections.deque[tuple[float, int]] = collections.deque()

    @property
    def seconds(self) -> float:
        """Seconds since the report was created."""
        return self._clock() - self._started

    def share(self, counts: Mapping[str, int]) -> float | None:
        """Returns the share of decoding and embedding that is done; None before and after."""
        if not _is_decoding(counts):
            return None
        done, number = self._parts(counts)
        if self._begin is None:
            self._begin = self._clock(), done
        _, done_then = self._begin
        decoded = (done - done_then) / (number - done_then) if number > done_then else 1.0
        # Decoding is ahead of the model.
        patches = counts.get("patches", 0)
        embedded = counts.get("rows", 0) / patches if patches else 1.0
        return min(1.0, decoded * embedded)

    def text(self, counts: Mapping[str, int]) -> str:
        """Returns the progress."""
        found = counts.get("found", 0)
        if shards := counts.get("shards"):
            return f"writing, {shards} shards so far"
        if assembled := counts.get("assembled"):
            return f"assembling, {assembled} clips so far"
        if counts.get("loading", 0) > 0 and not counts.get("rows"):
            return f"loading the model for {found} clips{_failures(counts)}"
        if _is_decoding(counts):
            return self._text_of_decoding(counts)
        return f"{found} clips found so far{_failures(counts)}"

    def _text_of_decoding(self, counts: Mapping[str, int]) -> str:
        now = self._clock()
        clips, rows = counts.get("done", 0), counts.get("rows", 0)
        share = self.share(counts)
        found = counts.get("found", 0)
        of_all = f"{min(clips, found)}/{found} clips decoded"
        if self._is_cut:
            done, number = self._parts(counts)
            of_all = f"{clips} clips decoded, {done}/{number} parts"
        return (
            f"{of_all}, {self._rate(now, rows):.0f} rows/s"
            f", {rows * self._hop_seconds / 3_600:.2f} h{_failures(counts)}"
            f"{self._left(now, share)}"
        )

    def _rate(self, now: float, rows: int) -> float:
        self._rows.append((now, rows))
        while len(self._rows) > 2 and self._rows[1][0] <= now - _RATE_SECONDS:
            self._rows.popleft()
        since, rows_then = self._rows[0]
        return (rows - rows_then) / (now - since) if now > since else 0.0

    def _left(self, now: float, share: float | None) -> str:
        if not share or self._begin is None or now <= self._begin[0]:
            return ""
        return f", {duration((now - self._begin[0]) * (1 - share) / share)} left"

    def _parts(self, counts: Mapping[str, int]) -> tuple[int, int]:
        """Returns how many equal parts of the work are done, and their number."""
        decode_tasks = counts.get("decode_tasks", 0)
        # Long recordings are decoded in several parts.
        if self._is_cut or decode_tasks > counts.get("found", 0):
            return counts.get("decode_tasks_done", 0), decode_tasks
        return counts.get("done", 0), counts.get("found", 0)


class ClusterReport:
    """The progress of a job on a cluster as text; see `Report` for its parts.

    Args:
      hop_seconds: Seconds from one row to the next.
      clock: Returns seconds.
    """

    def __init__(self, hop_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._hop_seconds = hop_seconds
        self._clock = clock
        self._started = clock()
        self._state = "not submitted yet"
        self._tasks = (0, 0)
        self._counts: Mapping[str, int] = {}

    @property
    def seconds(self) -> float:
        """Seconds since the report was created."""
        return self._clock() - self._started

    def update(self, state: str, tasks: tuple[int, int], counts: Mapping[str, int]) -> None:
        """Sets the state, how many tasks of how many have ended, and Beam's counters."""
        self._state, self._tasks, self._counts = state, tasks, counts

    def share(self, counts: Mapping[str, int]) -> float | None:
        """Returns the share of the tasks that have ended; None before they are known."""
        done, number = self._tasks
        return done / number if number else None

    def text(self, counts: Mapping[str, int]) -> str:
        """Returns the progress; `counts` are those of workers in this process, if any."""
        done, number = self._tasks
        known = counts if counts.get("found") else self._counts
        parts = [self._state.partition(":")[0].partition(";")[0]]
        if number:
            parts.append(f"{done}/{number} tasks")
        if found := known.get("found"):
            rows = known.get("rows", 0)
            parts += [
                f"{min(known.get('done', 0), found)}/{found} clips decoded",
                f"{rows} rows, {rows * self._hop_seconds / 3_600:.2f} h{_failures(known)}",
            ]
        return ", ".join(parts)


@contextlib.contextmanager
def shown(
    stream: TextIO,
    hop_seconds: float,
    is_cut: bool = False,
    in_processes: bool = False,
    as_lines: bool = False,
    on_cluster: ClusterReport | None = None,
) -> Iterator[None]:
    """Shows the progress of the job that runs in this context.

    Args:
      stream: The output; on a terminal, a bar that disappears when the job ends.
      hop_seconds: See `Report`.
      is_cut: See `Report`.
      in_processes: The workers are other processes of this machine.
      as_lines: Show lines on a terminal, too.
      on_cluster: The report of a job that runs on a cluster; None for one in this process or its
        children.
    """
    with contextlib.ExitStack() as stack:
        counts = live_counts.total
        live_counts.reset()
        if in_processes:
            folder = tempfile.mkdtemp(prefix="beam-audio-embeddings-")
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            stack.enter_context(live_counts.shared(folder))

            def counts() -> dict[str, int]:
                return live_counts.total_of_processes(folder)

        ended = threading.Event()
        show = _show_lines if as_lines or not _has_room(stream) else _show_bar
        thread = threading.Thread(
            target=show,
            args=(stream, on_cluster or Report(hop_seconds, is_cut), counts, ended),
            name="progress",
            daemon=True,
        )
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(_STOPPED_SECONDS)


def duration(seconds: float) -> str:
    """Returns seconds as `m:ss` or `h:mm:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def say(stream: TextIO, line: str) -> None:
    """Prints a line, above the bar if there is one."""
    with contextlib.suppress(OSError, ValueError):  # the reader is gone
        tqdm.write(line, file=stream)
        stream.flush()


def _has_room(stream: TextIO) -> bool:
    """Returns whether the stream is a terminal with a size: without one tqdm draws nothing."""
    return stream.isatty() and os.get_terminal_size(stream.fileno()).lines > 0


def _show_lines(
    stream: TextIO,
    report: Report | ClusterReport,
    counts: Callable[[], dict[str, int]],
    ended: threading.Event,
) -> None:
    while not ended.wait(LINE_SECONDS):
        text = report.text(counts())
        with contextlib.suppress(OSError, ValueError):  # the reader is gone
            print(f"{duration(report.seconds)}  {text}", file=stream, flush=True)


def _show_bar(
    stream: TextIO,
    report: Report | ClusterReport,
    counts: Callable[[], dict[str, int]],
    ended: threading.Event,
) -> None:
    tqdm.monitor_interval = 0  # no thread of its own: this one updates often enough
    with (
        contextlib.suppress(OSError, ValueError),
        tqdm(total=1.0, file=stream, leave=False, dynamic_ncols=True, bar_format="{desc}") as bar,
    ):
        while not ended.wait(BAR_SECONDS):
            now = counts()
            share = report.share(now)
            bar.bar_format = "{desc}" if share is None else _BAR
            bar.n = share or 0.0
            # This draws the bar, too.
            bar.set_description_str(f"{duration(report.seconds)}  {report.text(now)}")


def _is_decoding(counts: Mapping[str, int]) -> bool:
    """Returns whether planning has ended: a local runner plans all before it decodes."""
    is_over = counts.get("assembled") or counts.get("shards")
    return bool(counts.get("decode_tasks_done") or counts.get("rows")) and not is_over


def _failures(counts: Mapping[str, int]) -> str:
    number = counts.get("failures", 0)
    return f", {number} {'failure' if number == 1 else 'failures'}"
