"""Tables whose columns the user explains, and tables without a header."""

import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.clips import Clip, Failure
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.manifest import (
    ManifestFacts,
    ManifestOptions,
    check_manifest,
    read_manifest,
)
from transforms.corpus.manifests.mapping import FIELDS, ColumnMapping
from transforms.corpus.manifests.templates import CONVERSIONS

FIELD = "data/field"


def mapped(
    data: str | bytes, *columns: str, header: str = "", uri: str = "/data/m.csv"
) -> tuple[list[Clip], list[Failure]]:
    """Returns the clips and failures of a table."""
    mapping = ColumnMapping.of(columns, [header] if header else [])
    content = data.encode() if isinstance(data, str) else data
    found = list(read_manifest(io.BytesIO(content), uri, ManifestOptions(mapping=mapping)))
    assert isinstance(found[-1], ManifestFacts)
    clips = [each for each in found if isinstance(each, Clip)]
    failures = [each for each in found if isinstance(each, Failure)]
    assert len(clips) + len(failures) == found[-1].num_rows
    return clips, failures


def refused(
    data: str,
    *columns: str,
    header: str = "",
    uri: str = "/data/m.csv",
    layout: str | None = None,
) -> str:
    mapping = ColumnMapping.of(columns, [header] if header else [])
    options = ManifestOptions(mapping=mapping, layout=layout)
    with pytest.raises(ManifestError) as error:
        check_manifest(io.BytesIO(data.encode()), uri, options)
    return str(error.value)


# Of a shared table: its header, the mapping, and of the first clip what is not the default.
LAYOUTS: list[tuple[str, str, list[str], dict[str, Any]]] = [
    (
        "07-dataset-csvs/01_esc50_meta_esc50.csv",
        "",
        ["uri=audio/{filename},labels=category"],
        {"uri": "/data/audio/1-100032-A-0.wav", "labels": ("dog",)},
    ),
    (
        "07-dataset-csvs/02_us8k_metadata_UrbanSound8K.csv",
        "",
        ["uri=audio/fold{fold}/{slice_file_name}", "labels={class}"],
        {"uri": "/data/audio/fold5/100032-3-0-0.wav", "labels": ("dog_bark",)},
    ),
    (
        "07-dataset-csvs/03_fsd50k_dev.csv",
        "",
        ["uri=FSD50K.dev_audio/{fname}.wav"],
        {"uri": "/data/FSD50K.dev_audio/64760.wav", "split": "train"},
    ),
    (
        "07-dataset-csvs/05_audiocaps_train.csv",
        "",
        ["uri={youtube_id}_{start_time}.wav", "start=", "id=audiocap_id"],
        {"uri": "/data/r1nicOVtvkQ_130.wav", "id": "91139"},
    ),
    (
        "07-dataset-csvs/06_musiccaps_musiccaps.csv",
        "",
        ["uri={ytid}.wav", "labels={audioset_positive_labels}"],
        {
            "uri": "/data/-0Gj8-vB1q4.wav",
            "start_seconds": Decimal(30),
            "end_seconds": Decimal(40),
            "labels": ("/m/0140xf", "/m/02cjck"),
        },
    ),
    (
        "07-dataset-csvs/07_strong_audioset_eval_strong.tsv",
        "",
        ["uri={segment_id:before_last:_}_{segment_id:after_last:_}.wav"],
        {
            "uri": "/data/s9d-2nhuJCQ_30000.wav",
            "end_seconds": Decimal("3.627"),
            "labels": ("/m/053hz1",),
        },
    ),
    (
        "07-dataset-csvs/07_strong_audioset_eval_strong.tsv",
        "",
        ["uri={segment_id:before_last:_}.wav", "start={segment_id:millis}", "duration=10"],
        {"start_seconds": Decimal(30), "end_seconds": Decimal(40)},
    ),
    ("07-dataset-csvs/11_hf_metadata.csv", "", [], {"uri": "/data/data/a.wav"}),
    ("07-dataset-csvs/12_hfjsonl_metadata.jsonl", "", [], {"uri": "/data/data/a.wav"}),
    (
        "07-dataset-csvs/16_raven_sel.txt",
        "",
        ["uri={Begin Path:name}"],
        {
            "uri": "/data/a.wav",
            "start_seconds": Decimal("0.5"),
            "end_seconds": Decimal(2),
            "labels": ("AMRO",),
            "channel": 1,
        },
    ),
    (
        "07-dataset-csvs/21_sb_train.csv",
        "",
        ["uri={wav:after:$data_root/}"],
        {"uri": "/data/a.wav", "id": "u1", "end_seconds": Decimal("2.5")},
    ),
    ("07-dataset-csvs/48_wavfn_x.csv", "", [], {"uri": "/data/a.wav"}),
    (
        "07-dataset-csvs/50_xcanto_x.csv",
        "",
        ["labels={primary_label}"],
        {"uri": "/data/abethr1/XC128013.ogg", "labels": ("abethr1",)},
    ),
    (
        "07-dataset-csvs/51_birdnet_x.csv",
        "",
        ["labels=Common name"],
        {"uri": "/data/a.wav", "end_seconds": Decimal(3), "labels": ("Blackbird",)},
    ),
    (
        "08-headerless/04_vggsound_vggsound.csv",
        "ytid,start,label,split",
        ["uri={ytid}_{start:pad:6}.mp4", "start="],
        {
            "uri": "/data/---g-f_I2yQ_000001.mp4",
            "labels": ("people marching",),
            "split": "test",
        },
    ),
    (
        "08-headerless/04_vggsound_vggsound.csv",
        "ytid,start,label,split",
        ["uri={ytid}.mp4", "duration=10"],
        {"start_seconds": Decimal(1), "end_seconds": Decimal(11)},
    ),
    (
        "08-headerless/39_ljspeech_metadata.csv",
        "id,text,normalised",
        ["uri=wavs/{id}.wav"],
        {"uri": "/data/wavs/LJ001-0001.wav", "id": "LJ001-0001"},
    ),
    (
        "08-headerless/14_kaldi_segments",
        "utt,rec,start,end",
        ["uri={rec}.wav", "id={utt}"],
        {
            "id": "utt1-0001",
            "start_seconds": Decimal("0.5"),
            "end_seconds": Decimal("2.3"),
        },
    ),
    (
        "08-headerless/15_audacity_labels.txt",
        "start,end,label",
        ["uri=rec.wav"],
        {"uri": "/data/rec.wav", "end_seconds": Decimal("1.2"), "labels": ("speech",)},
    ),
    ("08-headerless/38_filelist_list.txt", "", [], {"uri": "/data/a.wav", "id": "a.wav"}),
]


