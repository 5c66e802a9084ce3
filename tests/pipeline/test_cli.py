"""The command line: what it takes, what it refuses, and how it says so."""

import gzip
import lzma
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.commands.validation import corpus_of
from pipeline.errors import UsageError
from pipeline.options.settings import EmbedSettings
from tests.sounds import noise, write_wav
from transforms.corpus.labels import ClassMap
from transforms.corpus.splits import Splits
from transforms.dataset.profiles import PROFILES
from transforms.find_segments import FindSegments


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    write_wav(tmp_path / "in/a.wav", noise(16_000))
    return tmp_path / "in"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/saved_model.pb").touch()
    return tmp_path / "model"


def _refusal(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Runs a command that must be refused; returns the one line that says why."""
    assert cli.main([str(argument) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--profil=raw"], "--profil is unknown; did you mean --profile?"),
        (["--num_shard", "3"], "--num_shard is unknown; did you mean --num_shards?"),
        (["--direct_num_worker=3"], "--direct_num_worker is unknown; did you mean --direct_num_w"),
        (["--xyzzy"], "--xyzzy is unknown\n"),
        (["--profile=mp3"], "argument --profile: invalid choice: 'mp3' (choose from"),
        (["--short_clips=cut"], "argument --short_clips: invalid choice: 'cut' (choose from"),
        (["--num_shards=0"], "--num_shards=0 (allowed: 1 to 99999)"),
        (["--num_shards=100000"], "--num_shards=100000 (allowed: 1 to 99999)"),
        (["--num_shards=-1"], "argument --num_shards: '-1' (allowed: a whole number, 0 or more)"),
        (["--num_shards=many"], "argument --num_shards: 'many' (allowed: a whole number"),
        (["--max_failed_ratio=1.1"], "--max_failed_ratio=1.1 (allowed: 0 to 1)"),
        (["--max_failed_ratio=nan"], "--max_failed_ratio=nan (allowed: 0 to 1)"),
        (["--max_failed_ratio=few"], "argument --max_failed_ratio: 'few' (allowed: a number"),
        (["--hop_seconds=0"], "--hop_seconds=0, 0 samples at 16 kHz (allowed: a whole number"),
        (["--hop_seconds=-1"], "--hop_seconds=-1, -16000 samples at 16 kHz (allowed"),
        (["--hop_seconds=0.33333"], "--hop_seconds=0.33333, 5333.28 samples at 16 kHz (allowed"),
        (["--hop_seconds=1e9"], "up to 3600 s)"),
        (["--hop_seconds=nan"], "argument --hop_seconds: 'nan' (allowed: a number of seconds)"),
        (["--hop_seconds=1e999999"], "argument --hop_seconds: '1e999999' (allowed: a number"),
        (["--hop_seconds=1e-999999"], "argument --hop_seconds: '1e-999999' (allowed: a number"),
        (["--hop_seconds=1s"], "argument --hop_seconds: '1s' (allowed: a number of seconds)"),
        (["--max_rows=0"], "--max_rows=0 (allowed: 1 or more)"),
        (["--name=a/b"], "--name='a/b' (allowed: letters, digits and _ . -"),
        (["--name=.hidden"], "--name='.hidden' (allowed"),
        (["--name="], "--name='' (allowed"),
        (["--model=/absent"], "--model: '/absent' does not exist; allowed: a hub URL"),
        (["--model="], "cannot be empty"),
        (["--input="], "cannot be empty"),
        (["--profile=audioset", "--pca=/absent"], "--pca='/absent' does not exist (allowed: path"),
        (["stray"], "'stray' belongs to no flag"),
        (["--direct_num_workers", "2", "stray"], "'stray' belongs to no flag"),
        (["--input=/absent/*.wav"], "--input=/absent/*.wav matches nothing"),
        (["--input=nope://b/a.wav"], "--input=nope://b/a.wav: no storage is known for nope://"),
        (["--manifest="], "--manifest cannot be empty"),
        (["--audioset_segments="], "--audioset_segments cannot be empty"),
        (["--audio_root="], "--audio_root cannot be empty"),
        (["--class_map="], "--class_map cannot be empty"),
        (["--manifest_format=csv"], "--manifest_format requires --manifest"),
        (["--manifest_format=xml"], "argument --manifest_format: invalid choice: 'xml'"),
        (["--keep_columns=x"], "--keep_columns requires --manifest"),
        (["--audioset_segments=/s"], "--audioset_segments requires --audio_root"),
        (["--audio_root=/a"], "--audio_root requires --manifest or --audioset_segments"),
        (["--audio_name={id}"], "--audio_name requires --audioset_segments"),
        (["--segments_are_cut"], "--segments_are_cut requires --audioset_segments"),
        (["--unknown_labels=drop"], "--unknown_labels requires --class_map"),
        (["--unknown_labels=keep"], "argument --unknown_labels: invalid choice: 'keep'"),
        (["--class_map=/absent"], "--class_map=/absent: [Errno 2] No such file"),
        (["--clip_seconds=0.974"], "--clip_seconds=0.974 (allowed: 0.975, one row, to 1000000)"),
        (["--clip_seconds=-1"], "--clip_seconds=-1 (allowed: 0.975"),
        (["--clip_seconds=0"], "--clip_seconds=0 (allowed: 0.975"),
        (["--clip_seconds=1000000.1"], "--clip_seconds=1000000.1 (allowed: 0.975"),
        (["--clip_seconds=10s"], "argument --clip_seconds: '10s' (allowed: a number of seconds)"),
        (["--clip_seconds=nan"], "argument --clip_seconds: 'nan' (allowed: a number of seconds)"),
        (["--channel=0"], "argument --channel: '0' (allowed: mean, left, right, or 1 to 1024)"),
        (["--channel=1025"], "argument --channel: '1025' (allowed: mean, left"),
        (["--channel=-1"], "argument --channel: '-1' (allowed: mean, left"),
        (["--channel=Left"], "argument --channel: 'Left' (allowed: mean, left"),
        (["--channel=1.5"], "argument --channel: '1.5' (allowed: mean, left"),
        (["--channel=²"], "argument --channel: '²' (allowed: mean, left"),
        (["--channel="], "argument --channel: '' (allowed: mean, left"),
        (["--split=train=0.8,test=0.1"], "argument --split: the shares sum to 0.9 (allowed: 1)"),
        (["--split=train=0.8,test=0.3"], "argument --split: the shares sum to 1.1 (allowed: 1)"),
        (["--split=a=0.3,b=0.3,c=0.3"], "argument --split: the shares sum to 0.9 (allowed: 1)"),
        (["--split=train"], "argument --split: 'train' (allowed: NAME=SHARE with a share from"),
        (["--split=train=80%"], "argument --split: 'train=80%' (allowed: NAME=SHARE"),
        (["--split=train=-1"], "argument --split: 'train=-1' (allowed: NAME=SHARE"),
        (["--split=train=1,test=0"], "argument --split: 'test=0' (allowed: NAME=SHARE"),
        (["--split="], "argument --split: split name '' is invalid"),
        (["--split=a=0.5,a=0.5"], "argument --split: split name 'a' is invalid or occurs twice"),
        (["--split=unsplit=1"], "argument --split: split name 'unsplit' is invalid"),
        (["--split=../out=1"], "argument --split: split name '../out' is invalid"),
    ],
)
def test_wrong_use_is_refused_in_one_line_before_anything_is_made(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    audio: Path,
    model: Path,
    flags: list[str],
    why: str,
) -> None:
    own = ["--profile=raw", f"--model={model}"]
    kept = [flag for flag in own if flag.split("=")[0] not in {f.split("=")[0] for f in flags}]
    # Positional words would be taken for further inputs if they came right behind --input.
    arguments = ["embed", f"--input={audio}", f"--output={tmp_path / 'out'}", *kept, *flags]
    assert why in _refusal(capsys, *arguments)
    assert not (tmp_path / "out").exists()


def test_a_missing_flag_that_is_misspelt_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--outptu is unknown; did you mean --output?" in _refusal(
        capsys, "embed", "--input", "a", "--outptu", "b"
    )


def test_a_run_that_asks_for_nothing_is_refused_with_what_asks_for_something(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "no input: pass --input, --manifest or --audioset_segments" in _refusal(
        capsys, "embed", "--output", "b"
    )


@pytest.fixture
def corpus(tmp_path: Path, audio: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory, with manifests, segments and class maps, good ones and bad ones."""
    monkeypatch.chdir(tmp_path)
    segments = b'# YTID, start_seconds\n-a, 30.000, 40.000, "/m/a"\n'
    files = {
        "m.csv": b"uri,speaker,Format\nin/a.wav,ann,wav\n",
        "m.jsonl": b'{"uri": "in/a.wav"}\n',
        "no_uri.csv": b"id,labels\na,b\n",
        "two_uris.csv": b"uri,path\na,b\n",
        "no_header.csv": b"in/a.wav,ann\nin/b.wav,bob\n",
        "empty.csv": b"",
        "array.json": b'[{"uri": "a.wav"}]',
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


SEGMENTS = ("--audioset_segments=segments.csv", "--audio_root=in")


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--manifest=absent.csv"], "--manifest=DIR/absent.csv matches nothing"),
        (["--manifest=absent*"], "--manifest=DIR/absent* matches nothing"),
        (["--manifest", "m.csv", "absent.csv"], "--manifest=DIR/absent.csv matches nothing"),
        (["--manifest=nope://b/m.csv"], "--manifest=nope://b/m.csv: no storage is known for nope"),
        (["--manifest=folder.csv"], "--manifest=DIR/folder.csv: [Errno 21] Is a directory"),
        (["--manifest=in/a.wav"], "--manifest=DIR/in/a.wav: binary, not text: it looks like WAV"),
        (["--manifest=table.parquet"], "binary, not text: it looks like Parquet; write the table"),
        (["--manifest=gzipped.csv"], "binary, not text: it looks like gzip; decompress it, or"),
        (["--manifest=cut.csv.gz"], "--manifest=DIR/cut.csv.gz: cannot be decompressed: "),
        (["--manifest=plain.csv.gz"], "--manifest=DIR/plain.csv.gz: Not a gzipped file"),
        (["--manifest=no_uri.csv"], "found columns id, labels: none of them names the recording"),
        (["--manifest=two_uris.csv"], "found columns uri, path: more than one of them names"),
        (["--manifest=no_header.csv"], "found columns in/a.wav, ann: none of them names the"),
        (["--manifest=empty.csv"], "--manifest=DIR/empty.csv: the file is empty; write a header"),
        (["--manifest=array.json"], "--manifest=DIR/array.json: a JSON array"),
        (["--manifest=no_*.csv"], "--manifest=DIR/no_header.csv: found columns"),
        (["--manifest=m.jsonl", "--manifest_format=csv"], "none of them names the recording"),
        (
            ["--manifest=m.csv", "--keep_columns=x"],
            "--keep_columns=x: no manifest has it (there are: Format, speaker)",
        ),
        (
            ["--manifest=m.csv", "--keep_columns", "speaker", "Speaker"],
            "--keep_columns=Speaker: no",
        ),
        (
            ["--manifest=m.csv", "--keep_columns=uri"],
            "--keep_columns=uri: a column of this name describes the clip and is not kept",
        ),
        (["--manifest=m.jsonl", "--keep_columns=Split"], "--keep_columns=Split: a column of this"),
        (
            ["--manifest=m.csv", "--keep_columns=video_id"],
            "--keep_columns=video_id: the records have a feature of this name already",
        ),
        (
            ["--manifest=m.jsonl", "--keep_columns=labels"],
            "--keep_columns=labels: the records have",
        ),
        (
            ["--manifest=m.jsonl", "--keep_columns=audio_embedding"],
            "a feature of this name already",
        ),
        (
            ["--audioset_segments=absent", "--audio_root=in"],
            "--audioset_segments=DIR/absent matches nothing",
        ),
        (
            ["--audioset_segments=m.csv", "--audio_root=in"],
            "--audioset_segments=DIR/m.csv: line 1, the first segment, has 3 cells (expected 4",
        ),
        (
            ["--audioset_segments=cut.xz", "--audio_root=in"],
            "--audioset_segments=DIR/cut.xz: cannot be decompressed: ",
        ),
        (
            ["--audioset_segments=segments.csv", "--audio_root=absent"],
            "--audio_root=DIR/absent does not exist",
        ),
        (
            ["--audioset_segments=segments.csv", "--audio_root=nope://b/in"],
            "--audio_root=nope://b/in: no storage is known for nope://",
        ),
        (
            [*SEGMENTS, "--audio_name=a.wav"],
            "--audio_name=a.wav: {id} is missing (allowed: {id} {st",
        ),
        (
            [*SEGMENTS, "--audio_name="],
            "--audio_name=: {id} is missing (allowed: {id} {start} {end}",
        ),
        (
            [*SEGMENTS, "--audio_name={id}{x}"],
            "--audio_name={id}{x}: {x} is unknown (allowed: {id}",
        ),
        ([*SEGMENTS, "--audio_name={id}_{}"], "--audio_name={id}_{}: {} is unknown (allowed: {id}"),
        ([*SEGMENTS, "--audio_name={id"], "--audio_name={id: expected '}' before end of string"),
        ([*SEGMENTS, "--audio_name={id}_{start:x.y}"], "--audio_name={id}_{start:x.y}: "),
        ([*SEGMENTS, "--audio_name={id}{end:{id.x}}"], "--audio_name={id}{end:{id.x}}: "),
        ([*SEGMENTS, "--audio_name={id}*"], "--audio_name={id}*: *, ? and NUL are not allowed"),
        (["--class_map=no_index.csv"], "--class_map=DIR/no_index.csv: the first line is 'mid,disp"),
        (["--class_map=empty.csv"], "--class_map=DIR/empty.csv: the first line is ''"),
        (["--class_map=twice.csv"], "--class_map=DIR/twice.csv: duplicate index 0"),
        (["--class_map=large.csv"], "--class_map=DIR/large.csv: line 2: index '999"),
        (["--class_map=in/a.wav"], "--class_map=DIR/in/a.wav: not CSV in UTF-8"),
        (["--class_map=nope://b/map.csv"], "--class_map=nope://b/map.csv: no storage is known"),
        (["--class_map=folder.csv"], "--class_map=DIR/folder.csv: [Errno 21] Is a directory"),
    ],
)
@pytest.mark.usefixtures("corpus")
def test_a_corpus_that_is_not_as_it_should_be_is_refused_before_anything_is_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path, flags: list[str], why: str
) -> None:
    arguments = ["embed", "--profile=raw", f"--model={model}", "--output=out", *flags]
    if flags[0].startswith("--class_map"):
        arguments.append("--input=in")
    refusal = _refusal(capsys, *arguments)
    assert why in refusal.replace(str(tmp_path), "DIR")
    assert len(refusal) < 500
    assert not (tmp_path / "out").exists()


