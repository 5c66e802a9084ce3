"""Labels and class maps: indices that do not depend on order, and rejected class maps."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.clips import Clip, Failure
from transforms.corpus.labels import (
    ClassMap,
    ClassMapError,
    apply_class_map,
    build_class_map,
    parse_class_map,
)

AUDIOSET = (
    b"index,mid,display_name\n"
    b'0,/m/09x0r,"Speech"\n'
    b'1,/m/05zppz,"Male speech, man speaking"\n'
    b'2,/m/02zsn,"Female ""speech"""\n'
)
MAP = parse_class_map(AUDIOSET)
labels_of_a_corpus = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
        lambda label: label == label.strip()
    )
)


def test_a_class_map_of_audioset_is_read() -> None:
    assert MAP.classes == (
        (0, "/m/09x0r", "Speech"),
        (1, "/m/05zppz", "Male speech, man speaking"),
        (2, "/m/02zsn", 'Female "speech"'),
    )


def test_the_released_class_map_is_read_and_each_class_is_known_by_both_names(
    shared: Path,
) -> None:
    path = shared / "data" / "audioset" / "class_labels_indices.csv"
    class_map = parse_class_map(path.read_bytes())
    assert [index for index, _, _ in class_map.classes] == list(range(527))
    assert class_map.indices(["/m/09x0r"]) == class_map.indices(["Speech"]) == [0]


def test_columns_may_come_in_any_order_and_one_name_is_enough() -> None:
    for data, classes in [
        (b"index,mid\n7,/m/a\n", ((7, "/m/a", "/m/a"),)),
        (b"index,display_name\n7,A b\n", ((7, "A b", "A b"),)),
        (b"index,mid,display_name\n7,/m/a,\n", ((7, "/m/a", "/m/a"),)),
        (b"index,mid,display_name\n7,,A b\n", ((7, "A b", "A b"),)),
        (b" display_name , x, index \n A b , y, 7 \n", ((7, "A b", "A b"),)),
        (b"\xef\xbb\xbfindex,mid\r\n\r\n1,b\r\n0,a\r\n", ((0, "a", "a"), (1, "b", "b"))),
        (b"index,mid\n9223372036854775807,a", ((2**63 - 1, "a", "a"),)),
        (b'index,mid\n0007,"a\nb"', ((7, "a\nb", "a\nb"),)),
        ("index,mid\n0,Übung 日本\n".encode(), ((0, "Übung 日本", "Übung 日本"),)),
    ]:
        assert parse_class_map(data).classes == classes


def test_other_data_is_rejected_with_a_short_message() -> None:
    for data, message in [
        (b"", "the first line is ''"),
        (b"\nindex,mid\n0,a\n", "the first line is ''"),
        (b"mid,display_name\n/m/a,A\n", "the first line is 'mid,display_name'"),
        (
            b"index,name\n0,A\n",
            r"'index,name' \(expected: index,mid,display_name, as in AudioSet's",
        ),
        (b"0,/m/a,A\n1,/m/b,B\n", "the first line is '0,/m/a,A'"),
        (b"x" * 100_000, "the first line is"),
        (b"index,mid\n", "no classes"),
        (b"index,mid\n\n\n", "no classes"),
        (b"index,mid\n0,a\n0,b\n", "duplicate index 0"),
        (b"index,mid\n0,a\n00,b\n", "duplicate index 0"),
        (b"index,mid\n0,a\n1,a\n", "duplicate mid 'a'"),
        (b"index,mid\n0,a\n-1,b\n", "line 3: index '-1' is not an integer"),
        (b"index,mid\n1.0,a\n", "line 2: index '1.0' is not"),
        (b"index,mid\n,a\n", "line 2: index '' is not"),
        ("index,mid\n²,a\n".encode(), "line 2: index '²' is not"),
        ("index,mid\n٣,a\n".encode(), "line 2: index '٣' is not"),
        (b"index,mid\n9223372036854775808,a\n", "line 2: index '9223372036854775808' is not"),
        (b"index,mid\n" + b"9" * 5_000 + b",a\n", "line 2: index '999"),
        (b"mid,index\n/m/a\n", "line 2: index '' is not"),
        (b"index,mid\n0, \n", "line 2: class 0 has no name"),
        (b"index,mid,display_name\n0\n", "line 2: class 0 has no name"),
        (b"index,mid\n0,\xe9\n", "not CSV in UTF-8"),
        (b'index,mid\n0,"a\n', "not CSV in UTF-8"),
        (b'index,mid\n0,"a"b\n', "not CSV in UTF-8"),
        (b"RIFF\x24\0\0\0WAVE\xff", "not CSV in UTF-8"),
        (b"index,mid\n0," + b"x" * 200_000, "not CSV in UTF-8: field larger"),
    ]:
        with pytest.raises(ClassMapError, match=message) as error:
            parse_class_map(data)
        assert len(str(error.value)) < 400


def test_a_class_that_is_there_twice_is_found_soon_in_a_large_map() -> None:
    rows = "".join(f"{index},m{index}\n" for index in range(300_000))
    started = time.monotonic()
    with pytest.raises(ClassMapError, match="duplicate mid 'm299999'"):
        parse_class_map(f"index,mid\n{rows}300000,m299999\n".encode())
    # A quadratic search would take a quarter of an hour instead of a second.
    assert time.monotonic() - started < 120


