"""Sums of what the steps of a job report. Importing this does not import Beam."""

from collections.abc import Mapping
from typing import Any

# Kinds of totals, the first part of a key.
COUNT = "count"
TIME = "time"


class Totals(dict[tuple[Any, ...], Any]):
    """Sums by key, which do not depend on the order of adding.

    Keys are `(COUNT, split, name)` with an int, `(TIME, step)` with a `StepTime`, and others.
    """

    def add(self, key: tuple[Any, ...], value: Any) -> None:
        """Adds to the sum of a key."""
        self[key] = self[key] + value if key in self else value

    def add_all(self, others: Mapping[tuple[Any, ...], Any]) -> None:
        """Adds to the sums of several keys."""
        for key, value in others.items():
            self.add(key, value)

    def of_kind(self, kind: str) -> dict[tuple[Any, ...], Any]:
        """Returns the sums of one kind, by the rest of the key."""
        return {key[1:]: value for key, value in self.items() if key[0] == kind}
