"""The tables of the benchmarks."""

import json
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.report import Figure, Target

FACTS = {
    "date": "2030-01-01",
    "cpu": "a processor",
    "cores": 2,
    "memory_bytes": 2**34,
    "instructions": ["avx2"],
    "python": "3.11.1",
    "versions": {"numpy": "2.0"},
    "commit": "abc",
    "changed_files": 1,
}
FIGURES = (
    Figure("Shares", "WAV", "", (0.99, 0.9, 0.96), Target(0.95)),
    Figure("Shares", "MP3", "", (0.8,), Target(0.85)),
    Figure("Shares", "start", "s", (8.0, 9.0), Target(10, at_most=True)),
    Figure("Rates", "WAV", "rows/s", (1234.5, 1236.5)),
)


def test_a_table_has_medians_spreads_targets_and_verdicts() -> None:
    text = report.table(FACTS, FIGURES, ["a note"])
    assert text.splitlines()[1].endswith("commit abc with 1 changed files.")
    assert text.partition("\n\n")[2] == (
        "### Shares\n\n"
        "| | | target | |\n| --- | --- | --- | --- |\n"
        "| WAV | 0.96 (0.9 to 0.99) | ≥ 0.95 | met |\n"
        "| MP3 | 0.8 | ≥ 0.85 | **missed** |\n"
        "| start | 8.5 s (8 to 9) | ≤ 10 | met |\n\n"
        "### Rates\n\n"
        "| | |\n| --- | --- |\n"
        "| WAV | 1,236 rows/s (1,234 to 1,236) |\n\n"
        "- a note\n"
    )


def test_json_keeps_every_value() -> None:
    written = json.loads(report.to_json(FACTS, {"rounds": 3}, FIGURES, ["a note"]))
    assert written["machine"] == FACTS
    assert [each["values"] for each in written["figures"]] == [list(f.values) for f in FIGURES]
    assert [each["met"] for each in written["figures"]] == [True, False, True, None]


def test_the_page_is_changed_between_its_marks_only(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nbehind\n")
    for text in ("new\n", "newer\n"):
        report.write_between_marks(page, text)
    assert page.read_text() == f"before\n{report.BEGIN}\nnewer\n{report.END}\nbehind\n"


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("text")
    with pytest.raises(ValueError, match="has no lines"):
        report.write_between_marks(page, "new\n")
    assert page.read_text() == "text"
