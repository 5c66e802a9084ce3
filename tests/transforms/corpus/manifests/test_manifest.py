"""Manifests: every record is a clip or a failure, and no value is lost or guessed."""

import csv
import dataclasses
import io
import itertools
import json
import pickle
import tracemalloc
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.manifests import RAW, as_json, clips_of, only, only_failure, read
from transforms.corpus.clips import Clip, Failure, RawFormat
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.manifest import (
    ManifestFacts,
    ManifestOptions,
    check_manifest,
    read_manifest,
)

CSV = """\
uri,id,start_seconds,end_seconds,labels,split,Speaker,note
a.wav,first,1.50,12.250,speech;music,train,ann,"x, y"
/abs/b.wav,second,,,,,,
"""


def test_a_manifest_with_all_its_columns_becomes_clips() -> None:
    first, second = clips_of(CSV)
    assert first == Clip(
        id="first",
        uri="/data/a.wav",
        start_seconds=Decimal("1.5"),
        end_seconds=Decimal("12.25"),
        labels=("speech", "music"),
        split="train",
        recording="a.wav",
        columns=(("Speaker", "ann"), ("note", "x, y")),
    )
    assert (first.manifest, first.line) == ("/data/m.csv", 2)
    assert second == Clip(id="second", uri="/abs/b.wav", recording="abs/b.wav")
    assert second.line == 3


def test_the_facts_come_last_and_tell_what_was_found() -> None:
    _, facts = read(CSV)
    assert facts == ManifestFacts(
        uri="/data/m.csv",
        format="csv",
        encoding="utf-8",
        delimiter=",",
        label_separator=";",
        columns=("uri", "id", "start_seconds", "end_seconds", "labels", "split"),
        other_columns=("Speaker", "note"),
        num_rows=2,
        meaning=(
            ("uri", "{uri}"),
            ("id", "{id}"),
            ("start", "{start_seconds}"),
            ("end", "{end_seconds}"),
            ("labels", "{labels}"),
            ("split", "{split}"),
        ),
    )
    assert sorted([facts, dataclasses.replace(facts, uri="/a")])[1] == facts


