"""The values of options that are refused, and those that are accepted."""

from decimal import Decimal
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.graph import framing_config
from pipeline.options.settings import EmbedSettings
from tests.pipeline.refusing import refusal
from transforms.dataset.profiles import PROFILES

REFUSED = [
    ("--profile=mp3", "argument --profile: invalid choice: 'mp3' (choose from"),
    ("--short_clips=cut", "argument --short_clips: invalid choice: 'cut' (choose from"),
    ("--damaged=drop", "argument --damaged: invalid choice: 'drop' (choose from"),
    (
        "--manifest=m --keep_columns=damaged_seconds --damaged=keep",
        "--keep_columns=damaged_seconds: the records have a feature of this name already",
    ),
    ("--num_shards=0", "--num_shards=0 (allowed: 1 to 99999)"),
    ("--num_shards=100000", "--num_shards=100000 (allowed: 1 to 99999)"),
    ("--num_shards=-1", "argument --num_shards: '-1' (allowed: a whole number, 0 or more)"),
    ("--num_shards=many", "argument --num_shards: 'many' (allowed: a whole number"),
    ("--max_failed_ratio=1.1", "--max_failed_ratio=1.1 (allowed: 0 to 1)"),
    ("--max_failed_ratio=nan", "--max_failed_ratio=nan (allowed: 0 to 1)"),
    ("--max_failed_ratio=few", "argument --max_failed_ratio: 'few' (allowed: a number"),
    ("--hop_seconds=0", "--hop_seconds=0, 0 samples at 16 kHz (allowed: a whole number"),
    ("--hop_seconds=-1", "--hop_seconds=-1, -16000 samples at 16 kHz (allowed"),
    ("--hop_seconds=0.33333", "--hop_seconds=0.33333, 5333.28 samples at 16 kHz (allowed"),
    ("--hop_seconds=1e9", "up to 3600 s)"),
    ("--hop_seconds=nan", "argument --hop_seconds: 'nan' (allowed: a number of seconds)"),
    ("--hop_seconds=1e999999", "argument --hop_seconds: '1e999999' (allowed: a number"),
    ("--hop_seconds=1e-999999", "--hop_seconds=0, 0 samples at 16 kHz (allowed"),
    ("--hop_seconds=1s", "argument --hop_seconds: '1s' (allowed: a number of seconds)"),
    ("--max_rows=0", "--max_rows=0 (allowed: 1 or more)"),
    ("--name=a/b", "--name='a/b' (allowed: letters, digits and _ . -"),
    ("--name=.hidden", "--name='.hidden' (allowed"),
    ("--name=", "--name='' (allowed"),
    ("--model=", "cannot be empty"),
    ("--input=", "cannot be empty"),
    ("--profile=audioset --pca=/absent", "--pca='/absent' does not exist (allowed: path"),
    ("--manifest=", "--manifest cannot be empty"),
    ("--audioset_segments=", "--audioset_segments cannot be empty"),
    ("--audio_root=", "--audio_root cannot be empty"),
    ("--class_map=", "--class_map cannot be empty"),
    ("--manifest_format=csv", "--manifest_format requires --manifest"),
    ("--manifest_format=xml", "argument --manifest_format: invalid choice: 'xml'"),
    ("--label_separator=;", "--label_separator requires --manifest"),
    ("--manifest=m.csv --label_separator=", "--label_separator=: empty (allowed: any text, or"),
    ("--keep_columns=x", "--keep_columns requires --manifest"),
    ("--audioset_segments=/s", "--audioset_segments requires --audio_root"),
    ("--audio_root=/a", "--audio_root requires --manifest or --audioset_segments"),
    ("--audio_name={id}", "--audio_name requires --audioset_segments"),
    ("--segments_are_cut", "--segments_are_cut requires --audioset_segments"),
    ("--unknown_labels=drop", "--unknown_labels requires --class_map"),
    ("--unknown_labels=keep", "argument --unknown_labels: invalid choice: 'keep'"),
    ("--clip_seconds=0.974", "--clip_seconds=0.974 (allowed: 0.975, one row, to 1000000)"),
    ("--clip_seconds=-1", "--clip_seconds=-1 (allowed: 0.975"),
    ("--clip_seconds=0", "--clip_seconds=0 (allowed: 0.975"),
    ("--clip_seconds=1000000.1", "--clip_seconds=1000000.1 (allowed: 0.975"),
    ("--clip_seconds=10s", "argument --clip_seconds: '10s' (allowed: a number of seconds)"),
    ("--clip_seconds=nan", "argument --clip_seconds: 'nan' (allowed: a number of seconds)"),
    ("--channel=0", "argument --channel: '0' (allowed: mean, left, right, or 1 to 1024)"),
    ("--channel=1025", "argument --channel: '1025' (allowed: mean, left"),
    ("--channel=-1", "argument --channel: '-1' (allowed: mean, left"),
    ("--channel=Left", "argument --channel: 'Left' (allowed: mean, left"),
    ("--channel=1.5", "argument --channel: '1.5' (allowed: mean, left"),
    ("--channel=²", "argument --channel: '²' (allowed: mean, left"),
    ("--channel=", "argument --channel: '' (allowed: mean, left"),
    ("--split=train=0.8,test=0.1", "argument --split: the shares sum to 0.9 (allowed: 1)"),
    ("--split=train=0.8,test=0.3", "argument --split: the shares sum to 1.1 (allowed: 1)"),
    ("--split=a=0.3,b=0.3,c=0.3", "argument --split: the shares sum to 0.9 (allowed: 1)"),
    ("--split=train", "argument --split: 'train' (allowed: NAME=SHARE with a share from"),
    ("--split=train=80%", "argument --split: 'train=80%' (allowed: NAME=SHARE"),
    ("--split=train=-1", "argument --split: 'train=-1' (allowed: NAME=SHARE"),
    ("--split=train=1,test=0", "argument --split: 'test=0' (allowed: NAME=SHARE"),
    ("--split=", "argument --split: split name '' is invalid"),
    ("--split=a=0.5,a=0.5", "argument --split: split name 'a' is invalid or occurs twice"),
    ("--split=unsplit=1", "argument --split: split name 'unsplit' is invalid"),
    ("--split=../out=1", "argument --split: split name '../out' is invalid"),
]


