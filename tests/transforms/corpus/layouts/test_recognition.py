"""Recognition: what is not of a layout is not read as it, and the user's word counts."""

import io
import json
import random
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline.errors import UsageError
from tests.layout_corpora import CASES
from tests.manifests import read
from tests.transforms.corpus.layouts.test_layouts import COMMANDS, corpus_of, listed
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.layouts.folders import FolderOptions
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.manifest import (
    ManifestFacts,
    ManifestOptions,
    check_manifest,
    read_manifest,
)
from transforms.corpus.manifests.mapping import ColumnMapping
from transforms.corpus.times import format_seconds
from transforms.storage import files

ESC50 = "filename,fold,target,category,esc10,src_file,take\n"
ROW = "1-100032-A-0.wav,1,0,dog,True,100032,A\n"
RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)"


def only(text: str, uri: str = "/data/m.csv", **options: Any) -> Clip:
    (clip,), _ = read(text, ManifestOptions(**options), uri)
    assert isinstance(clip, Clip)
    return clip


def refused(text: str, uri: str = "/data/m.csv", **options: Any) -> str:
    with pytest.raises(ManifestError) as error:
        check_manifest(io.BytesIO(text.encode()), uri, ManifestOptions(**options))
    return str(error.value)


def test_what_the_user_says_comes_before_the_layout() -> None:
    assert only(ESC50 + ROW).labels == ("dog",)
    assert only(ESC50 + ROW, layout="none").id == "1-100032-A-0.wav"
    told = only(ESC50 + ROW, mapping=ColumnMapping.of(["labels={target}", "uri=x/{filename}"]))
    assert (told.uri, told.labels) == ("/data/x/1-100032-A-0.wav", ("0",))
    both = only(ESC50 + ROW, layout="esc50", mapping=ColumnMapping.of(["labels={target}"]))
    assert (both.uri, both.labels) == ("/audio/1-100032-A-0.wav", ("0",))
    split = only("fname,labels,mids\n1,a;b,x\n", label_separator=";")
    assert split.labels == ("a", "b")


def test_a_table_that_contradicts_its_layout_is_refused() -> None:
    assert "all of its first rows are invalid: line 2: fold='x'" in refused(
        ESC50 + ROW.replace(",1,", ",x,", 1)
    )
    assert "not a table of the layout esc50" in refused("uri,labels\na.wav,x\n", layout="esc50")
    assert "the columns filename, fold" in refused("uri,labels\na.wav,x\n", layout="esc50")
    assert "lines of ytid" in refused("a,b\n", layout="vggsound")
    assert "needs wav.scp" in refused("u r 0.0 1.0\n", uri="/data/segments", layout="kaldi")
    assert "--segments_are_cut is for" in refused(ESC50 + ROW, segments_are_cut=True)


def test_words_of_kaldi_are_separated_by_any_blanks() -> None:
    table = "a\t/x/a b.wav\nc  /x/c.wav \nd\t /x/d\te.wav\n"
    outcomes, _ = read(table, ManifestOptions(), "/data/wav.scp")
    found = [(each.id, each.uri) for each in outcomes]
    assert found == [("a", "/x/a b.wav"), ("c", "/x/c.wav"), ("d", "/x/d\te.wav")]


def test_the_end_of_a_recording_in_segments_of_kaldi_is_minus_one(tmp_path: Path) -> None:
    (tmp_path / "wav.scp").write_text("r /x/r.wav\n")
    uri = f"{tmp_path}/segments"
    outcomes, _ = read("a r 1 -1\nb r 0.5 1.5\n", ManifestOptions(), uri)
    clips = [each for each in outcomes if isinstance(each, Clip)]
    assert [(clip.start_seconds, clip.end_seconds) for clip in clips] == [
        (1, None),
        (Decimal("0.5"), Decimal("1.5")),
    ]


