"""The progress of a running job."""

import contextlib
import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.terminal import progress
from pipeline.terminal.progress import ClusterReport, Report
from tests.running import run_program
from tests.sounds import noise, write_wav
from transforms.corpus.clips import Clip, Failure
from transforms.list_clips import count_found
from transforms.metrics import live_counts
from transforms.metrics.reporting import ReportingFn


@pytest.fixture(autouse=True)
def _from_nothing() -> Iterator[None]:
    live_counts.reset()
    yield
    live_counts.reset()


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_text_of_each_phase() -> None:
    clock = Clock()
    report = Report(hop_seconds=0.96, is_cut=False, clock=clock)
    counts: dict[str, int] = {}

    def said(seconds: float, **changes: int) -> str:
        clock.now = 100 + seconds
        counts.update(changes)
        return report.text(counts)

    assert said(0) == "0 clips found so far, 0 failures"
    assert said(1, found=50, failures=10, done=10) == "50 clips found so far, 10 failures"
    assert report.share(counts) is None
    assert said(2, decode_tasks=40, loading=1) == "loading the model for 50 clips, 10 failures"
    assert report.share(counts) is None
    said(4, loading=0, decode_tasks_done=1)
    begun = said(14, done=30, patches=400, rows=200, failures=11)
    assert begun == "30/50 clips decoded, 20 rows/s, 0.05 h, 11 failures, 0:30 left"
    assert report.share(counts) == 0.25, "half of what is to be decoded, of which half is embedded"
    assert said(34, done=50, patches=800, rows=800).endswith(
        "27 rows/s, 0.21 h, 11 failures, 0:00 left"
    )
    assert report.share(counts) == 1.0
    assert said(35, assembled=7) == "assembling, 7 clips so far"
    assert report.share(counts) is None
    assert said(36, shards=2) == "writing, 2 shards so far"


def test_a_job_on_a_cluster_shows_its_state_its_tasks_and_its_clips() -> None:
    report = ClusterReport(hop_seconds=0.96)
    assert report.text({}) == "not submitted yet"
    assert report.share({}) is None
    report.update("running; waiting for 2 slots: none", (0, 40), {})
    assert report.text({}) == "running, 0/40 tasks"
    counts = {"found": 50, "done": 20, "rows": 3_750, "failures": 1}
    report.update("running", (10, 40), counts)
    told = "20/50 clips decoded, 3750 rows, 1.00 h, 1 failure"
    assert report.text({}) == f"running, 10/40 tasks, {told}"
    assert report.share({}) == 0.25
    report.update("running", (0, 0), {})
    assert report.text(counts) == f"running, {told}", "counted in this process"


def test_cut_clips_have_no_total_and_long_recordings_count_parts() -> None:
    counts = {
        "found": 2,
        "decode_tasks": 8,
        "decode_tasks_done": 2,
        "done": 40,
        "rows": 5,
        "patches": 5,
    }
    cut = Report(0.96, is_cut=True)
    cut.share(counts | {"decode_tasks_done": 0})
    assert cut.text(counts).startswith("40 clips decoded, 2/8 parts, ")
    assert cut.share(counts) == 0.25
    long = Report(0.96, is_cut=False)
    long.share(counts | {"decode_tasks_done": 0})
    assert long.text(counts | {"done": 0}).startswith("0/2 clips decoded, ")
    assert long.share(counts) == 0.25


def test_the_rate_is_that_of_the_last_seconds() -> None:
    clock = Clock()
    report = Report(0.96, is_cut=False, clock=clock)
    for second in range(120):
        clock.now = 100.0 + second
        rows = second * 10 if second < 60 else 600 + (second - 60) * 100
        text = report.text({"found": 9, "decode_tasks_done": 1, "rows": rows})
    assert ", 100 rows/s, " in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (3_599, "59:59"), (3_661, "1:01:01")]
)
def test_durations(seconds: float, text: str) -> None:
    assert progress.duration(seconds) == text


