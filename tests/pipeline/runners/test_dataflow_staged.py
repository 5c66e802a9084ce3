"""The job that Dataflow is given: run, and its code unpickled, from what is staged alone."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running import run_program
from tests.sounds import noise, write_wav
from tests.stand_ins.dataflow_job import BUCKET, Gcs, arguments, cloud_storage, submit
from tests.stand_ins.dataflow_rest import DataflowRest
from tests.stand_ins.portable import worker_pool
from transforms.dataset import provenance

pytestmark = pytest.mark.slow

STAND_INS = Path(__file__).resolve().parents[2] / "stand_ins"
STAGED = ("pipeline.pb", "workflow.tar.gz", "submission_environment_dependencies.txt")
RATE_HZ = 16_000


@pytest.fixture(scope="module")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gcs]:
    """A corpus of all three kinds of input, with failures of several steps."""
    folder = tmp_path_factory.mktemp("gcs")
    with cloud_storage(folder) as storage:
        for name, seconds in {
            "recordings/a.wav": 3,
            "recordings/b.wav": 0.4,
            "v/id1.wav": 9,
        }.items():
            write_wav(folder / "sound.wav", noise(int(seconds * RATE_HZ)))
            storage.put(name, (folder / "sound.wav").read_bytes())
        storage.put("recordings/broken.wav", b"RIFF0000")
        rows = ["path,labels,split", "id1.wav,speech|music,test", "absent.wav,,train"]
        storage.put("clips.csv", "\n".join(rows).encode())
        storage.put("segments.csv", b'id1, 1.000, 8.000, "/m/09x0r"\ngone, 0.000, 10.000, "/m/1"\n')
        yield storage


def _corpus(model: str) -> list[str]:
    return [
        *(f"--manifest={BUCKET}/clips.csv", f"--audioset_segments={BUCKET}/segments.csv"),
        *(f"--audio_root={BUCKET}/v", f"--model={model}", "--max_failed_ratio=1"),
    ]


class Staged:
    """What a job has staged, in a folder, and the workers' environment that was made of it.

    Attributes:
      folder: The staged objects.
      python: The interpreter of the workers, in an environment that has the program from
        `workflow.tar.gz`, its requirements, and nothing of the checkout.
    """

    def __init__(self, gcs: Gcs, folder: Path, python: Path) -> None:
        self.folder = folder
        self.python = python
        folder.mkdir()
        for name in STAGED:
            (folder / name).write_bytes(gcs.get(f"/{name}"))

    def run(self, script: str, *words: object) -> str:
        """Runs a script as no process of the checkout; returns what it prints."""
        done = subprocess.run(
            [str(self.python), "-I", str(STAND_INS / script), *map(str, words)],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr[-5_000:]
        return done.stdout


@pytest.fixture(scope="module")
def staged(
    gcs: Gcs, stand_in_model: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Staged]:
    """The job after its run."""
    folder = tmp_path_factory.mktemp("staged")
    with DataflowRest("JOB_STATE_RUNNING") as dataflow:
        said = submit(gcs, dataflow, "--no_wait", *_corpus(stand_in_model))
        assert said.returncode == 0, said.stderr
        options = dataflow.job["environment"]["sdkPipelineOptions"]["options"]
    (folder / "options.json").write_text(json.dumps(options))
    boot = folder / "boot"
    boot.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
            patch.setenv(name, gcs.environment[name])
        with worker_pool(folder / "pool.log", boot) as pool:
            job = Staged(gcs, folder / "objects", boot / "environment/bin/python")
            state = job.run("run_staged_job.py", job.folder, folder / "options.json", pool)
            assert state == "DONE\n", (folder / "pool.log").read_text()[-5_000:]
            yield job


def _dataset(gcs: Gcs, folder: str) -> dict[str, bytes]:
    found = gcs.below(folder)
    info: dict[str, Any] = json.loads(found["dataset.json"])
    del info["run"]
    return found | {"dataset.json": provenance.to_json(info)}


def test_workers_with_nothing_but_the_staged_archive_make_the_dataset_of_the_local_runner(
    gcs: Gcs, staged: Staged, stand_in_model: str
) -> None:
    local = [*arguments()[:2], f"--output={BUCKET}/expected", "--profile=raw"]
    done = run_program(*local, *_corpus(stand_in_model), env=gcs.environment)
    assert done.returncode == 0, done.stderr
    made = _dataset(gcs, "dataset")
    assert made == _dataset(gcs, "expected")
    counts = json.loads(made["dataset.json"])["counts"]
    assert (counts["records"], counts["failures"]) == (4, 3)


def test_all_code_of_the_graph_is_unpickled_from_the_staged_archive_alone(staged: Staged) -> None:
    found = json.loads(staged.run("unpickle_graph.py", staged.folder / "pipeline.pb"))
    packages = {name.partition(".")[0] for name in found["classes"]}
    assert packages == {"apache_beam", "transforms"}, "workers have no other code"
    environment = staged.python.parents[1]
    for name, file in found["modules"].items():
        assert Path(file).is_relative_to(environment), f"{name} of {file}"
    steps = {name.split(".")[1] for name in found["classes"] if name.startswith("transforms.")}
    assert steps >= {"list_clips", "read_manifests", "find_segments", "decode_patches"}
    assert not found["has_tensorflow"], "TensorFlow is imported where the model is loaded"
