"""What a check has found, and how it travels from a worker to the launcher."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

OK = "ok"
NOTE = "NOTE"
FAILED = "FAILED"


@dataclasses.dataclass(frozen=True)
class Finding:
    """A row of the table.

    Attributes:
      check: What was checked, in a word.
      result: `OK`, `NOTE` (worth knowing, a run will go on) or `FAILED`.
      text: What was found, equal on workers that are alike.
      hint: What to do about it; empty where there is nothing to do.
      figures: What differs from worker to worker: a text with `{}`, and the number for it.
    """

    check: str
    result: str
    text: str
    hint: str = ""
    figures: tuple[tuple[str, float], ...] = ()


Placed = tuple[str, Finding]  # the launcher or the worker that found it, and what it found


@dataclasses.dataclass(frozen=True)
class Report:
    """What one worker process has found.

    Attributes:
      host: Name of its machine.
      pid: Of the process, in its machine or container.
      versions: By name.
      free_memory: Bytes that are to be had, before the model was loaded; None if unknown.
      findings: In the order of the checks.
    """

    host: str
    pid: int
    versions: dict[str, str]
    free_memory: int | None
    findings: tuple[Finding, ...]

    @property
    def where(self) -> str:
        """Names the worker."""
        return f"{self.host}:{self.pid}"

    def to_json(self) -> bytes:
        """Returns the report as a file's text."""
        return json.dumps(dataclasses.asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Report":
        """Reads a report; raises `ValueError` for what is none."""
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


def guarded(check: str, look: Callable[[], Finding]) -> Finding:
    """Returns what a check finds; one that breaks is a finding too, and hides no other."""
    try:
        return look()
    except Exception as error:
        # TensorFlow, codecs and storages break in ways of their own on a foreign machine, and to
        # name them is what the check is for.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        text = f"{type(error).__name__}: {lines[0] if lines else 'no more is known'}"
        return Finding(check, FAILED, text)