@pytest.mark.parametrize(("name", "header", "columns", "expected"), LAYOUTS)
def test_public_layouts_can_be_said(
    shared: Path, name: str, header: str, columns: list[str], expected: dict[str, Any]
) -> None:
    data = (shared / FIELD / name).read_bytes()
    clips, failures = mapped(data, *columns, header=header, uri=f"/data/{Path(name).name}")
    assert not failures
    for attribute in ("uri", "start_seconds", "end_seconds", "channel", *expected):
        default = {"start_seconds": Decimal(0)}.get(attribute)
        if attribute != "uri" or attribute in expected:
            assert getattr(clips[0], attribute) == expected.get(attribute, default)


def test_nested_values_of_json_lines_are_named_with_dots() -> None:
    cut = {
        "id": "r1-0",
        "start": 0.5,
        "duration": 1.2,
        "recording": {"sources": [{"type": "file", "source": "/d/r1.flac"}]},
        "supervisions": [{"text": "hi", "speaker": "ann"}],
    }
    (clip,), _ = mapped(
        json.dumps(cut),
        *("uri={recording.sources.0.source}", "labels={supervisions.0.speaker}"),
    )
    assert (clip.uri, clip.id, clip.labels) == ("/d/r1.flac", "r1-0", ("ann",))
    assert (clip.start_seconds, clip.end_seconds) == (Decimal("0.5"), Decimal("1.7"))


def test_values_of_json_lines_are_converted_as_cells_are() -> None:
    line = {"audio": {"path": "x/a.wav"}, "channel": 0, "t": {"begin": 1500}, "a:b": "dog"}
    (clip,), _ = mapped(
        json.dumps(line),
        *("uri={audio.path:name}", "channel={channel:plus:1}", "start={t.begin:millis}"),
        "labels=a:b",
    )
    assert (clip.uri, clip.channel, clip.start_seconds) == ("/data/a.wav", 1, Decimal("1.5"))
    assert clip.labels == ("dog",)
    assert clip.id == "a.wav@1#1.5"


def test_a_bare_name_is_a_column_if_there_is_one_and_else_a_constant() -> None:
    table = "Name,kind\na.wav,dog\n"
    (clip,), _ = mapped(table, "uri=name", "labels=kind", "split=train", "duration=2.5")
    assert (clip.uri, clip.labels, clip.split) == ("/data/a.wav", ("dog",), "train")
    assert clip.end_seconds == Decimal("2.5")
    (clip,), _ = mapped(table, "uri=Name", "labels='kind'")
    assert clip.labels == ("kind",)


