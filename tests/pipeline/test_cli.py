"""The command line: what it takes, what it refuses, and how it says so."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.settings import EmbedSettings
from tests.sounds import noise, write_wav


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
    assert "--inptu is unknown; did you mean --input?" in _refusal(
        capsys, "embed", "--inptu", "a", "--output", "b"
    )


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


@pytest.mark.parametrize("command", [[], ["embed"], ["export-model"], ["demo"]])
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
        assert all(name in text for name in ("embed", "export-model", "demo"))


def test_defaults_of_flags_and_settings_agree(tmp_path: Path) -> None:
    parser, _ = cli._parser()
    parsed = parser.parse_args(["embed", "--input", "/a", "--output", "/b", "--profile=raw"])
    settings = EmbedSettings.from_arguments(parsed)
    defaults = EmbedSettings(inputs=("/a",), output="/b", profile=settings.profile)
    assert settings == defaults
    assert parser.parse_args(["embed", "--input=a", "--output=b"]).profile == "audioset"


def test_relative_paths_are_made_absolute_and_inputs_given_twice_count_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    parser, _ = cli._parser()
    parsed = parser.parse_args(
        [
            *("embed", "--input", "in", "./in", "--input=b.wav"),
            *("--output=out", "--model=model", "--profile=raw"),
        ]
    )
    settings = EmbedSettings.from_arguments(parsed)
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
        [sys.executable, "-c", script, *arguments], check=True, capture_output=True, timeout=60
    )


def test_export_model_refuses_a_folder_in_use_and_a_checkpoint_that_is_not_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path
) -> None:
    assert "is there already" in _refusal(
        capsys, "export-model", "--untrained", f"--output={model}"
    )
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
