"""Cutting of 16 kHz waveforms into patches."""

import numpy as np

from transforms.corpus.spans import count_patches


class PatchCutter:
    """Cuts a waveform that arrives in blocks into patches.

    Patch `i` is the samples `[skip + i * hop_samples, skip + i * hop_samples + patch_samples)` of
    the waveform. Samples after the last complete patch are dropped.
    """

    def __init__(self, patch_samples: int, hop_samples: int, skip: int = 0) -> None:
        """Starts a waveform.

        Args:
          patch_samples: Length of a patch in samples.
          hop_samples: Distance between the starts of consecutive patches, in samples.
          skip: Number of samples before the first patch.
        """
        self._patch_samples = patch_samples
        self._hop_samples = hop_samples
        self._skip = skip  # samples to drop before the next patch
        self._rest = np.empty(0, np.float32)

    def push(self, block: np.ndarray) -> np.ndarray:
        """Takes the next samples, float32 `[num_samples]`, which may be none.

        Returns:
          The patches that are complete now, float32 `[num_patches, patch_samples]`: read-only views
          that overlap in memory.
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
        (step,) = samples.strides
        # What `sliding_window_view` does, which takes three times as long.
        return np.lib.stride_tricks.as_strided(
            samples,
            (num_patches, self._patch_samples),
            (self._hop_samples * step, step),
            writeable=False,
        )


def pad_to_patch(samples: np.ndarray, patch_samples: int) -> np.ndarray:
    """Pads a short waveform with zeros to one patch `[1, patch_samples]`."""
    patch = np.zeros((1, patch_samples), np.float32)
    patch[0, : len(samples)] = samples
    return patch