@given(data=st.binary(max_size=60), start=st.sampled_from([b"", b"index,mid\n", b"mid,index\n0"]))
def test_any_bytes_are_a_class_map_or_an_error_of_its_own(data: bytes, start: bytes) -> None:
    try:
        class_map = parse_class_map(start + data)
    except ClassMapError:
        return
    assert class_map.classes


@given(labels=labels_of_a_corpus)
def test_the_labels_of_a_corpus_are_numbered_in_their_order_each_once(labels: list[str]) -> None:
    labels = [*labels, "a"]  # integers have an order of their own
    class_map = build_class_map(labels)
    assert [index for index, _, _ in class_map.classes] == list(range(len(set(labels))))
    assert class_map.indices(reversed(labels)) == list(range(len(set(labels))))
    assert [class_map.indices([label]) for label in sorted(set(labels))] == [
        [index] for index in range(len(set(labels)))
    ]


@given(numbers=st.sets(st.integers(-(10**20), 10**20), min_size=1))
def test_integers_are_numbered_in_numeric_order(numbers: set[int]) -> None:
    class_map = build_class_map(map(str, numbers))
    assert [int(name) for _, name, _ in class_map.classes] == sorted(numbers)


def test_integers_from_0_on_keep_their_numbers() -> None:
    class_map = build_class_map(map(str, range(12)))
    assert all(class_map.indices([str(number)]) == [number] for number in range(12))
    assert [name for _, name, _ in build_class_map(["10", "9", "x"]).classes] == ["10", "9", "x"]
    assert [name for _, name, _ in build_class_map(["10", "7", "07"]).classes] == ["07", "7", "10"]


@given(labels=labels_of_a_corpus.filter(bool))
def test_a_class_map_that_was_written_reads_as_the_same(labels: list[str]) -> None:
    class_map = build_class_map(labels)
    assert parse_class_map(class_map.text()) == class_map


def test_a_class_map_is_written_as_that_of_audioset_but_for_the_quotes_it_does_not_need() -> None:
    assert MAP.text().decode() == (
        "index,mid,display_name\n"
        "0,/m/09x0r,Speech\n"
        '1,/m/05zppz,"Male speech, man speaking"\n'
        '2,/m/02zsn,"Female ""speech"""\n'
    )


def test_labels_are_known_by_id_and_by_name_and_their_indices_come_in_order() -> None:
    assert MAP.indices(['Female "speech"', "/m/09x0r", "Speech"]) == [0, 2]
    assert MAP.indices([]) == []
    for label in ("Speech", "/m/05zppz", "Male speech, man speaking"):
        assert label in MAP
    for label in ("speech", "Male speech", " Speech", "", "0"):
        assert label not in MAP
    with pytest.raises(KeyError):
        MAP.indices(["speech"])


def test_a_name_of_two_classes_names_neither_but_their_ids_do() -> None:
    class_map = ClassMap(((0, "/m/a", "Bass"), (1, "/m/b", "Bass"), (2, "/m/c", "Drum")))
    assert "Bass" not in class_map
    assert class_map.indices(["/m/b", "/m/a", "Drum"]) == [0, 1, 2]


def test_a_label_that_is_the_id_of_one_class_and_the_name_of_another_is_the_id() -> None:
    class_map = ClassMap(((0, "a", "b"), (1, "b", "a")))
    assert class_map.indices(["a"]) == [0]
    assert class_map.indices(["b"]) == [1]


CLIP = Clip(
    "id",
    "/id",
    labels=("x", "Speech", "y" * 1_000, "/m/02zsn", "z", "w"),
    split="dev",
    manifest="/m.csv",
    line=3,
)


@pytest.mark.parametrize("drop", [False, True])
def test_a_clip_with_known_labels_or_none_stays_as_it_is(drop: bool) -> None:
    for labels in ((), ("Speech",), ("/m/02zsn", "Speech")):
        clip = Clip("id", "/id", labels=labels)
        assert apply_class_map(clip, MAP, drop) is clip


def test_a_clip_with_unknown_labels_fails_and_some_of_them_are_named() -> None:
    failure = apply_class_map(CLIP, MAP, drop=False)
    assert isinstance(failure, Failure)
    assert (failure.step, failure.reason, failure.split) == ("plan", "unknown_label", "dev")
    assert (failure.manifest, failure.line) == ("/m.csv", 3)
    assert failure.message.startswith("'x', 'yyy")
    assert "'z', …: not in the class map; --unknown_labels=drop drops such" in failure.message
    assert "'w'" not in failure.message
    assert len(failure.message) < 300


def test_unknown_labels_are_dropped_and_the_others_keep_their_order() -> None:
    clip = apply_class_map(CLIP, MAP, drop=True)
    assert isinstance(clip, Clip)
    assert clip.labels == ("Speech", "/m/02zsn")
    assert (clip.id, clip.split, clip.manifest, clip.line) == ("id", "dev", "/m.csv", 3)
