"""Postprocessing of float rows to the 8-bit rows of the AudioSet and YouTube-8M releases.

The steps and constants are those of vggish_postprocess.py of the VGGish release: PCA with
whitening, clipping to [-2, 2], 8 bits by truncation.
"""

import dataclasses

import numpy as np

from transforms.model.errors import ModelError

RELEASED_PCA_URL = "https://storage.googleapis.com/audioset/vggish_pca_params.npz"
RELEASED_PCA_SHA256 = "4d878af3e306defbfb37095365aa7e5a6cecb86bad13e859e626151c4e6a8b9d"
EMBEDDING_SIZE = 128
QUANTISE_MIN = -2.0
QUANTISE_MAX = 2.0


@dataclasses.dataclass(frozen=True)
class Pca:
    """Parameters of the released PCA with whitening.

    Attributes:
      eigen_vectors: float64 `[128, 128]`, one output dimension per row.
      means: float64 `[128]`.
      sha256: sha256 of the file.
      uri: Path or URL of the file; empty if unknown.
    """

    eigen_vectors: np.ndarray
    means: np.ndarray
    sha256: str
    uri: str = ""

    def quantise(self, rows: np.ndarray) -> np.ndarray:
        """Quantises float32 rows `[num_rows, 128]` to uint8 `[num_rows, 128]`.

        Raises:
          ModelError: The rows have another size.
        """
        if rows.shape[1] != EMBEDDING_SIZE:
            raise ModelError(
                f"the model returns rows of {rows.shape[1]} values, and the PCA of the 8-bit"
                f" profiles needs {EMBEDDING_SIZE}; --profile=raw writes rows as they are"
            )
        projected = (rows.astype(np.float64) - self.means) @ self.eigen_vectors.T
        clipped = np.clip(projected, QUANTISE_MIN, QUANTISE_MAX)
        scaled = (clipped - QUANTISE_MIN) * (255.0 / (QUANTISE_MAX - QUANTISE_MIN))
        return scaled.astype(np.uint8)  # truncates like the release, where rounding would differ
