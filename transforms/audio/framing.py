"""Cutting a waveform at 16 kHz into the patches that the rows are computed from."""

import numpy as np

from transforms.corpus.spans import count_patches


class PatchCutter:
    """Cuts patches at every hop, across the borders of blocks.

    Patch `i` is the samples `[skip + i * hop_samples, skip + i * hop_samples + patch_samples)` of
    the waveform. What does not fill a patch at the end is dropped.
    """

    def __init__(self, patch_samples: int, hop_samples: int, skip: int = 0) -> None:
        """Starts a waveform.

        Args:
          patch_samples: Length of a patch.
          hop_samples: From one patch's start to the next one's.
          skip: Samples before the first patch.
        """
        self._patch_samples = patch_samples
        self._hop_samples = hop_samples
        self._skip = skip  # before the next patch, at the beginning or where the hop leaves a gap
        self._rest = np.empty(0, np.float32)

    def push(self, block: np.ndarray) -> np.ndarray:
        """Takes the next float32 `[num_samples]`, none or more.

        Returns:
          float32 `[num_patches, patch_samples]`, the patches that are full now: views that overlap
          in memory, read only.
        """
        if self._skip >= len(block):
            self._skip -= len(block)
            return np.empty((0, self._patch_samples), np.float32)
        samples = np.concatenate([self._rest, block[self._skip :]])
        self._skip = 0
        num_patches = count_patches(len(samples), self._patch_samples, self._hop_samples)
        used = num_patches * self._hop_samples
        self._rest = samples[used:]
        self._skip = max(0, used - len(samples))
        if not num_patches:
            return np.empty((0, self._patch_samples), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(samples, self._patch_samples)
        return windows[:: self._hop_samples][:num_patches]


def pad_to_patch(samples: np.ndarray, patch_samples: int) -> np.ndarray:
    """Returns a short waveform as one patch `[1, patch_samples]`, zeros behind it."""
    patch = np.zeros((1, patch_samples), np.float32)
    patch[0, : len(samples)] = samples
    return patch
