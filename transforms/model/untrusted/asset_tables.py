"""Lookup tables that are filled from the text files of the model itself."""

from collections.abc import Iterator, Mapping
from typing import Any

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_Source = tuple[str, str]  # the name of a function, empty for the graph itself, and an input in it


def reads_assets_only(meta_graph: Any, functions: Mapping[str, Any], name: str, node: Any) -> bool:
    """Tells whether a node that fills a table from a file can be given assets only.

    The file's name is followed back, through calls of functions, to what the model's objects bind
    to the function's arguments. Anything else, such as a constant, counts as another file.

    Args:
      meta_graph: `MetaGraphDef`.
      functions: The `FunctionDef`s by name.
      name: Name of the node's function; empty for the graph itself.
      node: `NodeDef`, whose second input is the name of the file.
    """
    if len(node.input) < 2:
        return False
    seen: set[_Source] = set()
    pending: list[_Source] = [(name, node.input[1])]
    while pending:
        source = pending.pop()
        if source in seen:
            continue
        seen.add(source)
        origins = _origins(meta_graph, functions, *source)
        if origins is None:
            return False
        pending.extend(origins)
    return True


def _origins(
    meta_graph: Any, functions: Mapping[str, Any], name: str, value: str
) -> list[_Source] | None:
    """Returns where a value comes from: nothing for an asset, None for what is not known."""
    function = functions.get(name)
    if function is None:
        return None
    value = value.partition(":")[0]
    arguments = [each.name for each in function.signature.input_arg]
    if value not in arguments:
        made_by = [each for each in function.node_def if each.name == value]
        if len(made_by) == 1 and made_by[0].op == "Identity" and made_by[0].input:
            return [(name, made_by[0].input[0])]
        return None
    index = arguments.index(value)
    bound = _bound_objects(meta_graph, name, index, len(arguments))
    callers = list(_callers(functions, name, index))
    if None in callers or not (bound or callers):
        return None
    if not all(each is not None and each.WhichOneof("kind") == "asset" for each in bound):
        return None
    return [each for each in callers if each is not None]


def _bound_objects(meta_graph: Any, name: str, index: int, num_arguments: int) -> list[Any]:
    """Returns the object that is bound to an argument of a function, None for an unknown one.

    The list is empty for a function that only other functions call.
    """
    objects = meta_graph.object_graph_def
    if name not in objects.concrete_functions:
        return []
    bound = objects.concrete_functions[name].bound_inputs
    place = index - (num_arguments - len(bound))
    if not 0 <= place < len(bound) or not 0 <= bound[place] < len(objects.nodes):
        return [None]
    return [objects.nodes[bound[place]]]


def _callers(functions: Mapping[str, Any], name: str, index: int) -> Iterator[_Source | None]:
    """Yields what each call gives as an argument; None for a call of another kind."""
    for caller, function in functions.items():
        for node in function.node_def:
            if node.op == name:
                yield None
            for attribute, value in node.attr.items():
                names = [value.func.name, *(each.name for each in value.list.func)]
                if name not in names:
                    continue
                is_call = node.op in _CALLS and attribute == "f" and index < len(node.input)
                yield (caller, node.input[index]) if is_call else None
