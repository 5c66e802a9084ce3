"""Values of cells in tables from the field: times, labels, numbers that JSON lacks."""

import dataclasses
import io
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.manifests import RAW, read
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.manifest import (
    ManifestFacts,
    ManifestOptions,
    check_manifest,
)
from transforms.corpus.manifests.mapping import ColumnMapping


@pytest.fixture
def field(shared: Path) -> Path:
    return shared / "data" / "field"


def read_file(
    path: Path, options: ManifestOptions = RAW
) -> tuple[list[Clip | Failure], ManifestFacts]:
    return read(path.read_bytes(), options, str(path))


def clips_in(path: Path, options: ManifestOptions = RAW) -> list[Clip]:
    outcomes, _ = read_file(path, options)
    clips = [outcome for outcome in outcomes if isinstance(outcome, Clip)]
    assert clips == outcomes
    return clips


def times_in(path: Path) -> list[tuple[str, Decimal, Decimal | None]]:
    return [(clip.id, clip.start_seconds, clip.end_seconds) for clip in clips_in(path)]


def test_times_as_programs_print_them(field: Path) -> None:
    folder = field / "01-float-times"
    assert times_in(folder / "manifest.json") == [
        ("a.wav#0-2.972154195011", Decimal(0), Decimal("2.972154195011338")),
        ("b.wav#0-3.039999961853", Decimal(0), Decimal("3.0399999618530273")),
        ("c.wav#0.3-1.8", Decimal("0.30000000000000004"), Decimal("1.80000000000000004")),
    ]
    assert times_in(folder / "x.csv") == [
        ("p1", Decimal("0.30000000000000004"), Decimal("1.5")),
        ("p2", Decimal("1.2317687074829933"), Decimal("2.267573696145125")),
    ]


def test_times_of_the_clock_and_with_decimal_commas(field: Path) -> None:
    folder = field / "13-csv-dialects"
    assert times_in(folder / "26_hms_x.csv") == [
        ("a.wav#1.5-2", Decimal("1.5"), Decimal(2)),
        ("b.wav#90-100", Decimal(90), Decimal(100)),
    ]
    excel = folder / "23_excel_semi.csv"
    assert times_in(excel) == [("a.wav#0.5-1.5", Decimal("0.5"), Decimal("1.5"))]
    assert [clip.labels for clip in clips_in(excel)] == [("dog",)]


def test_labels_that_are_printed_lists(field: Path) -> None:
    (table,) = (field / "04-label-lists-in-csv").glob("*.csv")
    assert [clip.labels for clip in clips_in(table)] == [
        ("dog", "cat"),
        ("cow", "hen"),
        ("Male speech, man speaking",),
        (),
    ]
    _, facts = read_file(table)
    assert facts.label_separator == ""
    assert facts.notes == (
        "commas are part of labels (--label_separator , splits them)",
        "2 cells are printed lists of labels",
        "1 nan are no label",
    )


def test_labels_with_a_comma_inside(field: Path) -> None:
    (table,) = (field / "05-comma-in-label").glob("*.csv")
    whole = [("dog barking, bow-wow",), ("people marching",), ("Male speech, man speaking",)]
    assert [clip.labels for clip in clips_in(table)] == whole
    none, comma = (ManifestOptions(label_separator=text) for text in ("none", ","))
    assert [clip.labels for clip in clips_in(table, none)] == whole
    assert clips_in(table, comma)[0].labels == ("dog barking", "bow-wow")
    assert "commas are part of labels" in read_file(table)[1].notes[0]


def test_numbers_that_json_lacks(field: Path) -> None:
    (table,) = (field / "11-json-nan").glob("*.jsonl")
    outcomes, _ = read_file(table)
    first, endless, third, fourth, fifth = outcomes
    assert isinstance(first, Clip)
    assert (first.labels, first.columns) == (("x",), ())
    assert isinstance(endless, Failure)
    assert endless.reason == "invalid_time"
    assert "'Infinity' is not a number of seconds" in endless.message
    labels = [each.labels for each in (third, fourth, fifth) if isinstance(each, Clip)]
    assert labels == [("dog", "cat"), ("1", "2"), ("1",)]


def test_thousands_and_decimal_commas_in_a_table_with_commas() -> None:
    outcomes, _ = read('uri,start_seconds\na.wav,"0,5"\na.wav,"1,500"\n')
    assert isinstance(outcomes[0], Clip)
    assert outcomes[0].start_seconds == Decimal("0.5")
    assert isinstance(outcomes[1], Failure)
    assert "a comma there may separate thousands" in outcomes[1].message
    outcomes, _ = read('uri;start_seconds\na.wav;"1,500"\n')
    assert isinstance(outcomes[0], Clip)
    assert outcomes[0].start_seconds == Decimal("1.5")


