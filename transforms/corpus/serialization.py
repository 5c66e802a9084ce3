"""Records as bytes, for their way through a shuffle.

Beam's runner on one machine holds what is shuffled as Python objects, which take several times the
memory of their bytes.
"""

import dataclasses
import functools
import pickle
from typing import Any


class CompactPickle:
    """A dataclass that is pickled as its values, those at the end that are defaults left out."""

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        kind: Any = type(self)
        names, defaults = _fields(kind)
        values = [getattr(self, name) for name in names]
        while values and values[-1] == defaults[len(values) - 1]:
            values.pop()
        return kind, tuple(values)


def serialize(record: Any) -> bytes:
    """Returns a record as bytes."""
    return pickle.dumps(record, pickle.HIGHEST_PROTOCOL)


def deserialize(data: bytes) -> Any:
    """Returns the record again."""
    return pickle.loads(data)


@functools.cache
def _fields(kind: type) -> tuple[list[str], list[Any]]:
    fields = dataclasses.fields(kind)
    return [field.name for field in fields], [field.default for field in fields]
