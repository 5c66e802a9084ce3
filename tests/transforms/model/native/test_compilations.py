"""The engine compiled in other ways: equal rows where that is promised, and where it must not be.

Slow: each compiles the engine.
"""

import platform
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests import native_engine, optional, vggish_reference
from tests.transforms.model.native.test_bits import EXPECTED, digest, flushing
from transforms.model import vggish
from transforms.model.native import library
from transforms.model.native.library import ENGINE_VERSION
from transforms.model.native.vggish import NativeVggish

pytestmark = pytest.mark.slow

x86 = pytest.mark.skipif(
    "avx2" not in library.instruction_sets(), reason="compiles for x86 CPUs with AVX2"
)
AVX2 = native_engine.INSTRUCTIONS["avx2"]
CROSS = "apt-get install g++-aarch64-linux-gnu qemu-user"


@x86
@pytest.mark.parametrize("options", [["-O1"], ["-O3"], ["-O3", "-mtune=skylake"]])
def test_other_optimisations_give_the_same_rows(
    untrained: Path, tmp_path: Path, options: list[str]
) -> None:
    compiled = native_engine.compile_library(tmp_path / "other", [*AVX2, *options])
    model = NativeVggish.open(untrained, "untrained 0", compiled)
    assert digest(model.embed(vggish_reference.exact_probes())) == EXPECTED[ENGINE_VERSION]


@x86
def test_a_vector_of_16_as_two_of_8_gives_the_same_rows(untrained: Path, tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    shutil.copytree(native_engine.SOURCES, sources)
    shutil.copy(native_engine.DRIVER.with_name("native_two_of_8.h"), sources / "vector.h")
    compiled = native_engine.compile_library(tmp_path / "other", AVX2, sources)
    assert compiled.instructions == "two of 8"
    model = NativeVggish.open(untrained, "untrained 0", compiled)
    assert digest(model.embed(vggish_reference.exact_probes())) == EXPECTED[ENGINE_VERSION]


@x86
def test_control_with_contraction_the_rows_differ(untrained: Path, tmp_path: Path) -> None:
    options = [*AVX2, "-ffp-contract=fast"]
    compiled = native_engine.compile_library(tmp_path / "contracted", options)
    model = NativeVggish.open(untrained, "untrained 0", compiled)
    assert digest(model.embed(vggish_reference.exact_probes())) != EXPECTED[ENGINE_VERSION]


@x86
def test_control_without_the_floating_point_state_the_rows_differ(
    trial: Path, tmp_path: Path
) -> None:
    sources = native_engine.changed_sources(
        tmp_path / "sources",
        "floating_point.h",
        "static void write(State state) { _mm_setcsr(state); }",
        "static void write(State) {}",
    )
    compiled = native_engine.compile_library(tmp_path / "unguarded", AVX2, sources)
    model = NativeVggish.open(trial, "trial", compiled)
    patches = vggish_reference.signals(4, seed=3)
    rows = model.embed(patches)
    flushed, _ = flushing(lambda: model.embed(patches))
    assert digest(flushed) != digest(rows)
    assert not flushed[:, native_engine.DENORMALS].all()


def test_neon_gives_the_same_rows_and_the_same_weights(untrained: Path, tmp_path: Path) -> None:
    compiler = optional.program("aarch64-linux-gnu-g++", CROSS)
    emulator = optional.program("qemu-aarch64", CROSS)
    program = native_engine.compile_driver(compiler, tmp_path / "driver", "-static")
    probes = vggish_reference.exact_probes()
    variables, packed = tmp_path / "variables", tmp_path / "packed"
    with open(variables, "wb") as file:
        for value in vggish.untrained_weights(0).values():
            file.write(value.tobytes())
    native_engine.run(emulator, program, "pack", variables, packed)
    weights = np.fromfile(untrained, np.uint32)[1024:]
    assert np.array_equal(np.fromfile(packed, np.uint32), weights)
    probes.tofile(tmp_path / "probes")
    arguments = ("embed", untrained, tmp_path / "probes", tmp_path / "rows", "1")
    native_engine.run(emulator, program, *arguments)
    rows = np.fromfile(tmp_path / "rows", np.float32)
    assert digest(rows) == EXPECTED[ENGINE_VERSION]
    packed.unlink()
    variables.unlink()


@pytest.mark.parametrize("sanitizer", ["address", "undefined", "thread"])
def test_sanitizers_find_nothing(untrained: Path, tmp_path: Path, sanitizer: str) -> None:
    optional.need(platform.system() == "Linux", "a system whose compiler has sanitizers", "Linux")
    compiler = optional.program("g++", native_engine.COMPILER)
    best = next(iter(library.instruction_sets()), "")
    program = native_engine.compile_driver(
        compiler,
        tmp_path / "driver",
        f"-fsanitize={sanitizer}",
        "-fno-sanitize-recover=all",
        *native_engine.INSTRUCTIONS.get(best, []),
    )
    probes = vggish_reference.exact_probes()
    probes.tofile(tmp_path / "probes")
    arguments = ("embed", untrained, tmp_path / "probes", tmp_path / "rows", "3")
    native_engine.run(program, *arguments)
    rows = np.fromfile(tmp_path / "rows", np.float32)
    assert digest(rows) == EXPECTED[ENGINE_VERSION]


@x86
def test_without_memory_for_a_thread_the_others_are_enough(untrained: Path, tmp_path: Path) -> None:
    sources = native_engine.changed_sources(
        tmp_path / "sources",
        "threads.h",
        "started.emplace_back(run_thread, thread);",
        "thread == 2 ? throw std::bad_alloc() : started.emplace_back(run_thread, thread);",
    )
    compiled = native_engine.compile_library(tmp_path / "other", AVX2, sources)
    model = NativeVggish.open(untrained, "untrained 0", compiled)
    probes = vggish_reference.exact_probes()
    assert digest(model.embed(probes, 3)) == EXPECTED[ENGINE_VERSION]
