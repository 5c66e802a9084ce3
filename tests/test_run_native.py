"""The native engine in whole runs, with the real network, untrained."""

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import reading
from tests.running import run_program
from tests.sounds import noise, write_wav
from tests.test_packaging import archive
from tests.test_run_on_engines import engine
from transforms.model import choosing, loading, vggish

pytestmark = pytest.mark.slow

__all__ = ["archive"]  # a fixture


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of 0.3 s to 25 s, whose rows fill no batch."""
    folder = tmp_path_factory.mktemp("corpus")
    for number in range(12):
        write_wav(folder / f"{number:02}.wav", noise(16_000 * (2 * number + 1) // 2, seed=number))
    return folder


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("threads", ["--direct_num_workers=1"]),
        ("threads", ["--direct_num_workers=2"]),
        ("threads", ["--direct_num_workers=4"]),
        ("processes", ["--direct_num_workers=2"]),
        ("prism", []),
        ("prism_pool", []),
    ],
)
def test_every_run_writes_the_same_bytes(
    name: str,
    flags: list[str],
    corpus: Path,
    expected: dict[str, bytes],
    vggish_model: str,
    tmp_path: Path,
) -> None:
    with engine(name, tmp_path) as runner:
        assert _shards(corpus, vggish_model, tmp_path / "out", *flags, *runner) == expected


@pytest.fixture(scope="module")
def expected(
    corpus: Path, vggish_model: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """The shards of a first run, in which the proof is made."""
    return _shards(corpus, vggish_model, tmp_path_factory.mktemp("expected") / "out")


def _shards(corpus: Path, model: str, output: Path, *flags: str) -> dict[str, bytes]:
    done = run_program(
        *("embed", "--input", corpus, "--model", model, "--profile=raw", "--num_shards=3"),
        *("--output", output, "--engine=native", *flags),
    )
    assert done.returncode == 0, done.stderr
    found = reading.info(output)["model"]
    assert (found["engine"], found["engine_version"]) == ("native", "1")
    assert found["proof"]["largest_error"] <= 1e-5
    assert found["fingerprint"] == found["proof"]["fingerprint"]
    shards = {path.name: path.read_bytes() for path in output.glob("*.tfrecord")}
    assert len(shards) == 3
    return shards


WITHOUT_TENSORFLOW = """
import sys
from pipeline.cli import main
status = main(sys.argv[1:])
sys.exit(status or "tensorflow" in sys.modules)
"""


@pytest.mark.usefixtures("expected")  # the proof is there
def test_after_the_proof_tensorflow_is_not_imported(
    corpus: Path, vggish_model: str, tmp_path: Path
) -> None:
    flags = ["--profile=raw", f"--model={vggish_model}", f"--input={corpus}"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, "embed", *flags, f"--output={tmp_path / 'out'}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "engine    native 1, within" in done.stdout


def test_a_relu_at_the_end_is_tensorflows(tf: Any, vggish_model: str, tmp_path: Path) -> None:
    from tests.transforms.model.native.test_recognising import Graph, _relu_at_the_end

    folder = tmp_path / "model"
    shutil.copytree(vggish_model, folder, copy_function=os.link)
    graph = Graph(tf, (folder / "saved_model.pb").read_bytes())
    _relu_at_the_end(graph)
    (folder / "saved_model.pb").unlink()
    (folder / "saved_model.pb").write_bytes(graph.saved_model.SerializeToString())
    choice = choosing.choose("auto", str(folder))
    assert choice.engine == "tensorflow"
    assert "it has operations after the last layer" in choice.why
    patches = noise(3 * 15_600).reshape(3, 15_600)
    rows = choosing.load(str(folder)).embed(patches)
    assert rows.min() == 0
    np.testing.assert_array_equal(rows, loading.load(str(folder)).embed(patches))


def test_one_weight_changed_after_the_proof_is_noticed(tmp_path: Path) -> None:
    weights = vggish.untrained_weights(1)
    folder = tmp_path / "model"
    vggish.export(folder, vggish.build(weights))
    first = choosing.load(str(folder))
    assert first.facts.engine == "native"
    (data,) = (folder / "variables").glob("variables.data-*")
    before = data.stat()
    weights["vggish/conv1/weights"][0, 0, 0, 0] += 1.0
    vggish.export(folder, vggish.build(weights))
    os.utime(data, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert data.stat().st_size == before.st_size
    second = choosing.load(str(folder))
    patches = noise(2 * 15_600).reshape(2, 15_600)
    rows, expected = second.embed(patches), loading.load(str(folder)).embed(patches)
    assert not np.allclose(rows, first.embed(patches), atol=1e-3)
    np.testing.assert_allclose(rows, expected, atol=1e-5 * expected.std())


@pytest.fixture(params=["with", "without"])
def installed(request: pytest.FixtureRequest, archive: Path, tmp_path: Path) -> tuple[Path, bool]:
    """Python of a fresh environment with the program, and whether a compiler was at hand."""
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    (packages,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(
        "\n".join(path for path in sys.path if Path(path).name == "site-packages")
    )
    has_compiler = request.param == "with"
    environment = {key: value for key, value in os.environ.items() if key not in ("CC", "CXX")}
    if not has_compiler:
        environment["PATH"] = str(python.parent)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", python),
            *("install", "--quiet", "--no-deps", "--no-build-isolation", archive),
        ],
        env=environment,
        check=True,
        capture_output=True,
        timeout=1_200,
    )
    return python, has_compiler


def test_without_a_compiler_it_installs_runs_and_says_why(
    installed: tuple[Path, bool], corpus: Path, vggish_model: str, tmp_path: Path
) -> None:
    python, has_compiler = installed
    flags = ["--profile=raw", f"--model={vggish_model}", f"--input={corpus}", "--output=out"]
    runs = {}
    for command in ("check", "embed"):
        done = subprocess.run(
            [python, "-m", "pipeline", command, *flags],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        runs[command] = done
    said = " ".join(runs["check"].stdout.split())
    found = json.loads((tmp_path / "out/dataset.json").read_bytes())["model"]["engine"]
    if has_compiler:
        assert "ok engine launcher native 1, proved with 35 probes" in said
        assert "native engine 1, loaded in" in said
        assert (found, "engine:" in runs["embed"].stderr) == ("native", False)
    else:
        why = "TensorFlow, because the native engine is not available:"
        assert f"ok engine launcher {why}" in said
        assert f"engine: {why}" in runs["embed"].stderr
        assert "no C++ compiler" in runs["embed"].stderr
        assert found == "tensorflow"
