"""HubModelHandler, as RunInference uses it."""

from typing import Any

import numpy as np
import pytest
from apache_beam.ml.inference.base import RunInference

from tests.running import outputs
from tests.sounds import noise
from tests.stand_in import stand_in_rows
from transforms.model.handler import HubModelHandler

PATCHES = noise(200 * 15_600).reshape(200, 15_600)


def _check(rows: list[np.ndarray]) -> None:
    expected = np.concatenate([stand_in_rows(patch) for patch in PATCHES])
    by_shape = {each.shape: each for each in rows}
    assert sorted(by_shape) == [(0, 128), (2, 128), (128,), (197, 128)]
    np.testing.assert_array_equal(by_shape[197, 128], expected[:197])
    np.testing.assert_array_equal(by_shape[2, 128], expected[197:199])
    np.testing.assert_array_equal(by_shape[128,], expected[199])


def test_arrays_of_patches_and_single_ones_become_rows(stand_in_model: str) -> None:
    elements = [PATCHES[:197], PATCHES[197:199], PATCHES[199], PATCHES[:0]]
    (rows,) = outputs(RunInference(HubModelHandler(stand_in_model)), elements, "rows")
    _check(rows)


@pytest.mark.parametrize(
    ("element", "found"),
    [
        (PATCHES[:2].astype(np.float64), r"float64 \[2, 15600\]"),
        (PATCHES[0, :100], r"float32 \[100\]"),
        (PATCHES[np.newaxis], r"float32 \[1, 200, 15600\]"),
        ([0.0], "list"),
    ],
)
def test_what_is_no_patch_is_an_error_that_says_what_is_allowed(element: Any, found: str) -> None:
    with pytest.raises(ValueError, match=rf"an element is (a )?{found} \(allowed:"):
        HubModelHandler().run_inference([element], None)  # type: ignore[arg-type]


def test_a_batch_is_weighed_without_pickling_and_may_be_empty(stand_in_model: str) -> None:
    handler = HubModelHandler(stand_in_model)
    assert handler.run_inference([], handler.load_model()) == []
    assert handler.get_num_bytes([PATCHES, PATCHES[0]]) == 201 * 15_600 * 4
