"""Calls of the native engine: at the same time, in forked processes, and without memory."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tests import vggish_reference
from transforms.model.native.vggish import NativeVggish

SCRIPT = """
import os, resource, sys
from pathlib import Path
import numpy as np
from transforms.model.native.vggish import NativeVggish
model = NativeVggish.open(Path(sys.argv[1]), "trial")
patches = np.full((20, 15_600), 0.5, np.float32)
patches[:, ::2] = 0.25
def memory():
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
def limit(to):
    resource.setrlimit(resource.RLIMIT_AS, (to, resource.RLIM_INFINITY))
"""


def script(trial: Path, text: str, **settings: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + text, str(trial)],
        **{"capture_output": True, "text": True, "timeout": 300, "check": False, **settings},  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def test_no_rows_and_patches_of_other_types(trial: Path) -> None:
    model = NativeVggish.open(trial, "trial")
    assert model.embed(np.zeros((0, 15_600), np.float32)).shape == (0, 128)
    for patches in (np.zeros((2, 15_601), np.float32), np.zeros((2, 15_600)), np.float32(1)):
        with pytest.raises(ValueError, match=r"allowed: float32 \[num_rows, 15600\]"):
            model.embed(np.asarray(patches))
    strided = np.zeros((4, 15_600), np.float32)[::2]
    assert model.embed(strided).shape == (2, 128)


def test_calls_at_the_same_time_have_their_own_rows(trial: Path) -> None:
    model = NativeVggish.open(trial, "trial")
    patches = [vggish_reference.signals(8, seed) for seed in range(4)]
    expected = [model.embed(each) for each in patches]
    found: list[np.ndarray] = [np.empty(0)] * len(patches)

    def embed(i: int) -> None:
        for _ in range(2):
            found[i] = model.embed(patches[i], 3)

    threads = [threading.Thread(target=embed, args=[i]) for i in range(len(patches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for rows, own in zip(found, expected, strict=True):
        np.testing.assert_array_equal(rows, own)


def test_a_fork_during_a_call_can_embed_and_no_thread_is_left(trial: Path) -> None:
    text = """
import threading, time
before = len(os.listdir("/proc/self/task"))  # NumPy has some, which it ends at a fork
expected = model.embed(patches)
called = threading.Thread(target=lambda: [model.embed(patches, 2) for _ in range(3)])
called.start()
for _ in range(3):
    child = os.fork()
    if not child:
        os._exit(0 if (model.embed(patches, 2) == expected).all() else 1)
    assert os.waitpid(child, 0)[1] == 0
called.join()
end = time.monotonic() + 10  # Python's own thread ends a little later than its `join`
while len(os.listdir("/proc/self/task")) > before:
    assert time.monotonic() < end, "a thread is left"
"""
    if not Path("/proc/self/task").exists():
        pytest.skip("needs Linux")
    script(trial, text)


def test_without_memory_a_call_fails_and_later_ones_do_not(trial: Path) -> None:
    text = """
limit(memory() + 3_000_000)
try:
    model.embed(patches, 1)
except MemoryError as error:
    print(error)
limit(resource.RLIM_INFINITY)
print(model.embed(patches, 2).shape)
limit(memory() + 3_000_000)
try:
    NativeVggish.open(Path(sys.argv[1]), "trial")
except MemoryError as error:
    print(error)
"""
    printed = script(trial, text)
    assert printed == (
        f"vggish_embed of the native engine has no memory\n(20, 128)\nno memory to map {trial}\n"
    )


def test_where_no_thread_can_start_one_is_enough(trial: Path) -> None:
    expected = script(trial, "print(model.embed(patches, 2).tobytes().hex())")

    def no_stacks() -> None:  # the size of a thread's stack, larger than any memory
        import resource

        resource.setrlimit(resource.RLIMIT_STACK, (2**47, resource.RLIM_INFINITY))

    text = """
import threading
try:
    threading.Thread(target=print).start()
except RuntimeError as error:
    assert "can't start new thread" in str(error)
else:
    raise AssertionError("threads start nevertheless")
print(model.embed(patches, 2).tobytes().hex())
"""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # NumPy's library gives up
    found = script(trial, text, preexec_fn=no_stacks, env=environment)
    assert found == expected
