"""Evaluation of a SavedModel's function as far as its values do not depend on the sound.

With the waveform's length fixed, everything that describes shapes is a constant, and so are filter
banks. What is left are the operations on the sound itself, which `Chain` receives one by one.
"""

import dataclasses
import graphlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from transforms.model import onednn

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_SHAPES = ("Shape", "Size", "Rank")
_PASSED = ("Identity", "ReadVariableOp")
# Operations on constants: they compute shapes, the window and the mel bands.
_FOLDED = re.compile(
    r"Abs|Add(V2)?|Broadcast(Args|To)|Cast|Ceil|ConcatV2|Const|Cos|Div|Equal|Exp|ExpandDims|Fill"
    r"|Floor(Div|Mod)?|GatherV2|Greater(Equal)?|Identity|Less(Equal)?|LinSpace|Log(1p)?"
    r"|Logical(And|Not|Or)|Maximum|Minimum|Mul|Neg|NotEqual|OnesLike|Pack|Pad(V2)?|Pow|Prod|Range"
    r"|RealDiv|Reshape|SelectV2|Shape|Size|Slice|Split|SplitV|Sqrt|Square|Squeeze|StridedSlice|Sub"
    r"|Sum|Tile|Transpose|Unpack|ZerosLike"
)
# Operations that move the values of their first input, or put zeros between them.
_MOVES = re.compile(r"ExpandDims|GatherV2|Identity|Pad|Reshape|Slice|Squeeze|StridedSlice")
# Arguments that `tf.raw_ops` names otherwise than the operation does.
_RENAMED = dict.fromkeys(("dim", "split_dim", "squeeze_dims", "reduction_indices"), "axis")
_MAX_DEPTH = 8
_MAX_NODES = 5_000
# Attributes that say nothing of a result which the types of the inputs do not.
_NO_MATTER = re.compile(r"_.*|T|Tidx|Treal|Tcomplex|Tout|Tpaddings|use_cudnn_on_gpu|grad_[ab]")


class NotVggishError(Exception):
    """A model that is not VGGish as the native engine computes it; the message says why."""


@dataclasses.dataclass(frozen=True)
class Variable:
    """A variable of the model, by its name."""

    name: str


@dataclasses.dataclass(frozen=True, eq=False)
class Sound:
    """Values that depend on the sound: where each of them comes from.

    Attributes:
      step: Number of steps of the chain that led here.
      places: Of each value, its place from 1 among the results of that step in their order, or 0
        for a zero between them.
    """

    step: int
    places: np.ndarray


Value = np.ndarray | Variable | Sound


class Chain(Protocol):
    """Receives the operations on the sound."""

    def apply(
        self, operation: str, inputs: Sequence[Value], attributes: Mapping[str, Any]
    ) -> Sound:
        """Returns the result of an operation, or raises `NotVggishError`."""