def test_without_a_terminal_lines_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.05)
    stream = io.StringIO()
    with progress.shown(stream, hop_seconds=0.96):
        assert stream.getvalue() == ""
        live_counts.count(found=3)
        _wait_for(lambda: "\n" in stream.getvalue())
    assert re.fullmatch(r"(\d:\d\d  3 clips found so far, 0 failures\n)+", stream.getvalue())
    assert progress.LINE_SECONDS == 0.05
    monkeypatch.undo()
    assert progress.LINE_SECONDS == 30


def test_a_terminal_shows_a_bar_that_is_removed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "BAR_SECONDS", 0.05)
    ours, its = pty.openpty()
    _set_width(its, 100)
    drawing = bytearray()
    reader = threading.Thread(target=_read_into, args=(drawing, ours))
    reader.start()
    begun = r"\d:\d\d  4 clips found so far, 0 failures"
    bar = r" 50%\|█+▌? *\| \d:\d\d  2/4 clips decoded, \d+ rows/s, 0.00 h, 0 failures, \d:\d\d left"
    with os.fdopen(its, "w") as terminal, progress.shown(terminal, hop_seconds=0.96):
        live_counts.count(found=4, decode_tasks=4)
        _wait_for(lambda: re.search(begun, _text(drawing)))
        live_counts.count(decode_tasks_done=1)
        # The share begins with what is first seen: it has to be seen before there is more.
        _wait_for(lambda: "0/4 clips decoded" in _text(drawing))
        live_counts.count(done=2, patches=3, rows=3)
        _wait_for(lambda: re.search(bar, _text(drawing)))
    reader.join()
    os.close(ours)
    drawn = _text(drawing).split("\r")
    assert [each for each in drawn if re.fullmatch(begun, each.strip())], drawn
    assert [each for each in drawn if re.match(bar, each)], drawn
    assert drawn[-1] == ""
    assert drawn[-2].strip() == ""


def test_a_line_is_printed_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "BAR_SECONDS", 0.05)
    ours, its = pty.openpty()
    drawing = bytearray()
    reader = threading.Thread(target=_read_into, args=(drawing, ours))
    reader.start()
    _set_width(its, 100)
    report = ClusterReport(0.96)
    with os.fdopen(its, "w") as terminal, progress.shown(terminal, 0.96, on_cluster=report):
        report.update("running", (1, 2), {})
        _wait_for(lambda: re.search(r"50%\|█+ +\| \d:\d\d  running, 1/2 tasks", _text(drawing)))
        progress.say(terminal, "a line")
    reader.join()
    os.close(ours)
    assert re.search(r"\ra line\r\n", _text(drawing)), _text(drawing)


def test_a_terminal_without_a_size_shows_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.05)
    ours, its = pty.openpty()
    drawing = bytearray()
    reader = threading.Thread(target=_read_into, args=(drawing, ours))
    reader.start()
    with os.fdopen(its, "w") as terminal, progress.shown(terminal, hop_seconds=0.96):
        line = r"\d:\d\d  0 clips found so far, 0 failures\r\n"
        _wait_for(lambda: re.search(line, _text(drawing)))
    reader.join()
    os.close(ours)


def test_worker_processes_are_counted_through_files(tmp_path: Path) -> None:
    program = (
        "import time\nfrom transforms.metrics import live_counts\n"
        "live_counts.count(rows=3)\nlive_counts.count(rows=4)\ntime.sleep(600)"
    )
    with live_counts.shared(str(tmp_path)):
        workers = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    try:
        _wait_for(lambda: live_counts.total_of_processes(str(tmp_path)) == {"rows": 14})
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    (tmp_path / "half.json").write_text('{"rows"')
    assert live_counts.total_of_processes(str(tmp_path)) == {"rows": 14}


def test_only_clips_and_failures_are_counted_as_found() -> None:
    counting = ReportingFn()
    counting.start_bundle()
    for found in (Clip("a", "/a"), Failure("b", "/b", "list", "unreadable", "no"), "left out"):
        count_found(counting, found)
    assert live_counts.total() == {"found": 2, "done": 1, "failures": 1}