def test_tsv_and_json_lines_become_the_same_clips() -> None:
    rows = list(csv.DictReader(io.StringIO(CSV)))
    tsv = "\n".join(["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)])
    lines = "\n".join(json.dumps(row) for row in rows)
    assert clips_of(tsv) == clips_of(lines) == clips_of(CSV)


def test_options_and_results_survive_pickling() -> None:
    outcomes, facts = read(CSV)
    assert pickle.loads(pickle.dumps((outcomes, facts, RAW))) == (outcomes, facts, RAW)


def test_each_name_of_the_recordings_column_is_understood_whatever_its_case() -> None:
    for name in ["uri", "path", "audio_filepath", "recording", " URI ", "Path"]:
        for text in (f"x,{name}\n,a.wav\n", as_json(**{name: "a.wav"}), f"{name}\t\na.wav\t\n"):
            assert only(text) == Clip("a.wav", "/data/a.wav", recording="a.wav")


def test_relative_recordings_are_below_the_audio_root_if_there_is_one() -> None:
    options = ManifestOptions(audio_root="gs://bucket/audio")
    relative, absolute, other = clips_of(
        "uri\n./b/a.wav\ngs://bucket/audio/c.wav\n/d.wav\n", options
    )
    assert (relative.uri, relative.id) == ("gs://bucket/audio/b/a.wav", "b/a.wav")
    assert (absolute.uri, absolute.id) == ("gs://bucket/audio/c.wav", "c.wav")
    assert (other.uri, other.id, other.recording) == ("/d.wav", "d.wav", "d.wav")


def test_times_are_start_and_end_or_offset_and_duration() -> None:
    for values, start, end, id in [
        ({}, "0", None, "a.wav"),
        ({"start_seconds": "", "end_seconds": " "}, "0", None, "a.wav"),
        ({"start_seconds": "0"}, "0", None, "a.wav#0"),
        ({"start_seconds": "1.50"}, "1.5", None, "a.wav#1.5"),
        ({"end_seconds": "10.0"}, "0", "10", "a.wav#0-10"),
        ({"start_seconds": "1e1", "end_seconds": "12.5"}, "10", "12.5", "a.wav#10-12.5"),
        ({"offset": "0.1", "duration": "0.2"}, "0.1", "0.3", "a.wav#0.1-0.3"),
        ({"offset": "", "duration": "3"}, "0", "3", "a.wav#0-3"),
        ({"duration": "2.25"}, "0", "2.25", "a.wav#0-2.25"),
        ({"offset": "7"}, "7", None, "a.wav#7"),
        ({"offset": "7", "duration": ""}, "7", None, "a.wav#7"),
    ]:
        cells = {"uri": "a.wav", **values}
        for text in (",".join(cells) + "\n" + ",".join(cells.values()), json.dumps(cells)):
            clip = only(text)
            assert (clip.start_seconds, clip.id) == (Decimal(start), id)
            assert clip.end_seconds == (None if end is None else Decimal(end))


def test_times_that_are_numbers_in_json_are_exact() -> None:
    clip = only('{"uri": "a.wav", "offset": 0.1, "duration": 2e-1}')
    assert (clip.start_seconds, clip.end_seconds) == (Decimal("0.1"), Decimal("0.3"))
    assert only('{"uri": "a.wav", "start_seconds": 1, "end_seconds": 2.0}').id == "a.wav#1-2"


def test_an_invalid_time_is_a_failure_with_column_value_and_what_is_allowed() -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({"start_seconds": "abc"}, "start_seconds: 'abc' is not a number of seconds"),
        ({"start_seconds": "nan"}, "start_seconds: 'nan' is not a number of seconds"),
        ({"start_seconds": "1,500"}, "start_seconds: '1,500' is not a number of seconds"),
        ({"end_seconds": "inf"}, "end_seconds: 'inf' is not a number of seconds"),
        ({"end_seconds": "1e10"}, "from -1000000000 to 1000000000"),
        ({"end_seconds": "1:60"}, "or [hours:]minutes:seconds"),
        ({"start_seconds": "-0.1"}, "start_seconds='-0.1': it must be 0 or more"),
        ({"offset": "-1"}, "offset='-1': it must be 0 or more"),
        ({"end_seconds": "0"}, "end_seconds='0': it must be greater than the start, 0"),
        ({"start_seconds": "2", "end_seconds": "2.0"}, "it must be greater than the start, 2"),
        ({"start_seconds": "2", "end_seconds": "1"}, "it must be greater than the start, 2"),
        ({"duration": "0"}, "duration='0': it must be greater than 0"),
        ({"offset": "1", "duration": "-1"}, "duration='-1': it must be greater than 0"),
        ({"offset": "1e9", "duration": "1"}, "duration='1': it makes the end invalid"),
        ({"offset": True}, "offset: True is not a number of seconds"),
        ({"duration": [1]}, "duration=[1]: it must be a number of seconds"),
        ({"start_seconds": {"a": 1}}, "start_seconds={'a': 1}: it must be a number of seconds"),
    ]
    for values, message in refused:
        failure = only_failure(as_json(uri="a.wav", split="dev", x="y", **values))
        assert (failure.id, failure.uri, failure.reason) == (
            "m.csv:1",
            "/data/a.wav",
            "invalid_time",
        )
        assert (failure.split, failure.columns, failure.line) == ("dev", (("x", "y"),), 1)
        assert message in failure.message


def test_an_invalid_row_is_a_failure_with_column_value_and_what_is_allowed() -> None:
    for values, message in [
        ({"uri": ""}, "uri is empty: it must be the path"),
        ({"uri": "  "}, "uri='  ': it must be the path"),
        ({"uri": 5}, "uri=5: it must be the path"),
        ({"uri": "x" * 4097}, "it has more than 4096 characters"),
        ({"uri": "./"}, "uri='./': it does not name a file"),
        (
            {},
            "found columns (none): none of them names the recording",
        ),
        ({"uri": None}, "exactly one of uri, path, audio_filepath, recording"),
        ({"uri": "a", "path": "b"}, "found columns uri, path: more than one of them names"),
        ({"uri": "a", "URI": "b"}, "two columns are named uri"),
        ({"uri": "a", "x": 1, " x": 1}, "two columns are named x"),
        ({"uri": "a", "offset": 1, "end_seconds": 2}, "found columns end_seconds and offset"),
        ({"uri": "a", "id": ""}, "id is empty"),
        ({"uri": "a", "id": "nan"}, "id='nan': it must be text"),
        ({"uri": "a", "id": True}, "id=True: it must be text"),
        ({"uri": "a", "id": ["b"]}, "id=['b']: it must be text"),
        ({"uri": "a", "id": "x" * 4097}, "1 to 4096 characters"),
        ({"uri": "a", "split": "a b"}, "split='a b': it must be"),
        ({"uri": "a", "split": ".."}, "split='..': it must be"),
        ({"uri": "a", "split": "-a"}, "split='-a': it must be"),
        ({"uri": "a", "split": "a/b"}, "split='a/b': it must be"),
        ({"uri": "a", "split": "a\n"}, "it must be 1 to 100"),
        ({"uri": "a", "split": "é"}, "split='é': it must be"),
        ({"uri": "a", "split": "x" * 101}, "it must be 1 to 100"),
        ({"uri": "a", "split": True}, "split=True: it must be"),
        ({"uri": "a", "split": "unsplit"}, "split='unsplit': it must be"),
        ({"uri": "a", "labels": {"a": 1}}, "labels={'a': 1}: it must be"),
        ({"uri": "a", "labels": ["a", []]}, "labels=['a', []]: it must be"),
        ({"uri": "a", "labels": '["a", "b"'}, "it must be a list of text or numbers in one pair"),
        ({"uri": "a", "labels": ["a", ["b"]]}, "labels=['a', ['b']]: it must be"),
        ({"uri": "a", "format": "s16le"}, "sample_rate is empty: it must be"),
        ({"uri": "a", "format": "S16LE", "sample_rate": 999}, "from 1000 to 768000"),
        ({"uri": "a", "format": "s16le", "sample_rate": "768001"}, "from 1000 to 768000"),
        ({"uri": "a", "format": "s16le", "sample_rate": 16000.5}, "sample_rate=16000.5: it"),
        ({"uri": "a", "format": "s16le", "sample_rate": "9" * 5000}, "from 1000 to 768000"),
        ({"uri": "a", "format": "s16le", "sample_rate": 8000, "channels": 0}, "from 1 to 64"),
        ({"uri": "a", "format": "s16le", "sample_rate": 8000, "channels": 65}, "from 1 to 64"),
        ({"uri": "a", "format": "s16le", "sample_rate": 8000, "channels": "x"}, "channels='x'"),
    ]:
        failure = only_failure(json.dumps(values))
        assert (failure.reason, failure.id) == ("invalid_row", "m.csv:1")
        assert message in failure.message
        assert len(failure.message) < 300


def test_a_failure_tells_all_that_is_known_of_its_row() -> None:
    text = "uri,id,split,labels,start_seconds,note\na.wav,one,train,x,-1,hello\n"
    failure = only_failure(text)
    assert failure == Failure(
        "one",
        "/data/a.wav",
        "list",
        "invalid_time",
        "start_seconds='-1': it must be 0 or more",
        split="train",
        columns=(("note", "hello"),),
        manifest="/data/m.csv",
        line=2,
    )


def test_the_first_of_several_invalid_values_is_reported() -> None:
    failure = only_failure("uri,split,start_seconds,labels\na.wav,a b,-1,x\n")
    assert (failure.reason, failure.message[:12]) == ("invalid_row", "split='a b':")


def test_a_row_with_a_wrong_recording_keeps_its_id() -> None:
    failure = only_failure("uri,id\n,one\n")
    assert (failure.id, failure.uri) == ("one", "")


def test_lines_that_hold_no_record_are_failures_in_their_place() -> None:
    outcomes, facts = read('uri,x\na.wav,1\nb.wav\nc.wav,"open\nd.wav,2\n')
    assert [type(outcome) for outcome in outcomes] == [Clip, Failure, Failure, Clip]
    for line, outcome in enumerate(outcomes, 2):
        assert outcome.line == line
    assert (outcomes[1].id, outcomes[2].id) == ("m.csv:3", "m.csv:4")
    assert facts.num_rows == 4


def test_an_id_that_is_given_is_kept_as_it_is() -> None:
    for value, id in [("x", "x"), (" x ", " x "), (5, "5"), (1.5, "1.5"), (0, "0"), ("😀", "😀")]:
        assert only(as_json(uri="a.wav", id=value, offset=1)).id == id


def test_null_means_that_a_column_is_absent_in_json_lines() -> None:
    nothing = dict.fromkeys(["id", "path", "labels", "split", "format", "end_seconds", "x"])
    clip = only(as_json(uri="a.wav", offset=1, duration=2, **nothing))
    assert (clip.id, clip.labels, clip.split, clip.columns) == ("a.wav#1-3", (), "", ())


def test_other_values_come_as_text_in_the_order_of_the_columns() -> None:
    line = (
        '{"z": 1.50, "uri": "a.wav", "b": true, "none": null, "empty": "", "d": {"k": [1, 0.10]},'
        ' "a": "é, x", " c ": []}'
    )
    expected = (("z", "1.50"), ("b", "true"), ("d", '{"k":[1,0.10]}'), ("a", "é, x"), ("c", "[]"))
    assert only(line).columns == expected


def test_a_raw_format_is_understood_in_its_row_only() -> None:
    header = "uri,x,format,sample_rate,channels\n"
    rows = "a,1,S16LE,16000,2\nb,1, f32be ,8000.0,\nc,1,wav,44100,2\nd,1,,,\n"
    outcomes, facts = read(header + rows)
    hints = [outcome.raw_format for outcome in outcomes if isinstance(outcome, Clip)]
    assert hints == [RawFormat("s16le", 16000, 2), RawFormat("f32be", 8000), None, None]
    raw, _, other, empty = outcomes
    assert raw.columns == empty.columns == (("x", "1"),)
    assert other.columns == (
        ("x", "1"),
        ("format", "wav"),
        ("sample_rate", "44100"),
        ("channels", "2"),
    )
    assert facts.columns == ("uri", "format", "sample_rate", "channels")
    assert facts.other_columns == ("x",)


@pytest.mark.parametrize("options", [RAW, ManifestOptions()])
def test_without_a_raw_format_its_columns_are_others(options: ManifestOptions) -> None:
    outcomes, facts = read("uri,sample_rate,format\na.wav,16000,wav\n", options)
    assert outcomes[0].columns == (("sample_rate", "16000"), ("format", "wav"))
    assert (facts.columns, facts.other_columns) == (("uri",), ("sample_rate", "format"))
    assert only("uri,channels\na.wav,many\n", options).columns == (("channels", "many"),)


@given(
    rows=st.lists(
        st.tuples(st.text("ab -_é", min_size=1).filter(str.strip), st.text("cd, é\n", max_size=5))
    )
)
def test_every_row_of_any_table_is_one_clip_with_its_text(rows: list[tuple[str, str]]) -> None:
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerows([("uri", "text", "id"), *(("x/" + uri, text, uri) for uri, text in rows)])
    clips = clips_of(file.getvalue())
    assert [clip.id for clip in clips] == [uri for uri, _ in rows]
    assert [dict(clip.columns).get("text", "") for clip in clips] == [text for _, text in rows]


UNUSABLE = [
    ("", "m.csv", "empty"),
    ("id,labels\nx,y\n", "m.csv", "found columns id, labels: none of them names the recording"),
    ("uri,path\nx,y\n", "m.csv", "found columns uri, path: more than one of them names"),
    ("uri,ID,id\nx,y,z\n", "m.csv", "two columns are named id"),
    ("uri,offset,start_seconds\n", "m.csv", "found columns start_seconds and offset"),
    ("uri,end_seconds,duration\n", "m.csv", "found columns end_seconds and duration"),
    ("uri,a,a\n", "m.csv", "duplicate columns a;"),
    ("[]", "m.json", "JSON array"),
    ("PAR1\0\0\0", "m.parquet", "Parquet"),
]


def test_unusable_manifests_are_rejected_by_check_and_before_any_clip() -> None:
    for text, uri, message in UNUSABLE:
        with pytest.raises(ManifestError, match=message):
            check_manifest(io.BytesIO(text.encode()), uri, RAW)
        with pytest.raises(ManifestError, match=message):
            next(read_manifest(io.BytesIO(text.encode()), uri, RAW))


def test_a_check_returns_the_header_and_reads_the_beginning_only() -> None:
    file = io.BytesIO(b"uri,Label x,id\n" + b"a.wav,1,2\n" * 1_000_000)
    assert check_manifest(file, "m.csv", RAW).header == ("uri", "Label x", "id")
    assert file.tell() <= 1 << 20
    assert check_manifest(io.BytesIO(b'{"uri": "a"}\n'), "m.csv", RAW).header is None
    with pytest.raises(ManifestError, match="the first 1 rows are all invalid; line 1: found col"):
        check_manifest(io.BytesIO(b'{"a": 1}\n'), "m.csv", RAW)
    as_tsv = ManifestOptions(format="tsv")
    assert check_manifest(io.BytesIO(b"uri\n"), "m.jsonl", as_tsv).header == ("uri",)


def test_columns_of_json_lines_are_noted_as_they_come_and_not_without_end() -> None:
    rows = [{"path": "a.wav", "x": 1}, {"y": 2, "recording": "b.wav", "labels": []}]
    _, facts = read("\n".join(map(json.dumps, rows)))
    assert facts.columns == ("path", "recording", "labels")
    assert facts.other_columns == ("x", "y")
    hostile = "".join(as_json(uri="a", **{f"{row} {'x' * 999}": 1}) + "\n" for row in range(2000))
    _, facts = read(hostile)
    assert len(facts.columns + facts.other_columns) == 1000
    assert max(map(len, facts.other_columns)) == 200


LONG = "x" * 500_000


@pytest.mark.slow
@pytest.mark.parametrize(
    "lines",
    [
        ["uri,x\n"] + [f"a.wav,{LONG}\n"] * 200,
        [as_json(uri="a.wav", **{f"{row} {LONG}": 1}) + "\n" for row in range(200)],
    ],
    ids=["values", "names"],
)
def test_long_rows_take_bounded_memory(lines: list[str]) -> None:
    results = read_manifest(io.BytesIO("".join(lines).encode()), "m", RAW)
    tracemalloc.start()
    try:
        assert sum(isinstance(result, Clip) for result in results) == 200
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30 << 20


def test_names_that_are_not_unicode_are_printable_but_still_open() -> None:
    file = io.BytesIO(b"uri,id\na.wav,x\n")
    clip, facts = read_manifest(file, "/d\udcff/m\udcfe.csv", RAW)
    assert isinstance(clip, Clip)
    assert (clip.uri, clip.recording) == ("/d\udcff/a.wav", "a.wav")
    assert isinstance(facts, ManifestFacts)
    assert clip.manifest == facts.uri == "/d\\xff/m\\xfe.csv"


@given(data=st.binary(max_size=100), start=st.sampled_from([b"uri,id\n", b'{"uri": ', b"uri\t\n"]))
def test_any_bytes_are_clips_and_failures_that_can_be_written_down(
    data: bytes, start: bytes
) -> None:
    try:
        outcomes, _ = read(start + data)
    except ManifestError:
        return
    for outcome in outcomes:
        "".join([outcome.id, outcome.split, *itertools.chain(*outcome.columns)]).encode()
