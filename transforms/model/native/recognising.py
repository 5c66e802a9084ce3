"""Recognition of VGGish in a SavedModel's graph, without running or loading the model.

A model is VGGish if the operations on the sound are those of the release, one after the other, each
with the published constant or the variable of its layer, and nothing else depends on the sound.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transforms.corpus.spans import PATCH_SAMPLES
from transforms.model import vggish
from transforms.model.native.folding import Folding, NotVggishError, Sound, Value, Variable
from transforms.model.untrusted import graphs

# Allowed differences of constants, the last two in float32: TensorFlow 2.21 computes the window
# with an error of 2.5e-7 and the mel bands with 8.2e-6. Bands that begin at 126 Hz instead of 125
# Hz differ by 0.05.
_TOLERANCE = 1e-9
_WINDOW_TOLERANCE = 1e-6
_MEL_TOLERANCE = 5e-5
_POOLED = {"ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1], "padding": "SAME"}
_CONVOLVED = {"strides": [1, 1, 1, 1], "dilations": [1, 1, 1, 1], "padding": "SAME"}
_NHWC = {"data_format": "NHWC"}


@dataclasses.dataclass(frozen=True)
class Recognised:
    """A model that is VGGish.

    Attributes:
      layers: Names of the variables, as in `vggish.weight_shapes`, in the order in which the
        model's function takes them.
      in_float64: Whether its front end computes in float64, as the release does; otherwise in
        float32, as the hub's model does.
    """

    layers: tuple[str, ...]
    in_float64: bool


def recognise(model: str, folder: Path) -> Recognised:
    """Recognises VGGish in a SavedModel.

    Args:
      model: Name of the model, for messages.
      folder: The SavedModel.

    Raises:
      NotVggishError: It is another model, or one that cannot be told from another.
      ModelError: It is not a SavedModel.
    """
    try:
        return _recognise(graphs.read_graph(model, folder))
    except (KeyError, IndexError, StopIteration) as error:  # something is absent
        raise NotVggishError("its graph contradicts itself") from error


def _recognise(meta_graph: Any) -> Recognised:
    name, layers = _function(meta_graph.object_graph_def)
    functions = {each.signature.name: each for each in meta_graph.graph_def.library.function}
    if len(functions) != len(meta_graph.graph_def.library.function):
        raise NotVggishError("its graph has several functions of a name")
    chain = _VggishChain()
    waveform = Sound(0, np.arange(1, PATCH_SAMPLES + 1, dtype=np.float32))
    (rows, *others) = Folding(functions, chain).call(name, [waveform, *map(Variable, layers)])
    if others:
        raise NotVggishError(f"it returns {1 + len(others)} tensors")
    chain.check_result(rows)
    return Recognised(tuple(layers), chain.in_float64)


def _function(objects: Any) -> tuple[str, list[str]]:
    """Returns the name of the function that is called, and the variables that it takes."""
    nodes = objects.nodes
    called = [each.node_id for each in nodes[0].children if each.local_name == "__call__"]
    if len(called) != 1:
        raise NotVggishError("it cannot be called")
    names = list(nodes[called[0]].function.concrete_functions)
    if len(names) != 1 or names[0] not in objects.concrete_functions:
        raise NotVggishError(f"it has {len(names)} functions for other types of input")
    layers = []
    shapes = vggish.weight_shapes()
    for node_id in objects.concrete_functions[names[0]].bound_inputs:
        variable = nodes[node_id].variable
        layer = variable.name.removesuffix(":0")
        shape = tuple(each.size for each in variable.shape.dim)
        if shapes.get(layer) != shape or variable.dtype != 1:  # DT_FLOAT
            raise NotVggishError(f"its variable {layer[:80]!r} has the shape {list(shape)}")
        layers.append(layer)
    if sorted(layers) != sorted(shapes):
        raise NotVggishError(f"its function takes {len(layers)} variables instead of {len(shapes)}")
    return names[0], layers


@dataclasses.dataclass(frozen=True, eq=False)
class _Step:
    """An operation on the sound.

    Attributes:
      operations: Its possible names.
      places: Where its values come from among the results of the step before.
      result_shape: Shape of the result.
      operand: Its other input: a constant, a variable, or nothing.
      attributes: Its attributes, where they are not the defaults of `_DEFAULTS`.
      is_optional: A cast, which a front end in float32 has not.
      tolerance: Allowed difference of a constant in float32.
    """

    operations: tuple[str, ...]
    places: np.ndarray
    result_shape: tuple[int, ...]
    operand: np.ndarray | Variable | None = None
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    is_optional: bool = False
    tolerance: float = _TOLERANCE


# What TensorFlow writes for attributes that VGGish leaves alone.
_DEFAULTS: Mapping[str, Any] = {
    "transpose_a": False,
    "transpose_b": False,
    "explicit_paddings": [],
    "Truncate": False,
    "SrcT": None,  # follows from the input
}


class _VggishChain:
    """Compares the operations on the sound with those of VGGish, in their order."""

    def __init__(self) -> None:
        self._expected = _steps()
        self._place = 0
        self.in_float64 = False

    def apply(
        self, operation: str, inputs: Sequence[Value], attributes: Mapping[str, Any]
    ) -> Sound:
        """Returns the result of the next step."""
        if operation != "Cast" and self._current().is_optional:
            self._skip()
        step = self._current()
        sounds = [each for each in inputs if isinstance(each, Sound)]
        others = [each for each in inputs if not isinstance(each, Sound)]
        if operation not in step.operations:
            raise NotVggishError(f"it has {operation[:80]} where VGGish has {step.operations[0]}")
        where = f"its operation {operation}, number {self._place + 1} on the sound,"
        if len(sounds) != 1 or sounds[0].step != self._place:
            raise NotVggishError(f"{where} takes other results")
        if not isinstance(inputs[0], Sound) and operation not in ("Mul", "AddV2", "Add"):
            raise NotVggishError(f"{where} takes its inputs in another order")
        (sound,) = sounds
        if not np.array_equal(sound.places, step.places):
            raise NotVggishError(f"{where} takes its values in another arrangement")
        if not _is_operand(others, step.operand, step.tolerance):
            raise NotVggishError(f"{where} has another operand")
        for name, value in attributes.items():
            expected = step.attributes.get(name, _DEFAULTS.get(name, value is None))
            if name == "DstT":
                expected = value if value in ("float32", "float64") else None
            if name != "SrcT" and value != expected:
                raise NotVggishError(f"{where} has {name[:80]}={value!r}")
        return self._result(sound, step, attributes)

    def check_result(self, rows: Value) -> None:
        """Checks that all steps were taken, and that the last one's result is returned."""
        if self._place != len(self._expected):
            raise NotVggishError(f"it ends after {self._place} of VGGish's operations")
        expected = _places(1, vggish.EMBEDDING_SIZE)
        is_last = isinstance(rows, Sound) and rows.step == self._place
        if not (is_last and np.array_equal(rows.places, expected)):  # type: ignore[union-attr]
            raise NotVggishError("it returns something else than the last layer's values")

    def _current(self) -> _Step:
        if self._place == len(self._expected):
            raise NotVggishError("it has operations after the last layer")
        return self._expected[self._place]

    def _skip(self) -> None:
        """Leaves a cast out: the results of the step before are those of the cast."""
        self._expected = [*self._expected[: self._place], *self._expected[self._place + 1 :]]

    def _result(self, sound: Sound, step: _Step, attributes: Mapping[str, Any]) -> Sound:
        dtype = sound.places.dtype
        if step.is_optional:
            dtype = np.dtype(attributes["DstT"].as_numpy_dtype)
            self.in_float64 |= dtype == np.float64
        elif step.operations[0] == "Conv2D" and dtype != np.float32:
            raise NotVggishError("its network does not compute in float32")
        self._place += 1
        return Sound(self._place, _places(*step.result_shape).astype(dtype))