def test_values_that_are_not_allowed_are_refused_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for flags, why in REFUSED:
        profile = [] if "--profile" in flags else ["--profile=raw"]
        arguments = ["embed", "--input=in", "--output=out", *profile, *flags.split(" ")]
        assert why in refusal(capsys, *arguments), flags


def _settings(*flags: str) -> EmbedSettings:
    return cli.parse_job(["embed", "--output=out", "--profile=raw", *flags])[1]


def test_a_channel_is_a_name_or_a_number_from_one() -> None:
    allowed = {"mean": None, "left": 1, "right": 2, "1": 1, "007": 7, "1024": 1024}
    for text, channel in allowed.items():
        assert _settings("--input=in", f"--channel={text}").channel == channel


def test_clips_are_cut_to_exact_lengths_of_at_least_one_row() -> None:
    for seconds in ("0.975", "1e1", "1000000"):
        settings = _settings("--input=in", f"--clip_seconds={seconds}")
        assert settings.clip_seconds == Decimal(seconds)


def test_columns_that_are_kept_are_in_the_layout_once_each() -> None:
    flags = ("--manifest=m.csv", "--keep_columns", "b", "a", "b", "--keep_columns=c")
    assert _settings(*flags).layout.columns == ("b", "a", "c")


def test_damaged_clips_fail_unless_they_are_kept() -> None:
    for flags, keep_damaged in (
        ((), False),
        (("--damaged=fail", "--keep_columns=damaged_seconds"), False),
        (("--damaged=keep",), True),
    ):
        framing = framing_config(_settings("--manifest=m.csv", *flags))
        assert framing.keep_damaged is keep_damaged


@pytest.mark.parametrize("column", ["", "caf\udce9"])
def test_a_column_to_keep_must_be_a_name_that_a_record_can_have(
    column: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["embed", "--manifest=m", "--output=o", "--keep_columns", column]) == 2
    assert "(allowed: names in UTF-8)" in capsys.readouterr().err


def test_defaults_of_flags_and_settings_agree() -> None:
    given = ["embed", "--input", "/a", "--output", "/b"]
    command, settings, rest = cli.parse_job([*given, "--profile=raw", "--other=1"])
    assert (command, rest) == ("embed", ["--other=1"])
    assert settings == EmbedSettings(inputs=("/a",), output="/b", profile=PROFILES["raw"])
    assert cli.parse_job(given)[1].profile is PROFILES["audioset"]


def test_paths_are_made_absolute_and_duplicate_inputs_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, settings, _ = cli.parse_job(
        [
            *("embed", "--input", "in", "./in", "--input=b.wav"),
            *("--output=out", "--model=model", "--profile=raw"),
        ]
    )
    assert settings.inputs == (f"{tmp_path}/in", f"{tmp_path}/b.wav")
    assert (settings.output, settings.model) == (f"{tmp_path}/out", f"{tmp_path}/model")
