"""The parameters of the PCA: read, fetched, cached, refused."""

import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transforms.model.errors import ModelError
from transforms.model.postprocessing import RELEASED_PCA_URL
from transforms.model.sources import pca
from transforms.model.sources.pca import load_pca
from transforms.storage import retries


def test_means_may_be_a_column(pca_file: str) -> None:
    with np.load(pca_file) as arrays:
        assert arrays["pca_means"].shape == (128, 1)
        np.testing.assert_array_equal(load_pca(pca_file).means, arrays["pca_means"][:, 0])


def _npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is not vggish_pca_params.npz"),
        (b"<html>not found</html>", "is not vggish_pca_params.npz"),
        (_npz(other=np.zeros(3)), "pca_eigen_vectors"),
        (
            _npz(pca_eigen_vectors=np.eye(64), pca_means=np.zeros(64)),
            r"its arrays are \[64, 64\] and \[64\]",
        ),
        (_npz(pca_eigen_vectors=np.full((128, 128), np.nan), pca_means=np.zeros(128)), "NaN"),
        (_npz(pca_eigen_vectors=np.eye(128), pca_means=np.zeros(128))[:-200], "is not vggish"),
        (
            _npz(pca_eigen_vectors=np.eye(128, dtype=complex), pca_means=np.zeros(128)),
            "pca_eigen_vectors is of complex128",
        ),
        (
            _npz(pca_eigen_vectors=np.zeros((128, 500)), pca_means=np.zeros(128)),
            "pca_eigen_vectors has more than",
        ),
        (_npz(pca_eigen_vectors=np.zeros((1024, 1024))), "more than 1048576 bytes"),
        (
            _npz(pca_eigen_vectors=np.full((128, 128), "1"), pca_means=np.zeros(128)),
            "pca_eigen_vectors is of <U1",
        ),
    ],
)
def test_a_file_that_is_not_the_pca_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "pca.npz"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=why):
        load_pca(str(path))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("badhdr", "pca_eigen_vectors is damaged"),
        ("deflbad", "pca_eigen_vectors is damaged"),
        ("encrypted", "pca_eigen_vectors is encrypted"),
        ("hugeshape", r"its arrays are \[2147483648, 1024\]"),
        ("lzmabad", "pca_eigen_vectors is compressed with method 14"),
        ("method99", "pca_eigen_vectors is compressed with method 99"),
        ("plain_npy", r"it is no zip archive .*NUMPY"),
    ],
)
def test_each_damaged_file_is_refused_with_its_fault_and_what_to_do(
    shared: Path, name: str, why: str
) -> None:
    path = shared / f"data/faults/09-pca/{name}.npz"
    with pytest.raises(ModelError, match=why) as refusal:
        load_pca(str(path))
    assert str(refusal.value).startswith(f"{path} is not vggish_pca_params.npz: ")
    assert RELEASED_PCA_URL in str(refusal.value)


def _mutated(data: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        # Most faults are in the headers, which are a small part of the file.
        span = min(len(damaged), chance.choice([64, 400, len(damaged)]))
        place = chance.choice([0, len(damaged) - span]) + chance.randrange(span)
        kind = chance.randrange(4)
        if kind == 0:
            damaged[place] = chance.randrange(256)
        elif kind == 1:
            damaged[place : place + 8] = chance.randbytes(8)
        elif kind == 2:
            del damaged[place : place + chance.randint(1, 40)]
        else:
            damaged[place:place] = chance.choice([b"(" * 30, b"\xff" * 9, b"PK\x03\x04", bytes(40)])
        if not damaged:
            break
    return bytes(damaged)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_mutated_file_is_read_or_refused(tmp_path: Path, save: Callable[..., None]) -> None:
    path = tmp_path / "pca.npz"
    save(path, pca_eigen_vectors=np.eye(128), pca_means=np.zeros((128, 1)))
    data = path.read_bytes()
    chance = random.Random(0)
    num_refused = 0
    for _ in range(400):
        path.write_bytes(_mutated(data, chance))
        try:
            found = load_pca(str(path))
        except ModelError:
            num_refused += 1
        else:
            assert (found.eigen_vectors.shape, found.means.shape) == ((128, 128), (128,))
    assert 100 < num_refused < 400


def test_mutated_headers_of_an_array_are_read_or_refused(tmp_path: Path) -> None:
    array = io.BytesIO()
    np.save(array, np.eye(128))
    chance = random.Random(1)
    num_refused = 0
    for _ in range(300):
        path = tmp_path / "pca.npz"
        with zipfile.ZipFile(path, "w") as bundle:  # its checksums are right
            bundle.writestr("pca_eigen_vectors.npy", _mutated(array.getvalue(), chance))
            bundle.writestr("pca_means.npy", _npy(np.zeros(128)))
        try:
            load_pca(str(path))
        except ModelError:
            num_refused += 1
    assert num_refused > 100


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_pickles_inside_are_never_executed(tmp_path: Path) -> None:
    path = tmp_path / "pca.npz"
    np.savez(path, pca_eigen_vectors=np.array([{}], dtype=object), pca_means=np.zeros(128))
    with pytest.raises(ModelError, match=r"is not vggish_pca_params\.npz"):
        load_pca(str(path))


def test_the_released_url_is_checked_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pca_file: str
) -> None:
    data = Path(pca_file).read_bytes()
    fetched: list[str] = []

    def read(url: str) -> bytes:
        fetched.append(url)
        return data

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(pca, "_read", read)
    with pytest.raises(ModelError, match="is not the released file"):
        load_pca(RELEASED_PCA_URL)
    monkeypatch.setattr(pca, "RELEASED_PCA_SHA256", load_pca(pca_file).sha256)
    for _ in range(2):
        load_pca(RELEASED_PCA_URL)
    assert fetched.count(RELEASED_PCA_URL) == 2, "the second time from the cache"
    (kept,) = (tmp_path / "cache").rglob("*.npz")
    kept.write_bytes(data[:100])
    load_pca(RELEASED_PCA_URL)
    assert fetched.count(RELEASED_PCA_URL) == 3, "a damaged cache is not used"


def test_an_unreachable_pca_says_where_to_get_it_and_that_raw_needs_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retries, "_FIRST_WAIT_SECONDS", 0.01)
    with pytest.raises(ModelError, match=r"--pca.*--profile raw"):
        load_pca("http://127.0.0.1:9/vggish_pca_params.npz")