def _is_operand(
    found: Sequence[Value], expected: "np.ndarray | Variable | None", tolerance: float
) -> bool:
    if expected is None:
        return not found
    if len(found) != 1:
        return False
    if isinstance(expected, Variable):
        return found[0] == expected if isinstance(found[0], Variable) else False
    constant = found[0]
    if not isinstance(constant, np.ndarray) or constant.shape != expected.shape:
        return False
    if constant.dtype != np.float32:
        tolerance = _TOLERANCE
    return bool(np.abs(constant - expected).max() <= tolerance)


def _places(*shape: int) -> np.ndarray:
    """Returns the places of values in their order."""
    return np.arange(1, int(np.prod(shape)) + 1, dtype=np.float64).reshape(shape)


def _steps() -> list[_Step]:
    """Returns the operations of VGGish on a patch."""
    return [*_front_end(), *_convolutions(), *_dense_layers()]


def _front_end() -> Iterator[_Step]:
    frames, window = vggish.FRAMES_PER_PATCH, vggish.STFT_WINDOW_SAMPLES
    num_bins = vggish.FFT_SAMPLES // 2 + 1
    starts = vggish.STFT_HOP_SAMPLES * np.arange(frames)
    framed = 1.0 + starts[:, np.newaxis] + np.arange(window)
    padding = ((0, 0), (0, vggish.FFT_SAMPLES - window))
    spectrum, bands = (frames, num_bins), (frames, vggish.NUM_MEL_BANDS)
    yield _Step(("Cast",), _places(PATCH_SAMPLES), (PATCH_SAMPLES,), is_optional=True)
    yield _Step(("Mul",), framed, framed.shape, hann_window(), tolerance=_WINDOW_TOLERANCE)
    yield _Step(
        ("RFFT",), np.pad(_places(*framed.shape), padding), spectrum, np.array([vggish.FFT_SAMPLES])
    )
    yield _Step(("ComplexAbs",), _places(*spectrum), spectrum)
    yield _Step(("MatMul",), _places(*spectrum), bands, mel_matrix(), tolerance=_MEL_TOLERANCE)
    yield _Step(("AddV2", "Add"), _places(*bands), bands, np.array(vggish.LOG_OFFSET))
    yield _Step(("Log",), _places(*bands), bands)
    yield _Step(("Cast",), _places(*bands), bands, is_optional=True)


