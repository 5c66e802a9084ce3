"""Figures, and the tables and JSON made of them."""

import dataclasses
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BEGIN = "<!-- results: written by python -m benchmarks -->"
END = "<!-- end of results -->"


@dataclasses.dataclass(frozen=True)
class Target:
    """A bound for a median.

    Attributes:
      bound: At least this, or at most.
      at_most: Which of the two.
    """

    bound: float
    at_most: bool = False

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {_number(self.bound)}"

    def is_met(self, value: float) -> bool:
        """Tells whether a value meets the target."""
        return value <= self.bound if self.at_most else value >= self.bound


@dataclasses.dataclass(frozen=True)
class Figure:
    """A measured quantity, one value a round.

    Attributes:
      section: Heading of the table that it stands in.
      title: What it is.
      unit: Unit of the values; empty for ratios.
      values: One for each round.
      target: If there is one.
    """

    section: str
    title: str
    unit: str
    values: tuple[float, ...]
    target: Target | None = None

    @property
    def median(self) -> float:
        """The median of the values."""
        return statistics.median(self.values)

    @property
    def verdict(self) -> str:
        """Whether the median meets the target."""
        if self.target is None:
            return ""
        return "met" if self.target.is_met(self.median) else "**missed**"


def table(facts: dict[str, Any], figures: Sequence[Figure], notes: Sequence[str]) -> str:
    """Returns Markdown: where it was measured, a table for each section, and notes.

    Args:
      facts: The result of `machine.facts`.
      figures: In the order of the tables.
      notes: What could not be measured, and why.
    """
    instructions = ", ".join(facts["instructions"]) or "unknown"
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    changed = f" with {facts['changed_files']} changed files" if facts["changed_files"] else ""
    lines = [
        f"Measured on {facts['date']}: {facts['cpu']}, {facts['cores']} cores,"
        f" {facts['memory_bytes'] / 2**30:.0f} GiB; {instructions}.",
        f"Python {facts['python']}, {versions}; commit {facts['commit'] or 'unknown'}{changed}.",
        "Medians, and in brackets the smallest and the largest value.",
    ]
    for section in dict.fromkeys(figure.section for figure in figures):
        inside = [figure for figure in figures if figure.section == section]
        with_targets = any(figure.target for figure in inside)
        lines += ["", f"### {section}", ""]
        lines.append("| | |" + (" target | |" if with_targets else ""))
        lines.append("| --- | --- |" + (" --- | --- |" if with_targets else ""))
        lines += [_line(figure, with_targets) for figure in inside]
    lines += ["", *(f"- {note}" for note in notes)] if notes else []
    return "\n".join(lines) + "\n"


def to_json(
    facts: dict[str, Any],
    settings: dict[str, Any],
    figures: Sequence[Figure],
    notes: Sequence[str],
) -> str:
    """Returns all figures with each value of each round."""
    measured = [
        {
            "section": figure.section,
            "title": figure.title,
            "unit": figure.unit,
            "median": figure.median,
            "values": figure.values,
            "target": str(figure.target) if figure.target else None,
            "met": figure.target.is_met(figure.median) if figure.target else None,
        }
        for figure in figures
    ]
    everything = {"machine": facts, "settings": settings, "notes": notes, "figures": measured}
    return json.dumps(everything, indent=1, ensure_ascii=False) + "\n"


def write_between_marks(readme: Path, text: str) -> None:
    """Replaces the text between the marks of a page.

    Raises:
      ValueError: The page has no marks.
    """
    page = readme.read_text(encoding="utf-8")
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{readme} has no lines {BEGIN} and {END}")
    readme.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")


def _line(figure: Figure, with_target: bool) -> str:
    spread = ""
    if len(figure.values) > 1:
        spread = f" ({_number(min(figure.values))} to {_number(max(figure.values))})"
    unit = f" {figure.unit}" if figure.unit else ""
    line = f"| {figure.title} | {_number(figure.median)}{unit}{spread} |"
    if with_target:
        line += f" {figure.target or ''} | {figure.verdict} |"
    return line


def _number(value: float) -> str:
    """Returns a number with three significant digits and no exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
