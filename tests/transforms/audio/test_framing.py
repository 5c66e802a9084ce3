"""Patches: where they start, how many there are, and that blocks leave no trace."""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.audio.framing import PatchCutter, pad_to_patch
from transforms.corpus.spans import count_patches

PATCH_SAMPLES = 15_600
HOPS = [15_360, 15_600, 16_000, 20_000]


def waveform(num_samples: int) -> np.ndarray:
    """Returns samples that are all different."""
    return np.arange(1, num_samples + 1, dtype=np.float32)


def sliced(samples: np.ndarray, patch_samples: int, hop_samples: int) -> list[list[float]]:
    """Cuts by the definition."""
    starts = range(0, len(samples) - patch_samples + 1, hop_samples)
    return [samples[start : start + patch_samples].tolist() for start in starts]


def cut_patches(
    blocks: Iterable[np.ndarray], patch_samples: int, hop_samples: int, skip: int = 0
) -> Iterator[np.ndarray]:
    """Yields what a cutter gives for each block."""
    cutter = PatchCutter(patch_samples, hop_samples, skip)
    for block in blocks:
        patches = cutter.push(block)
        if len(patches):
            yield patches


def rows_of(blocks: list[np.ndarray], patch_samples: int, hop_samples: int) -> list[list[float]]:
    """Collects the patches only when all are cut: a later block must not change earlier ones."""
    parts = list(cut_patches(blocks, patch_samples, hop_samples))
    return [patch.tolist() for part in parts for patch in part]


def test_so_many_patches_are_in_a_waveform() -> None:
    for hop_samples, num_samples, num_patches in [
        (15_360, 0, 0),
        (15_360, 1, 0),
        (15_360, 15_599, 0),
        (15_360, 15_600, 1),
        (15_360, 15_601, 1),
        (15_360, 30_959, 1),
        (15_360, 30_960, 2),
        (15_360, 30_961, 2),
        (15_360, 160_000, 10),
        (15_360, 960_000, 62),
        (15_600, 15_599, 0),
        (15_600, 31_199, 1),
        (15_600, 31_200, 2),
        (16_000, 15_600, 1),
        (16_000, 31_599, 1),
        (16_000, 31_600, 2),
        (16_000, 160_000, 10),
        (20_000, 35_599, 1),
        (20_000, 35_600, 2),
    ]:
        assert count_patches(num_samples, PATCH_SAMPLES, hop_samples) == num_patches
        assert len(rows_of([waveform(num_samples)], PATCH_SAMPLES, hop_samples)) == num_patches


@given(num_samples=st.integers(0, 10**7))
def test_the_hop_of_vggish_gives_as_many_rows_as_vggish(num_samples: int) -> None:
    assert count_patches(num_samples, PATCH_SAMPLES, 15_360) == max(
        0, (num_samples - 240) // 15_360
    )


@given(
    num_samples=st.integers(0, 200),
    patch_samples=st.integers(1, 20),
    hop_samples=st.integers(1, 50),
    data=st.data(),
)
def test_blocks_cut_anywhere_give_the_patches_of_the_whole(
    num_samples: int, patch_samples: int, hop_samples: int, data: st.DataObject
) -> None:
    samples = waveform(num_samples)
    cuts = sorted(data.draw(st.lists(st.integers(0, num_samples), max_size=30)))
    blocks = np.split(samples, cuts)
    expected = sliced(samples, patch_samples, hop_samples)
    assert rows_of(blocks, patch_samples, hop_samples) == expected
    assert count_patches(num_samples, patch_samples, hop_samples) == len(expected)


def test_blocks_near_a_hop_or_a_patch_give_the_patches_of_the_whole() -> None:
    for block_samples, hop_samples in itertools.product(
        [1_000, 15_359, 15_360, 15_600, 15_601, 20_000, 40_001], HOPS
    ):
        samples = waveform(3 * hop_samples + PATCH_SAMPLES)
        blocks = np.split(samples, range(block_samples, len(samples), block_samples))
        expected = sliced(samples, PATCH_SAMPLES, hop_samples)
        assert len(expected) == 4
        assert rows_of(blocks, PATCH_SAMPLES, hop_samples) == expected


def test_a_block_that_fills_no_patch_gives_an_empty_array() -> None:
    cutter = PatchCutter(5, 3)
    assert [cutter.push(waveform(number)).shape for number in (0, 4, 1, 2)] == [
        (0, 5),
        (0, 5),
        (1, 5),
        (0, 5),
    ]


@given(
    num_samples=st.integers(0, 200),
    hop_samples=st.integers(1, 50),
    skip=st.integers(0, 120),
    data=st.data(),
)
def test_samples_before_the_first_patch_are_skipped(
    num_samples: int, hop_samples: int, skip: int, data: st.DataObject
) -> None:
    samples = waveform(num_samples)
    cuts = sorted(data.draw(st.lists(st.integers(0, num_samples), max_size=30)))
    parts = list(cut_patches(np.split(samples, cuts), 7, hop_samples, skip))
    rows = [patch.tolist() for part in parts for patch in part]
    assert rows == sliced(samples[skip:], 7, hop_samples)


def test_patches_stay_as_they_are_when_the_block_is_filled_anew() -> None:
    buffer = np.empty(7, np.float32)

    def refilled() -> Iterator[np.ndarray]:
        for start in range(0, 70, 7):
            buffer[:] = np.arange(start, start + 7)
            yield buffer

    parts = list(cut_patches(refilled(), 10, 8))
    samples = np.arange(70, dtype=np.float32)
    assert [patch.tolist() for part in parts for patch in part] == sliced(samples, 10, 8)


def test_patches_that_share_memory_cannot_be_written_to() -> None:
    (patches,) = cut_patches([waveform(40)], 10, 5)
    with pytest.raises(ValueError, match="read-only"):
        patches[0, 0] = 1


def test_a_short_waveform_is_padded_to_one_patch() -> None:
    for num_samples in [0, 1, 15_599, 15_600]:
        samples = waveform(num_samples)
        patch = pad_to_patch(samples, PATCH_SAMPLES)
        assert patch.shape == (1, PATCH_SAMPLES)
        assert patch.dtype == np.float32
        assert patch[0, :num_samples].tolist() == samples.tolist()
        assert not patch[0, num_samples:].any()