def test_a_missing_split_is_none_and_blanks_do_not_count() -> None:
    cells = ["train", "Train ", "nan", "None", "1", "1.0", "dev clean", "test/clean"]
    outcomes, _ = read("uri,split\n" + "".join(f"a.wav,{cell}\n" for cell in cells))
    splits = [outcome.split for outcome in outcomes if isinstance(outcome, Clip)]
    assert splits == ["train", "Train", "", "", "1", "1"]
    messages = [outcome.message for outcome in outcomes if isinstance(outcome, Failure)]
    assert [message.partition(":")[0] for message in messages] == [
        "split='dev clean'",
        "split='test/clean'",
    ]


@pytest.mark.parametrize(
    ("name", "delimiter", "labels", "note"),
    [
        ("23_excel_semi.csv", ";", [("dog",)], ""),
        ("23b_excel_sep.csv", ";", [("dog",)], ""),
        ("25_twounnamed_x.csv", ",", [("dog",)], ""),
        ("33_spaces_x.csv", ",", [("dog", "cat"), ("cow",)], "blanks behind delimiters skipped"),
        ("34_tsvcomma_x.tsv", ",", [("dog",)], ""),
        ("35_comment_x.csv", ",", [("dog",)], "1 line of comments skipped"),
        ("43_trail_x.csv", ",", [("dog",), ("cat",)], ""),
        ("47_pipe_x.csv", "|", [("dog",)], ""),
    ],
)
def test_dialects_of_csv(
    field: Path, name: str, delimiter: str, labels: list[tuple[str, ...]], note: str
) -> None:
    path = field / "13-csv-dialects" / name
    clips = clips_in(path)
    assert [clip.labels for clip in clips] == labels
    assert [clip.recording for clip in clips] == ["a.wav", "b.wav"][: len(labels)]
    facts = read_file(path)[1]
    assert facts.delimiter == delimiter
    assert facts.notes == ((note,) if note else ())


def test_splits_with_blanks(field: Path) -> None:
    outcomes, _ = read_file(field / "13-csv-dialects" / "36_split_x.csv")
    found = [each.split if isinstance(each, Clip) else each.reason for each in outcomes]
    assert found == ["train", "Train", "invalid_row", "invalid_row", "1"]


def test_missing_times_tell_how_to_read_them_as_empty() -> None:
    table = "uri,start,label\na.wav,0.5,dog\nb.wav,NA,NA\n"
    _, second = read(table)[0]
    assert isinstance(second, Failure)
    hint = "start={start:without:NA}"
    assert second.reason == "invalid_time"
    assert f"--columns '{hint}'" in second.message
    options = dataclasses.replace(RAW, mapping=ColumnMapping.of([hint]))
    first, second = read(table, options)[0]
    assert isinstance(first, Clip)
    assert isinstance(second, Clip)
    assert (first.start_seconds, second.start_seconds, second.labels) == (Decimal("0.5"), 0, ())


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file\tlabel\n1\ta.wav\tdog\n2\tb.wav\tcat\n", "row.names=FALSE"),
        ('["a.wav", "b.wav"]', "none of the first 2 rows can be read: not a JSON object"),
    ],
)
def test_a_table_without_a_row_that_can_be_read_is_refused(table: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        check_manifest(io.BytesIO(table.encode()), "/data/m.txt", RAW)
    assert all(isinstance(each, Failure) for each in read(table)[0])


def test_a_list_that_numpy_printed_over_several_lines_is_one_cell() -> None:
    printed = "['" + "'\n '".join(["dog", "cat"]) + "']"
    (clip,), _ = read(f'uri,labels\na.wav,"{printed}"\n')
    assert isinstance(clip, Clip)
    assert clip.labels == ("dog", "cat")


@given(
    text=st.text("ab,;|\t\"' #\r\nuri=sep[]0.:{}", max_size=60),
    suffix=st.sampled_from(["csv", "tsv"]),
)
def test_any_text_is_clips_and_failures_or_refused(text: str, suffix: str) -> None:
    for start in ("uri,labels\n", "uri;start\n", "# c\nuri|split\n", ""):
        try:
            read(start + text, uri=f"/data/m.{suffix}")
        except ManifestError:
            continue