def test_a_list_of_channels_is_refused_without_a_conversion_of_a_conversion() -> None:
    cut = (
        '{"id": "c", "start": 0, "duration": 1, "channel": [0, 1], "type": "MonoCut", "recording":'
        ' {"id": "r", "sources": [{"type": "file", "source": "a.wav"}]}}'
    )
    outcomes, _ = read(cut, ManifestOptions(layout="lhotse"), "/data/cuts.jsonl")
    (failure,) = outcomes
    assert isinstance(failure, Failure)
    assert "must be left, right, or 1 to 1024" in failure.message
    assert "--columns" not in failure.message


def test_a_column_of_times_that_a_layout_lacks_is_not_passed_over() -> None:
    table = "ID,duration,wav,start,stop,extra\na,2.0,a.wav,0,16000,x\n"
    assert "start_seconds and end_seconds" in refused(table)
    assert "has no column start, stop" in refused(table, layout="speechbrain")


def test_tables_that_are_only_like_a_layout_are_read_by_their_columns() -> None:
    for text in ("uri,labels\na.wav,x\n", "file_name,label\na.wav,x\n", "filename,category\na,b\n"):
        _, facts = read(text, ManifestOptions())
        assert facts.layout == ""


def test_raven_tables_of_several_recordings_need_the_offset_within_each() -> None:
    header = f"{RAVEN}\tBegin Path\n"
    rows = "1\tS\t1\t0.5\t1\ta.wav\n2\tS\t1\t9.5\t10\tb.wav\n"
    (first, second), _ = read(header + rows, ManifestOptions(), "/data/x.txt")
    assert isinstance(first, Clip)
    assert isinstance(second, Failure)
    assert "times may be those of all recordings together" in second.message
    header = f"{RAVEN}\tBegin Path\tFile Offset (s)\n"
    rows = "1\tS\t1\t0.5\t1\ta.wav\t0.5\n2\tS\t1\t9.5\t10\tb.wav\t2.25\n"
    clips, facts = read(header + rows, ManifestOptions(), "/data/x.txt")
    assert facts.layout == "raven"
    assert [(str(clip.start_seconds), str(clip.end_seconds)) for clip in clips] == [  # type: ignore[union-attr]
        ("0.5", "1"),
        ("2.25", "2.75"),
    ]


def test_times_of_youtube_segments_are_those_of_whole_videos_only(tmp_path: Path) -> None:
    table = tmp_path / "train.csv"
    table.write_text("audiocap_id,youtube_id,start_time,caption\n1,r1nicOVtvkQ,130,x\n")
    for name, times in (
        ("r1nicOVtvkQ.wav", ("130", "140")),
        ("r1nicOVtvkQ_130.wav", ("0", "None")),
    ):
        (tmp_path / name).touch()
        with table.open("rb") as file:
            clip, facts = read_manifest(file, str(table), ManifestOptions())
        assert isinstance(clip, Clip)
        assert isinstance(facts, ManifestFacts)
        assert any("whole videos" in note for note in facts.notes) == (times[1] != "None")
        assert (clip.uri, str(clip.start_seconds), str(clip.end_seconds)) == (
            str(tmp_path / name),
            *times,
        )


