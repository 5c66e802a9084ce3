"""The images of workers and launchers: the Dockerfiles, and their steps done without Docker."""

import contextlib
import fnmatch
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests import dockerfiles, optional
from tests.dockerfiles import Image
from tests.running import run_program
from tests.sounds import noise, write_wav
from tests.stand_ins import dataflow_job, portable

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILES = ("Dockerfile", "deploy/dataflow/Dockerfile")


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_linter_finds_nothing(name: str) -> None:
    linter = optional.program("hadolint")
    done = subprocess.run([linter, ROOT / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", DOCKERFILES)
def test_every_base_has_a_version(name: str) -> None:
    instructions = dockerfiles.read(ROOT / name)
    bases = [each.words[0] for each in instructions if each.name == "FROM"]
    assert bases
    for base in bases:
        assert re.search(r":[^:/]*\d", base) or "${" in base, base


def test_the_beam_of_the_image_is_one_that_the_program_takes() -> None:
    instructions = dockerfiles.read(ROOT / "Dockerfile")
    (version,) = (
        each.text.partition("=")[2]
        for each in instructions
        if each.text.startswith("BEAM_VERSION=")
    )
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    (beam,) = (Requirement(line.split("#")[0]) for line in lines if line.startswith("apache-beam"))
    assert beam.specifier.contains(version)
    (base,) = (each.text for each in instructions if "beam_python" in each.text)
    assert base.split()[0].endswith(":${BEAM_VERSION}")


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_is_copied_is_in_the_context(name: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in ignored if line and not line.startswith("#")]
    for instruction in dockerfiles.read(ROOT / name):
        if instruction.name != "COPY" or "--from=" in instruction.text:
            continue
        for source in instruction.words[:-1]:
            source = source.replace("${MODEL}", "deploy/model")
            assert (ROOT / source).exists(), source
            assert not any(fnmatch.fnmatch(source.split("/")[0], each) for each in patterns)


def test_the_default_context_holds_no_model() -> None:
    assert [path.name for path in (ROOT / "deploy/model").iterdir()] == ["README.md"]


@pytest.mark.slow
def test_the_steps_of_the_dockerfile_give_workers_and_a_launcher(
    stand_in_model: str, tmp_path: Path
) -> None:
    # One test, since the image is 3 GB and takes two minutes.
    is_root = os.geteuid() == 0
    optional.need(is_root, "the right to give files away", "run this test as root")
    write_wav(tmp_path / "in/a.wav", noise(48_000))
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        image = _built(Path(folder), stand_in_model)
        opt = image.root / "opt"
        assert sorted(path.name for path in opt.iterdir()) == ["apache", "model", "venv"]
        assert len(list(opt.rglob("embed_patches.py"))) == 1
        owners = {path.lstat().st_uid for path in (opt / "venv").rglob("*")}
        assert owners == {9999}, "the user of workers on clusters cannot install what is staged"
        # The native engine for every CPU of this architecture, whatever this machine's is.
        (native,) = (path.parent for path in opt.rglob("native/library.py"))
        assert len([*native.glob("vggish.*.so")]) > 1
        _check_template(image, tmp_path)

        staged = image.root / "tmp/staged/workflow.tar.gz"
        with portable.prism(tmp_path / "prism.log") as (engine, _), _worker_pool(image) as pool:
            flags = [
                *("--input", str(tmp_path / "in"), "--model", str(opt / "model"), "--profile=raw"),
                *("--runner=PortableRunner", f"--job_endpoint={engine}"),
                *("--environment_type=EXTERNAL", f"--environment_config={pool}"),
            ]
            launcher = ["/usr/bin/env", "beam-audio-embeddings", "embed", *flags]
            done = subprocess.run(
                [*launcher, "--output", str(tmp_path / "by-image")],
                env=image.environment,
                cwd=image.folder,
                capture_output=True,
                text=True,
                check=False,
                timeout=1_200,
            )
            _check_embedded(image, done)
            assert not staged.exists(), "the workers' image has the program already"
            # A launcher in a checkout sends its source, which is installed over the image's.
            done = run_program("embed", *flags, "--output", tmp_path / "by-checkout")
            _check_embedded(image, done)
            assert staged.exists()
            assert [*native.glob("vggish.*.so")], "a worker compiles the engine of what is staged"


def _check_template(image: Image, folder: Path) -> None:
    """Does the steps of the Flex Template's image, and starts it as the service does."""

    def launcher(stage: str, path: str, target: Path) -> None:
        # Google's program gives the parameters on, and says how it went.
        assert (stage, Path(path).name) == ("launcher", "python_template_launcher")
        target.parent.mkdir(parents=True)
        target.write_text('#!/bin/sh\nexec python "$FLEX_TEMPLATE_PYTHON_PY_FILE" "$@"\n')
        target.chmod(0o755)

    template = dockerfiles.build(
        ROOT / "deploy/dataflow/Dockerfile", ROOT, image.root, {}, launcher, base=image
    )
    assert template.entry_point == image.entry_point, "workers start in the same image"
    with dataflow_job.cloud_storage(folder) as gcs:
        gcs.put("recordings/a.wav", b"RIFF")
        done = subprocess.run(
            [
                template.here("/opt/google/dataflow/python_template_launcher"),
                *dataflow_job.arguments()[1:],
                f"--template_location={dataflow_job.BUCKET}/staging/job_object",
            ],
            env=gcs.environment | template.environment,
            cwd=template.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr[-3_000:]
        (pool,) = json.loads(gcs.get("/job_object"))["environment"]["workerPools"]
    packages = [package["name"] for package in pool["packages"]]
    assert packages == ["submission_environment_dependencies.txt"], "workers have the program"


def _check_embedded(image: Image, done: subprocess.CompletedProcess[str]) -> None:
    log = (image.root / "tmp/pool.log").read_text()
    assert done.returncode == 0, f"{done.stderr[-3_000:]}\n{log[-3_000:]}"
    assert "records   1" in done.stdout


def _built(folder: Path, model: str) -> Image:
    """Does the steps, with a model among what is copied."""
    context = folder / "context"
    skipped = shutil.ignore_patterns(".*", "*.egg-info", "tests", "build", "__pycache__")
    shutil.copytree(ROOT, context, ignore=skipped)
    shutil.copytree(model, context / "model")
    root = folder / "root"
    root.mkdir()

    def from_beam(stage: str, path: str, target: Path) -> None:
        assert (stage, path) == ("beam", "/opt/apache/beam")
        target.mkdir(parents=True)
        shutil.copy(portable.program("container"), target / "boot")

    return dockerfiles.build(ROOT / "Dockerfile", context, root, {"MODEL": "model"}, from_beam)


@contextlib.contextmanager
def _worker_pool(image: Image) -> Iterator[str]:
    """Starts what Beam's start program starts with `--worker_pool`; gives the address."""
    port = portable.free_port()
    (boot,) = image.entry_point
    script = image.root / "tmp/boot.sh"
    script.write_text(f'#!/bin/sh\nexec {boot} --semi_persist_dir={image.root}/tmp "$@"\n')
    script.chmod(0o755)
    command = ["/usr/bin/env", "python", "-m", "apache_beam.runners.worker.worker_pool_main"]
    command += [f"--service_port={port}", f"--container_executable={script}"]
    log = image.root / "tmp/pool.log"
    with portable.running(command, log, port, cwd=image.folder, env=image.environment):
        yield f"localhost:{port}"
