"""From an open file to the patches of one clip: decode, mix, resample, cut."""

import dataclasses
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from transforms.audio import decoding, framing, resampling
from transforms.audio.errors import AudioError
from transforms.corpus.rows import Decoded


@dataclasses.dataclass(frozen=True)
class Cutting:
    """How a clip becomes patches.

    Attributes:
      patch_samples: Length of a patch at 16 kHz.
      hop_samples: From one patch's start to the next one's, at 16 kHz.
      max_rows: Rows after which the rest is left out, or None.
      pad_short_clips: Fill up a clip shorter than one patch; else it fails as `too_short`.
    """

    patch_samples: int
    hop_samples: int
    max_rows: int | None = None
    pad_short_clips: bool = True


class ClipPatches:
    """The patches of one recording. `decoded` holds once they were read to the end."""

    def __init__(self, file: BinaryIO, cutting: Cutting, suffix: str = "") -> None:
        self._file = file
        self._suffix = suffix
        self._cutting = cutting
        self._num_samples = 0
        self._beginning: list[np.ndarray] = []
        self.decoded: Decoded | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yields float32 `[num_rows, patch_samples]`, in order, in memory that is theirs.

        Raises:
          AudioError: The recording cannot be used; patches may have been delivered before.
        """
        cutting = self._cutting
        limit = cutting.max_rows
        num_rows = num_left_out = 0
        with decoding.open_recording(self._file, self._suffix) as recording:
            blocks = resampling.resample(recording.blocks(), recording.sample_rate_hz)
            for patches in framing.cut_patches(
                self._counted(blocks), cutting.patch_samples, cutting.hop_samples
            ):
                kept = patches if limit is None else patches[: limit - num_rows]
                num_rows += len(kept)
                num_left_out += len(patches) - len(kept)
                if len(kept):
                    yield kept
            seconds = recording.num_frames / recording.sample_rate_hz
        padded = num_rows == 0
        if padded:
            if not cutting.pad_short_clips:
                raise AudioError(
                    "too_short",
                    f"{seconds:.3f} s; a row takes {cutting.patch_samples} samples at 16 kHz"
                    f" ({cutting.patch_samples / resampling.SAMPLE_RATE_HZ} s), and --short_clips"
                    " is skip",
                )
            num_rows = 1
            yield framing.padded_patch(np.concatenate(self._beginning), cutting.patch_samples)
        self.decoded = Decoded(num_rows, self._num_samples, seconds, padded, num_left_out)

    def _counted(self, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        for block in blocks:
            if self._num_samples < self._cutting.patch_samples:
                self._beginning.append(block)
            self._num_samples += len(block)
            yield block
