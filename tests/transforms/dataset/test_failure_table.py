"""The failure table: every failure on a line of its own, whatever its names are."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.clips import REASONS, STEPS, Failure
from transforms.dataset.failure_table import failure_table, failure_table_name

any_name = st.binary(max_size=12).map(lambda name: name.decode("utf-8", "surrogateescape"))
failures = st.lists(
    st.builds(
        Failure, any_name, any_name, st.sampled_from(STEPS), st.sampled_from(REASONS), any_name
    ),
    max_size=6,
)


def lines(table: bytes) -> list[dict[str, str]]:
    """Reads JSON lines as every reader does: a line ends where a line feed is."""
    *found, behind = table.split(b"\n")
    assert behind == b""
    return [json.loads(line) for line in found]


def test_a_line_has_the_fields_of_a_failure() -> None:
    failure = Failure("b/ü.wav", "/a/b/ü.wav", "decode", "empty", 'the "file" has no bytes')
    assert failure_table([failure]).decode() == (
        '{"id": "b/ü.wav", "uri": "/a/b/ü.wav", "step": "decode", "reason": "empty",'
        ' "message": "the \\"file\\" has no bytes"}\n'
    )


def test_no_failure_makes_an_empty_table() -> None:
    assert failure_table([]) == b""


@given(failures=failures, data=st.data())
def test_every_failure_is_one_line_in_valid_utf8_and_in_an_order_of_its_own(
    failures: list[Failure], data: st.DataObject
) -> None:
    table = failure_table(failures)
    table.decode()
    assert len(lines(table)) == len(failures)
    assert failure_table(iter(data.draw(st.permutations(failures)))) == table


def test_lines_are_sorted_by_id() -> None:
    ids = ["b", "a/2", "a/10", "B", "ä", "", "a"]
    table = failure_table(Failure(each, "uri", "list", "unreadable", "") for each in ids)
    assert [line["id"] for line in lines(table)] == ["", "B", "a", "a/10", "a/2", "b", "ä"]


@pytest.mark.parametrize("name", ["a\nb.wav", "a\r\nb.wav", "\n", "a\u2028b.wav", "a\x00b", "a\tb"])
def test_a_name_with_a_line_break_stays_on_its_line(name: str) -> None:
    (line,) = lines(failure_table([Failure(name, f"/{name}", "decode", "empty", name)]))
    assert (line["id"], line["uri"], line["message"]) == (name, f"/{name}", name)


def test_bytes_that_are_not_utf8_become_printable() -> None:
    uri = os.fsdecode(b"/caf\xe9.wav")
    (line,) = lines(failure_table([Failure("id", uri, "decode", "empty", f"{uri} is empty")]))
    assert line["uri"] == "/caf\\xe9.wav"
    assert line["message"] == "/caf\\xe9.wav is empty"


def test_the_table_is_named_after_the_dataset() -> None:
    assert failure_table_name("clips") == "clips-failures.jsonl"
