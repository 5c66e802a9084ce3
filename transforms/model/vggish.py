"""VGGish as a TF2 SavedModel with the signature of google/vggish/1.

Architecture and constants: the VGGish release in tensorflow/models
(research/audioset/vggish, Apache-2.0) and the AudioSet paper, Hershey et al.,
"CNN Architectures for Large-Scale Audio Classification", ICASSP 2017.

TensorFlow takes seconds to import, so only the functions that need it import it.
"""

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from transforms.model import onednn
from transforms.model.errors import ModelError

SAMPLE_RATE_HZ = 16_000
# vggish_params.py of the release: 25 ms windows every 10 ms, 96 of them per patch.
STFT_WINDOW_SAMPLES = 400
STFT_HOP_SAMPLES = 160
FFT_SAMPLES = 512
NUM_MEL_BANDS = 64
MEL_MIN_HZ = 125.0
MEL_MAX_HZ = 7_500.0
LOG_OFFSET = 0.01
FRAMES_PER_PATCH = 96
EMBEDDING_SIZE = 128

# Layer names as in the released checkpoint, each with `weights` and `biases`; a pool follows
# the layers of POOL_AFTER.
CONV_LAYERS = {
    "vggish/conv1": (3, 3, 1, 64),
    "vggish/conv2": (3, 3, 64, 128),
    "vggish/conv3/conv3_1": (3, 3, 128, 256),
    "vggish/conv3/conv3_2": (3, 3, 256, 256),
    "vggish/conv4/conv4_1": (3, 3, 256, 512),
    "vggish/conv4/conv4_2": (3, 3, 512, 512),
}
POOL_AFTER = ("vggish/conv1", "vggish/conv2", "vggish/conv3/conv3_2", "vggish/conv4/conv4_2")
DENSE_LAYERS = {
    "vggish/fc1/fc1_1": (12_288, 4_096),
    "vggish/fc1/fc1_2": (4_096, 4_096),
    "vggish/fc2": (4_096, EMBEDDING_SIZE),
}