def _convolutions() -> Iterator[_Step]:
    height, width, channels = vggish.FRAMES_PER_PATCH, vggish.NUM_MEL_BANDS, 1
    for layer, (*_, filters) in vggish.CONV_LAYERS.items():
        before, after = (1, height, width, channels), (1, height, width, filters)
        weights, biases = Variable(f"{layer}/weights"), Variable(f"{layer}/biases")
        yield _Step(("Conv2D",), _places(*before), after, weights, _CONVOLVED | _NHWC)
        yield _Step(("BiasAdd",), _places(*after), after, biases, _NHWC)
        yield _Step(("Relu",), _places(*after), after)
        channels = filters
        if layer in vggish.POOL_AFTER:
            height, width = height // 2, width // 2
            pooled = (1, height, width, channels)
            yield _Step(("MaxPool",), _places(*after), pooled, None, _POOLED | _NHWC)


def _dense_layers() -> Iterator[_Step]:
    for layer, (size, units) in vggish.DENSE_LAYERS.items():
        after = (1, units)
        yield _Step(("MatMul",), _places(1, size), after, Variable(f"{layer}/weights"))
        operations = ("BiasAdd", "AddV2", "Add")
        yield _Step(operations, _places(*after), after, Variable(f"{layer}/biases"), _NHWC)
        if layer != list(vggish.DENSE_LAYERS)[-1]:
            yield _Step(("Relu",), _places(*after), after)


@functools.cache
def hann_window() -> np.ndarray:
    """Returns the periodic Hann window, float64 `[400]`."""
    angles = 2 * np.pi * np.arange(vggish.STFT_WINDOW_SAMPLES) / vggish.STFT_WINDOW_SAMPLES
    return 0.5 - 0.5 * np.cos(angles)


@functools.cache
def mel_matrix() -> np.ndarray:
    """Returns the mel bands of VGGish, float64 `[257, 64]`, as `mel_features.py` of the release."""

    def mel(hertz: np.ndarray) -> np.ndarray:
        return 1127.0 * np.log1p(hertz / 700.0)

    num_bins = vggish.FFT_SAMPLES // 2 + 1
    bins = mel(np.linspace(0, vggish.SAMPLE_RATE_HZ / 2, num_bins))[:, np.newaxis]
    lowest, highest = mel(np.array([vggish.MEL_MIN_HZ, vggish.MEL_MAX_HZ]))
    edges = np.linspace(lowest, highest, vggish.NUM_MEL_BANDS + 2)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    bands = np.maximum(0.0, np.minimum(rising, falling))
    bands[0] = 0.0
    return bands
