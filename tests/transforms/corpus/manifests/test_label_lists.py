"""Lists of labels as programs print them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.manifests.label_lists import parse_list

labels = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufffd"))


@given(items=st.lists(labels))
def test_what_json_and_python_print_is_read(items: list[str]) -> None:
    for printed in (
        json.dumps(items),
        json.dumps(items, ensure_ascii=False),
        json.dumps(items, separators=(",", ":")),
    ):
        assert parse_list(printed) == items


@given(items=st.lists(st.text(st.characters(codec="ascii", exclude_characters="\0"))))
def test_what_repr_prints_is_read(items: list[str]) -> None:
    assert parse_list(repr(items)) == items
    assert parse_list(repr(tuple(items))) == items
    if items:
        assert sorted(parse_list(repr(set(items))) or ()) == sorted(set(items))


@given(items=st.lists(st.text("ab'\" \\", min_size=1), min_size=1, max_size=20))
def test_what_numpy_prints_is_read(items: list[str]) -> None:
    array = np.array(items, dtype=object)
    assert parse_list(str(array)) == items
    assert parse_list(repr(array)) == items
    assert parse_list(repr(list(np.array(items)))) == [item.rstrip("\0") for item in items]


@pytest.mark.parametrize(
    ("printed", "items"),
    [
        ('["dog", "cat"]', ["dog", "cat"]),
        ("['cow', 'hen']", ["cow", "hen"]),
        ('[\'it\\\'s\', "a \\"b\\""]', ["it's", 'a "b"']),
        ("['cow' 'hen']", ["cow", "hen"]),
        ("['cow'\n 'hen']", ["cow", "hen"]),
        ("('cow',)", ["cow"]),
        ("('cow')", ["cow"]),
        ("[]", []),
        ("()", []),
        ("set()", []),
        ("frozenset({'a'})", ["a"]),
        ("array(['a', 'b'], dtype=object)", ["a", "b"]),
        ("array(['a', 'b'], dtype='<U1')", ["a", "b"]),
        ("[np.str_('a'), np.str_('b')]", ["a", "b"]),
        ("[np.int64(3), np.float64(4.0)]", ["3", "4"]),
        ("[1, 2]", ["1", "2"]),
        ("[1. 2.5]", ["1", "2.5"]),
        ("tensor([1, 2], device='cuda:0')", ["1", "2"]),
        ("Index(['a', 'b'], dtype='object', name='x')", ["a", "b"]),
        ("pd.Index(['a'])", ["a"]),
        ('c("dog", "cat")', ["dog", "cat"]),
        ("[None]", []),
        ("['a', nan]", ["a"]),
        ('[null, "a",]', ["a"]),
        ("(1, 2)", ["1", "2"]),
        ('["\\ud83d\\ude00", "\\u00e9"]', ["😀", "é"]),
    ],
)
def test_a_printed_list_is_its_items(printed: str, items: list[str]) -> None:
    assert parse_list(printed) == items


@pytest.mark.parametrize(
    "text",
    [
        "Bird (call)",
        "c(dog)",
        "f('x') and (y)",
        "dog('s)",
        "[laughter]",
        "(unknown)",
        "(1)",
        "{noise}",
        "dog",
        "set",
        "array",
        "[dog, cat]",
        "[",
    ],
)
def test_other_text_is_no_list(text: str) -> None:
    assert parse_list(text) is None


@pytest.mark.parametrize(
    "text",
    [
        '["dog", "cat"',
        "['dog', 'cat]",
        '["dog",, "cat"]',
        "['a' ... 'z']",
        "[1 2 ... 3]",
        "[['a']]",
        "[{'a': 1}]",
        "{'a': 0.5}",
        '["a"] b',
        '["\\ud83d"]',
        "['a\\x00']",
    ],
)
def test_what_is_like_a_list_and_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must "):
        parse_list(text)


@given(text=st.text("[](){}'\"\\,;ab1. nulx:e", max_size=40))
def test_any_text_is_a_list_or_none_or_refused(text: str) -> None:
    try:
        items = parse_list(text.strip())
    except ValueError:
        return
    assert items is None or all(isinstance(item, str) for item in items)
