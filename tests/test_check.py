"""The command `check` from end to end: the flags of embed in, a table and a status out."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.cli import main
from pipeline.runners import runner
from tests.running import run_program
from tests.sounds import noise, write_wav
from tests.stand_in import one_row, save_model
from transforms.model import smoke_test
from transforms.preflight import check_workers, worker_checks
from transforms.preflight.findings import OK, Finding, Report
from transforms.storage import files


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_wav(tmp_path / "in/a.wav", noise(48_000))
    write_wav(tmp_path / "in/b.wav", noise(48_000), 44_100)
    return tmp_path / "in"


@pytest.fixture(scope="session")
def golden_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A stand-in whose every row is the published one."""
    folder = tmp_path_factory.mktemp("models") / "golden"
    return save_model(folder, one_row(smoke_test.golden()[0]))


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips the model, which takes a second to load."""

    def found(*_: Any) -> Iterator[Finding]:
        yield Finding("model", OK, "left out")

    monkeypatch.setattr(worker_checks, "check_model", found)


def checked(
    capsys: pytest.CaptureFixture[str], output: Path, model: str | Path, *flags: object
) -> tuple[int, list[str]]:
    """Runs `check`; returns the status and the rows, each with single blanks on one line."""
    arguments = ["--output", output, "--model", model, "--profile=raw", *flags]
    status = main(["check", *map(str, arguments)])
    rows: list[str] = []
    head, *lines = capsys.readouterr().out.splitlines()
    column = head.index("finding")
    for line in lines:
        if line[:column].strip() or not line:
            rows.append("")
        rows[-1] = f"{rows[-1]} {' '.join(line.split())}".strip()
    return status, [row for row in rows if row]


def row_of(rows: list[str], check: str, where: str = "the worker") -> str:
    (row,) = [row for row in rows if row.split(" ", 1)[1].startswith(f"{check} {where}")]
    return row.replace(f"{check} {where} ", "")


def test_all_passes_and_leaves_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, corpus: Path, golden_model: str
) -> None:
    status, rows = checked(capsys, tmp_path / "new/out", golden_model, "--input", corpus)
    assert (status, rows[-1]) == (0, "all checks passed")
    assert os.listdir(tmp_path) == ["in"]
    for check_name in ("corpus", "runner", "output", "versions", "disk"):
        assert row_of(rows, check_name, "launcher").startswith("ok ")
    for check_name in ("versions", "codecs", "output", "disk", "memory"):
        assert row_of(rows, check_name).startswith("ok ")
    assert f"{corpus}/b.wav: WAV PCM_16, 44100 Hz, 1 channel" in row_of(rows, "recordings")
    assert "rows of 128 values" in row_of(rows, "model")
    assert row_of(rows, "numbers").startswith("ok rows of a sine differ from the published ones by")


def test_a_failing_check_hides_no_other(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, corpus: Path
) -> None:
    """Below a file no output can be, all recordings are broken, and the model is none."""
    for path in corpus.iterdir():
        path.write_bytes(b"not sound")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/saved_model.pb").write_bytes(b"no model")
    output = corpus / "a.wav/out"
    status, rows = checked(capsys, output, tmp_path / "model", "--input", corpus)
    assert (status, rows[-1]) == (1, "FAILED: output, recordings, model")
    assert "cannot be written: Not a directory" in row_of(rows, "output", "launcher")
    assert "b.wav: unsupported_format: " in row_of(rows, "recordings")
    assert "is not a SavedModel that loads" in row_of(rows, "model")
    assert row_of(rows, "codecs").startswith("ok ")


@pytest.mark.usefixtures("no_model")
def test_an_absent_corpus_and_a_used_output_are_rows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, corpus: Path, stand_in_model: str
) -> None:
    status, rows = checked(capsys, corpus, stand_in_model, "--input", tmp_path / "absent")
    assert (status, rows[-1]) == (1, "FAILED: corpus, output")
    assert f"--input={tmp_path}/absent matches nothing" in row_of(rows, "corpus", "launcher")
    assert "is not empty (2 entries" in row_of(rows, "output", "launcher")
    assert sorted(os.listdir(corpus)) == ["a.wav", "b.wav"]


@pytest.mark.usefixtures("no_model")
def test_a_broken_recording_is_a_note(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, corpus: Path, stand_in_model: str
) -> None:
    (corpus / "a.wav").write_bytes(b"")
    status, rows = checked(capsys, tmp_path / "out", stand_in_model, "--input", corpus)
    assert (status, rows[-1]) == (0, "all checks passed; notes: recordings")
    assert row_of(rows, "recordings").startswith(f"NOTE {corpus}/a.wav: empty: ")


@pytest.mark.usefixtures("no_model")
def test_a_worker_of_another_version_is_named(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    corpus: Path,
    stand_in_model: str,
) -> None:
    check = check_workers.check

    def other(config: worker_checks.WorkerCheckConfig) -> Report:
        report = check(config)
        return dataclasses.replace(report, versions=report.versions | {"apache-beam": "2.50.0"})

    monkeypatch.setattr(check_workers, "check", other)
    status, rows = checked(capsys, tmp_path / "out", stand_in_model, "--input", corpus)
    assert (status, rows[-1]) == (1, "FAILED: versions")
    assert "apache-beam 2.50.0 instead of 2." in row_of(rows, "versions")
    assert "-> python, program, apache-beam must be the same" in row_of(rows, "versions")


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("function", "error", "text"),
    [
        ("open_to_read", FileNotFoundError(2, "No such file"), "this is another folder; use one"),
        ("write_atomically", PermissionError(13, "Permission denied"), "Permission denied"),
    ],
)
def test_a_worker_that_cannot_use_the_output_is_a_row(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    corpus: Path,
    stand_in_model: str,
    function: str,
    error: OSError,
    text: str,
) -> None:
    real = getattr(files, function)

    def refuse(path: str, *arguments: Any) -> Any:
        if path.endswith(("/launcher", ".json")) and function in running:
            raise error
        return real(path, *arguments)

    running: list[str] = []
    run = runner.run

    def noticed(*arguments: Any, **options: Any) -> bool:
        running.append(function)
        try:
            return run(*arguments, **options)
        finally:
            running.clear()

    monkeypatch.setattr(runner, "run", noticed)
    monkeypatch.setattr(files, function, refuse)
    status, rows = checked(capsys, tmp_path / "out", stand_in_model, "--input", corpus)
    assert (status, rows[-1]) == (1, "FAILED: output")
    assert "the output cannot be used from the worker" in row_of(rows, "output", "workers")
    assert text in row_of(rows, "output", "workers")
    assert os.listdir(tmp_path) == ["in"]


def test_a_runner_that_does_not_respond_is_a_row(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    corpus: Path,
    stand_in_model: str,
) -> None:
    monkeypatch.setattr(runner, "_PROBE_SECONDS", 0.1)
    flags = ["--runner=PortableRunner", "--job_endpoint=localhost:1", "--input", corpus]
    status, rows = checked(capsys, tmp_path / "out", stand_in_model, *flags)
    assert (status, rows[-1]) == (1, "FAILED: runner, workers")
    assert "nothing responds there" in row_of(rows, "runner", "launcher")
    assert "not checked" in row_of(rows, "workers", "workers")


def test_workers_without_this_program_are_named(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    corpus: Path,
    stand_in_model: str,
) -> None:
    def broken(*_: Any, **__: Any) -> bool:
        raise RuntimeError(
            "Traceback\n  of a worker\nNo module named 'transforms.preflight.check_workers'"
        )

    monkeypatch.setattr(runner, "run", broken)
    status, rows = checked(capsys, tmp_path / "out", stand_in_model, "--input", corpus)
    assert (status, rows[-1]) == (1, "FAILED: workers")
    row = row_of(rows, "workers", "workers")
    assert "the job failed: No module named 'transforms.preflight.check_workers'" in row
    assert "-> the workers lack this program" in row


def test_flags_that_are_wrong_are_wrong_use(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, stand_in_model: str
) -> None:
    arguments = [f"--output={tmp_path / 'out'}", f"--model={stand_in_model}", "--profile=raw"]
    assert main(["check", *arguments]) == 2
    assert "no input: pass --input" in capsys.readouterr().err
    assert main(["check", *arguments, "--input=in", "--direct_num_worker=2"]) == 2
    assert "did you mean --direct_num_w" in capsys.readouterr().err


def test_a_model_with_a_relu_behind_it_fails(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, corpus: Path
) -> None:
    model = save_model(tmp_path / "model", one_row(np.maximum(smoke_test.golden()[0], 0)))
    status, rows = checked(capsys, tmp_path / "out", model, "--input", corpus)
    assert (status, rows[-1]) == (1, "FAILED: numbers")
    assert "the export has a ReLU after the embedding" in row_of(rows, "numbers")


@pytest.mark.slow
def test_processes_report_each_and_untrained_weights_are_named(
    vggish_model: str, tmp_path: Path, corpus: Path
) -> None:
    finished = run_program(
        *("check", "--output", tmp_path / "out", "--model", vggish_model, "--profile=raw"),
        *("--input", corpus, "--direct_num_workers=2", "--direct_running_mode=multi_processing"),
    )
    assert finished.returncode == 0, finished.stderr
    text = " ".join(finished.stdout.split())
    assert "ok codecs all 2 workers a tone was decoded from WAV," in text
    assert "NOTE numbers all 2 workers UNTRAINED weights, seed 0" in text
    assert "VGGish in 2 worker processes needs about 1.4 GB" in text
    assert not (tmp_path / "out").exists()
