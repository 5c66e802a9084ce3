"""Serialization of dataclasses for shuffles.

Beam's local runner keeps shuffled elements in memory. As Python objects they take several times
the memory of their serialized bytes.
"""

import dataclasses
import functools
import pickle
from typing import Any


class CompactPickle:
    """Base of dataclasses that are pickled as their values, without trailing default values."""

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        kind: Any = type(self)
        names, defaults = _fields(kind)
        values = [getattr(self, name) for name in names]
        while values and values[-1] == defaults[len(values) - 1]:
            values.pop()
        return kind, tuple(values)


def serialize(record: Any) -> bytes:
    """Serializes a dataclass."""
    return pickle.dumps(record, pickle.HIGHEST_PROTOCOL)


def deserialize(data: bytes) -> Any:
    """Deserializes what `serialize` returned."""
    return pickle.loads(data)


@functools.cache
def _fields(kind: type) -> tuple[list[str], list[Any]]:
    fields = dataclasses.fields(kind)
    return [field.name for field in fields], [field.default for field in fields]
