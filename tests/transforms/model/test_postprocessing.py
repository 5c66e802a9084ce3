"""PCA and 8 bits."""

import numpy as np

from transforms.model.postprocessing import Pca


def test_quantising_truncates_and_clips() -> None:
    pca = Pca(np.eye(128), np.zeros(128), "")
    row = np.zeros((1, 128), np.float32)
    row[0, :6] = [-2.5, -2.0, 0.0, 1.999, 2.0, 7.0]
    # (0 + 2) * 255 / 4 = 127.5 becomes 127; rounding would give 128.
    assert pca.quantise(row)[0, :6].tolist() == [0, 0, 127, 254, 255, 255]


def test_eigen_vectors_stand_in_rows_and_the_mean_is_taken_off_first() -> None:
    eigen_vectors = np.zeros((128, 128))
    eigen_vectors[0, 1] = 1.0  # output 0 is input 1
    pca = Pca(eigen_vectors, np.full(128, 0.5), "")
    row = np.zeros((1, 128), np.float32)
    row[0, 1] = 1.5
    assert pca.quantise(row)[0, :2].tolist() == [int(3.0 * 255 / 4), 127]