def on_a_terminal(*arguments: object) -> tuple[int, str]:
    """Runs the program on a terminal of its own; returns its status and all that was drawn."""
    pid, fd = pty.fork()
    if pid == 0:
        environment = {name: os.environ[name] for name in os.environ if "TF_CPP" not in name}
        words = [sys.executable, "-m", "pipeline", *map(str, arguments)]
        os.execve(sys.executable, words, environment)
    _set_width(fd, 100)
    drawn = _read_all(fd)
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), drawn


def _set_width(terminal: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


def _read_all(terminal: int) -> str:
    """Returns what is drawn until nobody has the terminal open any more."""
    drawing = bytearray()
    _read_into(drawing, terminal)
    return drawing.decode()


def _read_into(drawing: bytearray, terminal: int) -> None:
    with contextlib.suppress(OSError):  # Linux's way to say that nobody has it open any more
        while data := os.read(terminal, 2**16):
            drawing += data


def _text(drawing: bytearray) -> str:
    """Returns what has been drawn by now; half a character at its end is left out."""
    return bytes(drawing).decode(errors="ignore")


def _wait_for(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _screen(drawn: str) -> list[str]:
    """Returns the lines that stay: a carriage return goes back to the start of the line."""
    lines = drawn.replace("\r\n", "\n").split("\n")
    return [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in lines]


@pytest.mark.slow
def test_a_run_on_a_terminal(stand_in_model: str, tmp_path: Path) -> None:
    for number in range(3):
        write_wav(tmp_path / f"in/{number}.wav", noise(160_000, seed=number))
    arguments = ["--input", tmp_path / "in", "--model", stand_in_model, "--profile=raw"]
    status, drawn = on_a_terminal("embed", *arguments, "--output", tmp_path / "out")
    assert status == 0, drawn
    # The bar is drawn once a second: which states it shows depends on the machine.
    assert re.search(r"\d:\d\d  (loading the model for )?\d+ clips.*, 0 failures", drawn)
    assert "\rclips     3" in drawn.replace(" \r", "\r")
    screen = [line for line in _screen(drawn) if line]
    assert screen[0].startswith("engine: TensorFlow, because the model is not VGGish")
    assert screen[1] == "clips     3"
    assert screen[-1].startswith("metadata  "), "nothing of libraries, nothing of the bar"
    assert [line for line in screen if re.match(r"bound by  .+: .*\d+% of \d+\.\d s", line)]
    run = json.loads((tmp_path / "out/dataset.json").read_text())["run"]
    assert run["bounded_by"] in run["steps"]
    assert {"listing", "decoding", "loading the model", "the model", "assembling", "writing"} == {
        *run["steps"]
    }


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["multi_threading", "multi_processing"])
def test_quiet_hides_progress_which_every_local_runner_shows(
    mode: str, stand_in_model: str, tmp_path: Path
) -> None:
    for number in range(3):
        write_wav(tmp_path / f"in/{number}.wav", noise(160_000, seed=number))
    arguments = ["--input", tmp_path / "in", "--model", stand_in_model, "--profile=raw"]
    arguments.append(f"--direct_running_mode={mode}")
    status, drawn = on_a_terminal("embed", *arguments, "--output", tmp_path / "loud")
    assert status == 0, drawn
    assert "3 clips" in drawn
    status, drawn = on_a_terminal("embed", "--quiet", *arguments, "--output", tmp_path / "quiet")
    assert status == 0, drawn
    assert drawn.startswith("clips     3")
    finished = run_program("embed", *arguments, "--output", tmp_path / "pipe")
    assert finished.returncode == 0
    engine, *lines = finished.stderr.splitlines()
    assert engine.startswith("engine: TensorFlow")
    # A line comes every 30 s, where it took so long.
    assert all(re.match(r"\d+:\d\d  ", line) for line in lines)
