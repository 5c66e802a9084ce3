"""VGGish in float64 with NumPy, and signals to try an implementation with."""

from collections.abc import Mapping

import numpy as np

SAMPLES = 15_600
KINDS = ("tone", "chirp", "noise", "silence", "clicks", "square", "bursts", "swell")


def signals(num: int, seed: int) -> np.ndarray:
    """Returns patches of eight kinds in turn, float32 `[num, 15600]`."""
    random = np.random.default_rng(seed)
    time = np.arange(SAMPLES) / 16_000
    return np.stack(
        [_signal(KINDS[i % len(KINDS)], random, time).astype(np.float32) for i in range(num)]
    )


def _signal(kind: str, random: np.random.Generator, time: np.ndarray) -> np.ndarray:
    if kind == "tone":
        return random.uniform(0.01, 1) * np.sin(2 * np.pi * random.uniform(60, 7_900) * time)
    if kind == "chirp":
        first, last = random.uniform(50, 7_900, 2)
        return 0.5 * np.sin(2 * np.pi * (first + (last - first) * time / time[-1] / 2) * time)
    if kind == "noise":
        return random.normal(0, 10 ** random.uniform(-4, -0.5), SAMPLES)
    if kind == "silence":
        return np.zeros(SAMPLES)
    if kind == "clicks":
        clicks = np.zeros(SAMPLES)
        clicks[random.integers(0, SAMPLES, 5)] = random.choice([-1.0, 1.0])
        return clicks
    if kind == "square":  # at full scale
        return np.sign(np.sin(2 * np.pi * random.uniform(40, 4_000) * time + 0.1))
    if kind == "bursts":
        tone = 0.3 * np.sin(2 * np.pi * 440 * time) * (np.sin(2 * np.pi * 3 * time) > 0)
        return np.clip(random.normal(0, 0.05, SAMPLES) + tone, -1, 1)
    return random.normal(0, 0.2, SAMPLES) * np.linspace(0, 1, SAMPLES) ** random.uniform(0.2, 5)


def exact_probes() -> np.ndarray:
    """Returns patches, float32 `[16, 15600]`, which are the same bits on every machine.

    They are made of integers: no library's sine is in them.
    """
    i = np.arange(SAMPLES, dtype=np.int64)
    noise = np.random.PCG64(7).random_raw(8 * SAMPLES).reshape(8, SAMPLES)
    integers = [
        *((noise[k] >> np.uint64(40)).astype(np.int64) - 2**23 >> 2 * k for k in range(8)),
        i * 0,
        np.where(i % 5_000 == 77, 2**23, 0),
        np.where(i % 36 < 18, 2**23, -(2**23)),
        (i * 461 % 2**16 - 2**15) * 128,
        (i * i // 7 % 2**16 - 2**15) * 64,
        (i * 12_345 % 2**16 - 2**15) * (i // 512),
        np.where(i // 1_000 % 2 == 0, (i * 3_000 % 2**16 - 2**15) * 200, 0),
        i * 0 + 2**23,
    ]
    return np.stack(integers).astype(np.float32) * np.float32(2**-23)


def log_mel(patches: np.ndarray) -> np.ndarray:
    """Returns the network's input, float64 `[num_rows, 96, 64]`."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    windows = np.lib.stride_tricks.sliding_window_view(patches.astype(np.float64), 400, axis=1)
    magnitudes = np.abs(np.fft.rfft(windows[:, ::160] * hann, 512))
    edges = np.linspace(_mel(np.array(125.0)), _mel(np.array(7_500.0)), 66)
    bins = _mel(np.arange(257) * 31.25)[:, np.newaxis]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    matrix = np.maximum(0, np.minimum(rising, falling))
    matrix[0] = 0
    return np.log(magnitudes @ matrix + 0.01)


def _mel(hz: np.ndarray) -> np.ndarray:
    return 1_127 * np.log(1 + hz / 700)


def network(log_mel: np.ndarray, variables: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns the embeddings of log-mel patches, float64 `[num_rows, 128]`."""
    values = log_mel[..., np.newaxis]
    for name, weights in variables.items():
        if not name.endswith("weights"):
            continue
        biases = variables[name.replace("weights", "biases")].astype(np.float64)
        if weights.ndim == 4:
            values = np.maximum(_convolve(values, weights.astype(np.float64)) + biases, 0)
            if not name.endswith(("conv3_1/weights", "conv4_1/weights")):
                num, height, width, channels = values.shape
                pools = values.reshape(num, height // 2, 2, width // 2, 2, channels)
                values = pools.max(axis=(2, 4))
        else:
            values = values.reshape(len(values), -1) @ weights.astype(np.float64) + biases
            if "fc2" not in name:
                values = np.maximum(values, 0)
    return values


def _convolve(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    num, height, width, channels = values.shape
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1), (0, 0)))
    products = [
        padded[:, y : y + height, x : x + width].reshape(-1, channels) @ weights[y, x]
        for y in range(3)
        for x in range(3)
    ]
    return np.sum(products, axis=0).reshape(num, height, width, -1)
