"""The command `plan` from end to end: the flags of embed in, a table and a status out."""

import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
import soundfile
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipeline.cli import main
from pipeline.commands.plan.survey_job import add_survey, read_survey
from tests.memory_filesystem import MemoryFileSystem
from tests.running import embed, run_program
from tests.sounds import noise, write_wav
from transforms.corpus.spans import FramingConfig
from transforms.preflight import report_files
from transforms.preflight.survey import Failed
from transforms.read_corpus import ReadCorpus

KINDS = (("wav", 44_100), ("flac", 48_000), ("mp3", 44_100), ("ogg", 16_000))


def planned(
    capsys: pytest.CaptureFixture[str], output: Path, model: str, *flags: object
) -> tuple[int, dict[str, str]]:
    """Runs `plan`; returns the status and the rows by their label, each on one line."""
    arguments = ["--output", output, "--model", model, "--profile=raw", *flags]
    status = main(["plan", *map(str, arguments)])
    printed = capsys.readouterr()
    assert "listing the corpus and opening recordings …\n" in printed.err
    return status, rows_of(printed.out)


def rows_of(text: str) -> dict[str, str]:
    rows: dict[str, str] = {}
    label = ""
    for line in text.splitlines():
        label = line[:12].strip() or label
        rows[label] = f"{rows.get(label, '')} {line[12:].strip()}".strip()
    return rows


def make_corpus(folder: Path, number: int, seconds: float) -> None:
    """Writes recordings of several formats and lengths, one in a hundred of them broken."""
    folder.mkdir()
    for index in range(number):
        suffix, rate_hz = KINDS[index % len(KINDS)]
        num_samples = int(seconds * rate_hz * (0.5 + index % 5 / 4))
        path = folder / f"{index:03d}.{suffix}"
        soundfile.write(path, noise(num_samples, index), rate_hz)
        if index % 100 == 4:
            path.write_bytes(path.read_bytes()[:-1_000])


def test_a_mixed_corpus_with_broken_files_and_a_table_with_wrong_rows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, stand_in_model: str
) -> None:
    make_corpus(tmp_path / "in", 100, 2)
    write_wav(tmp_path / "a.wav", noise(160_000))
    (tmp_path / "classes.csv").write_text("index,mid,display_name\n0,/m/1,speech\n")
    (tmp_path / "clips.csv").write_text(
        "uri,id,start_seconds,end_seconds,labels\n"
        "a.wav,one,0,4,speech\n"
        "a.wav,two,6,20,speech\n"
        "a.wav,two,7,20,speech\n"
        "a.wav,behind,10,20,speech\n"
        "a.wav,other,0,4,music\n"
        "a.wav,wrong,4,x,speech\n"
        "b.wav,absent,,,speech\n"
    )
    flags: list[str | Path] = [
        *("--manifest", tmp_path / "clips.csv", "--class_map", tmp_path / "classes.csv"),
        *("--input", tmp_path / "in", "--clip_seconds=2", "--split=train=0.5,test=0.5"),
    ]
    status, rows = planned(capsys, tmp_path / "new/out", stand_in_model, *flags)
    assert status == 3
    assert sorted(os.listdir(tmp_path)) == ["a.wav", "classes.csv", "clips.csv", "in"]
    # Of 1, 1.5, 2, 2.5 and 3 s, twenty each: the last ones give two clips, if they have two rows.
    assert rows["clips"] == "129, of 101 existing recordings; 123 would become records"
    assert rows["rows"] == str(20 * (1 + 1 + 2 + 2 + 3) - 1 + 2 * 4)
    assert rows["would fail"].startswith("6 clips (4.7%); 122 clips were decoded")
    for line in (
        "1 decode_error: 004.wav",
        "1 duplicate_id: two",
        "1 invalid_time: wrong",
        "1 not_found: absent",
        "1 out_of_range: behind",
        "1 unknown_label: other",
    ):
        assert line in rows["would fail"]
    assert "mp3, 44100 Hz, 1 channel" in rows["formats"]
    assert rows["dataset"].endswith("in 2 shards")
    for label in ("time", "trial", "workers", "memory"):
        assert label in rows


