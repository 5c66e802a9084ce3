"""What a SavedModel could do besides computing, found in its graph before it is loaded.

A SavedModel is a program: while it is loaded and called, its operations can read and write files
and use the network with the rights of the process.
"""

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from transforms.model import onednn
from transforms.model.errors import ModelError, in_one_line
from transforms.model.untrusted.asset_tables import AssetTables
from transforms.model.untrusted.operations import (
    SAVER_OPERATIONS,
    TABLE_FROM_FILE,
    base_name,
    reason_to_refuse,
)

# protobuf reads no message of 2 GiB, and needs several times this in memory.
MAX_GRAPH_BYTES = 2**29
_MAX_SHOWN = 5
_MAX_NAME_SHOWN = 80


def check_graph(model: str, folder: Path) -> None:
    """Refuses a SavedModel with operations that reach beyond it; nothing of it is run.

    Args:
      model: Name of the model, for messages.
      folder: The SavedModel.

    Raises:
      ModelError: The graph cannot be read, or has such an operation.
    """
    meta_graph = read_graph(model, folder)
    for asset in meta_graph.asset_file_def:
        _check_asset(model, asset.filename)
    found = sorted(set(_refusals(meta_graph)))
    if found:
        shown = ", ".join(f"{each[:_MAX_NAME_SHOWN]} ({why})" for each, why in found[:_MAX_SHOWN])
        more = f" and {len(found) - _MAX_SHOWN} more" if len(found) > _MAX_SHOWN else ""
        raise ModelError(
            f"{model} does more than computing rows, by the operations {shown}{more}. It would do"
            " so with your rights; if you trust those who made it, pass --trust_model (in Python"
            " trust_model=True)"
        )


def read_graph(model: str, folder: Path) -> Any:
    """Returns the `MetaGraphDef` of a SavedModel.

    Raises:
      ModelError: It cannot be read, or is none of TensorFlow 2.
    """
    return _only_meta_graph(model, _parse(model, folder / "saved_model.pb"))


def _parse(model: str, path: Path) -> Any:
    onednn.tensorflow()  # settles its state before any part of it is imported
    from google.protobuf.message import DecodeError

    messages = importlib.import_module("tensorflow.core.protobuf.saved_model_pb2")
    try:
        if path.stat().st_size > MAX_GRAPH_BYTES:
            raise ModelError(f"{model}: its saved_model.pb has more than {MAX_GRAPH_BYTES} bytes")
        return messages.SavedModel.FromString(path.read_bytes())
    except (OSError, DecodeError, ValueError) as error:
        raise ModelError(
            f"{model} is not a SavedModel that loads: saved_model.pb cannot be read:"
            f" {in_one_line(error)}"
        ) from error


def _only_meta_graph(model: str, saved_model: Any) -> Any:
    """Returns the graph of a model of TensorFlow 2; others run more while they are loaded."""
    graphs = saved_model.meta_graphs
    if len(graphs) != 1 or not graphs[0].HasField("object_graph_def"):
        raise ModelError(
            f"{model} is not a SavedModel of TensorFlow 2, which has one graph and its objects"
            f" (found: {len(graphs)} graphs), so it cannot be called"
        )
    return graphs[0]


def _check_asset(model: str, name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "://" in name or "\0" in name:
        raise ModelError(f"{model}: its asset {name[:_MAX_NAME_SHOWN]!r} is outside its folder")


def _refusals(meta_graph: Any) -> Iterator[tuple[str, str]]:
    """Yields name and reason of each operation to refuse."""
    functions = {each.signature.name: each for each in meta_graph.graph_def.library.function}
    nodes: dict[str, Iterable[Any]] = {
        name: function.node_def for name, function in functions.items()
    }
    savers = _saver_functions(meta_graph, nodes)
    # TensorFlow may call such a function in the place of another.
    savers -= {name for name, each in functions.items() if "api_implements" in each.attr}
    tables = AssetTables(meta_graph, functions)
    for name, own in {**nodes, "": meta_graph.graph_def.node}.items():
        for node in own:
            reason = reason_to_refuse(node)
            if not reason or (name in savers and node.op in SAVER_OPERATIONS):
                continue
            is_table = base_name(node.op) == TABLE_FROM_FILE
            if is_table and tables.is_filled_from_assets(name, node):
                continue
            yield node.op, reason


def _saver_functions(meta_graph: Any, nodes: dict[str, Iterable[Any]]) -> set[str]:
    """Returns the functions that only TensorFlow's own saver calls, which loading does not."""
    saver = meta_graph.saver_def
    names = {each.partition(":")[0] for each in (saver.save_tensor_name, saver.restore_op_name)}
    top, known = meta_graph.graph_def.node, set(nodes)
    calls = {name: set(_called(own, known)) for name, own in nodes.items()}
    of_saver = _reachable(_called((node for node in top if node.name in names), known), calls)
    others = known - of_saver | set(meta_graph.object_graph_def.concrete_functions)
    others |= set(_called((node for node in top if node.name not in names), known))
    for gradient in meta_graph.graph_def.library.gradient:
        others |= {gradient.function_name, gradient.gradient_func}
    return of_saver - _reachable(others, calls)


def _reachable(roots: Iterable[str], calls: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    pending = list(roots)
    while pending:
        name = pending.pop()
        if name in calls and name not in found:
            found.add(name)
            pending.extend(calls[name])
    return found


def _called(nodes: Iterable[Any], known: set[str]) -> Iterator[str]:
    """Yields the known functions that attributes of nodes name, also as plain texts."""
    for node in nodes:
        if node.op in known:
            yield node.op
        for value in node.attr.values():
            yield from _named(value, known)


def _named(value: Any, known: set[str]) -> Iterator[str]:
    for function in (value.func, *value.list.func):
        if function.name in known:
            yield function.name
        for inner in function.attr.values():
            yield from _named(inner, known)
    for text in (value.s, *value.list.s):
        # Texts of other lengths, such as weights, are no names.
        if 0 < len(text) <= 4096 and (name := text.decode("utf-8", "replace")) in known:
            yield name