def test_a_name_that_looks_misspelt_is_refused_with_the_nearest() -> None:
    table = "filename,category\na.wav,dog\n"
    assert "no column filenam (there are: filename, category; nearest: filename)" in refused(
        table, "uri=filenam"
    )
    assert "nearest: category" in refused(table, "labels=categry")
    assert "nearest: category" in refused(table, "labels={categry}")
    assert "there is no column nothing" in refused(table, "uri=folder/{nothing}.wav")
    assert "there is no column x" in refused(table, "id=x")
    assert "there is no column x" in refused(table, "uri=x")
    line = json.dumps({"filename": "a.wav", "nested": {"category": "dog"}})
    assert "there is no column nested.categry" in refused(line, "labels={nested.categry}")


def test_an_empty_template_means_that_no_column_has_the_field() -> None:
    table = "uri,start,end,label\na.wav,5,9,dog\n"
    (clip,), _ = mapped(table, "start=", "end=", "labels=")
    assert (clip.start_seconds, clip.end_seconds, clip.labels) == (0, None, ())
    (clip,), _ = mapped("uri,start,end,duration\na.wav,1,2,9\n", "duration=")
    assert clip.end_seconds == 2


def test_what_is_said_comes_before_what_names_say() -> None:
    (clip,), _ = mapped("uri,start,end\na.wav,1,9\n", "duration=2")
    assert (clip.start_seconds, clip.end_seconds) == (1, 3)
    (clip,), _ = mapped("uri,path,label\na.wav,b.wav,x\n", "uri={path}")
    assert (clip.uri, clip.columns) == ("/data/b.wav", (("uri", "a.wav"), ("label", "x")))


def test_an_end_by_its_name_does_not_go_with_a_start_that_is_said() -> None:
    table = "uri,segment,start,end\na.wav,x_0,1.5,3\n"
    for start in ("start={segment:millis}", "start=", "start=0"):
        why = refused(table, start)
        assert "columns start, end look like another start and its end: say the end, too" in why
    (clip,), _ = mapped(table, "start={segment:millis}", "duration=10")
    assert (clip.start_seconds, clip.end_seconds) == (0, 10)
    (clip,), _ = mapped(table, "start={start}")
    assert clip.end_seconds == 3
    (clip,), _ = mapped("uri,t,end\na.wav,1500,3\n", "start={t:millis}")
    assert (clip.start_seconds, clip.end_seconds) == (Decimal("1.5"), 3)


def test_labels_may_come_from_several_columns() -> None:
    clips, _ = mapped(
        'uri,a,b\nx.wav,dog,"cat;cow"\ny.wav,,hen\nz.wav,,\n', "labels=a", "labels={b}"
    )
    assert [clip.labels for clip in clips] == [("dog", "cat", "cow"), ("hen",), ()]


def test_an_empty_column_makes_the_value_empty_and_a_wrong_one_fails_its_row() -> None:
    table = "fname,t,uri\nx,1500,\n,1500,\ny,soon,\n"
    (clip,), failures = mapped(table, "uri={fname}.wav", "start={t:millis}")
    assert (clip.uri, clip.start_seconds) == ("/data/x.wav", Decimal("1.5"))
    assert [failure.reason for failure in failures] == ["invalid_row", "invalid_time"]
    assert failures[0].message.startswith("{fname}.wav is empty: it must be the path")
    assert failures[1].message == "start={t:millis}: 'soon' is not a number"
    assert "the first 1 rows are all invalid; line 2: start={t:millis}: 'x'" in refused(
        "f,t\na.wav,x\n", "uri=f", "start={t:millis}"
    )


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        (["x"], "'x' (allowed: FIELD=TEMPLATE with FIELD uri, id, start, end"),
        (["name=x"], "'name=x' (allowed: FIELD=TEMPLATE"),
        (["uri={a"], "uri={a: '{a': a brace is not closed"),
        (["uri={a},uri={b}"], "uri is given twice"),
        (["end=5", "duration=3"], "end and duration exclude each other"),
        (["start={a:upper}"], "'upper' is no conversion"),
    ],
)
def test_invalid_mappings_are_refused_without_a_table(columns: list[str], why: str) -> None:
    with pytest.raises(ManifestError) as error:
        ColumnMapping.of(columns)
    assert why in str(error.value)


def test_several_fields_fit_in_one_text() -> None:
    mapping = ColumnMapping.of(["uri={a},{b}.wav, labels=c,end_seconds={d}", "START=1"])
    assert mapping.templates == (
        ("uri", "{a},{b}.wav"),
        ("labels", "c"),
        ("end", "{d}"),
        ("start", "1"),
    )


def test_a_mapping_over_another_replaces_its_fields() -> None:
    layout = ColumnMapping((("uri", "{f}"), ("end", "{e}"), ("labels", "{c}")), ("f", "e", "c"))
    own = ColumnMapping((("duration", "10"), ("labels", "{c:lower}")))
    assert own.over(layout) == ColumnMapping(
        (("duration", "10"), ("labels", "{c:lower}"), ("uri", "{f}")), ("f", "e", "c")
    )