def _settings(*flags: str) -> EmbedSettings:
    return cli.parse_job(["embed", "--output=out", "--profile=raw", "--model=model", *flags])[1]


@pytest.mark.usefixtures("corpus", "model")
def test_a_corpus_that_is_as_it_should_be_is_handed_on_to_the_workers(tmp_path: Path) -> None:
    asked_for = corpus_of(
        _settings(
            *("--input=in", "--manifest=m.*", "--keep_columns", "speaker", "x", *SEGMENTS),
            *("--class_map=map.csv", "--unknown_labels=drop", "--split=train=0.75,test=0.25"),
            *("--audio_name={id}_{start}.wav", "--segments_are_cut"),
        )
    )
    assert asked_for.inputs == (f"{tmp_path}/in",)
    assert asked_for.manifests == (f"{tmp_path}/m.*",)
    assert asked_for.audioset_segments == (f"{tmp_path}/segments.csv",)
    assert asked_for.find_segments == FindSegments(f"{tmp_path}/in", "{id}_{start}.wav", True)
    assert asked_for.class_map == ClassMap(((0, "/m/a", "Speech"),))
    assert asked_for.drop_unknown_labels
    assert asked_for.splits == Splits((("train", Fraction(3, 4)), ("test", Fraction(1, 4))))
    options = asked_for.manifest_options
    assert options.audio_root == f"{tmp_path}/in"
    assert options.known_labels is not None
    assert [options.known_labels(label) for label in ("Speech", "/m/a", "x")] == [True, True, False]
    assert "s16le" in options.raw_formats


