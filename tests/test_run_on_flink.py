"""The program on a Flink cluster of this machine, and on Spark: the same files as without them."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MadeOnce
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
from tests.stand_in import save_model, sleeping
from tests.stand_ins.java_engines import flink, spark
from tests.stand_ins.java_engines.flink import FlinkCluster
from tests.stand_ins.portable import free_port

BOOT = Path(__file__).parents[1] / "deploy" / "flink" / "boot.py"
END_SECONDS = 400
# Shorter than the first wait of the cluster's restart strategy, as docs/flink.md wants it.
CACHED = "--environment_cache_millis=10000"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlinkCluster]:
    with FlinkCluster(tmp_path_factory.mktemp("flink")) as running:
        yield running


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def expected(corpus: Path, stand_in_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What threads of this machine make of the corpus."""
    return embed_on_threads(corpus, stand_in_model, tmp_path_factory.mktemp("expected") / "out")


@pytest.fixture(scope="module")
def slow_model(made_once: MadeOnce) -> str:
    """The stand-in again, which takes its time."""
    return str(made_once("slow", lambda folder: save_model(folder, sleeping(20))))


def _flags(cluster: FlinkCluster, parallelism: int = 4, pool: str = "") -> list[str]:
    """The flags of a job that is uploaded to the cluster, with workers in its pools."""
    return [
        *("--runner=FlinkRunner", "--flink_submit_uber_jar", f"--flink_master={cluster.url}"),
        f"--flink_job_server_jar={flink.job_server_jar()}",
        *("--environment_type=EXTERNAL", f"--environment_config={pool or cluster.pool}"),
        *(f"--parallelism={parallelism}", CACHED),
    ]


def _process_flags(cluster: FlinkCluster, folder: Path) -> list[str]:
    """The flags of a job whose workers the task managers start themselves."""
    boot = folder / "boot"
    boot.write_text(f'#!/bin/sh\nexec {sys.executable} {BOOT} "$@"\n')
    boot.chmod(0o755)
    own = [
        "--environment_type=PROCESS",
        f"--environment_config={json.dumps({'command': str(boot)})}",
    ]
    return [*_flags(cluster), *own]


def _through(address: str) -> list[str]:
    return [
        *("--runner=PortableRunner", f"--job_endpoint={address}"),
        *("--environment_type=LOOPBACK", "--parallelism=4"),
    ]


@contextlib.contextmanager
def _engine(name: str, cluster: FlinkCluster, folder: Path) -> Iterator[list[str]]:
    """Starts what a job needs besides the cluster; gives its flags."""
    if name == "pool":
        yield _flags(cluster)
    elif name == "process":
        yield _process_flags(cluster, folder)
    elif name == "spark":
        with spark.job_server(folder) as address:
            yield _through(address)
    else:
        with flink.job_server(cluster, folder) as address:
            # Beam 2.70 may give a step a worker that it is just closing, and the job fails.
            yield [*_through(address), CACHED]


@pytest.mark.parametrize("name", ["pool", "process", "job_server", "spark"])
def test_every_way_makes_the_same_files(
    name: str,
    cluster: FlinkCluster,
    corpus: Path,
    expected: Path,
    stand_in_model: str,
    tmp_path: Path,
) -> None:
    before = cluster.num_started_workers()
    words = arguments(corpus, stand_in_model, "below/out")
    with _engine(name, cluster, tmp_path) as flags:
        finished = run_program(*words, *flags, cwd=tmp_path, env=importable())
    assert finished.returncode == 3, finished.stderr + cluster.logs()
    assert files_of(tmp_path / "below/out") == files_of(expected)
    # One process in each task manager for the whole job.
    assert cluster.num_started_workers() - before == (2 if name == "pool" else 0)
    assert cluster.get("/jars")["files"] == []


def test_the_native_engine_makes_the_same_files_with_the_real_network(
    cluster: FlinkCluster, corpus: Path, vggish_model: str, tmp_path: Path
) -> None:
    outputs = {tmp_path / "threads": [], tmp_path / "flink": _flags(cluster)}
    for output, flags in outputs.items():
        finished = run_program(*arguments(corpus, vggish_model, output), *flags)
        assert finished.returncode == 3, finished.stderr + cluster.logs()
        assert "\nengine    native" in finished.stdout
    on_threads, on_flink = map(files_of, outputs)
    assert on_flink == on_threads


def test_check_looks_at_the_workers_of_the_cluster(
    cluster: FlinkCluster, corpus: Path, stand_in_model: str, tmp_path: Path
) -> None:
    _, *words = arguments(corpus, stand_in_model, tmp_path / "out")
    finished = run_program("check", *words, *_flags(cluster))
    assert finished.returncode == 0, finished.stdout + finished.stderr
    for what in ("codecs", "model", "recordings", "output"):
        assert re.search(rf"^(ok|NOTE) +{what} +(?!launcher)\S", finished.stdout, re.M)
    assert not (tmp_path / "out").exists()


def test_plan_tries_clips_on_the_workers_of_the_cluster(
    cluster: FlinkCluster, corpus: Path, expected: Path, stand_in_model: str, tmp_path: Path
) -> None:
    _, *words = arguments(corpus, stand_in_model, tmp_path / "out")
    finished = run_program("plan", *words, *_flags(cluster))
    assert finished.returncode == 3, finished.stderr
    made = json.loads((expected / "dataset.json").read_text())["counts"]
    assert re.search(rf"^rows +{made['rows']:,}$", finished.stdout, re.M)
    assert re.search(rf" {made['records']} would become records", finished.stdout)
    assert not (tmp_path / "out").exists()


