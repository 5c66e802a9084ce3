"""Labels in a cell: one separator for all cells, and no label twice."""

from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.manifests.label_cells import SEPARATORS, find_separator, split_labels

NAMES = {"Male speech, man speaking", "a;b"}


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
        assert find_separator(cells, NAMES.__contains__) == separator


def test_without_known_labels_every_cell_counts() -> None:
    assert find_separator(["Male speech, man speaking"]) == ","


def test_a_cell_is_split_at_the_separator_unless_it_is_one_label() -> None:
    for cell, separator, labels in [
        ("", ";", ()),
        (" ", "", ()),
        (" speech ", "", ("speech",)),
        ("a, b", "", ("a, b",)),
        ("b;a ; b;;", ";", ("b", "a")),
        ("a,b;c", ";", ("a,b", "c")),
        (";;", ";", ()),
        (" Male speech, man speaking ", ",", ("Male speech, man speaking",)),
        ("Male speech, man speaking, Dog", ",", ("Male speech", "man speaking", "Dog")),
    ]:
        assert split_labels(cell, separator, NAMES.__contains__) == labels


@given(
    labels=st.lists(st.text("abc é", min_size=1).filter(str.strip)),
    separator=st.sampled_from(SEPARATORS),
)
def test_labels_that_were_joined_are_found_again_each_once(
    labels: list[str], separator: str
) -> None:
    cell = separator.join(labels)
    separator = find_separator([cell])
    assert split_labels(cell, separator) == tuple(dict.fromkeys(map(str.strip, labels)))
