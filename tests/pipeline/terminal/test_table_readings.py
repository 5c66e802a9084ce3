"""How tables are read, as it is printed before a job."""

import io
from pathlib import Path

import pytest

from pipeline.terminal import table_readings
from transforms.corpus.manifests.manifest import ManifestOptions, check_manifest
from transforms.corpus.manifests.mapping import ColumnMapping


def printed(text: str, *columns: str, uri: str = "/absent/m.csv") -> list[str]:
    options = ManifestOptions(mapping=ColumnMapping.of(columns))
    reading = check_manifest(io.BytesIO(text.encode()), uri, options)
    return list(table_readings.lines([reading]))


def test_a_table_is_told_with_its_first_row_and_paths(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    text = (
        "file;onset;offset;tags;split;channel;note\na.wav;0.5;2;x|y;train;2;\nb.wav;;;z;train;;\n"
    )
    assert printed(text, uri=f"{tmp_path}/m.csv") == [
        f"table     {tmp_path}/m.csv: csv, utf-8, cells separated by ';', labels separated by '|'",
        "  columns   uri={file}  start={onset}  end={offset}  labels={tags}  split={split}"
        "  channel={channel}",
        "  not read  note",
        "  line 2    id a.wav@2#0.5-2; from 0.5 s to 2 s; labels x, y; split train; channel 2",
        f"  path      {tmp_path}/a.wav  (exists)",
        f"  path      {tmp_path}/b.wav  (does not exist, seen from here)",
    ]


@pytest.mark.parametrize(
    ("header", "note"),
    [
        ("uri,primary_label", "NOTE: primary_label may be meant as labels, which no column is"),
        ("uri,target,x", "--columns 'labels={target}'"),
        ("uri,subset", "NOTE: subset may be meant as split"),
        ("uri,from,to", "NOTE: from, to may be meant as start"),
        ("uri,song_start,song_end", "NOTE: song_start, song_end may be meant as start"),
        ("slice_file_name,start,end,uri", "NOTE: start, end may be meant as start"),
        ("uri,min_t,max_t", "NOTE: min_t, max_t may be meant as start"),
        ("uri,onsets,offsets", "NOTE: onsets, offsets may be meant as start"),
        ("uri,Annotation", "NOTE: Annotation may be meant as labels"),
        ("uri,genre", "NOTE: genre may be meant as labels"),
    ],
)
def test_columns_that_plainly_ask_for_something_and_are_not_read_are_noted(
    header: str, note: str
) -> None:
    assert any(note in line for line in printed(header + "\n"))
    assert "  no row" in printed(header + "\n")


def test_columns_are_noted_by_their_values_where_their_names_tell_nothing() -> None:
    text = "\n".join(printed("uri,dog,label_cat,usage,n\na.wav,1,0,train,1\nb.wav,0,True,Test,2\n"))
    assert "NOTE: dog, label_cat have only 0 and 1 in the first rows" in text
    assert "NOTE: usage may be meant as split" in text
    assert "may be meant as labels" not in text
    for plain in ("uri,dog,cat\na.wav,1,0\nb.wav,0,3\n", "uri,is_new,cat\na.wav,1,x\n"):
        assert "NOTE" not in "\n".join(printed(plain))
    assert "only 0 and 1" not in "\n".join(printed("uri,label,x,y\na.wav,dog,0,1\n"))


def test_columns_that_a_layout_does_not_read_on_purpose_are_not_noted() -> None:
    text = "\n".join(
        printed(
            "slice_file_name,fsID,start,end,salience,fold,classID,class\n"
            "1-0-0-0.wav,1,0.5,0.9,1,5,3,dog_bark\n"
        )
    )
    assert "read as the layout urbansound8k" in text
    assert "may be meant as start" not in text


def test_fields_of_files_without_a_header_that_have_no_effect_are_noted() -> None:
    note = "sample_rate of --columns have no effect"
    assert note in "\n".join(printed("uri\na.wav\n", "sample_rate=8000"))
    assert note not in "\n".join(printed("uri\na.wav\n"))


def test_nothing_is_noted_that_is_read_or_asks_for_nothing() -> None:
    for header in ("uri,label,target", "uri,split,subset", "uri,start,from", "uri,start_date"):
        assert not any("NOTE" in line for line in printed(header + "\n"))


def test_a_first_row_that_is_invalid_says_why() -> None:
    assert "  line 2    invalid_time: start_seconds: 'soon' is not a number" in "\n".join(
        printed("uri,start_seconds\na.wav,soon\nb.wav,1\n")
    )


def test_hostile_names_and_cells_do_not_reach_the_terminal() -> None:
    text = "uri,\x1b[31mred\n" + "a\x1b]0;x\x07.wav,\u202e\n" + "y" * 3_000 + ",\n"
    lines = printed(text)
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) < 400
    header = ",".join(f"c{number}" for number in range(5_000))
    assert max(map(len, printed(f"uri,{header}\n"))) < 400


def test_many_tables_are_told_up_to_a_number() -> None:
    reading = check_manifest(io.BytesIO(b"uri\n"), "m.csv", ManifestOptions())
    assert list(table_readings.lines([reading] * 9))[-1] == "table     and 4 more"
