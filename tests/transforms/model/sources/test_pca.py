"""The parameters of the PCA: read, fetched, cached, refused."""

import io
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
    ],
)
def test_a_file_that_is_not_the_pca_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "pca.npz"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=why):
        load_pca(str(path))


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
