"""Labels in manifests: one separator for all rows of a manifest."""

import csv
import io

import pytest

from tests.manifests import as_json, read
from transforms.corpus.clips import Clip
from transforms.corpus.manifests.manifest import SEPARATOR_ROWS, ManifestOptions


def labelled(*cells: str) -> str:
    file = io.StringIO()
    csv.writer(file).writerows([("uri", "labels"), *(("a.wav", cell) for cell in cells)])
    return file.getvalue()


def test_one_separator_holds_for_all_rows_those_before_it_too() -> None:
    outcomes, facts = read(labelled("a, b", "c", "d;e,f;d; "))
    labels = [outcome.labels for outcome in outcomes if isinstance(outcome, Clip)]
    assert labels == [("a, b",), ("c",), ("d", "e,f")]
    assert facts.label_separator == ";"


@pytest.mark.parametrize(("num_before", "separator"), [(998, ";"), (999, ";"), (1000, ",")])
def test_the_first_thousand_rows_decide_together_what_separates_labels(
    num_before: int, separator: str
) -> None:
    cells = ["a,b", *["c"] * (num_before - 1), "d;e"]
    assert SEPARATOR_ROWS == 1000
    _, facts = read(labelled(*cells))
    assert facts.label_separator == separator


def test_after_a_thousand_rows_the_first_cell_with_a_separator_decides() -> None:
    outcomes, facts = read(labelled(*["c"] * 1500, "a|b,c", "d;e|f"))
    labels = [outcome.labels for outcome in outcomes if isinstance(outcome, Clip)]
    assert labels[-3:] == [("c",), ("a", "b,c"), ("d;e", "f")]
    assert facts.label_separator == "|"


def test_a_cell_that_is_a_known_label_separates_nothing() -> None:
    options = ManifestOptions(known_labels={"Male speech, man speaking"}.__contains__)
    cells = ["Male speech, man speaking", "Dog"] * 700
    outcomes, facts = read(labelled(*cells), options)
    assert facts.label_separator == ""
    assert outcomes[0].labels == ("Male speech, man speaking",)  # type: ignore[union-attr]
    outcomes, facts = read(labelled(*cells, "Dog,Cat", "Male speech, man speaking"), options)
    labels = [outcome.labels for outcome in outcomes if isinstance(outcome, Clip)]
    assert labels[-2:] == [("Dog", "Cat"), ("Male speech, man speaking",)]
    assert facts.label_separator == ","


def test_labels_in_json_are_lists_numbers_or_text() -> None:
    values = [["b", " a ", "b", "", "x;y", 3], 7, "c|d", "", [], None]
    outcomes, facts = read("\n".join(as_json(uri="a", labels=value) for value in values))
    labels = [outcome.labels for outcome in outcomes if isinstance(outcome, Clip)]
    assert labels == [("b", "a", "x;y", "3"), ("7",), ("c", "d"), (), (), ()]
    assert facts.label_separator == "|"
