"""Cutting a waveform at 16 kHz into the patches that the rows are computed from."""

from collections.abc import Iterable, Iterator

import numpy as np


def cut_patches(
    blocks: Iterable[np.ndarray], patch_samples: int, hop_samples: int
) -> Iterator[np.ndarray]:
    """Cuts patches at every hop, across the borders of the blocks.

    Patch `i` is the samples `[i * hop_samples, i * hop_samples + patch_samples)`. What does not
    fill a patch at the end is dropped.

    Args:
      blocks: float32 `[num_samples]` each; together the waveform.
      patch_samples: Length of a patch.
      hop_samples: From one patch's start to the next one's.

    Yields:
      float32 `[num_patches, patch_samples]`, views that overlap in memory: read only.
    """
    rest = np.empty(0, np.float32)
    skip = 0  # samples before the next patch, where the hop leaves a gap
    for block in blocks:
        if skip >= len(block):
            skip -= len(block)
            continue
        samples = np.concatenate([rest, block[skip:]])
        skip = 0
        num_patches = count_patches(len(samples), patch_samples, hop_samples)
        if num_patches:
            windows = np.lib.stride_tricks.sliding_window_view(samples, patch_samples)
            yield windows[::hop_samples][:num_patches]
        used = num_patches * hop_samples
        rest = samples[used:]
        skip = max(0, used - len(samples))


def count_patches(num_samples: int, patch_samples: int, hop_samples: int) -> int:
    """Returns how many patches a waveform of `num_samples` holds."""
    return max(0, (num_samples - patch_samples) // hop_samples + 1)


def padded_patch(samples: np.ndarray, patch_samples: int) -> np.ndarray:
    """Returns a short waveform as one patch `[1, patch_samples]`, zeros behind it."""
    patch = np.zeros((1, patch_samples), np.float32)
    patch[0, : len(samples)] = samples
    return patch
