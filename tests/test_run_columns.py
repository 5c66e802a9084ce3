"""Runs on tables as people have them: what the columns mean is printed, read and recorded."""

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from pipeline import cli
from tests import reading
from tests.pipeline.refusing import refusal
from tests.running import embed
from tests.sounds import noise, write_wav

RATE_HZ = 16_000


def labels_of(folder: Path) -> dict[str, list[int]]:
    return {
        clip_id: list(each.context.feature["labels"].int64_list.value)
        for clip_id, each in reading.records_by_id(folder).items()
    }


def test_the_clips_of_shared_tables_are_where_their_columns_say(
    raw: list[str], tmp_path: Path, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shared / "data/field"
    tables = ["02-label-start-end-ignored/m1_startend.csv", "03-dcase-offset-is-end/m2_dcase.tsv"]
    tables.append("03-dcase-offset-is-end/m3_bids.csv")
    flags = [f"--manifest={folder / name}" for name in tables]
    output = tmp_path / "out"
    assert embed(output, *raw, *flags) == 0
    assert reading.times_of(output) == {
        "s1": (1, 2),
        "s2": (0.5, 1),
        "d1": (np.float32(0.2), 1.5),
        "d2": (1, np.float32(2.2)),
        "b1": (1, np.float32(2.2)),
    }
    assert labels_of(output) == {"s1": [1], "s2": [0], "d1": [1], "d2": [0], "b1": [1]}
    printed = capsys.readouterr().err
    assert "uri={uri}  id={id}  start={onset}  end={offset}  labels={event_label}" in printed
    assert "line 2    id d1; from 0.2 s to 1.5 s; labels dog" in printed
    meanings = {
        Path(each["uri"]).name: dict(each["meaning"]) for each in reading.info(output)["manifests"]
    }
    assert meanings["m3_bids.csv"]["start"] == "{onset}"
    assert meanings["m3_bids.csv"]["labels"] == "{trial_type}"


def test_columns_that_the_user_explains_become_clips_and_are_recorded(
    raw: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("1/a", "2/b"):
        write_wav(tmp_path / f"audio/fold{name}.wav", noise(2 * RATE_HZ))
    (tmp_path / "m.csv").write_text("a,1,1500,dog,train\nb,2,0,cat,test\nc,9,0,cat,test\n")
    flags = [
        f"--manifest={tmp_path / 'm.csv'}",
        "--no_header=name,fold,begin,kind,part",
        *("--columns", "uri=audio/fold{fold}/{name}.wav,start={begin:millis}", "labels=kind"),
        *("--columns", "split={part}", "--columns=id={name}"),
    ]
    output = tmp_path / "out"
    assert embed(output, *raw, *flags, "--max_failed_ratio=0.5") == 0
    assert reading.times_of(output / "train")["a"][0] == 1.5
    assert set(reading.records_by_id(output / "test")) == {"b"}
    (line,) = (output / "test/audio-failures.jsonl").read_text().splitlines()
    assert json.loads(line)["reason"] == "not_found"
    printed = capsys.readouterr().err
    assert "columns   uri=audio/fold{fold}/{name}.wav  id={name}  start={begin:millis}" in printed
    assert f"path      {tmp_path}/audio/fold1/a.wav  (exists)" in printed
    assert f"path      {tmp_path}/audio/fold9/c.wav  (does not exist, seen from here)" in printed
    info = reading.info(output)
    assert info["corpus"]["no_header"] == ["name", "fold", "begin", "kind", "part"]
    assert info["corpus"]["columns"][1] == "labels=kind"
    (facts,) = info["manifests"]
    assert ["start", "{begin:millis}"] in facts["meaning"]
    assert facts["columns"] == ["name", "fold", "begin", "kind", "part"]
    assert facts["other_columns"] == []


@pytest.mark.slow
def test_each_row_may_have_a_channel_of_its_own(raw: list[str], tmp_path: Path) -> None:
    sound = noise(12 * RATE_HZ).reshape(-1, 3)
    write_wav(tmp_path / "in/a.wav", sound)
    with tarfile.open(tmp_path / "in/s.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "in/a.wav", "a.wav")
    expected: dict[str, np.ndarray] = {"": sound.mean(axis=1, dtype=np.float64)}
    for number in (1, 2, 3):
        expected[str(number)] = sound[:, number - 1]
    for number, samples in enumerate(expected.values()):
        soundfile.write(tmp_path / f"{number}.wav", samples, RATE_HZ, "FLOAT")
    rows = [
        f"{uri},{channel}"
        for uri in ("in/a.wav", f"tar://a.wav::{tmp_path}/in/s.tar.gz")
        for channel in ("2", "", "3", "left", "4")
    ]
    (tmp_path / "m.csv").write_text("\n".join(["uri,channel", *rows]))
    flags = [f"--manifest={tmp_path / 'm.csv'}", "--max_failed_ratio=0.5"]
    assert embed(tmp_path / "out", *raw, *flags) == 0
    inputs = [f"--input={tmp_path / f'{number}.wav'}" for number in range(4)]
    assert embed(tmp_path / "alone", *raw, *inputs) == 0
    found = reading.float_rows(tmp_path / "out")
    alone = reading.float_rows(tmp_path / "alone")
    assert len(found) == 8
    for number, suffix in enumerate(expected):
        same = [rows for name, rows in found.items() if name.partition("@")[2] == suffix]
        assert len(same) == 2
        for rows_found in same:
            np.testing.assert_allclose(rows_found, alone[f"{number}.wav"], atol=1e-6)
    failures = (tmp_path / "out/audio-failures.jsonl").read_text().splitlines()
    assert [json.loads(line)["reason"] for line in failures] == ["no_channel"] * 2


def test_a_table_that_is_misunderstood_is_refused_by_every_command(
    capsys: pytest.CaptureFixture[str], raw: list[str], tmp_path: Path
) -> None:
    (tmp_path / "m.csv").write_text("uri,onset,offset,duration\na.wav,1,2,1\n")
    flags: list[Any] = [*raw, f"--manifest={tmp_path / 'm.csv'}", f"--output={tmp_path / 'out'}"]
    for command in ("embed", "plan"):
        assert "found columns offset and duration" in refusal(capsys, command, *flags)
    assert cli.main(["check", *map(str, flags)]) == 1
    assert "found columns offset and duration" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