def weight_shapes() -> dict[str, tuple[int, ...]]:
    """Returns the shapes of the 18 variables of the released checkpoint, by name."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, shape in {**CONV_LAYERS, **DENSE_LAYERS}.items():
        shapes[f"{layer}/weights"] = shape
        shapes[f"{layer}/biases"] = shape[-1:]
    return shapes


def untrained_weights(seed: int) -> dict[str, np.ndarray]:
    """Returns seeded random weights, float32, for tests and trials without the released ones.

    He's uniform initialisation keeps the scale of the signal from layer to layer, so that rows of
    different audio differ as in a trained network. The same seed gives the same bits on every
    machine: random integers become floats exactly, and are rounded once, with the scale.
    """
    random = np.random.default_rng(seed)
    weights: dict[str, np.ndarray] = {}
    for name, shape in weight_shapes().items():
        if name.endswith("biases"):
            weights[name] = np.zeros(shape, np.float32)
        else:
            weights[name] = random.random(shape, np.float32)  # multiples of 2^-24
            weights[name] -= np.float32(0.5)
            weights[name] *= np.float32(2 * np.sqrt(6.0 / np.prod(shape[:-1])))
    return weights


def read_checkpoint(checkpoint: str) -> dict[str, np.ndarray]:
    """Reads the weights of a TF1 checkpoint such as the released `vggish_model.ckpt`.

    Args:
      checkpoint: Path of the checkpoint, or its prefix if it consists of several files.

    Raises:
      ModelError: The checkpoint cannot be read, or variables are missing or have other shapes.
    """
    tf = onednn.tensorflow()

    try:
        reader = tf.train.load_checkpoint(checkpoint)
        found = reader.get_variable_to_shape_map()
        problems = [
            f"{name} {'is missing' if name not in found else f'has the shape {found[name]}'}"
            f" (expected: {list(shape)})"
            for name, shape in weight_shapes().items()
            if list(found.get(name, ())) != list(shape)
        ]
        if problems:
            raise ModelError(f"{checkpoint} is not a VGGish checkpoint: {'; '.join(problems)}")
        return {name: reader.get_tensor(name) for name in weight_shapes()}
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise ModelError(f"cannot read the checkpoint {checkpoint}: {error}") from error


def log_mel_patches(waveform: Any) -> Any:
    """Returns the network's input for a waveform.

    Args:
      waveform: Tensor, float32 `[num_samples]`, mono, 16 kHz, in [-1, 1].

    Returns:
      Tensor, float32 `[num_rows, 96, 64]`: ln(mel magnitude + 0.01). Samples after the last
      complete patch are dropped.
    """
    tf = onednn.tensorflow()

    # In float64, like the release: in a band near silence, ln(0.01 + x) for small x, the rounding
    # errors of a float32 FFT are 2e-4.
    spectrum = tf.abs(
        tf.signal.stft(
            tf.cast(waveform, tf.float64),
            STFT_WINDOW_SAMPLES,
            STFT_HOP_SAMPLES,
            FFT_SAMPLES,
            window_fn=functools.partial(tf.signal.hann_window, periodic=True),
        )
    )
    mel_matrix = tf.signal.linear_to_mel_weight_matrix(
        NUM_MEL_BANDS,
        FFT_SAMPLES // 2 + 1,
        SAMPLE_RATE_HZ,
        MEL_MIN_HZ,
        MEL_MAX_HZ,
        dtype=tf.float64,
    )
    log_mel = tf.math.log(tf.matmul(spectrum, mel_matrix) + LOG_OFFSET)
    return tf.signal.frame(tf.cast(log_mel, tf.float32), FRAMES_PER_PATCH, FRAMES_PER_PATCH, axis=0)


def _network(variables: Mapping[str, Any], patches: Any) -> Any:
    """Returns the embeddings `[num_rows, 128]` of log-mel patches `[num_rows, 96, 64]`."""
    tf = onednn.tensorflow()

    # TensorFlow's convolution fails for an empty batch, which is padded with one patch here.
    num_rows = tf.shape(patches)[0]
    padding = tf.cast(tf.equal(num_rows, 0), tf.int32)
    net = tf.pad(patches, [[0, padding], [0, 0], [0, 0]])[..., tf.newaxis]
    for layer in CONV_LAYERS:
        net = tf.nn.conv2d(net, variables[f"{layer}/weights"], strides=1, padding="SAME")
        net = tf.nn.relu(tf.nn.bias_add(net, variables[f"{layer}/biases"]))
        if layer in POOL_AFTER:
            net = tf.nn.max_pool2d(net, ksize=2, strides=2, padding="SAME")
    net = tf.reshape(net, [-1, DENSE_LAYERS["vggish/fc1/fc1_1"][0]])
    last = list(DENSE_LAYERS)[-1]
    for layer in DENSE_LAYERS:
        net = tf.matmul(net, variables[f"{layer}/weights"]) + variables[f"{layer}/biases"]
        if layer != last:  # no ReLU after the embedding
            net = tf.nn.relu(net)
    return net[:num_rows]


def build(
    weights: Mapping[str, np.ndarray], untrained_seed: int | None = None
) -> Callable[[Any], Any]:
    """Builds VGGish as a `tf.Module`: waveform `[None]` float32 -> `[num_rows, 128]` float32.

    Args:
      weights: Arrays with the names and shapes of `weight_shapes`.
      untrained_seed: Seed of untrained weights. It becomes the model's variable `untrained_seed`,
        by which later users recognise an untrained model.
    """
    tf = onednn.tensorflow()

    class VGGish(tf.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__(name="vggish")
            self.weights = {
                name.replace("/", "_"): tf.Variable(value, trainable=False, name=name)
                for name, value in weights.items()
            }
            if untrained_seed is not None:
                self.untrained_seed = tf.Variable(untrained_seed, trainable=False, dtype=tf.int64)

        @tf.function(
            input_signature=[tf.TensorSpec([None], tf.float32, name="waveform")], autograph=False
        )
        def __call__(self, waveform: Any) -> Any:
            variables = {name: self.weights[name.replace("/", "_")] for name in weights}
            return _network(variables, log_mel_patches(waveform))

    return VGGish()


def export(directory: str | os.PathLike[str], model: Any) -> None:
    """Writes a model from `build` as a SavedModel folder, and creates its parent folders."""
    tf = onednn.tensorflow()

    Path(directory).parent.mkdir(parents=True, exist_ok=True)
    tf.saved_model.save(model, str(directory))
