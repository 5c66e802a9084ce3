"""The program against stand-ins of Dataflow's REST API and of GCS: what it submits and says."""

import io
import json
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from apache_beam.portability.api import beam_runner_api_pb2

from tests.documents import pages
from tests.running import run_program
from tests.stand_ins.dataflow_job import BUCKET, IMAGE, Gcs, arguments, cloud_storage, submit
from tests.stand_ins.dataflow_rest import DataflowRest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gcs]:
    with cloud_storage(tmp_path_factory.mktemp("gcs")) as storage:
        storage.put("recordings/a.wav", b"RIFF")
        yield storage


@pytest.fixture(scope="module")
def submitted(gcs: Gcs) -> Iterator[tuple[DataflowRest, subprocess.CompletedProcess[str]]]:
    """The service with a job, and what the program said."""
    with DataflowRest("JOB_STATE_RUNNING") as dataflow:
        yield dataflow, submit(gcs, dataflow, "--no_wait")


def test_the_job_requests_one_process_with_many_threads_a_worker(
    submitted: tuple[DataflowRest, subprocess.CompletedProcess[str]],
) -> None:
    dataflow, said = submitted
    assert said.returncode == 0, said.stderr
    _check_job(dataflow.job)
    (request,) = (call for call in dataflow.calls if call.method == "POST")
    # Up to 20 MB are allowed, and settings add little: the graph is staged, see
    # `test_dataflow_limits.py`.
    assert len(request.body) < 50_000


def _check_job(job: dict[str, Any]) -> None:
    environment = job["environment"]
    assert "no_use_multiple_sdk_containers" in environment["experiments"]
    (pool,) = environment["workerPools"]
    assert pool["numThreadsPerWorker"] == 12
    assert pool["machineType"] == "n2-standard-8"
    assert pool["workerHarnessContainerImage"] == IMAGE
    images = [each["containerImage"] for each in pool["sdkHarnessContainerImages"]]
    assert images == [IMAGE], "a second environment would be a second model in memory"
    assert "workflow.tar.gz" in [package["name"] for package in pool["packages"]]


def test_the_graph_and_our_package_are_staged(
    gcs: Gcs, submitted: tuple[DataflowRest, subprocess.CompletedProcess[str]]
) -> None:
    pipeline = beam_runner_api_pb2.Pipeline.FromString(gcs.get("/pipeline.pb"))
    names = {each.unique_name for each in pipeline.components.transforms.values()}
    for step in ("ListClips", "DecodePatches", "EmbedPatches", "WriteShards", "PublishDataset"):
        assert any(step in name for name in names)
    assert not any(name.endswith("pickled_main_session") for name in gcs.names())
    with tarfile.open(fileobj=io.BytesIO(gcs.get("/workflow.tar.gz"))) as tar:
        inside = {name.partition("/")[2] for name in tar.getnames()}
    sources = {
        path.relative_to(ROOT).as_posix()
        for folder in ("pipeline", "transforms")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert sources <= inside


def test_the_command_of_the_page_submits_the_job(gcs: Gcs) -> None:
    gcs.put("vggish_1.tar.gz", b"an archive, which the workers read")
    (_, _, words) = pages.BLOCKS["deploy/dataflow/README.md: The job, shell"].commands
    names = {"BUCKET": "corpora", "PROJECT": "proj-test", "REGION": "us-central1"}
    text = re.sub("|".join(names), lambda name: names[name[0]], " ".join(words[1:]))
    with DataflowRest("JOB_STATE_RUNNING") as dataflow:
        more = [f"--dataflow_endpoint={dataflow.url}", "--no_wait", "--profile=raw"]
        output = text.replace("/dataset/", "/another/").split()  # of other tests
        said = run_program(*output, *more, env=gcs.environment)
        assert said.returncode == 0, said.stderr
        (pool,) = dataflow.job["environment"]["workerPools"]
    assert pool["machineType"] == "n2-standard-8"
    assert pool["workerHarnessContainerImage"] == (
        "us-central1-docker.pkg.dev/proj-test/REPOSITORY/embeddings:1"
    )
    account = dataflow.job["environment"]["serviceAccountEmail"]
    assert account == "embeddings@proj-test.iam.gserviceaccount.com"


def test_the_address_of_a_job_is_printed_without_waiting_for_it(
    submitted: tuple[DataflowRest, subprocess.CompletedProcess[str]],
) -> None:
    _, said = submitted
    assert "https://console.cloud.google.com/dataflow/jobs/us-central1/" in said.stderr
    assert f"{BUCKET}/dataset/dataset.json" in said.stdout


def test_a_template_is_written_and_nothing_submitted(gcs: Gcs, tmp_path: Path) -> None:
    template = tmp_path / "template.json"
    with DataflowRest() as dataflow:
        said = submit(gcs, dataflow, f"--template_location={template}")
    assert said.returncode == 0, said.stderr
    assert dataflow.calls == []
    _check_job(json.loads(template.read_text()))


def test_the_flex_template_writes_the_job_for_its_launcher(
    gcs: Gcs,
) -> None:
    # As the launcher of templates gives them, without the command.
    parameters = [each for each in arguments("--overwrite=false")[1:] if "=" in each]
    added = [
        *("--job_name=embeddings-1", "--service_account_email=a@b", "--labels={}"),
        *("--experiments=use_runner_v2", f"--template_location={BUCKET}/staging/job_object"),
    ]
    done = subprocess.run(
        [sys.executable, ROOT / "deploy/dataflow/template.py", *parameters, *added],
        env=gcs.environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    _check_job(json.loads(gcs.get("/job_object")))


def test_a_job_without_a_dataset_behind_it_is_an_error(gcs: Gcs) -> None:
    with DataflowRest("JOB_STATE_DONE") as dataflow:
        said = submit(gcs, dataflow)
    assert said.returncode == 1
    assert f"no dataset.json in {BUCKET}/dataset" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize(
    ("state", "error", "expected"),
    [
        ("JOB_STATE_FAILED", "ModelError: no saved_model.pb", "ModelError: no saved_model.pb"),
        ("JOB_STATE_CANCELLED", "", "CANCELLED"),
    ],
)
def test_a_failed_job_is_reported_with_its_reason(
    gcs: Gcs, state: str, error: str, expected: str
) -> None:
    with DataflowRest(state, error) as dataflow:
        said = submit(gcs, dataflow)
    assert said.returncode == 1
    assert expected in said.stderr
    assert "Traceback" not in said.stderr
    assert not [name for name in gcs.names() if name.startswith("dataset/")]


def test_a_refused_job_is_reported_with_its_reason(gcs: Gcs) -> None:
    with DataflowRest(refusal=(403, "Dataflow API has not been used in proj-test")) as dataflow:
        said = submit(gcs, dataflow)
    assert said.returncode == 1
    assert "Dataflow API has not been used in proj-test" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_cancels_the_job(gcs: Gcs, sent: int) -> None:
    with DataflowRest("JOB_STATE_RUNNING") as dataflow:
        command = [sys.executable, "-m", "pipeline"]
        command += arguments(f"--dataflow_endpoint={dataflow.url}")
        with subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env=gcs.environment
        ) as program:
            try:
                _wait_until(lambda: bool(dataflow.lines("GET")))
                program.send_signal(sent)
                _, said = program.communicate(timeout=300)
            finally:
                program.kill()
    assert dataflow.requested_states == ["JOB_STATE_CANCELLED"]
    assert program.returncode in (130, 143), said
    assert "Traceback" not in said


def _wait_until(holds: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
