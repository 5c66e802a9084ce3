"""The distribution: what Beam would send to workers, and whether it stands alone."""

import shutil
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import pytest

from tests import native_engine, optional
from transforms.audio import codecs
from transforms.corpus.layouts import catalogue
from transforms.model.native import library

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, built as Beam builds it, from a copy of the checkout."""
    folder = tmp_path_factory.mktemp("checkout") / "project"
    shutil.copytree(
        ROOT,
        folder,
        ignore=shutil.ignore_patterns(".*", "*.egg-info", "build", "demo-output", "__pycache__"),
    )
    subprocess.run(
        [sys.executable, "setup.py", "--quiet", "sdist", "--dist-dir", str(folder / "dist")],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=3000,
    )
    (built,) = (folder / "dist").glob("*.tar.gz")
    return built


def test_the_archive_holds_the_two_packages_and_no_more(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        names = [Path(*Path(member.name).parts[1:]) for member in tar if member.isfile()]
    modules = {name.as_posix() for name in names if name.suffix == ".py" and len(name.parts) > 1}
    expected = {
        path.relative_to(ROOT).as_posix()
        for package in ("pipeline", "transforms")
        for path in (ROOT / package).rglob("*.py")
    }
    assert modules == expected
    others = {name.as_posix() for name in names if "egg-info" not in name.parts[0]} - modules
    assert others == {
        *(path.relative_to(ROOT).as_posix() for path in codecs.FOLDER.iterdir()),
        *(path.relative_to(ROOT).as_posix() for path in catalogue.FOLDER.glob("*.json")),
        *(path.relative_to(ROOT).as_posix() for path in native_engine.SOURCES.iterdir()),
        "transforms/model/smoke_test.json",
        "transforms/py.typed",
        *("LICENSE", "MANIFEST.in", "PKG-INFO", "README.md", "pyproject.toml"),
        *("requirements.txt", "setup.cfg", "setup.py"),
    }


@pytest.mark.slow
def test_the_archive_installs_alone_and_every_module_imports(archive: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    (packages,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    # The dependencies are those of this environment; the package itself must not come from it.
    (packages / "dependencies.pth").write_text(
        "\n".join(path for path in sys.path if Path(path).name == "site-packages")
    )
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", python),
            *("install", "--quiet", "--no-deps", "--no-build-isolation", archive),
        ],
        check=True,
        capture_output=True,
        timeout=1_200,
    )
    script = f"""
import pathlib, pkgutil, pipeline, transforms
for package in (pipeline, transforms):
    assert pathlib.Path(package.__file__).is_relative_to({str(packages)!r}), package.__file__
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            __import__(module.name)
import sys
assert "tensorflow" not in sys.modules, "importing a module must not take seconds"
from transforms.audio import codecs
from transforms.corpus.layouts.catalogue import layouts
from transforms.model import smoke_test
assert codecs.undecodable_formats() == {{}}, "data must be installed with the modules"
smoke_test.golden()
assert "esc50" in layouts(), "layouts must be installed with the modules"
"""
    subprocess.run([python, "-c", script], cwd=tmp_path, check=True, timeout=3000)
    program = tmp_path / "venv/bin/beam-audio-embeddings"
    shown = subprocess.run([program, "--help"], capture_output=True, text=True, check=True)
    assert "export-model" in shown.stdout


def compile_engine(archive: Path, folder: Path, **environment: str) -> set[str]:
    """Runs the step of an installation that compiles; returns the names of the libraries."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    (sources,) = folder.iterdir()
    done = subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--build-lib", str(folder / "built")],
        cwd=sources,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=1_200,
    )
    assert done.returncode == 0, done.stderr
    return {path.name for path in (folder / "built").rglob("*.so")}


