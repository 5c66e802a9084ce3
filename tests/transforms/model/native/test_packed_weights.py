"""Files of packed weights: the same for all instructions, and never taken for others."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests import native_engine
from transforms.model.native import packed_weights
from transforms.model.native.library import ENGINE_VERSION
from transforms.model.native.packed_weights import PackedWeightsError
from transforms.model.native.vggish import NativeVggish


@pytest.fixture
def copy(trial: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy without data of its own until a test writes to it, where the disk can do that."""
    path = tmp_path / "weights"
    os.system(f"cp --reflink=auto {trial} {path}")
    yield path
    path.unlink()


def change(path: Path, position: int, content: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(position)
        file.write(content)


def test_each_set_of_instructions_writes_the_same_file(trial: Path, tmp_path: Path) -> None:
    variables = native_engine.trial_variables()
    _, *others = native_engine.libraries().values()  # the first has written the trial model
    for library in others:
        packed_weights.pack(variables, tmp_path / "weights", "trial", library)
        assert np.array_equal(np.fromfile(tmp_path / "weights", "u4"), np.fromfile(trial, "u4"))
    assert os.listdir(tmp_path) == ["weights"]
    assert (tmp_path / "weights").stat().st_mode & 0o777 == 0o644, "users may share a cache"
    (tmp_path / "weights").unlink()


def test_one_changed_bit_of_header_or_weights_is_noticed(copy: Path) -> None:
    content = copy.read_bytes()[: 2**13]
    size = copy.stat().st_size
    for position in (4, 40, 5_000, size - 2_000_000, size - 1):
        with open(copy, "rb") as file:
            file.seek(position)
            (old,) = file.read(1)
        change(copy, position, bytes([old ^ 1]))
        with pytest.raises(PackedWeightsError):
            NativeVggish.open(copy, "trial")
        change(copy, position, bytes([old]))
    assert NativeVggish.open(copy, "trial").embed(np.zeros((1, 15_600), np.float32)).any()
    assert copy.read_bytes()[: 2**13] == content


def test_missing_and_exchanged_pages_are_noticed(copy: Path) -> None:
    pages = np.fromfile(copy, np.uint8)[4_096:12_288].tobytes()
    for content in (bytes(4_096), pages[4_096:] + pages[:4_096]):
        change(copy, 4_096, content)
        with pytest.raises(PackedWeightsError, match="checksum"):
            NativeVggish.open(copy, "trial")
        change(copy, 4_096, pages)


def test_another_model_or_version_or_size_is_told(
    trial: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PackedWeightsError, match=r"fingerprint 'trial' \(expected: 'other'\)"):
        NativeVggish.open(trial, "other")
    (tmp_path / "torn").write_bytes(trial.read_bytes()[:100_000])
    with pytest.raises(PackedWeightsError, match="has 100000 bytes"):
        NativeVggish.open(tmp_path / "torn", "trial")
    with open(tmp_path / "empty", "wb") as file:
        file.truncate(trial.stat().st_size)
    for header in (b"", b"VGGish packed weights\n" + 4_000 * b"["):
        change(tmp_path / "empty", 0, header)
        with pytest.raises(PackedWeightsError, match="not a file of packed weights"):
            NativeVggish.open(tmp_path / "empty", "trial")
    with pytest.raises(FileNotFoundError):
        NativeVggish.open(tmp_path / "absent", "trial")
    monkeypatch.setattr(packed_weights, "ENGINE_VERSION", "0")
    with pytest.raises(PackedWeightsError, match=rf"engine '{ENGINE_VERSION}' \(expected: '0'\)"):
        NativeVggish.open(trial, "trial")


def test_other_variables_are_refused(tmp_path: Path) -> None:
    native_engine.libraries()
    variables = {
        name: np.broadcast_to(np.float32(0), shape)
        for name, shape in packed_weights.VARIABLES.items()
    }
    missing = {name: value for name, value in variables.items() if "fc2/biases" not in name}
    with pytest.raises(ValueError, match="fc2/biases is missing"):
        packed_weights.pack(missing, tmp_path / "weights", "a")
    for value in (np.zeros(128), np.zeros((1, 128), np.float32), np.zeros(127, np.float32)):
        with pytest.raises(ValueError, match=r"fc2/biases is .* \(expected: float32 \[128\]\)"):
            packed_weights.pack(
                {**variables, "vggish/fc2/biases": value}, tmp_path / "weights", "a"
            )
    assert not os.listdir(tmp_path)


def test_a_full_disk_leaves_nothing(
    trial: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", fail)
    with pytest.raises(OSError, match="No space left"):
        packed_weights.pack(native_engine.trial_variables(), tmp_path / "weights", "trial")
    assert not os.listdir(tmp_path)