def test_a_job_that_is_not_waited_for_makes_the_same_files(
    cluster: FlinkCluster, corpus: Path, expected: Path, stand_in_model: str, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    words = arguments(corpus, stand_in_model, output)
    finished = run_program(*words, *_flags(cluster), "--no_wait")
    assert finished.returncode == 0, finished.stderr
    job = re.search(r"submitted http\S+/#/job/(\w+)", finished.stderr)
    assert job is not None
    _await_state(cluster, "FINISHED", job[1])
    assert files_of(output) == files_of(expected)
    assert cluster.get("/jars")["files"] == []


def test_more_parallelism_than_slots_is_refused(
    cluster: FlinkCluster, corpus: Path, stand_in_model: str, tmp_path: Path
) -> None:
    words = arguments(corpus, stand_in_model, tmp_path / "out")
    finished = run_program(*words, *_flags(cluster, parallelism=9))
    assert finished.returncode == 2
    assert "--parallelism=9" in finished.stderr
    assert "has 4 slots (2 task managers)" in finished.stderr
    assert not (tmp_path / "out").exists()


def test_a_pool_that_is_absent_is_named(
    cluster: FlinkCluster, corpus: Path, stand_in_model: str, tmp_path: Path
) -> None:
    absent = f"workers:{free_port()}"
    words = arguments(corpus, stand_in_model, tmp_path / "out")
    finished = run_program(*words, *_flags(cluster, pool=absent))
    assert finished.returncode == 1
    assert f"cannot reach the worker pool --environment_config={absent}" in finished.stderr
    assert "\tat org.apache" not in finished.stderr
    assert not [*tmp_path.rglob("*.tfrecord"), *tmp_path.rglob("dataset.json")]


@pytest.fixture
def slow_job(
    cluster: FlinkCluster, corpus: Path, slow_model: str, tmp_path: Path
) -> Iterator[subprocess.Popen[str]]:
    """A job that runs on both task managers, and whose workers are busy."""
    output = tmp_path / "out"
    job = start([*arguments(corpus, slow_model, output), *_flags(cluster)], output)
    # The corpus is listed: for a worker that is killed before it connects, Beam waits 3 minutes.
    until(lambda: any(each["tasks"]["finished"] >= 40 for each in _running(cluster)))
    time.sleep(5)
    yield job
    job.kill()
    job.wait()


def test_ctrl_c_cancels_the_job_and_its_workers_end(
    cluster: FlinkCluster, slow_job: subprocess.Popen[str], tmp_path: Path
) -> None:
    slow_job.send_signal(signal.SIGINT)
    assert slow_job.wait(60) == 130
    said = (tmp_path / "stderr").read_text()
    assert "interrupted: no dataset was written" in said
    _await_state(cluster, "CANCELED", *re.findall(r"submitted http\S+/#/job/(\w+)", said))
    assert not (tmp_path / "out").exists()
    assert cluster.get("/jars")["files"] == []
    until(lambda: not cluster.workers(), 90)


def _lose_a_task_manager(cluster: FlinkCluster) -> None:
    cluster.kill("taskmanager2")
    cluster.start_task_manager(2)


def _lose_a_worker(cluster: FlinkCluster) -> None:
    cluster.workers()[-1].kill()


@pytest.mark.parametrize("lose", [_lose_a_task_manager, _lose_a_worker])
def test_what_is_lost_is_done_again(
    lose: Callable[[FlinkCluster], None],
    cluster: FlinkCluster,
    slow_job: subprocess.Popen[str],
    expected: Path,
    tmp_path: Path,
) -> None:
    lose(cluster)
    status = slow_job.wait(END_SECONDS)
    said = (tmp_path / "stderr").read_text()
    assert status == 3, said + cluster.logs()
    assert "restarting: " in said
    if lose is _lose_a_task_manager:
        assert "lost task manager taskmanager2" in said
    _assert_equal_but_for_the_model(tmp_path / "out", expected)


def test_a_job_manager_that_is_gone_is_waited_for_and_then_named(
    corpus: Path, slow_model: str, tmp_path: Path
) -> None:
    impatient = (
        "import sys; from pipeline.runners import waiting; waiting.OUTAGE_SECONDS = 10;"
        " from pipeline.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    with FlinkCluster(tmp_path / "flink", num_task_managers=1) as cluster:
        words = [*arguments(corpus, slow_model, tmp_path / "out"), *_flags(cluster, parallelism=2)]
        job = subprocess.Popen(
            [sys.executable, "-c", impatient, *map(str, words)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        until(lambda: cluster.num_started_workers() == 1)
        cluster.kill("jobmanager")
        _, said = job.communicate(timeout=END_SECONDS)
    assert job.returncode == 1, said
    assert re.search(
        rf"error: the runner is gone: since \S+ the Flink cluster {cluster.url} does not respond",
        said,
    )
    assert "The job may go on there" in said
    assert "Traceback" not in said


def _running(cluster: FlinkCluster) -> list[dict[str, Any]]:
    """Returns the jobs that run, in Flink's words."""
    return [job for job in cluster.get("/jobs/overview")["jobs"] if job["state"] == "RUNNING"]


def _await_state(cluster: FlinkCluster, state: str, job: str) -> None:
    until(lambda: cluster.get(f"/jobs/{job}")["state"] == state, END_SECONDS)


def _assert_equal_but_for_the_model(found: Path, expected: Path) -> None:
    one, other = files_of(found), files_of(expected)
    assert one.keys() == other.keys()
    for name, content in one.items():
        if not name.endswith("dataset.json"):
            assert content == other[name], name
        else:
            infos = [json.loads(each) for each in (content, other[name])]
            assert infos[0].pop("model") != infos[1].pop("model")
            assert infos[0] == infos[1]
