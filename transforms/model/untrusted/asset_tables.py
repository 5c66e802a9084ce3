"""Lookup tables that are filled from the text files of the model itself."""

import collections
import functools
from collections.abc import Mapping
from typing import Any

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_Source = tuple[str, str]  # the name of a function, and an input in it


class AssetTables:
    """Finds out which files can fill the tables of a model.

    The name of a file is followed back, through calls of functions, to what the model's objects
    bind to the functions' arguments. Anything but an asset, such as a constant, is another file.

    Args:
      meta_graph: `MetaGraphDef`.
      functions: The `FunctionDef`s by name.
    """

    def __init__(self, meta_graph: Any, functions: Mapping[str, Any]) -> None:
        self._objects = meta_graph.object_graph_def
        self._functions = functions
        # Each is followed once, as the first that is no asset refuses the model.
        self._seen: set[_Source] = set()
        self._parts: dict[str, tuple[dict[str, int], dict[str, Any]]] = {}

    def is_filled_from_assets(self, name: str, node: Any) -> bool:
        """Tells whether a node that fills a table from a file can be given assets only.

        Args:
          name: Name of the node's function; empty for the graph itself.
          node: `NodeDef`, whose second input is the name of the file.
        """
        if len(node.input) < 2:
            return False
        pending: list[_Source] = [(name, node.input[1])]
        while pending:
            source = pending.pop()
            if source in self._seen:
                continue
            self._seen.add(source)
            origins = self._origins(*source)
            if origins is None:
                return False
            pending.extend(origins)
        return True

    def _origins(self, name: str, value: str) -> list[_Source] | None:
        """Returns where a value comes from: nothing for an asset, None for what is not known."""
        if name not in self._functions:
            return None
        if name not in self._parts:
            self._parts[name] = self._find_parts(name)
        arguments, nodes = self._parts[name]
        value = value.partition(":")[0]
        if value not in arguments:
            made_by = nodes.get(value)
            if made_by is not None and made_by.op == "Identity" and made_by.input:
                return [(name, made_by.input[0])]
            return None
        index = arguments[value]
        bound = self._bound_objects(name, index, len(arguments))
        origins: list[_Source] = []
        for caller, call in self._callers[name]:
            if call is None or index >= len(call.input):
                return None
            origins.append((caller, call.input[index]))
        are_assets = all(each is not None and each.WhichOneof("kind") == "asset" for each in bound)
        return origins if are_assets and (bound or origins) else None

    def _find_parts(self, name: str) -> tuple[dict[str, int], dict[str, Any]]:
        """Returns the places of a function's arguments, and its nodes of unique names."""
        function = self._functions[name]
        arguments = {each.name: place for place, each in enumerate(function.signature.input_arg)}
        counts = collections.Counter(node.name for node in function.node_def)
        return arguments, {node.name: node for node in function.node_def if counts[node.name] == 1}

    def _bound_objects(self, name: str, index: int, num_arguments: int) -> list[Any]:
        """Returns the object that is bound to an argument of a function, None for an unknown one.

        The list is empty for a function that only other functions call.
        """
        if name not in self._objects.concrete_functions:
            return []
        bound = self._objects.concrete_functions[name].bound_inputs
        place = index - (num_arguments - len(bound))
        if not 0 <= place < len(bound) or not 0 <= bound[place] < len(self._objects.nodes):
            return [None]
        return [self._objects.nodes[bound[place]]]

    @functools.cached_property
    def _callers(self) -> dict[str, list[tuple[str, Any]]]:
        """By name of a function, the caller and the call; None for a call of another kind."""
        callers: dict[str, list[tuple[str, Any]]] = collections.defaultdict(list)
        for caller, function in self._functions.items():
            for node in function.node_def:
                if node.op in self._functions:
                    callers[node.op].append((caller, None))
                for attribute, value in node.attr.items():
                    is_call = node.op in _CALLS and attribute == "f"
                    for named in (value.func, *value.list.func):
                        callers[named.name].append((caller, node if is_call else None))
        return callers
