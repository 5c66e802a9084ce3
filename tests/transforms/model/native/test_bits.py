"""The promise that rows are equal to the bit, on every machine."""

import ctypes
import hashlib
import mmap
import platform
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import native_engine, vggish_reference
from transforms.model.native.library import ENGINE_VERSION

# sha256 of the rows of `exact_probes`, little-endian, untrained model of seed 0. It holds on every
# machine, and changes with the engine's version only.
EXPECTED = {"1": "f999cbce84245975f7b7eb38ca3008f47f49149590b7f7ca492d1670d994fa2c"}
# As threads of TensorFlow: denormals are zeros (FTZ, DAZ).
FLUSHING = 0x1F80 | 0x8040
# ldmxcsr [rdi]; ret
LDMXCSR = b"\x0f\xae\x17\xc3"


def digest(rows: np.ndarray) -> str:
    return hashlib.sha256(rows.astype("<f4").tobytes()).hexdigest()


def test_rows_of_probes_are_the_same_on_every_machine(untrained: Path) -> None:
    probes = vggish_reference.exact_probes()
    for instructions, model in native_engine.models(untrained, "untrained 0").items():
        assert digest(model.embed(probes)) == EXPECTED[ENGINE_VERSION], instructions


def test_rows_do_not_depend_on_batch_position_and_threads(trial: Path) -> None:
    patches = vggish_reference.signals(40, seed=9)
    models = native_engine.models(trial, "trial")
    expected = next(iter(models.values())).embed(patches, 1)
    random = np.random.default_rng(0)
    for num_threads, size in enumerate((1, 2, 7, 16, 17, 33), 1):
        chosen = random.permutation(len(patches))[:size]
        for instructions, model in models.items():
            rows = model.embed(patches[chosen], num_threads)
            np.testing.assert_array_equal(rows, expected[chosen], instructions)


@pytest.mark.slow
def test_rows_of_all_batch_sizes_and_numbers_of_threads(trial: Path) -> None:
    patches = vggish_reference.signals(200, seed=9)
    models = native_engine.models(trial, "trial")
    expected = next(iter(models.values())).embed(patches, 1)
    random = np.random.default_rng(0)
    names = list(models)
    for size in range(1, 201):
        chosen = random.permutation(len(patches))[:size]
        rows = models[names[size % len(names)]].embed(patches[chosen], 1 + size % 8)
        assert digest(rows) == digest(expected[chosen]), size


def test_values_that_are_no_numbers_denormals_and_huge_ones_are_defined(trial: Path) -> None:
    patches = vggish_reference.signals(8, seed=2)
    patches[0, 15_599] = np.inf
    patches[1, 0] = np.nan
    patches[2, 7] = -np.inf
    patches[3] = np.finfo(np.float32).max
    patches[4] *= np.float32(1e30)
    patches[5] *= np.float32(1e-41)
    models = native_engine.models(trial, "trial")
    digests = {digest(model.embed(patches)) for model in models.values()}
    assert len(digests) == 1
    rows = next(iter(models.values())).embed(patches)
    assert (rows[:3].view(np.uint32) == 0x7FC00000).all()
    assert np.isfinite(rows[3:]).all()
    assert len({digest(model.log_mel(patches)) for model in models.values()}) == 1


def flushing(work: Callable[[], np.ndarray]) -> tuple[np.ndarray, np.float32]:
    """Calls a function on a thread that flushes denormals; returns also what is left of one."""
    found: list[Any] = []

    def run() -> None:
        code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        code[: len(LDMXCSR)] = LDMXCSR
        address = ctypes.addressof(ctypes.c_char.from_buffer(code))
        state = ctypes.c_uint32(FLUSHING)
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)(ctypes.addressof(state))
        found.extend([work(), np.full(1, 2**-130, np.float32) * np.float32(0.5)])

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0], found[1][0]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="sets the state of an x86 CPU")
def test_callers_that_flush_denormals_have_the_same_rows_and_keep_their_state(trial: Path) -> None:
    patches = vggish_reference.signals(16, seed=3)
    for model in native_engine.models(trial, "trial").values():
        rows = model.embed(patches, 2)
        denormals = np.abs(rows[:, native_engine.DENORMALS])
        assert ((denormals > 0) & (denormals < np.finfo(np.float32).tiny)).any()
        flushed, left = flushing(lambda model=model: model.embed(patches, 2))  # type: ignore[misc]
        assert digest(flushed) == digest(rows)
        assert left == 0, "the caller's state was not restored"