@pytest.mark.slow
def test_a_run_gives_what_was_planned(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, stand_in_model: str
) -> None:
    make_corpus(tmp_path / "in", 100, 3)
    output = tmp_path / "out"
    flags = ["--profile=raw", f"--model={stand_in_model}", f"--input={tmp_path}/in"]
    assert embed(output, *flags) == 3
    info = json.loads((output / "dataset.json").read_text())
    status, rows = planned(capsys, output, stand_in_model, flags[-1], "--overwrite")
    assert status == 3
    assert (output / "dataset.json").exists()
    assert not [name for name in os.listdir(output) if name.startswith(".")]
    assert rows["rows"] == f"{info['counts']['rows']:,}"
    assert float(rows["audio"].split()[0]) == pytest.approx(info["counts"]["hours"], rel=0.02)
    num_bytes = sum(shard["bytes"] for shard in info["shards"])
    assert rows["dataset"] == f"about {num_bytes / 1_000:.3g} kB in 1 shard"


@pytest.mark.slow
def test_a_corpus_without_a_good_file_has_no_time(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, stand_in_model: str
) -> None:
    (tmp_path / "a.wav").write_bytes(b"not sound")
    flags = ["--input", tmp_path / "a.wav", "--max_failed_ratio=1"]
    status, rows = planned(capsys, tmp_path / "out", stand_in_model, *flags)
    assert (status, rows["time"]) == (0, "not measured: there was no clip to try")
    assert "1 unsupported_format: a.wav" in rows["would fail"]


def test_a_failed_job_is_status_1_and_leaves_nothing(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    stand_in_model: str,
) -> None:
    write_wav(tmp_path / "a.wav", noise(48_000))

    def refuse(*_: Any) -> None:
        raise OSError(f"{report_files.CANNOT_REPORT} h:1: it is another folder")

    monkeypatch.setattr(report_files, "check_mark", refuse)
    arguments = [f"--input={tmp_path}/a.wav", f"--model={stand_in_model}", "--profile=raw"]
    assert main(["plan", *arguments, f"--output={tmp_path}/out"]) == 1
    assert "the output cannot be used from the worker h:1" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["a.wav"]
    assert main(["plan", *arguments, f"--output={tmp_path}/a.wav"]) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_the_survey_is_reported_through_a_storage(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", noise(48_000))
    (tmp_path / "b.wav").write_bytes(b"")
    MemoryFileSystem.objects["mem://set/.audio.check-1/launcher"] = b"the launcher's"
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        framing = FramingConfig(patch_samples=15_600, hop_samples=15_360)
        add_survey(
            pipeline, ReadCorpus(inputs=(str(tmp_path),)), framing, "mem://set/.audio.check-1"
        )
    found = read_survey("mem://set/.audio.check-1")
    assert found.listed.num_recordings == 2
    assert found.opened.failures == {"empty": Failed(1, ("b.wav",))}
    assert found.opened.sums.num_rows == 3


def seconds_in(text: str) -> float:
    match = re.match(r"about ([\d.,]+) (s|min|h)", text)
    assert match is not None
    return float(match[1].replace(",", "")) * {"s": 1, "min": 60, "h": 3_600}[match[2]]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["multi_threading", "multi_processing"])
def test_a_run_takes_about_as_long_as_planned(vggish_model: str, tmp_path: Path, mode: str) -> None:
    """In processes of their own: the second run of one has what the first had to load."""
    make_corpus(tmp_path / "in", 200, 5)
    arguments = ["--input", tmp_path / "in", "--output", tmp_path / "out", "--profile=raw"]
    arguments += ["--model", vggish_model, f"--direct_running_mode={mode}"]
    factors = []
    for _ in range(3):  # other programs come and go on the machine
        finished = run_program("plan", *arguments)
        assert finished.returncode == 3, finished.stderr
        assert not (tmp_path / "out").exists()
        rows = rows_of(finished.stdout)
        assert "2 decode_error: 004.wav, 104.wav" in rows["would fail"]
        started = time.monotonic()
        assert run_program("embed", *arguments).returncode == 3
        factors.append(seconds_in(rows["time"]) / (time.monotonic() - started))
        shutil.rmtree(tmp_path / "out")
        if 1 / 2 < factors[-1] < 2:
            break
    assert 1 / 2 < factors[-1] < 2, factors
    print(f"planned / taken: {factors}")
