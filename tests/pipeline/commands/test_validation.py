"""The validation of a run: what is refused before anything is written."""

import gzip
import lzma
from fractions import Fraction
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.commands.validation import corpus_of
from pipeline.errors import UsageError
from pipeline.options.settings import EmbedSettings
from tests.pipeline.refusing import refusal
from tests.sounds import noise, write_wav
from transforms.corpus.labels import ClassMap
from transforms.corpus.splits import Splits
from transforms.find_segments import FindSegments

REFUSED = [
    ("--num_shard 3", "--num_shard is unknown; did you mean --num_shards?"),
    ("--direct_num_worker=3", "--direct_num_worker is unknown; did you mean --direct_num_w"),
    ("--xyzzy", "--xyzzy is unknown\n"),
    ("--model=/absent", "--model: '/absent' does not exist; allowed: a hub URL"),
    ("stray", "'stray' belongs to no flag"),
    ("--direct_num_workers 2 stray", "'stray' belongs to no flag"),
    ("--input=/absent/*.wav", "--input=/absent/*.wav matches nothing"),
    ("--input=nope://b/a.wav", "--input=nope://b/a.wav: no storage is known for nope://"),
    ("--class_map=/absent", "--class_map=/absent: [Errno 2] No such file"),
    ("--profil=raw", "--profil is unknown; did you mean --profile?"),
]
REFUSED_CORPORA = [
    ("--manifest=absent.csv", "--manifest=DIR/absent.csv matches nothing"),
    ("--manifest=absent*", "--manifest=DIR/absent* matches nothing"),
    ("--manifest m.csv absent.csv", "--manifest=DIR/absent.csv matches nothing"),
    ("--manifest=nope://b/m.csv", "--manifest=nope://b/m.csv: no storage is known for nope"),
    ("--manifest=folder.csv", "--manifest=DIR/folder.csv: [Errno 21] Is a directory"),
    ("--manifest=in/a.wav", "--manifest=DIR/in/a.wav: binary, not text: it looks like WAV"),
    (
        "--manifest=table.parquet",
        "a Parquet table that cannot be read: Parquet magic bytes not found",
    ),
    ("--manifest=gzipped.csv", "binary, not text: it looks like gzip; decompress it, or"),
    ("--manifest=cut.csv.gz", "--manifest=DIR/cut.csv.gz: cannot be decompressed: "),
    ("--manifest=plain.csv.gz", "--manifest=DIR/plain.csv.gz: Not a gzipped file"),
    ("--manifest=no_uri.csv", "found columns id, labels: none of them names the recording"),
    ("--manifest=two_uris.csv", "found columns uri, path: more than one of them names"),
    ("--manifest=no_header.csv", "found columns in/a.wav, ann: none of them names the"),
    ("--manifest=empty.csv", "--manifest=DIR/empty.csv: the file is empty; write a header"),
    ("--manifest=array.json", "--manifest=DIR/array.json: a JSON array or object without any"),
    ("--manifest=no_*.csv", "--manifest=DIR/no_header.csv: found columns"),
    ("--manifest=m.jsonl --manifest_format=csv", "none of them names the recording"),
    (
        "--manifest=m.csv --keep_columns=x",
        "--keep_columns=x: no manifest has it (there are: Format, speaker)",
    ),
    ("--manifest=m.csv --keep_columns speaker Speaker", "--keep_columns=Speaker: no"),
    (
        "--manifest=m.csv --keep_columns=uri",
        "--keep_columns=uri: a column of this name describes the clip and is not kept",
    ),
    ("--manifest=m.jsonl --keep_columns=Split", "--keep_columns=Split: a column of this"),
    (
        "--manifest=m.csv --keep_columns=video_id",
        "--keep_columns=video_id: the records have a feature of this name already",
    ),
    ("--manifest=m.jsonl --keep_columns=labels", "--keep_columns=labels: the records have"),
    ("--manifest=m.jsonl --keep_columns=audio_embedding", "a feature of this name already"),
    (
        "--audioset_segments=absent --audio_root=in",
        "--audioset_segments=DIR/absent matches nothing",
    ),
    (
        "--audioset_segments=m.csv --audio_root=in",
        "--audioset_segments=DIR/m.csv: line 1, the first segment, has 3 cells (expected 4",
    ),
    (
        "--audioset_segments=cut.xz --audio_root=in",
        "--audioset_segments=DIR/cut.xz: cannot be decompressed: ",
    ),
    (
        "--audioset_segments=segments.csv --audio_root=absent",
        "--audio_root=DIR/absent does not exist",
    ),
    (
        "--audioset_segments=segments.csv --audio_root=nope://b/in",
        "--audio_root=nope://b/in: no storage is known for nope://",
    ),
    ("SEGMENTS --audio_name=a.wav", "--audio_name=a.wav: {id} is missing (allowed: {id} {st"),
    ("SEGMENTS --audio_name=", "--audio_name=: {id} is missing (allowed: {id} {start} {end}"),
    ("SEGMENTS --audio_name={id}{x}", "--audio_name={id}{x}: {x} is unknown (allowed: {id}"),
    ("SEGMENTS --audio_name={id}_{}", "--audio_name={id}_{}: {} is unknown (allowed: {id}"),
    ("SEGMENTS --audio_name={id", "--audio_name={id: expected '}' before end of string"),
    ("SEGMENTS --audio_name={id}_{start:x.y}", "--audio_name={id}_{start:x.y}: "),
    ("SEGMENTS --audio_name={id}{end:{id.x}}", "--audio_name={id}{end:{id.x}}: "),
    ("SEGMENTS --audio_name={id}*", "--audio_name={id}*: *, ? and NUL are not allowed"),
    ("--class_map=no_index.csv", "--class_map=DIR/no_index.csv: the first line is 'mid,disp"),
    ("--class_map=empty.csv", "--class_map=DIR/empty.csv: the first line is ''"),
    ("--class_map=twice.csv", "--class_map=DIR/twice.csv: duplicate index 0"),
    ("--class_map=large.csv", "--class_map=DIR/large.csv: line 2: index '999"),
    ("--class_map=in/a.wav", "--class_map=DIR/in/a.wav: not CSV in UTF-8"),
    ("--class_map=nope://b/map.csv", "--class_map=nope://b/map.csv: no storage is known"),
    ("--class_map=folder.csv", "--class_map=DIR/folder.csv: [Errno 21] Is a directory"),
]
SEGMENTS = ("--audioset_segments=segments.csv", "--audio_root=in")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/saved_model.pb").touch()
    return tmp_path / "model"