@pytest.mark.usefixtures("corpus", "model")
def test_columns_that_a_manifest_may_have_that_is_not_looked_into_are_taken(tmp_path: Path) -> None:
    for index in range(20):
        (tmp_path / f"n{index:02}.csv").write_text("uri\na.wav\n")
    with pytest.raises(
        UsageError, match=r"--keep_columns=note: no manifest has it \(there are: \)"
    ):
        corpus_of(_settings("--manifest=n0*.csv", "--keep_columns=note"))
    (tmp_path / "n20.csv").write_text("uri,note\na.wav,x\n")
    asked_for = corpus_of(_settings("--manifest=n*.csv", "--keep_columns=note"))
    assert asked_for.manifests == (f"{tmp_path}/n*.csv",)


@pytest.mark.parametrize(
    ("flag", "channel"),
    [("mean", None), ("left", 1), ("right", 2), ("1", 1), ("007", 7), ("1024", 1024)],
)
@pytest.mark.usefixtures("corpus", "model")
def test_a_channel_is_a_name_or_a_number_from_one(flag: str, channel: int | None) -> None:
    assert _settings("--input=in", f"--channel={flag}").channel == channel


@pytest.mark.parametrize("seconds", ["0.975", "1e1", "1000000"])
@pytest.mark.usefixtures("corpus", "model")
def test_clips_are_cut_to_exact_lengths_of_at_least_one_row(seconds: str) -> None:
    assert _settings("--input=in", f"--clip_seconds={seconds}").clip_seconds == Decimal(seconds)


