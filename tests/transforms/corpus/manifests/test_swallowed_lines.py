"""A stray quote makes one row of many lines, which is told and never a clip."""

import io
from pathlib import Path

import pytest

from tests.manifests import clips_of, only_failure, read
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.manifests.segments import read_segments


def test_the_shared_table_with_a_stray_quote_has_one_invalid_row(shared: Path) -> None:
    data = (shared / "data/faults/17-stray-quotes/clips.csv").read_bytes()
    outcomes, _ = read(data)
    (failure,) = [each for each in outcomes if isinstance(each, Failure)]
    clips = [each for each in outcomes if isinstance(each, Clip)]
    assert (failure.reason, failure.line) == ("invalid_row", 5)
    for words in ("labels=", "from line 5 to line 11", "remove the quote in line 5", "JSON lines"):
        assert words in failure.message
    assert [clip.id for clip in clips] == [f"a{n}.wav" for n in (0, 1, 2, *range(10, 20))]
    assert {clip.labels for clip in clips} == {("x",)}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("column", ["uri", "id", "start_seconds", "labels", "split", "format"])
def test_any_understood_column_and_any_line_end_count(column: str, end: str) -> None:
    columns = ["note", "uri", "id", "start_seconds", "labels", "split", "format"]
    cells = {name: "" for name in columns} | {"uri": "a.wav", "id": "a", "note": '"x\ny"'}
    cells[column] = f'"1{end}2{end}3"'
    text = ",".join(columns) + "\n" + ",".join(cells.values()) + "\n"
    failure = only_failure(text)
    assert failure.reason == "invalid_row"
    assert f"{column}=" in failure.message
    assert "from line 3 to line 5" in failure.message


def test_a_row_of_several_lines_with_a_wrong_number_of_cells_says_which_lines() -> None:
    failure = only_failure('uri,labels\na.wav,"x\nb.wav,y\nc.wav,z",train,x\n')
    assert failure.reason == "invalid_row"
    assert failure.message == (
        "4 cells (expected 2, as in the header); lines 2 to 4 are one row by their quotes"
    )


def test_free_text_in_a_column_without_a_meaning_may_have_line_ends() -> None:
    first, second = clips_of('uri,note\na.wav,"one\ntwo\nthree"\nb.wav,\n')
    assert first.columns == (("note", "one\ntwo\nthree"),)
    assert second.line == 5


def test_names_with_line_ends_are_written_as_json_lines() -> None:
    (clip,) = clips_of('{"uri": "a\\nb.wav"}\n')
    assert clip.uri == "/data/a\nb.wav"


@pytest.mark.parametrize("id", ["", " ", '"\t"'])
def test_an_empty_id_is_an_invalid_row(id: str) -> None:
    failure = only_failure(f"uri,id\na.wav,{id}\n")
    assert failure.reason == "invalid_row"
    assert failure.message.startswith("id")


def test_a_segment_with_a_stray_quote_is_an_invalid_row() -> None:
    text = 'a, 0, 1, "/m/1"\nb, 0, 1, "/m/1\nc, 0, 1, /m/1"\nd, 0, 1, "/m/1"\n'
    first, failure, last = read_segments(io.BytesIO(text.encode()), "s.csv")
    assert isinstance(failure, Failure)
    assert (failure.reason, failure.line) == ("invalid_row", 2)
    assert "from line 2 to line 3" in failure.message
    assert (first.id, last.id) == ("a", "d")
