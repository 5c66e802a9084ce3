"""Samples of FFmpeg's audio frames."""

from typing import Any

import av
import numpy as np

# Sample formats, planar or not: NumPy's type, full scale and silence.
_FORMATS = {
    "u8": ("u1", 2.0**7, 2.0**7),
    "s16": ("i2", 2.0**15, 0.0),
    "s32": ("i4", 2.0**31, 0.0),
    "s64": ("i8", 2.0**63, 0.0),
    "flt": ("f4", 1.0, 0.0),
    "dbl": ("f8", 1.0, 0.0),
}


def float_samples(frame: av.AudioFrame) -> np.ndarray:
    """Converts a frame to float32 `[num_frames, num_channels]`.

    Not with PyAV's `to_ndarray`, which knows no 64-bit integers, and of eight or more planar
    channels reads memory that is none of the frame's.
    """
    dtype, full_scale, silence = _FORMATS[frame.format.name.removesuffix("p")]
    num_channels = frame.layout.nb_channels
    planes: Any = frame.planes  # PyAV does not declare that they are buffers
    if frame.format.is_planar:
        values = np.empty((num_channels, frame.samples), dtype)
        planes = planes[:num_channels]  # PyAV finds more than there are
        for channel, plane in zip(values, planes, strict=True):
            channel[:] = np.frombuffer(plane, dtype, frame.samples)
        values = values.T
    else:
        values = np.frombuffer(planes[0], dtype, frame.samples * num_channels)
        values = values.reshape(-1, num_channels)
    if full_scale == 1.0:
        # A copy, unless it is one: the frame's memory is used again.
        return values.astype(np.float32, copy=not frame.format.is_planar)
    # float64 represents 32-bit integers exactly.
    return ((values.astype(np.float64) - silence) / full_scale).astype(np.float32)