def test_without_a_compiler_the_installation_goes_on(archive: Path, tmp_path: Path) -> None:
    assert compile_engine(archive, tmp_path, PATH="/nonexistent") == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "is_best_only"),
    [
        ({}, False),  # `python -m build`
        ({"PIP_BUILD_TRACKER": "a", "VGGISH_INSTRUCTIONS": ""}, True),
        ({"PIP_BUILD_TRACKER": "a"}, True),
        ({"PIP_BUILD_TRACKER": "a", "VGGISH_INSTRUCTIONS": "all"}, False),
        ({"VGGISH_INSTRUCTIONS": "native"}, True),
    ],
    ids=str,
)
def test_pip_compiles_for_this_cpu_and_a_wheel_holds_all(
    archive: Path, tmp_path: Path, environment: dict[str, str], is_best_only: bool
) -> None:
    optional.program("g++", native_engine.COMPILER)
    best = library.instruction_sets()[0]
    names = {best} if is_best_only else set(native_engine.INSTRUCTIONS) | {best}
    if best == "neon":
        names = {best}
    assert compile_engine(archive, tmp_path, **environment) == {
        f"vggish.{name}.so" for name in names
    }


@pytest.mark.slow
@pytest.mark.parametrize("flags", ["-Ofast -march=native", "-ffast-math -O3"])
def test_fast_arithmetic_of_the_environment_is_undone(
    archive: Path, tmp_path: Path, flags: str
) -> None:
    optional.program("g++", native_engine.COMPILER)
    (name,) = compile_engine(archive, tmp_path, CFLAGS=flags, VGGISH_INSTRUCTIONS="native")
    (built,) = (tmp_path / "built").rglob(name)
    script = (
        "import ctypes, sys, numpy as np; ctypes.CDLL(sys.argv[1]);"
        "sys.exit(not (np.full(1, 2**-130, np.float32) * np.float32(0.5)).any())"
    )
    subprocess.run([sys.executable, "-c", script, built], check=True)


def test_every_requirement_has_a_range_and_a_reason() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert wanted
    for line in wanted:
        requirement, _, reason = line.partition("#")
        assert "<" in requirement, line
        assert reason.strip(), line


@pytest.mark.parametrize(
    ("stub", "why"),
    [
        ("exit 1", "needs Python 3.10 to 3.13 as python3"),
        ('case "$2" in *version_info*) exit 0 ;; esac; exit 1', "has no venv module: install it"),
    ],
    ids=["wrong version", "no venv module"],
)
def test_a_python_that_will_not_do_is_refused_in_one_line(
    tmp_path: Path, stub: str, why: str
) -> None:
    for name in ("run_local.sh", "setup.py", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{stub}\n")
    python.chmod(0o755)
    refused = subprocess.run(
        [tmp_path / "run_local.sh", "--help"],
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert refused.returncode == 2
    assert why in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / ".venv").exists()


def test_once_there_is_a_compiler_the_program_is_installed_again(tmp_path: Path) -> None:
    """Since the native engine is compiled where the program is installed."""
    for name in ("run_local.sh", "setup.py", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path)
    programs, venv_programs = tmp_path / "bin", tmp_path / ".venv/bin"
    programs.mkdir()
    venv_programs.mkdir(parents=True)
    for name in ("bash", "dirname", "cat", "cksum"):
        (programs / name).symlink_to(optional.program(name, "install it"))
    for name, line in (("python", "echo installed"), ("beam-audio-embeddings", "echo run")):
        (venv_programs / name).write_text(f"#!/bin/sh\n{line} >>{tmp_path}/log\n")
        (venv_programs / name).chmod(0o755)

    def run() -> list[str]:
        (tmp_path / "log").unlink(missing_ok=True)
        done = subprocess.run(
            [tmp_path / "run_local.sh", "--help"],
            env={"PATH": str(programs)},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return (tmp_path / "log").read_text().split()

    assert run() == ["installed", "run"]
    assert run() == ["run"]
    (programs / "g++").symlink_to("/bin/true")
    assert run() == ["installed", "run"]
    assert run() == ["run"]
    (programs / "g++").unlink()
    assert run() == ["run"], "what was compiled is still there"
