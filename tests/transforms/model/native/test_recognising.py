"""Recognising VGGish by its graph: what is nearly VGGish is not.

Graphs are changed in their file; no weights are needed, as nothing is loaded.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transforms.model import vggish
from transforms.model.native.folding import NotVggishError
from transforms.model.native.recognising import Recognised, hann_window, mel_matrix, recognise


class Graph:
    """The exported VGGish, to be changed.

    Attributes:
      saved_model: `SavedModel`.
      function: `FunctionDef` of the call.
    """

    def __init__(self, tf: Any, data: bytes) -> None:
        from tensorflow.core.protobuf import saved_model_pb2

        self.tf = tf
        self.saved_model = saved_model_pb2.SavedModel.FromString(data)
        self.function = next(
            each
            for each in self.saved_model.meta_graphs[0].graph_def.library.function
            if any(node.op == "Conv2D" for node in each.node_def)
        )

    def nodes(self, operation: str) -> list[Any]:
        return [node for node in self.function.node_def if node.op == operation]

    def constants(self, value: float) -> list[Any]:
        """Returns the nodes of scalar constants that are close to a value."""
        found = []
        for node in self.nodes("Const"):
            array = self.tf.make_ndarray(node.attr["value"].tensor)
            if array.shape == () and array.dtype.kind in "fi" and abs(array - value) < 1e-6:
                found.append(node)
        return found

    def set_constants(self, old: float, new: float) -> None:
        nodes = self.constants(old)
        assert nodes
        for node in nodes:
            dtype = self.tf.make_ndarray(node.attr["value"].tensor).dtype
            tensor = self.tf.make_tensor_proto(np.array(new, dtype))
            node.attr["value"].tensor.CopyFrom(tensor)

    def append(self, operation: str, name: str, *inputs: str) -> str:
        """Adds an operation on float32; returns the name of its first result."""
        node = self.function.node_def.add(op=operation, name=name, input=inputs)
        node.attr["T"].type = self.tf.float32.as_datatype_enum
        output = {"Relu": "activations", "AddV2": "z", "Mul": "z", "Identity": "output"}
        return f"{name}:{output.get(operation, 'output')}:0"

    def result(self) -> str:
        (name,) = self.function.ret.values()
        return str(name)

    def return_(self, value: str) -> None:
        (key,) = self.function.ret
        self.function.ret[key] = value


@pytest.fixture
def graph(tf: Any, vggish_model: str) -> Graph:
    return Graph(tf, (Path(vggish_model) / "saved_model.pb").read_bytes())


def _recognise(graph: Graph, folder: Path) -> Recognised:
    (folder / "saved_model.pb").write_bytes(graph.saved_model.SerializeToString())
    return recognise("the model", folder)


def test_the_export_is_recognised_with_its_variables_in_order(graph: Graph, tmp_path: Path) -> None:
    found = _recognise(graph, tmp_path)
    assert found.in_float64
    assert sorted(found.layers) == sorted(vggish.weight_shapes())


def test_a_published_like_export_is_recognised(tf: Any, tmp_path: Path) -> None:
    """Like google/vggish/1: a wrapped function of version 1, with a front end in float32."""
    tf.saved_model.save(_published_like(tf), str(tmp_path))
    assert not recognise("the model", tmp_path).in_float64


def _published_like(tf: Any) -> Any:
    zeros = {name: np.zeros(shape, np.float32) for name, shape in vggish.weight_shapes().items()}

    def define(waveform: Any) -> Any:
        def variable(name: str) -> Any:
            created = tf.Variable(zeros[name], trainable=False, name=name)
            module.all.append(created)
            return created

        spectrum = tf.abs(tf.signal.stft(waveform, 400, 160, 512))
        bands = tf.signal.linear_to_mel_weight_matrix(64, 257, 16_000, 125, 7_500)
        log_mel = tf.math.log(tf.matmul(spectrum, bands) + 0.01)
        net = tf.reshape(tf.signal.frame(log_mel, 96, 96, axis=0), [-1, 96, 64, 1])
        for layer in vggish.CONV_LAYERS:
            net = tf.nn.conv2d(net, variable(f"{layer}/weights"), 1, "SAME")
            net = tf.nn.relu(tf.nn.bias_add(net, variable(f"{layer}/biases")))
            if layer in vggish.POOL_AFTER:
                net = tf.nn.max_pool2d(net, 2, 2, "SAME")
        net = tf.reshape(net, tf.stack([tf.shape(net)[0], -1]))
        for layer in vggish.DENSE_LAYERS:
            net = tf.matmul(net, variable(f"{layer}/weights"))
            net = tf.nn.bias_add(net, variable(f"{layer}/biases"))
            net = tf.nn.relu(net) if layer != "vggish/fc2" else net
        return tf.identity(net, name="embedding")

    module = tf.Module()
    module.all = []
    signature = [tf.TensorSpec([None], tf.float32)]
    module.wrapped = tf.compat.v1.wrap_function(define, signature)

    class Called(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        @tf.function(input_signature=signature)
        def __call__(self, waveform: Any) -> Any:
            return module.wrapped(waveform)

    return Called()


def _relu_at_the_end(graph: Graph) -> None:
    graph.return_(graph.append("Relu", "last", graph.result()))


def _another_output(graph: Graph) -> None:
    graph.return_(graph.append("Identity", "last", f"{graph.nodes('Relu')[-1].name}:activations:0"))


def _sum_of_two(graph: Graph) -> None:
    """As a branch is written in arithmetic."""
    relu = graph.append("Relu", "branch", graph.result())
    graph.return_(graph.append("AddV2", "last", graph.result(), relu))


def _scaled(graph: Graph) -> None:
    name = graph.constants(0.01)[0].name  # any constant will do
    graph.return_(graph.append("Mul", "last", graph.result(), f"{name}:output:0"))


def _conditional(graph: Graph) -> None:
    graph.append("StatelessIf", "branch")


def _random(graph: Graph) -> None:
    graph.append("RandomUniform", "noise")


def _on_a_gpu(graph: Graph) -> None:
    graph.nodes("Conv2D")[0].device = "/device:GPU:0"


def _other_padding(graph: Graph) -> None:
    graph.nodes("Conv2D")[3].attr["padding"].s = b"VALID"


def _average(graph: Graph) -> None:
    graph.nodes("MaxPool")[1].op = "AvgPool"


def _other_pool(graph: Graph) -> None:
    graph.nodes("MaxPool")[1].attr["ksize"].list.i[:] = [1, 3, 3, 1]


def _transposed(graph: Graph) -> None:
    graph.nodes("MatMul")[2].attr["transpose_b"].b = True


def _no_relu(graph: Graph) -> None:
    graph.nodes("Relu")[2].op = "Identity"


def _other_activation(graph: Graph) -> None:
    graph.nodes("Relu")[7].op = "Relu6"


def _swapped_biases(graph: Graph) -> None:
    """conv4_1 and conv4_2 have biases of one shape."""
    first, second = graph.nodes("BiasAdd")[4:6]
    first.input[1], second.input[1] = second.input[1], first.input[1]


def _renamed_variable(graph: Graph) -> None:
    for node in graph.saved_model.meta_graphs[0].object_graph_def.nodes:
        if node.variable.name == "vggish/fc2/biases":
            node.variable.name = "vggish/fc3/biases"


def _other_shape(graph: Graph) -> None:
    for node in graph.saved_model.meta_graphs[0].object_graph_def.nodes:
        if node.variable.name == "vggish/fc2/biases":
            node.variable.shape.dim[0].size = 127


def _other_fft(graph: Graph) -> None:
    name = graph.nodes("RFFT")[0].input[1].partition(":")[0]
    (node,) = (each for each in graph.nodes("Const") if each.name == name)
    node.attr["value"].tensor.CopyFrom(graph.tf.make_tensor_proto(np.array([1_024], np.int32)))


def _replaceable(graph: Graph) -> None:
    graph.function.attr["api_implements"].s = b"vggish"


def _absent_input(graph: Graph) -> None:
    graph.nodes("Pack")[0].attr["N"].i += 1


def _absent_result(graph: Graph) -> None:
    graph.return_("nothing:output:0")


def _without_magnitude(graph: Graph) -> None:
    graph.nodes("ComplexAbs")[0].op = "Real"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_relu_at_the_end, "operations after the last layer"),
        (_another_output, "the last layer"),
        (_sum_of_two, "after the last layer"),
        (_scaled, "after the last layer"),
        (_conditional, "StatelessIf"),
        (_random, "RandomUniform"),
        (_on_a_gpu, "bound to a device"),
        (_replaceable, "has implementations"),
        (_other_padding, "padding='VALID'"),
        (_average, "AvgPool where VGGish has MaxPool"),
        (_other_pool, "ksize"),
        (_transposed, "transpose_b"),
        (_no_relu, "contradicts itself"),  # the result of Relu has another name
        (_absent_input, "contradicts itself"),
        (_absent_result, "contradicts itself"),
        (_other_fft, "another operand"),
        (_other_activation, "Relu6 where VGGish has Relu"),
        (_swapped_biases, "another operand"),
        (_renamed_variable, "vggish/fc3/biases"),
        (_other_shape, r"\[127\]"),
        (_without_magnitude, "Real where VGGish has ComplexAbs"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_another_operation_is_another_model(
    graph: Graph, tmp_path: Path, change: Callable[[Graph], None], why: str
) -> None:
    change(graph)
    with pytest.raises(NotVggishError, match=why):
        _recognise(graph, tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *((125.0, 126.0), (7_500.0, 7_499.0), (700.0, 700.001)),
        *((0.01, 0.0101), (160, 161), (400, 399)),
    ],
)
def test_another_constant_is_another_model(
    graph: Graph, tmp_path: Path, old: float, new: float
) -> None:
    graph.set_constants(old, new)
    with pytest.raises(NotVggishError):
        _recognise(graph, tmp_path)


def test_constants_are_those_of_tensorflow(tf: Any) -> None:
    bands = tf.signal.linear_to_mel_weight_matrix(64, 257, 16_000, 125.0, 7_500.0, tf.float64)
    np.testing.assert_allclose(mel_matrix(), bands, atol=1e-12)
    window = tf.signal.hann_window(400, periodic=True, dtype=tf.float64)
    np.testing.assert_allclose(hann_window(), window, atol=1e-12)


def test_a_model_of_another_kind_is_not_vggish(stand_in_model: str) -> None:
    with pytest.raises(NotVggishError, match="0 variables instead of 18"):
        recognise("the model", Path(stand_in_model))


@pytest.mark.parametrize("depth", [1, 50])
def test_functions_that_call_themselves_end(graph: Graph, tmp_path: Path, depth: int) -> None:
    own = graph.function.signature.name
    node = graph.function.node_def.add(op="StatefulPartitionedCall", name="again")
    node.attr["f"].func.name = own
    node.input.extend(each.name for each in graph.function.signature.input_arg)
    for number in range(depth):
        graph.function.node_def.add(op="NoOp", name=f"nothing{number}", input=["^again"])
    with pytest.raises(NotVggishError):
        _recognise(graph, tmp_path)