class Folding:
    """Evaluates the functions of a SavedModel.

    Args:
      functions: Its `FunctionDef`s by name.
      chain: Receives the operations on the sound.
    """

    def __init__(self, functions: Mapping[str, Any], chain: Chain) -> None:
        self._functions = functions
        self._chain = chain
        self._graph = onednn.tensorflow().Graph()

    def call(self, name: str, arguments: Sequence[Value], depth: int = 0) -> list[Value]:
        """Returns the results of a function.

        Raises:
          NotVggishError: It does what VGGish does not.
        """
        if name not in self._functions or depth == _MAX_DEPTH:
            raise NotVggishError(f"it calls the function {name[:80]!r}")
        function = self._functions[name]
        if len(function.node_def) > _MAX_NODES:
            raise NotVggishError(f"its graph has {len(function.node_def)} operations")
        if "api_implements" in function.attr:  # TensorFlow may call another function in its place
            raise NotVggishError(f"its function {name[:80]!r} has implementations")
        names = [each.name for each in function.signature.input_arg]
        if len(names) != len(arguments):
            raise NotVggishError(f"its function takes {len(names)} arguments")
        values = dict(zip(names, arguments, strict=True))
        for node in _in_order(function):
            if node.device:
                raise NotVggishError(f"its operation {node.op[:80]} is bound to a device")
            inputs = [values[each] for each in node.input if not each.startswith("^")]
            results = self._results(node, inputs, depth)
            for output, result in zip(self._outputs(node, len(results)), results, strict=True):
                values[output] = result
        return [values[function.ret[each.name]] for each in function.signature.output_arg]

    def _results(self, node: Any, inputs: list[Value], depth: int) -> list[Value]:
        if node.op in _CALLS:
            return self.call(node.attr["f"].func.name, inputs, depth + 1)
        if node.op == "NoOp":
            return []
        if any(isinstance(each, Variable) for each in inputs[:1]) and node.op in _PASSED:
            return inputs
        sounds = [each for each in inputs if isinstance(each, Sound)]
        is_folded = not sounds or (node.op in _SHAPES and len(inputs) == 1)
        if not is_folded and not _MOVES.fullmatch(node.op):
            return [self._chain.apply(node.op, inputs, _attributes(node))]
        if not _FOLDED.fullmatch(node.op) or any(isinstance(each, Variable) for each in inputs):
            raise NotVggishError(f"it has the operation {node.op[:80]}")
        if len(sounds) > 1 or (sounds and inputs[0] is not sounds[0]):
            raise NotVggishError(f"its operation {node.op} has several inputs of sound")
        arrays = [each.places if isinstance(each, Sound) else each for each in inputs]
        found = self._run(node, arrays)
        return found if is_folded else [Sound(sounds[0].step, each) for each in found]

    def _run(self, node: Any, inputs: Sequence[Any]) -> list[Any]:
        """Runs an operation on constants."""
        tf = onednn.tensorflow()
        given = iter(inputs)
        arguments: dict[str, Any] = {}
        definition = self._graph.op_def_for_type(node.op)
        settled = set()  # attributes that follow from the inputs
        for each in definition.input_arg:
            settled |= {each.type_attr, each.number_attr, each.type_list_attr}
            count = node.attr[each.number_attr].i if each.number_attr else None
            arguments[each.name] = (
                next(given) if count is None else [next(given) for _ in range(count)]
            )
        for name, value in _attributes(node).items():
            if name not in settled and any(name == each.name for each in definition.attr):
                arguments[name] = value
        try:
            if node.op == "Const":
                return [tf.make_ndarray(node.attr["value"].tensor)]
            with tf.device("CPU"):
                named = {_RENAMED.get(name, name): value for name, value in arguments.items()}
                results = getattr(tf.raw_ops, node.op)(**named)
        except (tf.errors.OpError, ValueError, TypeError) as error:
            raise NotVggishError(f"its operation {node.op} fails: {error}") from error
        return [each.numpy() for each in (results if isinstance(results, list) else [results])]

    def _outputs(self, node: Any, number: int) -> list[str]:
        """Returns the keys of a node's results, in their order."""
        if node.op in _CALLS:
            return [f"{node.name}:output:{place}" for place in range(number)]
        if node.op == "NoOp":
            return []
        outputs = self._graph.op_def_for_type(node.op).output_arg
        if len(outputs) != 1:
            raise NotVggishError(f"it has the operation {node.op[:80]}")
        return [f"{node.name}:{outputs[0].name}:{place}" for place in range(number)]


def _in_order(function: Any) -> list[Any]:
    """Returns the nodes of a function, each after those whose results it takes."""
    nodes = {node.name: node for node in function.node_def}
    arguments = {each.name for each in function.signature.input_arg}
    if len(nodes) != len(function.node_def) or arguments.intersection(nodes):
        raise NotVggishError("its graph has several operations of a name")
    sources = {
        name: [each.lstrip("^").partition(":")[0] for each in node.input]
        for name, node in nodes.items()
    }
    try:
        order = list(graphlib.TopologicalSorter(sources).static_order())
    except graphlib.CycleError as error:
        raise NotVggishError("its graph has a loop") from error
    if unknown := set(order) - set(nodes) - arguments:
        raise NotVggishError(f"its graph lacks {min(unknown)[:80]!r}")
    return [nodes[name] for name in order if name in nodes]


def _attributes(node: Any) -> dict[str, Any]:
    """Returns the attributes of a node that can matter, as Python's values."""
    found = {}
    for name, value in node.attr.items():
        if _NO_MATTER.fullmatch(name):
            continue
        kind = value.WhichOneof("value")
        if kind == "list":
            found[name] = [*value.list.i, *value.list.s]
        elif kind == "type":
            found[name] = onednn.tensorflow().as_dtype(value.type)
        elif kind == "s":
            found[name] = value.s.decode("utf-8", "replace")
        else:
            found[name] = getattr(value, str(kind))
    return found