def test_parquet_tables_are_read_as_csv_is(tmp_path: Path) -> None:
    table = {
        "filename": ["1-1-A-0.wav"],
        "fold": [1],
        "target": [0],
        "category": ["dog"],
        "esc10": [True],
        "src_file": [1],
        "take": ["A"],
    }
    parquet.write_table(pa.table(table), tmp_path / "esc50.parquet")
    audio = [{"bytes": b"RIFF", "path": "a.wav"}]
    own = {"audio": audio, "start": [0.1 + 0.2], "labels": [["x", "y"]]}
    parquet.write_table(pa.table(own), tmp_path / "own.parquet")
    for name, options, expected in (
        ("esc50", ManifestOptions(), ("1-1-A-0.wav", "0", ("dog",), "esc50")),
        (
            "own",
            ManifestOptions(mapping=ColumnMapping.of(["uri={audio.path}"])),
            ("a.wav#0.3", "0.3", ("x", "y"), ""),
        ),
    ):
        path = tmp_path / f"{name}.parquet"
        with path.open("rb") as file:
            clip, facts = read_manifest(file, str(path), options)
        assert isinstance(facts, ManifestFacts)
        assert isinstance(clip, Clip), clip
        start = format_seconds(clip.start_seconds)
        assert (clip.id, start, clip.labels, facts.layout) == expected
        assert facts.format == "parquet"
        assert not any("RIFF" in value for _, value in clip.columns)
    twice = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["uri", "uri"])
    endless = pa.table({"uri": ["a.wav"], "start": [float("inf")]})
    for table, message in ((twice, "two columns are named uri"), (endless, "is not a number of")):
        parquet.write_table(table, tmp_path / "bad.parquet")
        assert message in refused_bytes((tmp_path / "bad.parquet").read_bytes())
    damaged = (tmp_path / "own.parquet").read_bytes()[:-9]
    assert "cannot be read" in refused_bytes(damaged)


def refused_bytes(data: bytes) -> str:
    with pytest.raises(ManifestError) as error:
        check_manifest(io.BytesIO(data), "/data/x.parquet", ManifestOptions())
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "ids", "fault"),
    [
        ('[{"uri": "a"}, {"uri": "b"}]', ["a", "b"], ""),
        ('{"data": [{"uri": "a"},\n {"uri": "b"}]}', ["a", "b"], ""),
        ('{"x": {"uri": "a"}, "n": [{"uri": "b"}]}', ["b", "x"], ""),
        ('{"data": [{"uri": broken}]}\n{"uri": "b"}\n', ["b"], "not JSON"),
        ('{"x": {"uri": "a"},\n"y": {"uri": "b", "id": "own"}}', ["own", "x"], ""),
        ('[{"uri": "a"}, {"uri": "b"', ["a"], "the rest of the file cannot be read"),
        ('[{"uri": "a"} {"uri": "b"}]', ["a"], "a comma is expected"),
        ('[{"uri": "a"}, 7]', ["a"], "not a JSON object"),
        ('[{"uri": "a"}] x', ["a"], "text behind the end"),
        ('{"uri": "a"}\n{"uri": "b"}\n', ["a", "b"], ""),
        ('{"audio": {"path": "a"}, "uri": "b"}\n', ["b"], ""),
    ],
)
def test_json_documents_are_read_object_by_object(text: str, ids: list[str], fault: str) -> None:
    outcomes, _ = read(text, ManifestOptions(), "/data/m.json")
    assert sorted(each.id for each in outcomes if isinstance(each, Clip)) == ids
    faults = [each.message for each in outcomes if isinstance(each, Failure)]
    assert [fault in each for each in faults] == ([True] if fault else [])


def test_a_document_on_one_line_is_read_in_constant_memory() -> None:
    rows = [{"uri": f"{number}.wav", "labels": ["x" * 50]} for number in range(40_000)]
    text = json.dumps({"data": rows})
    assert len(text) > 3 << 20
    outcomes, facts = read(text, ManifestOptions(), "/data/m.json")
    assert [each.id for each in outcomes] == [row["uri"] for row in rows]
    assert facts.format == "json"
    huge = json.dumps({"data": [{"uri": "a"}, {"uri": "x" * (2 << 20)}]})
    outcomes, _ = read(huge, ManifestOptions(), "/data/m.json")
    assert isinstance(outcomes[1], Failure)
    assert "an object has more than" in outcomes[1].message


