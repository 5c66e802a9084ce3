"""The command `demo` from end to end, and the lines by which it says how to read a record."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main
from tests import reading
from tests.running import run_program

HUB = "--model=http://127.0.0.1:9/vggish"  # nobody listens there


def _lines_to_read(printed: str) -> str:
    return printed.split("Read one record:")[1].strip()


def _program_to_read(printed: str) -> str:
    return _lines_to_read(printed).split("<<'END'\n")[1].removesuffix("END")


def _check_without_a_hub(printed: str, folder: Path) -> dict[str, Any]:
    assert "cannot be reached" in printed
    assert "*UNTRAINED* WEIGHTS, PROFILE raw" in printed
    assert reading.failures(folder / "dataset") == {"broken.flac": "decode_error"}
    assert '"reason": "decode_error"' in printed
    found = reading.float_rows(folder / "dataset")
    assert len(found) == 8
    assert reading.info(folder / "dataset")["counts"]["padded_clips"] == 1
    return found


def test_the_demo_without_a_hub_says_so_shows_its_failure_and_how_to_read(
    stand_in_model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    # In place of the real network, which a demo before it would have left here.
    shutil.copytree(stand_in_model, tmp_path / "demo it/untrained_vggish")
    assert main(["demo", f"--output={tmp_path / 'demo it'}", HUB]) == 0
    printed = capsys.readouterr().out
    found = _check_without_a_hub(printed, tmp_path / "demo it")
    exec(_program_to_read(printed), {})  # by bash, in another process, below
    assert any(capsys.readouterr().out.startswith(clip_id) for clip_id in found)


@pytest.mark.slow
def test_the_demo_without_a_hub_makes_the_real_network_and_runs_again(tmp_path: Path) -> None:
    folder = tmp_path / "demo it"
    for _ in range(2):  # the second time over the first
        finished = run_program(
            *("demo", f"--output={folder}", HUB),
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        )
        assert finished.returncode == 0, finished.stderr
    found = _check_without_a_hub(finished.stdout, folder)
    shown = subprocess.run(
        ["bash", "-c", _lines_to_read(finished.stdout)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert any(shown.stdout.startswith(clip_id) for clip_id in found)
    model = reading.info(folder / "dataset")["model"]
    assert (model["trained"], model["untrained_seed"]) == (False, 0)


@pytest.mark.slow
def test_the_demo_with_a_model_and_the_pca_shows_the_profile_audioset(
    stand_in_model: str,
    shared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cache = tmp_path / "cache/beam-audio-embeddings"
    cache.mkdir(parents=True)
    shutil.copy(shared / "data/vggish/vggish_pca_params.npz", cache)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main(["demo", f"--output={tmp_path / 'demo'}", f"--model={stand_in_model}"]) == 0
    printed = capsys.readouterr().out
    assert "UNTRAINED" not in printed
    assert reading.info(tmp_path / "demo/dataset")["profile"] == "audioset"
    exec(_program_to_read(printed), {})
    assert "dtype=uint8" in capsys.readouterr().out