@pytest.fixture
def corpus(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory, with manifests, segments and class maps, good ones and bad ones."""
    monkeypatch.chdir(tmp_path)
    write_wav(tmp_path / "in/a.wav", noise(16_000))
    segments = b'# YTID, start_seconds\n-a, 30.000, 40.000, "/m/a"\n'
    files = {
        "m.csv": b"uri,speaker,Format\nin/a.wav,ann,wav\n",
        "m.jsonl": b'{"uri": "in/a.wav"}\n',
        "no_uri.csv": b"id,labels\na,b\n",
        "two_uris.csv": b"uri,path\na,b\n",
        "no_header.csv": b"in/a.wav,ann\nin/b.wav,bob\n",
        "empty.csv": b"",
        "array.json": b"[]",
        "table.parquet": b"PAR1" + bytes(99),
        "cut.csv.gz": gzip.compress(b"uri\na.wav\n" * 99)[:-9],
        "plain.csv.gz": b"uri\na.wav\n",
        "gzipped.csv": gzip.compress(b"uri\na.wav\n"),
        "segments.csv": segments,
        "cut.xz": lzma.compress(segments)[:-40],
        "map.csv": b"index,mid,display_name\n0,/m/a,Speech\n",
        "no_index.csv": b"mid,display_name\n/m/a,Speech\n",
        "twice.csv": b"index,mid\n0,/m/a\n0,/m/b\n",
        "large.csv": b"index,mid\n" + b"9" * 5_000 + b",/m/a\n",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.csv").mkdir()


@pytest.mark.usefixtures("corpus")
def test_invalid_options_are_refused_in_one_line_before_anything_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for flags, why in REFUSED:
        model = [] if "--model" in flags else ["--model=model"]
        profile = [] if "--profil=" in flags else ["--profile=raw"]
        # Positional words would be inputs if they came right behind --input.
        arguments = ["embed", "--input=in", "--output=out", *model, *profile, *flags.split(" ")]
        assert why in refusal(capsys, *arguments), flags
        assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("corpus")
def test_an_invalid_corpus_is_refused_before_anything_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for flags, why in REFUSED_CORPORA:
        flags = flags.replace("SEGMENTS", " ".join(SEGMENTS))
        arguments = ["embed", "--profile=raw", "--model=model", "--output=out", *flags.split(" ")]
        if flags.startswith("--class_map"):
            arguments.append("--input=in")
        refused = refusal(capsys, *arguments)
        assert why in refused.replace(str(tmp_path), "DIR"), flags
        assert len(refused) < 500
        assert not (tmp_path / "out").exists()


def _settings(*flags: str) -> EmbedSettings:
    return cli.parse_job(["embed", "--output=out", "--profile=raw", "--model=model", *flags])[1]


@pytest.mark.usefixtures("corpus")
def test_a_valid_corpus_is_read_by_the_workers(tmp_path: Path) -> None:
    read = corpus_of(
        _settings(
            *("--input=in", "--manifest=m.*", "--keep_columns", "speaker", "x", *SEGMENTS),
            *("--class_map=map.csv", "--unknown_labels=drop", "--split=train=0.75,test=0.25"),
            *("--audio_name={id}_{start}.wav", "--segments_are_cut"),
        )
    )
    assert read.inputs == (f"{tmp_path}/in",)
    assert read.manifests == (f"{tmp_path}/m.*",)
    assert read.audioset_segments == (f"{tmp_path}/segments.csv",)
    assert read.find_segments == FindSegments(f"{tmp_path}/in", "{id}_{start}.wav", True)
    assert read.class_map == ClassMap(((0, "/m/a", "Speech"),))
    assert read.drop_unknown_labels
    assert read.splits == Splits((("train", Fraction(3, 4)), ("test", Fraction(1, 4))))
    options = read.manifest_options
    assert options.audio_root == f"{tmp_path}/in"
    assert options.known_labels is not None
    assert [options.known_labels(label) for label in ("Speech", "/m/a", "x")] == [True, True, False]
    assert "s16le" in options.raw_formats


@pytest.mark.usefixtures("corpus")
def test_columns_that_an_unread_manifest_may_have_are_accepted(tmp_path: Path) -> None:
    for index in range(20):
        (tmp_path / f"n{index:02}.csv").write_text("uri\na.wav\n")
    with pytest.raises(
        UsageError, match=r"--keep_columns=note: no manifest has it \(there are: \)"
    ):
        corpus_of(_settings("--manifest=n0*.csv", "--keep_columns=note"))
    (tmp_path / "n20.csv").write_text("uri,note\na.wav,x\n")
    read = corpus_of(_settings("--manifest=n*.csv", "--keep_columns=note"))
    assert read.manifests == (f"{tmp_path}/n*.csv",)


@pytest.mark.parametrize("flag", ["--direct_num_workers=many", "--direct_running_mode=magic"])
def test_values_that_beam_refuses_are_wrong_use(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path, flag: str
) -> None:
    arguments = ["embed", "--input=in", f"--output={tmp_path / 'out'}", "--profile=raw"]
    assert cli.main([*arguments, f"--model={model}", flag]) == 2
    assert flag.split("=")[1] in capsys.readouterr().err


def test_a_folder_without_audio_is_refused_with_the_suffixes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/notes.txt").touch()
    refused = refusal(
        capsys,
        *("embed", f"--input={tmp_path / 'in'}", f"--output={tmp_path / 'out'}"),
        *("--profile=raw", f"--model={model}"),
    )
    assert "none of its 1 files is audio by its suffix" in refused
    assert ".flac" in refused