def test_labels_come_from_folders_where_this_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("in/a/dog/1.wav", "in/cat/2.wav", "in/3.wav", "flat/4.wav"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
    found = {each.id: each for each in listed(corpus_of("--input in --labels_from_folders"))}  # type: ignore[union-attr]
    assert {id: each.labels for id, each in found.items()} == {  # type: ignore[union-attr]
        "a/dog/1.wav": ("dog",),
        "cat/2.wav": ("cat",),
        "3.wav": (),
    }
    in_archive = Clip("x.tar/a/1.wav", "tar://a/1.wav::/in/x.tar")
    labelled = FolderOptions(labels_from_folders=True).applied(in_archive)
    assert isinstance(labelled, Clip)
    assert labelled.labels == ("a",)
    in_archive = Clip("x.tar/1.wav", "tar://1.wav::/in/x.tar")
    assert FolderOptions(labels_from_folders=True).applied(in_archive) == in_archive
    assert "read as folders with labels" in capsys.readouterr().err
    with pytest.raises(UsageError, match="pass the folder above"):
        corpus_of("--input flat --labels_from_folders")
    with pytest.raises(UsageError, match="not as in the layout gtzan: GENRE"):
        corpus_of("--input in --layout gtzan")
    with pytest.raises(UsageError, match="esc50 is no layout of --input"):
        corpus_of("--input in --layout esc50")


def test_tables_made_by_the_public_have_the_right_clips(shared: Path, tmp_path: Path) -> None:
    field = shared / "data/field"
    expected: dict[str, list[tuple[str, str, str, tuple[str, ...]]]] = {
        "07-dataset-csvs/01_esc50_meta_esc50.csv": [
            ("/audio/1-100032-A-0.wav", "0", "None", ("dog",)),
            ("/audio/1-100038-A-14.wav", "0", "None", ("chirping_birds",)),
        ],
        "07-dataset-csvs/02_us8k_metadata_UrbanSound8K.csv": [
            ("/audio/fold5/100032-3-0-0.wav", "0", "None", ("dog_bark",))
        ],
        "07-dataset-csvs/03_fsd50k_dev.csv": [
            (
                "/FSD50K.dev_audio/64760.wav",
                "0",
                "None",
                (
                    *("Electric_guitar", "Guitar", "Plucked_string_instrument"),
                    *("Musical_instrument", "Music"),
                ),
            )
        ],
        "07-dataset-csvs/05_audiocaps_train.csv": [("/data/r1nicOVtvkQ.wav", "130", "140", ())],
        "07-dataset-csvs/06_musiccaps_musiccaps.csv": [
            ("/data/-0Gj8-vB1q4.wav", "30", "40", ("/m/0140xf", "/m/02cjck"))
        ],
        "07-dataset-csvs/07_strong_audioset_eval_strong.tsv": [
            ("/data/s9d-2nhuJCQ_30000.wav", "0", "3.627", ("/m/053hz1",))
        ],
        "07-dataset-csvs/11_hf_metadata.csv": [("/data/data/a.wav", "0", "None", ())],
        "07-dataset-csvs/12_hfjsonl_metadata.jsonl": [("/data/data/a.wav", "0", "None", ())],
        "07-dataset-csvs/21_sb_train.csv": [("/data/a.wav", "0", "None", ("s1",))],
        "07-dataset-csvs/48_wavfn_x.csv": [("/data/a.wav", "0", "None", ())],
        "07-dataset-csvs/50_xcanto_x.csv": [
            ("/data/train_audio/abethr1/XC128013.ogg", "0", "None", ("abethr1", "combul2"))
        ],
        "07-dataset-csvs/51_birdnet_x.csv": [("/data/a.wav", "0", "3", ("Turdus merula",))],
        "08-headerless/04_vggsound_vggsound.csv": [
            ("/data/---g-f_I2yQ.wav", "1", "11", ("people marching",)),
            ("/data/--0PQM4-hqg.wav", "30", "40", ("waterfall burbling",)),
        ],
        "08-headerless/13_kaldi_wav.scp": [("/data/utt1.wav", "0", "None", ())],
        "08-headerless/37_fairseq_train.tsv": [
            ("/data/audio/a.flac", "0", "None", ()),
            ("/data/audio/b.flac", "0", "None", ()),
        ],
        "08-headerless/38_filelist_list.txt": [
            ("/data/a.wav", "0", "None", ()),
            ("/data/b.wav", "0", "None", ()),
        ],
        "08-headerless/39_ljspeech_metadata.csv": [
            ("/data/wavs/LJ001-0001.wav", "0", "None", ()),
            ("/data/wavs/LJ001-0002.wav", "0", "None", ()),
        ],
        "09-nested-json/17_lhotse_recordings.jsonl.gz": [("/data/r1.flac", "0", "None", ())],
        "09-nested-json/18_lhotse_cuts.jsonl.gz": [("/data/r1.flac", "0.5", "1.7", ())],
        "09-nested-json/20_ast_datafile.json": [
            ("/data/a.flac", "0", "None", ("/m/068hy", "/m/07q6cd_")),
            ("/data/b.flac", "0", "None", ("/m/09x0r",)),
        ],
        "09-nested-json/22_sb_train.json": [
            ("/data/a.wav", "0", "None", ()),
            ("/data/b.wav", "0", "None", ()),
        ],
    }
    for name, rows in expected.items():
        with files.open_decompressed(str(field / name)) as file:
            found = list(read_manifest(file, f"/data/{Path(name).name}", ManifestOptions()))
        clips = [each for each in found if isinstance(each, Clip)]
        failures = [each.message for each in found if isinstance(each, Failure)]
        assert [
            (each.uri, str(each.start_seconds), str(each.end_seconds), each.labels)
            for each in clips
        ] == rows, name
        assert len(failures) == ("wav.scp" in name)
        assert all("is not run" in message for message in failures)
    for name in ("15_audacity_labels.txt", "14_kaldi_segments"):
        shutil.copy(field / "08-headerless" / name, tmp_path / name)
    (tmp_path / "wav.scp").write_text("utt1 utt1.wav\n")
    (tmp_path / "15_audacity_labels.ogg").touch()
    for name, times in (
        ("15_audacity_labels.txt", ["0-1.2", "1.5-2"]),
        ("14_kaldi_segments", ["0.5-2.3", "2.5-4"]),
    ):
        with (tmp_path / name).open("rb") as file:
            found = list(read_manifest(file, str(tmp_path / name), ManifestOptions()))
        ranges = [f"{c.start_seconds}-{c.end_seconds}" for c in found if isinstance(c, Clip)]
        assert ranges == times


_INSERTED = [
    *(
        b'"',
        b"\t",
        b",",
        b"\n",
        b"\0",
        b"\xff",
        b"{",
        b"}",
        b"[",
        b"]",
        b"|",
        b"\\",
        b"../",
        b"1e999",
    ),
    *(b"NaN", b"-1", b"", b"\r", b"'", b":", b"null", b"x" * 5000, b"{" * 200, b"@recording"),
]


def _mutated(data: bytes, generator: random.Random) -> bytes:
    mutated = bytearray(data)
    for _ in range(generator.randint(1, 5)):
        start = generator.randrange(len(mutated) + 1)
        end = start + generator.randrange(1, 12)
        part = mutated[start:end]
        mutated[start : end if generator.random() < 0.5 else start] = generator.choice(
            [*_INSERTED, bytes(part * 3)]
        )
    return bytes(mutated)


def test_mutated_tables_give_clips_failures_and_refusals_only(tmp_path: Path) -> None:
    generator = random.Random(15)
    refusals = clips = failures = 0
    for command, case in CASES.items():
        if "--manifest" not in command:
            continue
        words = command.split()
        root = (
            str(tmp_path / words[words.index("--audio_root") + 1])
            if "--audio_root" in words
            else None
        )
        case.write(tmp_path)
        table = tmp_path / words[1]
        with files.open_decompressed(str(table)) as file:
            data = file.read()
        for number in range(12):
            layout = COMMANDS[command] if number % 2 else None
            mutated = io.BytesIO(_mutated(data, generator))
            try:
                for found in read_manifest(
                    mutated, str(table), ManifestOptions(layout=layout, audio_root=root)
                ):
                    clips += isinstance(found, Clip)
                    failures += isinstance(found, Failure)
            except ManifestError:
                refusals += 1
    assert min(refusals, clips, failures) > 50
