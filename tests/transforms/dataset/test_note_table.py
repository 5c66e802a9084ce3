"""The table of notes: one line per note, for any names."""

import json
import os

from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.clips import AudioNote
from transforms.dataset.note_table import note_lines, note_table_name

clip_ids = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
times = st.floats(0, 1e6)
any_text = st.binary(max_size=12).map(lambda name: name.decode("utf-8", "surrogateescape"))
notes = st.lists(st.builds(AudioNote, clip_ids, any_text, times, times, any_text), max_size=6)


def test_a_line_has_the_fields_of_a_note() -> None:
    note = AudioNote("b/ü.wav", "/a/b/ü.wav", 1.5, 2.0, 'a "hole"', "train")
    assert b"".join(note_lines([note])).decode() == (
        '{"id": "b/ü.wav", "uri": "/a/b/ü.wav", "start_seconds": 1.5, "end_seconds": 2.0,'
        ' "message": "a \\"hole\\""}\n'
    )


def test_lines_are_sorted_by_id_and_time() -> None:
    given = [("b", 1.0), ("a", 10.0), ("a", 9.0), ("ä", 0.0)]
    lines = note_lines(AudioNote(id, "uri", start, 20.0, "") for id, start in given)
    found = [(line["id"], line["start_seconds"]) for line in map(json.loads, lines)]
    assert found == [("a", 9.0), ("a", 10.0), ("b", 1.0), ("ä", 0.0)]


@given(notes=notes, data=st.data())
def test_every_note_is_one_line_in_valid_utf8_and_in_an_order_of_its_own(
    notes: list[AudioNote], data: st.DataObject
) -> None:
    lines = list(note_lines(notes))
    assert b"".join(note_lines(data.draw(st.permutations(notes)))) == b"".join(lines)
    assert len(lines) == len(notes)
    for line in lines:
        assert line.decode().count("\n") == 1
        json.loads(line)


def test_bytes_that_are_not_utf8_become_printable() -> None:
    uri = os.fsdecode(b"/caf\xe9.wav")
    (line,) = note_lines([AudioNote("id", uri, 0.0, 0.0, uri)])
    assert json.loads(line)["uri"] == json.loads(line)["message"] == "/caf\\xe9.wav"


def test_the_table_is_named_after_the_dataset() -> None:
    assert note_table_name("audio") == "audio-notes.jsonl"
