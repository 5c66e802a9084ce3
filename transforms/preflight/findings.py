"""Findings of checks, and how they travel from a worker to the launcher."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

OK = "ok"
NOTE = "NOTE"
FAILED = "FAILED"


@dataclasses.dataclass(frozen=True)
class Finding:
    """The result of a check: a row of the table.

    Attributes:
      check: The name of the check.
      result: `OK`, `NOTE` (worth knowing, a run would continue) or `FAILED`.
      text: The finding, equal on workers that are alike.
      hint: What to do about it; empty where there is nothing to do.
      figures: Numbers that differ between workers, each with a text that has `{}` for it.
    """

    check: str
    result: str
    text: str
    hint: str = ""
    figures: tuple[tuple[str, float], ...] = ()


Placed = tuple[str, Finding]  # the launcher or the worker that found it, and what it found


@dataclasses.dataclass(frozen=True)
class Report:
    """The findings of one worker process.

    Attributes:
      host: The name of its machine.
      pid: The id of the process, on its machine or in its container.
      versions: Versions by name.
      free_memory: Bytes that were free before the model was loaded; None if unknown.
      findings: The findings, in the order of the checks.
    """

    host: str
    pid: int
    versions: dict[str, str]
    free_memory: int | None
    findings: tuple[Finding, ...]

    @property
    def where(self) -> str:
        """The name of the worker."""
        return f"{self.host}:{self.pid}"

    def to_json(self) -> bytes:
        """Returns the report as JSON."""
        return json.dumps(dataclasses.asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Report":
        """Returns a report from its JSON; raises `ValueError` for anything else."""
        try:
            values: dict[str, Any] = json.loads(data)
            findings = tuple(
                Finding(**each | {"figures": tuple((text, number) for text, number in figures)})
                for each in values["findings"]
                for figures in [each["figures"]]
            )
            return cls(**values | {"findings": findings})
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a worker's report: {error}") from error


def text(findings: Sequence[Finding]) -> str:
    """Returns the text that equal findings share, with the range of each figure."""
    parts = [findings[0].text]
    for position, (label, _) in enumerate(findings[0].figures):
        numbers = [each.figures[position][1] for each in findings if position < len(each.figures)]
        low, high = min(numbers), max(numbers)
        parts.append(label.format(f"{low:g}" if low == high else f"{low:g} to {high:g}"))
    return ", ".join(parts)


def guarded(check: str, run: Callable[[], Finding]) -> Finding:
    """Returns the finding of a check; an exception is a finding too, and hides no other."""
    try:
        return run()
    except Exception as error:
        # TensorFlow, codecs and storages fail in unforeseen ways on a foreign machine; a check
        # has to report them.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        text = f"{type(error).__name__}: {lines[0] if lines else 'without a message'}"
        return Finding(check, FAILED, text)
