"""The native engine in tests: models, and compilations of it."""

import functools
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests import optional
from transforms.model import vggish
from transforms.model.native import library, packed_weights
from transforms.model.native.library import Library
from transforms.model.native.vggish import NativeVggish

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "transforms/model/native/src"
DRIVER = Path(__file__).with_name("native_driver.cc")
# Columns of the trial model whose values are denormals.
DENORMALS = slice(120, 128)
COMPILER = "apt-get install g++"
_OPTIONS = [
    *("-std=c++17", "-O2", "-g0", "-fPIC", "-pthread", "-fvisibility=hidden"),
    *("-ffp-contract=off", "-fno-math-errno"),
]
INSTRUCTIONS = {
    "avx512": ["-mavx512f", "-mavx2", "-mfma"],
    "avx2": ["-mavx2", "-mfma"],
    "portable": ["-mavx", "-mfma"],
}


@functools.cache
def libraries() -> dict[str, Library]:
    """Returns the installed engine for each set of instructions of this CPU; skips without one."""
    found = {name: library.library_path(name) for name in library.instruction_sets()}
    optional.need(any(found.values()), "the native engine", COMPILER + " and install this again")
    return {name: library.open_library(path) for name, path in found.items() if path}


def trial_variables() -> dict[str, np.ndarray]:
    """Returns untrained weights with biases, and with the denormal columns `DENORMALS`."""
    variables = vggish.untrained_weights(0)
    random = np.random.default_rng(1)
    for name, value in variables.items():
        if name.endswith("biases"):
            value += random.random(value.shape, np.float32) * np.float32(0.2) - np.float32(0.1)
    for name in ("vggish/fc2/weights", "vggish/fc2/biases"):
        variables[name][..., DENORMALS] *= np.float32(2**-130)
    return variables


def pack_trial(folder: Path) -> None:
    """Packs the trial model."""
    packed_weights.pack(trial_variables(), folder / "weights", "trial")


def pack_untrained(folder: Path) -> None:
    """Packs the untrained model of seed 0."""
    packed_weights.pack(vggish.untrained_weights(0), folder / "weights", "untrained 0")


def models(path: Path, fingerprint: str) -> dict[str, NativeVggish]:
    """Returns a packed model in each set of instructions of this CPU."""
    return {name: NativeVggish.open(path, fingerprint, each) for name, each in libraries().items()}


def compile_library(folder: Path, options: list[str], sources: Path = SOURCES) -> Library:
    """Compiles the engine with more options, or from other sources, and opens it."""
    folder.mkdir(exist_ok=True)
    run(
        *(optional.program("g++", COMPILER), *_OPTIONS, "-shared", *options),
        *(sources / "engine.cc", "-o", folder / "engine.so"),
    )
    return library.open_library(folder / "engine.so")


def compile_driver(compiler: str, program: Path, *options: str) -> Path:
    """Compiles the engine with its driver as a program."""
    run(compiler, *_OPTIONS, *options, DRIVER, SOURCES / "engine.cc", "-o", program)
    return program


def changed_sources(folder: Path, name: str, old: str, new: str) -> Path:
    """Returns a copy of the sources in which a text is replaced."""
    shutil.copytree(SOURCES, folder)
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    return folder


def run(*command: object, **settings: object) -> None:
    """Runs a program, and shows what it wrote if it fails."""
    done = subprocess.run(
        [str(each) for each in command],
        **{"capture_output": True, "text": True, "timeout": 1_800, "check": False, **settings},  # type: ignore[call-overload]
    )
    if done.returncode:
        print(done.stdout, done.stderr, file=sys.stderr)
        raise AssertionError(f"{command[0]} ended with {done.returncode}")