def test_a_table_without_a_header_is_named_and_told_how_to_be_read(shared: Path) -> None:
    for name, hint in [
        ("04_vggsound_vggsound.csv", "no header line? Then name its columns, as --no_header uri,"),
        ("15_audacity_labels.txt", "no header line? Then name its columns"),
        ("13_kaldi_wav.scp", "no header line? Then name its columns"),
        ("39_ljspeech_metadata.csv", "if the file has no header line, name its columns"),
        ("14_kaldi_segments", "if the file has no header line, name its columns"),
    ]:
        data = (shared / FIELD / "08-headerless" / name).read_text()
        assert hint in refused(data, uri=f"/data/{name}", layout="none")
    assert "no header line? Then name" in refused("0.5\t0.5\tx\n1.0\t2.0\ty\n")
    assert "line 1 is a header, uri, label: leave --no_header out" in refused(
        "uri,label\na.wav,x\n", header="uri,label"
    )
    assert "no delimiter" in refused("a.wav,x\n", header="uri,label,split")
    assert "JSON lines need no header" in refused('{"uri": "a"}', header="uri")


def test_the_delimiter_of_a_table_without_a_header_follows_from_the_number_of_cells() -> None:
    for delimiter in ("\t", "|", ";", ","):
        text = "".join(f"{n}.wav{delimiter}dog{delimiter}train\n" for n in range(3))
        clips, _ = mapped(text, header="uri,label,split")
        assert [(clip.labels, clip.split) for clip in clips] == [(("dog",), "train")] * 3
    clips, _ = mapped("a, b.wav\nc|d.wav\n", header="uri")
    assert [clip.id for clip in clips] == ["a, b.wav", "c|d.wav"]


def test_a_list_of_paths_needs_neither_a_header_nor_options() -> None:
    for uri in ("/data/list.txt", "/data/list.lst", "/data/list", "/data/list.csv"):
        clips, _ = mapped("a.wav\n\nb/c d.FLAC\n", uri=uri)
        assert [clip.id for clip in clips] == ["a.wav", "b/c d.FLAC"]
    clips, _ = mapped("a, b.wav\n", uri="/data/list.txt")
    assert [clip.id for clip in clips] == ["a, b.wav"]
    for text in ("a.wav\nno audio\n", "a.wav,b.wav\n", "a.wav\tb.wav\n"):
        assert "none of them names the recording" in refused(text)


def test_further_cells_belong_to_the_last_column_where_the_layout_says_so() -> None:
    mapping = ColumnMapping((("uri", "{PATH}"),), rest_in_last=True)
    table = "TRACK_ID\tPATH\tTAGS\nt1\t48/a.mp3\tgenre---rock\tmood---sad\nt2\tb.mp3\tx;y\n"
    options = ManifestOptions(mapping=mapping)
    found = list(read_manifest(io.BytesIO(table.encode()), "/data/m.tsv", options))
    assert [clip.labels for clip in found if isinstance(clip, Clip)] == [
        ("genre---rock", "mood---sad"),
        ("x;y",),
    ]
    assert len(mapped(table)[1]) == 1


_TEXT = st.text("{}:.ab,=_;'\"09é\n", max_size=12)
_HOSTILE = st.builds(
    lambda field, text: f"{field}={text}",
    st.sampled_from([*FIELDS, "start_seconds", "x", ""]),
    st.one_of(
        _TEXT,
        st.builds(
            lambda words: "{" + ":".join(words) + "}",
            st.lists(st.sampled_from(["uri", "a", "b.c", *CONVERSIONS, "1", "_"]), max_size=5),
        ),
    ),
)


@given(
    columns=st.lists(_HOSTILE, max_size=4),
    header=st.one_of(st.just(""), st.text("ab,. ", max_size=8)),
    start=st.sampled_from(
        [b"uri,a,b\n", b'{"uri": "x.wav", "b": {"c": 1}, "a": ', b"", b"a.wav\n"]
    ),
    data=st.one_of(st.binary(max_size=60), st.text('a,b\n\t|1{}":', max_size=60).map(str.encode)),
)
def test_any_mapping_of_any_bytes_is_refused_or_gives_clips_and_failures(
    columns: list[str], header: str, start: bytes, data: bytes
) -> None:
    try:
        clips, failures = mapped(start + data, *columns, header=header)
    except ManifestError:
        return
    for failure in failures:
        failure.id.encode()
    for clip in clips:
        clip.id.encode()
        assert clip.end_seconds is None or clip.start_seconds < clip.end_seconds
