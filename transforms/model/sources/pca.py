"""The PCA parameters of the 8-bit profiles, from a path, a storage, a URL or the cache."""

import hashlib
import tempfile
from pathlib import Path

import numpy as np

from transforms.model.errors import ModelError
from transforms.model.postprocessing import (
    EMBEDDING_SIZE,
    RELEASED_PCA_SHA256,
    RELEASED_PCA_URL,
    Pca,
)
from transforms.model.sources import caching, fetching
from transforms.model.sources.names import is_url
from transforms.model.sources.npz import NpzError, read_arrays
from transforms.storage import files

# The file is 73 KB, or 133 KB without compression; more than this is something else.
_MAX_BYTES = 2**20
_HINT = (
    f"These are the PCA parameters: download {RELEASED_PCA_URL} where the network allows and"
    " name the file with --pca, or write float rows with --profile raw, which needs none"
)


def load_pca(pca: str) -> Pca:
    """Reads the PCA parameters.

    Args:
      pca: Path or URL of `vggish_pca_params.npz`. The released file is fetched once and cached.

    Raises:
      ModelError: It cannot be read or fetched, or it is not that file.
    """
    data = _cached_release() if pca == RELEASED_PCA_URL else _read(pca)
    size = EMBEDDING_SIZE
    shapes: dict[str, list[tuple[int, ...]]] = {
        "pca_eigen_vectors": [(size, size)],
        "pca_means": [(size,), (size, 1)],
    }
    try:
        eigen_vectors, means = read_arrays(data, shapes)
    except NpzError as error:
        raise ModelError(f"{pca} is not vggish_pca_params.npz: {error}. {_HINT}") from error
    if not (np.isfinite(eigen_vectors).all() and np.isfinite(means).all()):
        raise ModelError(f"{pca} holds NaN or infinity. {_HINT}")
    return Pca(eigen_vectors, means.reshape(size), hashlib.sha256(data).hexdigest(), pca)


def _cached_release() -> bytes:
    """Returns the released file, from the cache if it is complete there."""
    path = caching.cache_directory() / "vggish_pca_params.npz"
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() == RELEASED_PCA_SHA256:
            return data
    except OSError:
        pass  # not fetched yet, or the cache cannot be read
    data = _read(RELEASED_PCA_URL)
    found = hashlib.sha256(data).hexdigest()
    if found != RELEASED_PCA_SHA256:
        raise ModelError(
            f"{RELEASED_PCA_URL} is not the released file: its sha256 is {found}, wanted"
            f" {RELEASED_PCA_SHA256}"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(str(path), [data])
    except OSError:
        pass  # a run works without the cache
    return data


def _read(pca: str) -> bytes:
    if is_url(pca):
        return _fetch(pca)
    try:
        with files.open_to_read(pca) as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        why = error.strerror or error
        raise ModelError(f"cannot read the PCA parameters {pca!r}: {why}. {_HINT}") from error
    if len(data) > _MAX_BYTES:
        raise ModelError(
            f"{pca} is not vggish_pca_params.npz: more than {_MAX_BYTES} bytes. {_HINT}"
        )
    return data


def _fetch(url: str) -> bytes:
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "pca.npz")
            fetching.fetch(url, path, _HINT, _MAX_BYTES)
            return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot store {url} for a moment: {error}") from error
