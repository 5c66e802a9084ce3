"""A SavedModel is a program: what it may do is checked before any of it runs."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transforms.model import loading
from transforms.model.errors import ModelError
from transforms.model.untrusted import graphs
from transforms.model.untrusted.operations import reason_to_refuse

Rows = Callable[[Any], Any]


@pytest.fixture
def save_module(tf: Any, tmp_path: Path) -> Callable[..., Path]:
    """Saves a model whose rows are the first four samples, after `effect` has run."""

    def saved(effect: Callable[[Any], None] = lambda waveform: None, **members: Any) -> Path:
        class Model(tf.Module):  # type: ignore[misc]
            @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
            def __call__(self, waveform: Any) -> Any:
                effect(waveform)
                return tf.signal.frame(waveform, 15_600, 15_360)[:, :4]

        module = Model()
        for name, value in members.items():
            setattr(module, name, value)
        folder = tmp_path / "model"
        tf.saved_model.save(module, str(folder))
        return folder

    return saved


def _check(folder: Path) -> None:
    graphs.check_graph("m", folder)


def _change(tf: Any, folder: Path, change: Callable[[Any], object]) -> None:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    path = folder / "saved_model.pb"
    saved = SavedModel.FromString(path.read_bytes())
    change(saved)
    path.write_bytes(saved.SerializeToString())


def test_the_trained_yamnet_and_the_exported_vggish_pass(shared: Path, vggish_model: str) -> None:
    _check(shared / "models/yamnet")
    _check(Path(vggish_model))


def test_a_model_that_writes_a_file_is_refused_before_it_does_unless_trusted(
    tf: Any, save_module: Callable[..., Path], tmp_path: Path
) -> None:
    written = tmp_path / "written"
    folder = save_module(lambda waveform: tf.io.write_file(str(written), "x"))
    with pytest.raises(ModelError, match=r"WriteFile \(reads or writes files\).*--trust_model"):
        loading.load(str(folder))
    assert not written.exists()
    assert loading.load(str(folder), trust_model=True).facts.embedding_size == 4
    assert written.read_text() == "x"


EFFECTS: dict[str, tuple[Callable[[Any, Any], object], str]] = {
    "ReadFile": (lambda tf, w: tf.io.read_file("/etc/hostname"), "ReadFile"),
    "MatchingFiles": (lambda tf, w: tf.io.matching_files("/etc/*"), "MatchingFiles"),
    "print to a file": (
        lambda tf, w: tf.print("x", output_stream="file:///tmp/never"),
        r"PrintV2 \(reads or writes files\)",
    ),
    "Python": (lambda tf, w: tf.numpy_function(np.sum, [w], tf.float32), "PyFunc"),
    "eager Python": (lambda tf, w: tf.py_function(lambda x: x, [w], tf.float32), "EagerPyFunc"),
    "a dataset of a file": (
        lambda tf, w: tf.data.TextLineDataset("/etc/hostname").reduce(0, lambda n, _: n + 1),
        "TextLineDataset",
    ),
    "records": (
        lambda tf, w: tf.data.TFRecordDataset("/tmp/x").reduce(0, lambda n, _: n + 1),
        "TFRecordDataset",
    ),
    "weights of others": (
        lambda tf, w: tf.raw_ops.RestoreV2(
            prefix="/tmp/x", tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32]
        ),
        "RestoreV2",
    ),
    "saving": (
        lambda tf, w: tf.raw_ops.SaveV2(
            prefix="/tmp/x", tensor_names=["a"], shape_and_slices=[""], tensors=[w]
        ),
        "SaveV2",
    ),
    "in a branch": (
        lambda tf, w: tf.cond(
            w[0] > 9.0, lambda: tf.io.read_file("/etc/hostname"), lambda: tf.constant("")
        ),
        "ReadFile",
    ),
    "in a loop": (
        lambda tf, w: tf.while_loop(
            lambda n: n < 1, lambda n: n + tf.strings.length(tf.io.read_file("/etc/hostname")), [0]
        ),
        "ReadFile",
    ),
    "a debugger": (
        lambda tf, w: tf.raw_ops.DebugIdentityV2(input=w, debug_urls=["file:///tmp/never"]),
        "DebugIdentityV2",
    ),
    "a group of machines": (
        lambda tf, w: tf.raw_ops.CollectiveReduceV2(
            input=w, group_size=1, group_key=1, instance_key=1, ordering_token=[],
            merge_op="Add", final_op="Id",
        ),
        "CollectiveReduceV2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EFFECTS)
def test_operations_beyond_computing_are_refused_wherever_they_are(
    tf: Any, save_module: Callable[..., Path], name: str
) -> None:
    effect, why = EFFECTS[name]
    folder = save_module(lambda waveform: effect(tf, waveform))
    with pytest.raises(ModelError, match=why):
        _check(folder)


def test_a_printing_model_passes(tf: Any, save_module: Callable[..., Path]) -> None:
    _check(save_module(lambda waveform: tf.print("x")))


def _table(tf: Any, path: Any) -> Any:
    return tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            path, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        -1,
    )  # fmt: skip


@pytest.fixture
def table_model(tf: Any, save_module: Callable[..., Path], tmp_path: Path) -> Path:
    """A model with a table that is filled from its own asset."""
    (tmp_path / "words.txt").write_text("a\nb\n")
    table = _table(tf, str(tmp_path / "words.txt"))
    return save_module(lambda waveform: table.lookup(tf.constant("a")), table=table)


def test_a_table_of_the_models_own_asset_passes(table_model: Path) -> None:
    _check(table_model)
    assert loading.load(str(table_model)).facts.embedding_size == 4


@pytest.mark.parametrize("name", ["/etc/passwd", "../../secret", "gs://b/x", "a\0b"])
def test_an_asset_outside_the_model_is_refused(tf: Any, table_model: Path, name: str) -> None:
    def change(saved: Any) -> None:
        saved.meta_graphs[0].asset_file_def[0].filename = name

    _change(tf, table_model, change)
    with pytest.raises(ModelError, match="is outside its folder"):
        _check(table_model)


def test_a_table_of_a_file_that_is_no_asset_is_refused(tf: Any, table_model: Path) -> None:
    def change(saved: Any) -> None:
        graph = saved.meta_graphs[0]
        for function in graph.graph_def.library.function:
            for node in function.node_def:
                if node.op == "InitializeTableFromTextFileV2":
                    constant = function.node_def.add(name="path", op="Const")
                    constant.attr["dtype"].type = tf.string.as_datatype_enum
                    constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto("/etc/passwd"))
                    node.input[1] = "path:output:0"

    _change(tf, table_model, change)
    with pytest.raises(ModelError, match="InitializeTableFromTextFileV2"):
        _check(table_model)


def test_many_functions_that_call_each_other_are_followed_in_little_time(tmp_path: Path) -> None:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel()
    graph = saved.meta_graphs.add()
    graph.object_graph_def.nodes.add()
    for number in range(3_000):
        function = graph.graph_def.library.function.add()
        function.signature.name = f"f{number}"
        function.signature.input_arg.add(name="path")
        call = function.node_def.add(name="call", op="PartitionedCall", input=["path"])
        call.attr["f"].func.name = f"f{number + 1}"
        table = function.node_def.add(name="table", op="InitializeTableFromTextFileV2")
        table.input[:] = ["handle", "path"]
    (tmp_path / "saved_model.pb").write_bytes(saved.SerializeToString())
    started = time.monotonic()
    with pytest.raises(ModelError, match="InitializeTableFromTextFileV2"):
        _check(tmp_path)
    assert time.monotonic() - started < 20


def test_a_table_whose_file_is_a_bound_constant_is_refused(tf: Any, table_model: Path) -> None:
    def change(saved: Any) -> None:
        for node in saved.meta_graphs[0].object_graph_def.nodes:
            if node.WhichOneof("kind") == "asset":
                node.constant.operation = "Const"

    _change(tf, table_model, change)
    with pytest.raises(ModelError, match="InitializeTableFromTextFileV2"):
        _check(table_model)


def test_functions_of_the_saver_are_refused_once_the_model_calls_them(
    tf: Any, vggish_model: str, tmp_path: Path
) -> None:
    def called(saved: Any) -> None:
        functions = saved.meta_graphs[0].graph_def.library.function
        restore = next(f for f in functions if "traced_restore" in f.signature.name)
        other = next(f for f in functions if "__call__" in f.signature.name)
        node = other.node_def.add(name="sly", op="StatefulPartitionedCall")
        node.attr["f"].func.name = restore.signature.name

    def swapped(saved: Any) -> None:
        for function in saved.meta_graphs[0].graph_def.library.function:
            function.attr["api_implements"].s = b"same"

    def hidden(saved: Any) -> None:
        for function in saved.meta_graphs[0].graph_def.library.function:
            if "traced_save" in function.signature.name:
                function.node_def.add(name="sly", op="WriteFile")

    for change, why in ((called, "RestoreV2"), (swapped, "RestoreV2"), (hidden, "WriteFile")):
        folder = tmp_path / change.__name__
        folder.mkdir()
        data = (Path(vggish_model) / "saved_model.pb").read_bytes()
        (folder / "saved_model.pb").write_bytes(data)
        _check(folder)
        _change(tf, folder, change)
        with pytest.raises(ModelError, match=why):
            _check(folder)


def test_a_model_of_tensorflow_1_or_of_several_graphs_is_refused(
    tf: Any, save_module: Callable[..., Path]
) -> None:
    folder = save_module()
    for change in (
        lambda saved: saved.meta_graphs[0].ClearField("object_graph_def"),
        lambda saved: saved.meta_graphs.add(),
        lambda saved: saved.ClearField("meta_graphs"),
    ):
        _change(tf, folder, change)
        with pytest.raises(ModelError, match="is not a SavedModel of TensorFlow 2"):
            _check(folder)


def test_a_deep_or_large_or_damaged_graph_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nested(data: bytes, field: int) -> bytes:
        length = len(data)
        size = b""
        while True:
            size += bytes([length & 127 | (128 if length > 127 else 0)])
            length >>= 7
            if not length:
                return bytes([field << 3 | 2]) + size + data

    deep = b""
    for _ in range(2_000):  # an attribute of a function of an attribute of a function ...
        deep = nested(nested(nested(deep, 2), 2), 10)
    graph = nested(nested(nested(nested(nested(deep, 2), 5), 1), 2), 2)
    path = tmp_path / "saved_model.pb"
    for data in (graph, b"\xff\xff\xff\xff not a graph", b"\x12\x05"):
        path.write_bytes(data)
        with pytest.raises(ModelError, match="is not a SavedModel that loads"):
            _check(tmp_path)
    monkeypatch.setattr(graphs, "MAX_GRAPH_BYTES", 1)
    with pytest.raises(ModelError, match="more than 1 bytes"):
        _check(tmp_path)


def test_a_graph_that_makes_no_sense_to_tensorflow_is_refused(
    tf: Any, save_module: Callable[..., Path]
) -> None:
    folder = save_module()

    def change(saved: Any) -> None:
        for function in saved.meta_graphs[0].graph_def.library.function:
            for node in function.node_def:
                node.input[:] = [f"no_{name}" for name in node.input]

    _change(tf, folder, change)
    with pytest.raises(ModelError, match="is not a SavedModel that loads"):
        loading.load(str(folder))


def test_a_seed_that_is_no_number_is_refused(tf: Any, save_module: Callable[..., Path]) -> None:
    folder = save_module(untrained_seed=tf.Variable("one"))
    with pytest.raises(ModelError, match="untrained_seed must be an integer"):
        loading.load(str(folder))


# Names of inputs and attributes that say where something is read or written.
_PLACES = re.compile(
    r"(^|_)(file|filename|filenames|path|logdir|dir|directory|prefix|prefixes|address|urls?"
    r"|descriptor_source|output_stream)($|_)"
)
# Operations with such a name that touch neither files nor the network.
_HARMLESS = {
    *("ExperimentalSetStatsAggregatorDataset", "SetStatsAggregatorDataset"),  # of a statistic
    *("ShardedFilename", "ShardedFilespec"),  # texts
}


def test_every_operation_that_names_a_place_is_refused_or_known_as_harmless(tf: Any) -> None:
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.core.framework.node_def_pb2 import NodeDef
    from tensorflow.python.client import pywrap_tf_session

    operations = op_def_pb2.OpList()
    operations.ParseFromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    assert len(operations.op) > 1_000
    missed = []
    for operation in operations.op:
        names = [each.name for each in (*operation.attr, *operation.input_arg)]
        node = NodeDef(op=operation.name)
        for attribute in operation.attr:
            if attribute.type == "string":
                node.attr[attribute.name].s = b"file:///tmp/x"
        names_a_place = any(map(_PLACES.search, names))
        if names_a_place and not reason_to_refuse(node) and operation.name not in _HARMLESS:
            missed.append(operation.name)
    assert missed == []


@pytest.mark.parametrize(
    "name",
    ["ReadVariableOp", "TensorArrayWriteV3", "LookupTableExportV2", "MapDataset", "DecodeWav",
     "XlaCallModule", "StatefulPartitionedCall", "PrintV2", "Print", "FixedUnigramCandidateSampler",
     "ShardedFilename", "EditDistance", "SymbolicGradient", "PrefetchDataset", "DecodeProtoV2"],
)  # fmt: skip
def test_operations_that_only_compute_pass(name: str, tf: Any) -> None:
    from tensorflow.core.framework.node_def_pb2 import NodeDef

    assert not reason_to_refuse(NodeDef(op=name))
