"""From a float embedding to the 8-bit rows of the AudioSet and YouTube-8M releases.

The steps and constants are those of vggish_postprocess.py of the VGGish release: PCA with
whitening, clipping to [-2, 2], 8 bits by truncation.
"""

import dataclasses
import hashlib
import io
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from transforms.model.errors import ModelError
from transforms.model.sources import caching, fetching, resolving

RELEASED_PCA_URL = "https://storage.googleapis.com/audioset/vggish_pca_params.npz"
RELEASED_PCA_SHA256 = "4d878af3e306defbfb37095365aa7e5a6cecb86bad13e859e626151c4e6a8b9d"
EMBEDDING_SIZE = 128
QUANTISE_MIN = -2.0
QUANTISE_MAX = 2.0
# The file is 73 KB; more than this is something else.
_MAX_PCA_BYTES = 2**24


@dataclasses.dataclass(frozen=True)
class Pca:
    """The released PCA, whitening included.

    Attributes:
      eigen_vectors: float64 `[128, 128]`, rows are output dimensions.
      means: float64 `[128]`.
      sha256: Of the file.
      uri: Where it was read from; empty where that is not known.
    """

    eigen_vectors: np.ndarray
    means: np.ndarray
    sha256: str
    uri: str = ""

    def quantise(self, rows: np.ndarray) -> np.ndarray:
        """Returns float32 rows `[num_rows, 128]` as uint8 `[num_rows, 128]`.

        Raises:
          ModelError: The rows have another size.
        """
        if rows.shape[1] != EMBEDDING_SIZE:
            raise ModelError(
                f"the model gives rows of {rows.shape[1]} values, and the PCA of the 8-bit profiles"
                f" takes {EMBEDDING_SIZE}; --profile raw writes rows as they are"
            )
        projected = (rows.astype(np.float64) - self.means) @ self.eigen_vectors.T
        clipped = np.clip(projected, QUANTISE_MIN, QUANTISE_MAX)
        scaled = (clipped - QUANTISE_MIN) * (255.0 / (QUANTISE_MAX - QUANTISE_MIN))
        return scaled.astype(np.uint8)  # truncates, as the release does: rounding differs


def load_pca(pca: str, open_to_read: Callable[[str], BinaryIO] | None = None) -> Pca:
    """Reads the PCA parameters.

    Args:
      pca: Path or URL of `vggish_pca_params.npz`. The released URL is fetched once and kept.
      open_to_read: Opens a file of a storage; without it there are none.

    Raises:
      ModelError: It cannot be read or fetched, or it is not that file.
    """
    data = _cached_release() if pca == RELEASED_PCA_URL else _read(pca, open_to_read)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            eigen_vectors = np.asarray(arrays["pca_eigen_vectors"], np.float64)
            means = np.asarray(arrays["pca_means"], np.float64)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"{pca} is not vggish_pca_params.npz: {error}") from error
    size = EMBEDDING_SIZE
    if eigen_vectors.shape != (size, size) or means.shape not in ((size,), (size, 1)):
        raise ModelError(
            f"{pca} is not vggish_pca_params.npz: its arrays are {list(eigen_vectors.shape)} and"
            f" {list(means.shape)} (wanted: [{size}, {size}] and [{size}] or [{size}, 1])"
        )
    if not (np.isfinite(eigen_vectors).all() and np.isfinite(means).all()):
        raise ModelError(f"{pca} holds NaN or infinity")
    return Pca(eigen_vectors, means.reshape(size), hashlib.sha256(data).hexdigest(), pca)


def _cached_release() -> bytes:
    """Returns the released file, from the cache where it is whole there."""
    path = caching.cache_directory() / "vggish_pca_params.npz"
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() == RELEASED_PCA_SHA256:
            return data
    except OSError:
        pass  # not fetched yet, or a cache that cannot be read: fetched again
    data = _read(RELEASED_PCA_URL)
    found = hashlib.sha256(data).hexdigest()
    if found != RELEASED_PCA_SHA256:
        raise ModelError(
            f"{RELEASED_PCA_URL} is not the released file: its sha256 is {found}, wanted"
            f" {RELEASED_PCA_SHA256}"
        )
    _keep(path, data)
    return data


def _keep(path: Path, data: bytes) -> None:
    """Writes a cache file at once or not at all; a cache that cannot be written is no error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(data)
        os.replace(file.name, path)
    except OSError:
        pass


def _read(pca: str, open_to_read: Callable[[str], BinaryIO] | None = None) -> bytes:
    if resolving.is_url(pca):
        return _fetched(pca)
    open_file = open_to_read if open_to_read and "://" in pca else _open_here
    try:
        with open_file(pca) as file:
            data = file.read(_MAX_PCA_BYTES + 1)
    except OSError as error:
        why = error.strerror or error
        raise ModelError(f"cannot read the PCA parameters {pca!r}: {why}") from error
    if len(data) > _MAX_PCA_BYTES:
        raise ModelError(f"{pca} is not vggish_pca_params.npz: more than {_MAX_PCA_BYTES} bytes")
    return data


def _fetched(url: str) -> bytes:
    hint = (
        f"These are the PCA parameters: download {RELEASED_PCA_URL} where the network allows and"
        " name the file with --pca, or write float rows with --profile raw, which needs none"
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "pca.npz")
            fetching.fetch(url, path, hint, _MAX_PCA_BYTES)
            return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot keep {url} for a while: {error}") from error


def _open_here(path: str) -> BinaryIO:
    return open(path, "rb")
