"""The table: which rows become one, and how it reads."""

import pytest

from pipeline.commands.check.table import LAUNCHER, failed, table
from transforms.preflight.findings import FAILED, NOTE, OK, Finding, Placed

CODECS = Finding("codecs", OK, "all of them")


def loaded(seconds: float) -> Finding:
    return Finding("model", OK, "128 values", figures=(("loaded in {} s", seconds),))


def test_equal_workers_are_one_row_with_the_range_of_their_figures() -> None:
    placed: list[Placed] = [(LAUNCHER, Finding("output", OK, "written"))]
    for number in range(32):
        placed += [(f"h{number % 4}:{number}", CODECS), (f"h:{number}", loaded(2 + number / 4))]
    assert table(placed, 32).splitlines() == [
        "result  check   where           finding",
        "ok      output  launcher        written",
        "ok      codecs  all 32 workers  all of them",
        "ok      model   all 32 workers  128 values, loaded in 2 to 9.75 s",
        "",
        "all checks passed",
    ]


def test_workers_that_differ_are_named_with_a_hint() -> None:
    bad = Finding("codecs", FAILED, "WMA: no decoder", "install it")
    odd = Finding("recordings", NOTE, "a.wav: empty", "it goes on")
    placed = [(f"h:{number}", bad if number < 5 else CODECS) for number in range(6)]
    placed.append(("h:5", odd))
    assert table(placed, 6).splitlines() == [
        "result  check       where                     finding",
        "FAILED  codecs      h:0, h:1, h:2 and 2 more  WMA: no decoder",
        f"{'':46}-> install it",
        "ok      codecs      h:5                       all of them",
        "NOTE    recordings  h:5                       a.wav: empty",
        f"{'':46}-> it goes on",
        "",
        "FAILED: codecs; notes: recordings",
    ]
    assert failed(placed) == ["codecs"]


def test_long_texts_are_wrapped_under_their_column_and_paths_stay_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    path = "/a-long/path/" + 60 * "x"
    text = f"no such file: {path} {' '.join(20 * ['word'])}"
    lines = table([("h:1", Finding("model", FAILED, text, "look there"))], 1).splitlines()
    column = lines[0].index("finding")
    assert any(line[column:] == path for line in lines)
    assert all(not line[:column].strip() for line in lines[2:-2])
    assert all(len(line) <= 80 or path in line for line in lines)
    assert lines[1].split()[:4] == ["FAILED", "model", "the", "worker"]
