"""One command line on every engine that runs here: the same dataset, and no end without a word."""

import contextlib
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from tests.engine_runs import (
    arguments,
    embed_on_threads,
    files_of,
    importable,
    make_corpus,
    start,
    until,
)
from tests.running import run_program
from tests.stand_ins.portable import free_port, prism, worker_pool

ENGINES = ["threads", "processes", "prism", "prism_pool", "prism_boot"]
LOST_WITHIN_SECONDS = 120
# It takes long enough for something to be killed meanwhile.
TENSORFLOW = "--engine=tensorflow"

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def engine(name: str, folder: Path) -> Iterator[list[str]]:
    """Starts what an engine needs; gives its flags."""
    with contextlib.ExitStack() as stack:
        if name == "threads":
            yield []
        elif name == "processes":
            yield ["--direct_running_mode=multi_processing"]
        else:
            address, _ = stack.enter_context(prism(folder / f"{name}.log"))
            flags = ["--runner=PortableRunner", f"--job_endpoint={address}"]
            if name == "prism":
                yield [*flags, "--environment_type=LOOPBACK"]
                return
            boot = folder / "boot" if name == "prism_boot" else None
            if boot:
                boot.mkdir()
            pool = stack.enter_context(worker_pool(folder / f"{name}-pool.log", boot))
            yield [*flags, "--environment_type=EXTERNAL", f"--environment_config={pool}"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small one of all sorts."""
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def long_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough for a trained model's network to be busy with for a good while."""
    folder = tmp_path_factory.mktemp("long")
    noise = np.random.default_rng(6).uniform(-0.5, 0.5, 16_000 * 600).astype(np.float32)
    for number in range(4):
        soundfile.write(folder / f"{number}.wav", noise, 16_000)
    return folder


@pytest.fixture(scope="module")
def expected(corpus: Path, stand_in_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What threads of this machine make of the corpus."""
    return embed_on_threads(corpus, stand_in_model, tmp_path_factory.mktemp("expected") / "out")


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_makes_the_same_files(
    name: str, corpus: Path, expected: Path, stand_in_model: str, tmp_path: Path
) -> None:
    words = arguments(corpus, stand_in_model, "below/out")
    with engine(name, tmp_path) as flags:
        finished = run_program(*words, *flags, cwd=tmp_path, env=importable())
    assert finished.returncode == 3, finished.stderr + _logs(tmp_path)
    found = files_of(tmp_path / "below/out")
    assert found == files_of(expected)
    assert len([each for each in found if each.endswith(".tfrecord")]) == 6


def test_check_looks_at_the_workers_of_a_pool(
    corpus: Path, stand_in_model: str, tmp_path: Path
) -> None:
    _, *words = arguments(corpus, stand_in_model, tmp_path / "out")
    with engine("prism_pool", tmp_path) as flags:
        finished = run_program("check", *words, *flags)
    assert finished.returncode == 0, finished.stdout + _logs(tmp_path)
    for what in ("codecs", "model", "recordings", "output"):
        assert re.search(rf"^(ok|NOTE) +{what} +(?!launcher)\S", finished.stdout, re.M)
    assert not (tmp_path / "out").exists()


def test_plan_tries_clips_on_the_workers_of_a_pool(
    corpus: Path, expected: Path, stand_in_model: str, tmp_path: Path
) -> None:
    _, *words = arguments(corpus, stand_in_model, tmp_path / "out")
    with engine("prism_pool", tmp_path) as flags:
        finished = run_program("plan", *words, *flags)
    assert finished.returncode == 3, finished.stderr + _logs(tmp_path)
    made = json.loads((expected / "dataset.json").read_text())["counts"]
    assert re.search(rf"^rows +{made['rows']:,}$", finished.stdout, re.M)
    assert re.search(rf" {made['records']} would become records", finished.stdout)
    tables = [path.read_text().splitlines() for path in expected.rglob("*-failures.jsonl")]
    failures = [json.loads(line) for lines in tables for line in lines]
    assert {each["uri"].rpartition("/")[2] for each in failures} == {"broken.wav", "absent.wav"}
    for each in failures:
        assert f"1 {each['reason']}: {each['id']}" in finished.stdout
    assert re.search(r"^time +about .* on \d workers? like", finished.stdout, re.M)
    assert not (tmp_path / "out").exists()


def _logs(folder: Path) -> str:
    return "\n".join(path.read_text() for path in folder.glob("*.log"))


def _workers(of: psutil.Process) -> list[psutil.Process]:
    """Returns the processes below another in which Beam's SDK works."""
    found = []
    for process in of.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.name().startswith("python") and "sdk_worker" in " ".join(process.cmdline()):
                found.append(process)
    return found


def _lost(job: subprocess.Popen[str], output: Path) -> str:
    """Waits for the end of a job whose engine or worker was killed; returns what it says."""
    status = job.wait(LOST_WITHIN_SECONDS)
    said = (output.parent / "stderr").read_text()
    assert status == 1, said
    assert not [*output.rglob("*.tfrecord"), *output.rglob("dataset.json")]
    return said


@pytest.mark.parametrize("seconds", [0, 5])
def test_a_worker_process_of_this_machine_that_is_killed_ends_the_job_and_the_next_one_runs(
    seconds: float,
    corpus: Path,
    long_corpus: Path,
    vggish_model: str,
    stand_in_model: str,
    tmp_path: Path,
) -> None:
    output = tmp_path / "out"
    flags = ["--direct_running_mode=multi_processing"]
    job = start(_embed(long_corpus, vggish_model, output, *flags, TENSORFLOW), output)
    until(lambda: _workers(psutil.Process(job.pid)))
    time.sleep(seconds)
    workers = _workers(psutil.Process(job.pid))
    workers[-1].kill()
    assert "error: a worker process has ended" in _lost(job, output)
    _, alive = psutil.wait_procs(workers, 120)
    assert not alive
    again = run_program(*arguments(corpus, stand_in_model, output), *flags)
    assert again.returncode == 3, again.stderr


def _embed(corpus: Path, model: str, output: Path, *flags: str) -> list[str | Path]:
    return [
        *("embed", "--input", corpus, "--model", model, "--profile", "raw", "--output", output),
        *flags,
    ]


@pytest.mark.parametrize("name", ["prism_pool", "prism_boot"])
def test_a_worker_of_a_pool_that_is_killed_ends_the_job_and_the_next_one_runs(
    name: str,
    corpus: Path,
    long_corpus: Path,
    vggish_model: str,
    stand_in_model: str,
    tmp_path: Path,
) -> None:
    output = tmp_path / "out"
    here = psutil.Process()
    with engine(name, tmp_path) as flags:
        job = start(_embed(long_corpus, vggish_model, output, *flags, TENSORFLOW), output)
        until(lambda: _workers(here))
        time.sleep(4)
        _workers(here)[-1].kill()
        assert "a worker is gone; it may have been killed" in _lost(job, output)
        again = run_program(*arguments(corpus, stand_in_model, output), *flags)
        assert again.returncode == 3, again.stderr


@pytest.mark.parametrize("pool", [False, True])
def test_a_job_server_that_is_killed_ends_the_job_and_another_one_takes_the_next(
    pool: bool,
    corpus: Path,
    long_corpus: Path,
    vggish_model: str,
    stand_in_model: str,
    tmp_path: Path,
) -> None:
    output = tmp_path / "out"
    with contextlib.ExitStack() as stack:
        address, server = stack.enter_context(prism(tmp_path / "prism.log"))
        flags = ["--runner=PortableRunner", f"--job_endpoint={address}"]
        if pool:
            workers = stack.enter_context(worker_pool(tmp_path / "pool.log"))
            flags += ["--environment_type=EXTERNAL", f"--environment_config={workers}"]
        else:
            flags.append("--environment_type=LOOPBACK")
        job = start(_embed(long_corpus, vggish_model, output, *flags, TENSORFLOW), output)
        until(lambda: "submitted" in (tmp_path / "stderr").read_text())
        time.sleep(3)
        server.kill()
        assert "error: the runner is gone" in _lost(job, output)
        address, _ = stack.enter_context(prism(tmp_path / "prism-2.log"))
        flags[1] = f"--job_endpoint={address}"
        again = run_program(*arguments(corpus, stand_in_model, output), *flags)
        assert again.returncode == 3, again.stderr


def test_a_job_server_or_a_pool_that_is_absent_is_named(
    corpus: Path, stand_in_model: str, tmp_path: Path
) -> None:
    words = arguments(corpus, stand_in_model, tmp_path / "out")
    absent = f"localhost:{free_port()}"
    flags = ["--runner=PortableRunner", "--environment_type=EXTERNAL"]
    with prism(tmp_path / "prism.log") as (address, _):
        for endpoint, flag in ((absent, "--job_endpoint"), (address, "--environment_config")):
            finished = run_program(
                *words, *flags, f"--job_endpoint={endpoint}", f"--environment_config={absent}"
            )
            assert finished.returncode == 2
            # Beam alone waits for over a minute, and says something else.
            assert f"{flag}={absent}: nothing responds there" in finished.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["threads", "processes", "prism", "prism_pool"])
def test_a_request_to_end_cancels_the_job(
    name: str, long_corpus: Path, vggish_model: str, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    with engine(name, tmp_path) as flags:
        job = start(_embed(long_corpus, vggish_model, output, *flags, TENSORFLOW), output)
        until(lambda: output.exists())
        time.sleep(5)
        job.terminate()
        assert job.wait(LOST_WITHIN_SECONDS) == 130
        assert "interrupted: no dataset was written" in (tmp_path / "stderr").read_text()
        if name == "prism_pool":
            # The engine has let go of its workers.
            until(lambda: not _workers(psutil.Process()), LOST_WITHIN_SECONDS)
    assert not output.exists()
