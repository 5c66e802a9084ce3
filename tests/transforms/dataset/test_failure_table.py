"""The failure table: one line per failure, for any names."""

import io
import json
import os
from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.clips import REASONS, STEPS, Failure
from transforms.dataset.failure_table import failure_lines, failure_table_name
from transforms.dataset.table_files import merge_lines

any_name = st.binary(max_size=12).map(lambda name: name.decode("utf-8", "surrogateescape"))
clip_ids = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
failures = st.lists(
    st.builds(
        Failure,
        clip_ids,
        any_name,
        st.sampled_from(STEPS),
        st.sampled_from(REASONS),
        any_name,
        columns=st.sampled_from([(), (("b", "x"), ("a", "ü"))]),
        manifest=st.sampled_from(["", "/m.csv"]),
        line=st.integers(1, 3),
    ),
    max_size=6,
)


def failure_table(failures: Iterable[Failure]) -> bytes:
    return b"".join(failure_lines(failures))


def lines(table: bytes) -> list[dict[str, Any]]:
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


def test_a_line_has_the_line_of_the_manifest_and_its_other_columns() -> None:
    columns = (("speaker", "ann"), ("note", 'x "ü"'))
    failure = Failure(
        "b", "/b", "list", "invalid_time", "no", "dev", columns, manifest="/m.csv", line=7
    )
    assert failure_table([failure]).decode() == (
        '{"id": "b", "uri": "/b", "step": "list", "reason": "invalid_time", "message": "no",'
        ' "manifest": "/m.csv", "line": 7, "context": {"speaker": "ann", "note": "x \\"ü\\""}}\n'
    )


def test_a_line_of_a_manifest_without_other_columns_has_no_context() -> None:
    (line,) = lines(failure_table([Failure("b", "", "list", "empty", "", manifest="m", line=1)]))
    assert list(line)[-2:] == ["manifest", "line"]


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


def test_a_name_with_a_line_break_stays_on_its_line() -> None:
    for name in ["a\nb.wav", "a\r\nb.wav", "\n", "a\u2028b.wav", "a\x00b", "a\tb"]:
        (line,) = lines(failure_table([Failure(name, f"/{name}", "decode", "empty", name)]))
        assert (line["id"], line["uri"], line["message"]) == (name, f"/{name}", name)


def test_bytes_that_are_not_utf8_become_printable() -> None:
    uri = os.fsdecode(b"/caf\xe9.wav")
    (line,) = lines(failure_table([Failure("id", uri, "decode", "empty", f"{uri} is empty")]))
    assert line["uri"] == "/caf\\xe9.wav"
    assert line["message"] == "/caf\\xe9.wav is empty"


def test_the_table_is_named_after_the_dataset() -> None:
    assert failure_table_name("clips") == "clips-failures.jsonl"


@given(failures=failures, num_parts=st.integers(1, 4))
def test_parts_that_hold_all_failures_of_an_id_merge_to_the_table_of_all(
    failures: list[Failure], num_parts: int
) -> None:
    parts: list[list[Failure]] = [[] for _ in range(num_parts)]
    for failure in failures:
        parts[len(failure.id.encode()) % num_parts].append(failure)
    files = [io.BytesIO(failure_table(part)) for part in parts]
    assert b"".join(merge_lines(files)) == failure_table(failures)


def test_merging_reads_the_parts_line_by_line() -> None:
    class Lines(io.BytesIO):
        num_read = 0

        def __next__(self) -> bytes:
            Lines.num_read += 1
            return super().__next__()

    table = failure_table(Failure(f"{n:03}", "", "list", "empty", "") for n in range(100))
    merged = merge_lines([Lines(table), Lines(b"")])
    assert next(merged) == table.splitlines(keepends=True)[0]
    assert Lines.num_read <= 4
