"""The program against a stand-in of Flink's REST API: what it submits, and what it says after."""

import base64
import io
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from apache_beam.portability.api import beam_runner_api_pb2

from tests.running import run_program
from tests.stand_ins.flink_rest import JAR, JOB, FlinkRest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
ON_WORKER_POOL = ("--environment_type=EXTERNAL", "--environment_config=localhost:50000")


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str]]:
    """Gives the arguments of `embed` that submit to a cluster."""
    folder = tmp_path_factory.mktemp("flink")
    jar = folder / "job-server.jar"  # in its place: what is in it matters to the cluster only
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
    recording = folder / "a.wav"
    recording.write_bytes(b"RIFF")

    def arguments(flink: FlinkRest, *more: str) -> list[str]:
        output = folder / f"dataset-{len(list(folder.iterdir()))}"
        return [
            *("embed", "--input", str(recording), "--output", str(output), "--profile=raw"),
            *("--runner=FlinkRunner", f"--flink_master={flink.url}", "--flink_submit_uber_jar"),
            *(f"--flink_job_server_jar={jar}", "--parallelism=8", *more),
        ]

    return arguments


@pytest.fixture(scope="module")
def submitted(
    arguments: Callable[..., list[str]],
) -> Iterator[tuple[FlinkRest, subprocess.CompletedProcess[str]]]:
    """A cluster that has taken a job, and what the program said."""
    with FlinkRest("FINISHED") as flink:
        yield flink, run_program(*arguments(flink, *ON_WORKER_POOL))


def test_the_jar_holds_the_whole_job(
    submitted: tuple[FlinkRest, subprocess.CompletedProcess[str]],
) -> None:
    flink, said = submitted
    components = flink.in_jar("pipeline")["components"]
    names = {each["uniqueName"] for each in components["transforms"].values()}
    for step in ("ListClips", "DecodePatches", "EmbedPatches", "WriteShards", "PublishDataset"):
        assert any(step in name for name in names), said.stderr
    assert len(components["environments"]) == 1, "a second one would be a second model in memory"
    options = flink.in_jar("pipeline-options")
    assert options["beam:option:parallelism:v1"] == "8"
    assert options["beam:option:flink_master:v1"] == "[auto]"
    assert options["beam:option:sdk_worker_parallelism:v1"] == "1"
    assert options["beam:option:save_main_session:v1"] is False


def test_the_jar_brings_our_package_to_workers(
    submitted: tuple[FlinkRest, subprocess.CompletedProcess[str]],
) -> None:
    flink, _ = submitted
    (package,) = (
        data for name, data in flink.artifacts.items() if name.endswith("-workflow.tar.gz")
    )
    with tarfile.open(fileobj=io.BytesIO(package)) as tar:
        inside = {name.partition("/")[2] for name in tar.getnames()}
    sources = {
        path.relative_to(ROOT).as_posix()
        for folder in ("pipeline", "transforms")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert sources <= inside


def test_the_worker_pool_is_the_environment(
    submitted: tuple[FlinkRest, subprocess.CompletedProcess[str]],
) -> None:
    urn, payload = _environment(submitted[0])
    assert urn == "beam:env:external:v1"
    external = beam_runner_api_pb2.ExternalPayload.FromString(payload)
    assert external.endpoint.url == "localhost:50000"


def test_a_successful_job_without_a_dataset_for_the_launcher_is_an_error(
    submitted: tuple[FlinkRest, subprocess.CompletedProcess[str]],
) -> None:
    flink, said = submitted
    assert said.returncode == 1, said.stderr
    assert "dataset.json" in said.stderr
    assert "Traceback" not in said.stderr
    assert f"DELETE /v1/jars/{JAR}" in flink.lines("DELETE")


def test_a_container_image_is_the_environment(arguments: Callable[..., list[str]]) -> None:
    with FlinkRest("FINISHED") as flink:
        image = "registry.example/audio/embeddings:1"
        run_program(*arguments(flink, "--environment_type=DOCKER", f"--environment_config={image}"))
    urn, payload = _environment(flink)
    assert urn == "beam:env:docker:v1"
    assert beam_runner_api_pb2.DockerPayload.FromString(payload).container_image == image


@pytest.mark.parametrize("version", ["1.20.1", "2.0.0"])
def test_the_cause_of_a_failed_job_is_printed(
    arguments: Callable[..., list[str]], version: str
) -> None:
    with FlinkRest("FAILED", "ModelError: no saved_model.pb", version) as flink:
        said = run_program(*arguments(flink, *ON_WORKER_POOL))
    assert said.returncode == 1
    assert "ModelError: no saved_model.pb" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_cancels_the_job(arguments: Callable[..., list[str]], sent: int) -> None:
    with FlinkRest("RUNNING") as flink:
        command = [sys.executable, "-m", "pipeline", *arguments(flink, *ON_WORKER_POOL)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as program:
            try:
                _wait_until(lambda: any("jobs/overview" in each for each in flink.lines("GET")))
                program.send_signal(sent)
                _, said = program.communicate(timeout=300)
            finally:
                program.kill()
    assert flink.lines("PATCH") == [f"PATCH /v1/jobs/{JOB}?mode=cancel"]
    assert flink.state == "CANCELED"
    assert program.returncode in (130, 143), said
    assert "Traceback" not in said


def _environment(flink: FlinkRest) -> tuple[str, bytes]:
    (environment,) = flink.in_jar("pipeline")["components"]["environments"].values()
    return environment["urn"], base64.b64decode(environment["payload"])


def _wait_until(holds: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