@pytest.mark.usefixtures("corpus", "model")
def test_columns_that_are_kept_are_in_the_layout_once_each() -> None:
    flags = ("--manifest=m.csv", "--keep_columns", "b", "a", "b", "--keep_columns=c")
    assert _settings(*flags).layout.columns == ("b", "a", "c")


@pytest.mark.parametrize("flag", ["--direct_num_workers=many", "--direct_running_mode=magic"])
def test_values_that_beam_refuses_are_wrong_use(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, audio: Path, model: Path, flag: str
) -> None:
    arguments = ["embed", f"--input={audio}", f"--output={tmp_path / 'out'}", "--profile=raw"]
    assert cli.main([*arguments, f"--model={model}", flag]) == 2
    assert flag.split("=")[1] in capsys.readouterr().err


def test_a_folder_without_audio_is_refused_with_the_suffixes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/notes.txt").touch()
    refusal = _refusal(
        capsys,
        *("embed", f"--input={tmp_path / 'in'}", f"--output={tmp_path / 'out'}"),
        *("--profile=raw", f"--model={model}"),
    )
    assert "none of its 1 files is audio by its suffix" in refusal
    assert ".flac" in refusal


@pytest.mark.parametrize(
    "command", [[], ["embed"], ["check"], ["plan"], ["export-model"], ["demo"]]
)
def test_help_tells_the_default_and_the_unit_of_every_option(
    capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main([*command, "--help"])
    assert stopped.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    if command == ["embed"]:
        for part in (
            "--input PATH",
            "(default: https://tfhub.dev/google/vggish/1)",
            "audioset (default)",
            "under 0.975 s",
            "(default: pad)",
            "(default: one for every 100 MB)",
            "3 the dataset is complete, but more clips failed",
        ):
            assert part in text
    if not command:
        assert all(name in text for name in ("embed", "check", "plan", "export-model", "demo"))


def test_defaults_of_flags_and_settings_agree(tmp_path: Path) -> None:
    given = ["embed", "--input", "/a", "--output", "/b"]
    command, settings, rest = cli.parse_job([*given, "--profile=raw", "--other=1"])
    assert (command, rest) == ("embed", ["--other=1"])
    assert settings == EmbedSettings(inputs=("/a",), output="/b", profile=PROFILES["raw"])
    assert cli.parse_job(given)[1].profile is PROFILES["audioset"]


def test_relative_paths_are_made_absolute_and_inputs_given_twice_count_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    _, settings, _ = cli.parse_job(
        [
            *("embed", "--input", "in", "./in", "--input=b.wav"),
            *("--output=out", "--model=model", "--profile=raw"),
        ]
    )
    assert settings.inputs == (f"{tmp_path}/in", f"{tmp_path}/b.wav")
    assert (settings.output, settings.model) == (f"{tmp_path}/out", str(model))


@pytest.mark.parametrize("arguments", [["--help"], ["embed", "--help"], ["embed", "--profile=x"]])
def test_help_and_refusals_import_neither_tensorflow_nor_beam(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom pipeline.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "assert 'tensorflow' not in sys.modules and 'apache_beam' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", script, *arguments], check=True, capture_output=True, timeout=300
    )


