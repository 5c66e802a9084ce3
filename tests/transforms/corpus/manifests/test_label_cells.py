"""Labels in a cell: one separator for all cells, and no label twice."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.manifests.label_cells import (
    NO_SEPARATOR,
    SEPARATORS,
    LabelReader,
    find_separator,
)

NAMES = {"Male speech, man speaking", "a;b"}


def separator_of(cells: list[str], names: set[str] = NAMES) -> str:
    found = find_separator(cells, names.__contains__)
    return found[0] if found else ""


def read(cells: list[Any], names: set[str] | None = None, separator: str | None = None) -> Any:
    reader = LabelReader(cells, names.__contains__ if names else None, separator)
    return [reader.read(cell) for cell in cells]


def test_the_first_separator_that_any_cell_has_wins() -> None:
    for cells, separator in [
        ([], ""),
        (["", "speech", "a b"], ""),
        (["a,b"], ","),
        (["a,b", "a|b"], "|"),
        (["a,b", "a|b", "a;b;c"], ";"),
        (["a,b|c;d"], ";"),
        (["Male speech, man speaking"], ""),
        ([" Male speech, man speaking "], ""),
        (["a;b", "c|d"], "|"),
        (["Male speech, man speaking", "a,b"], ","),
    ]:
        assert separator_of(cells) == separator


def test_a_comma_with_a_space_behind_it_separates_if_the_parts_are_found_elsewhere() -> None:
    for cells, separator in [
        (["Male speech, man speaking"], ""),
        (["dog barking, bow-wow", "people marching", "Male speech, man speaking"], ""),
        (["Inside, small room", "Inside, public space", "Music", "Bird song, bird call"], ""),
        (["Male speech, man speaking"] * 99 + ["a,b"], ""),
        (["dog, cat", "cat, cow", "dog"], ","),
        (["dog, cat", "dog", "cat"], ","),
        (["Dog,Cat", "Male speech, man speaking,Dog"], ","),
        (["Electric_guitar,Guitar,Music"], ","),
        (["one, two"] * 5, ""),
    ]:
        assert separator_of(cells, set()) == separator
    assert separator_of(["dog, cat"], {"dog", "cat"}) == ","
    names = {"Male speech, man speaking", "Music", "Dog"}
    assert read(["Male speech, man speaking, Music", "Dog, Music"], names) == [
        ("Male speech, man speaking", "Music"),
        ("Dog", "Music"),
    ]
    assert separator_of(["Male speech, man speaking", "Dog, big"], names) == ""


def test_a_cell_is_split_at_the_separator_unless_it_is_one_label() -> None:
    for cell, separator, labels in [
        ("", ";", ()),
        (" ", NO_SEPARATOR, ()),
        (" speech ", NO_SEPARATOR, ("speech",)),
        ("a, b", NO_SEPARATOR, ("a, b",)),
        ("b;a ; b;;", ";", ("b", "a")),
        ("a,b;c", ";", ("a,b", "c")),
        (";;", ";", ()),
        (" Male speech, man speaking ", ",", ("Male speech, man speaking",)),
        ("Male speech, man speaking, Dog", ",", ("Male speech", "man speaking", "Dog")),
        ("a&b & c", "&", ("a", "b", "c")),
        ("a -- b", " -- ", ("a", "b")),
    ]:
        assert LabelReader((), NAMES.__contains__, separator).read(cell) == labels


def test_parts_that_are_one_known_label_are_joined_if_all_are_known() -> None:
    names = {"Male speech, man speaking", "Dog"}
    assert read(["Dog,Male speech, man speaking", "Dog"], names, ",") == [
        ("Dog", "Male speech, man speaking"),
        ("Dog",),
    ]


@given(
    labels=st.lists(st.text("abc é", min_size=1).map(str.strip).filter(bool)),
    separator=st.sampled_from(SEPARATORS),
)
def test_labels_that_were_joined_are_found_again_each_once(
    labels: list[str], separator: str
) -> None:
    assert read([separator.join(labels)]) == [tuple(dict.fromkeys(labels))]


def test_printed_lists_are_lists_and_missing_values_no_labels() -> None:
    cells = ['["dog", "cat"]', "['cow', 'hen']", "Male speech, man speaking", "nan", "", "None"]
    reader = LabelReader(cells)
    assert list(map(reader.read, cells)) == [
        ("dog", "cat"),
        ("cow", "hen"),
        ("Male speech, man speaking",),
        (),
        (),
        (),
    ]
    assert reader.notes() == (
        "commas are part of labels (--label_separator , splits them)",
        "2 cells are printed lists of labels",
        "1 None, 1 nan are no label",
    )
    assert read(["None", "['None', 'a']"], {"None", "a"}) == [("None",), ("None", "a")]


def test_missing_values_are_no_label_however_programs_print_them() -> None:
    printed = ["nan", "NaN", "None", "null", "NULL", "<NA>", "NA", "N/A", "#N/A", "n/a"]
    assert read(["dog", *printed]) == [("dog",), *[()] * len(printed)]
    assert read(["NA"], {"NA"}) == [("NA",)]


def test_brackets_without_quotes_are_a_list_only_if_all_cells_have_them() -> None:
    assert read(["[dog, cat]", "[cow]", "[]"]) == [("dog", "cat"), ("cow",), ()]
    assert read(["{dog,cat}", "{cow}", "{}"]) == [("dog", "cat"), ("cow",), ()]
    with pytest.raises(ValueError, match="quotes around all"):
        read(['{dog,"cat, big"}', "{cow}"])
    assert read(["[laughter]", "speech"]) == [("[laughter]",), ("speech",)]
    assert read(["[laughter]", "[noise]"]) == [("[laughter]",), ("[noise]",)]


def test_whole_numbers_are_integers_where_all_labels_are_numbers() -> None:
    assert read(["1.0", "2", "nan", "3.0;4.0"]) == [("1",), ("2",), (), ("3", "4")]
    assert read(["2.0", "5.1"]) == [("2.0",), ("5.1",)]
    assert read(["1.0"], {"1.0"}) == [("1.0",)]


def test_values_of_json_are_labels() -> None:
    for value, labels in [
        ([1, 2], ("1", "2")),
        (Decimal("1.0"), ("1",)),
        ([Decimal("2.0"), None, " a "], ("2", "a")),
        (Decimal("NaN"), ()),
        ('["dog", "cat"]', ("dog", "cat")),
        (None, ()),
    ]:
        assert LabelReader().read(value) == labels
    refused: list[Any] = [True, [[]], {"a": 1}, [True]]
    for invalid in refused:
        with pytest.raises(ValueError, match="must be text, or a list of text and numbers"):
            LabelReader().read(invalid)


@given(cells=st.lists(st.text("[]'\",;| ab1.n", max_size=12), max_size=8))
def test_any_cells_are_labels_or_refused(cells: list[str]) -> None:
    reader = LabelReader(cells)
    for cell in cells:
        try:
            labels = reader.read(cell)
        except ValueError:
            continue
        assert all(label and label == label.strip() for label in labels)
        assert len(set(labels)) == len(labels)
    reader.notes()