def test_export_model_refuses_a_folder_in_use_and_a_checkpoint_that_is_not_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path
) -> None:
    assert "exists already" in _refusal(capsys, "export-model", "--untrained", f"--output={model}")
    assert "--checkpoint=/absent does not exist" in _refusal(
        capsys, "export-model", "--checkpoint=/absent", f"--output={tmp_path / 'new'}"
    )
    assert "one of the arguments --checkpoint --untrained is required" in _refusal(
        capsys, "export-model", f"--output={tmp_path / 'new'}"
    )
    assert "--stray is unknown to export-model" in _refusal(
        capsys, "export-model", "--untrained", f"--output={tmp_path / 'new'}", "--stray"
    )


def test_export_model_says_what_the_model_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(["export-model", "--untrained", "--seed=7", f"--output={tmp_path / 'm'}"]) == 0
    assert "VGGish (UNTRAINED, seed 7)" in capsys.readouterr().out
    import tensorflow as tf

    assert int(tf.saved_model.load(str(tmp_path / "m")).untrained_seed) == 7


@pytest.mark.parametrize("column", ["", "caf\udce9"])
def test_a_column_to_keep_must_be_a_name_that_a_record_can_have(
    column: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.jsonl").write_text('{"uri": "a.wav"}')
    flags = [f"--manifest={tmp_path / 'm.jsonl'}", f"--output={tmp_path / 'out'}"]
    assert cli.main(["embed", *flags, "--keep_columns", column, "--profile=raw"]) == 2
    assert "(allowed: names in UTF-8)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
