"""Runs on what others made: a model that does more than computing, and a table of bad paths."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.running import embed
from tests.sounds import noise, write_wav
from tests.stand_in import save_model
from transforms.embed_audio import EmbedAudio, embed_patches_of
from transforms.embed_patches import EmbedPatches
from transforms.embed_waveforms import EmbedWaveforms


@pytest.mark.slow
def test_a_model_that_writes_files_ends_the_job_unless_it_is_trusted(
    tf: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "written"

    def body(patches: Any) -> Any:
        tf.io.write_file(str(written), "x")
        return patches[:, :4]

    model = save_model(tmp_path / "model", body)
    write_wav(tmp_path / "audio/a.wav", noise(48_000))
    flags = ["--input", tmp_path / "audio", "--model", model, "--profile=raw"]
    assert embed(tmp_path / "refused", *flags) == 1
    error = capsys.readouterr().err
    assert "WriteFile (reads or writes files)" in error
    assert "--trust_model" in error
    assert not written.exists()
    assert embed(tmp_path / "trusted", *flags, "--trust_model") == 0
    assert written.read_text() == "x"


def test_a_model_larger_than_allowed_ends_the_job_with_the_option(
    tmp_path: Path, stand_in_model: str, capsys: pytest.CaptureFixture[str]
) -> None:

    archive = shutil.make_archive(str(tmp_path / "model"), "zip", stand_in_model)
    write_wav(tmp_path / "audio/a.wav", noise(48_000))
    flags = ["--input", tmp_path / "audio", "--model", archive, "--profile=raw"]
    assert embed(tmp_path / "out", *flags, "--max_model_bytes=1000") == 1
    assert "more than 1000 bytes; --max_model_bytes" in capsys.readouterr().err


@pytest.mark.parametrize("transform", [EmbedAudio, EmbedWaveforms, EmbedPatches])
def test_the_library_hands_on_what_is_allowed_to_a_model(transform: Any) -> None:
    default, allowed = transform("/m"), transform("/m", trust_model=True, max_model_bytes=5)
    for each, expected in ((default, (False, 16 * 2**30)), (allowed, (True, 5))):
        patches = each if isinstance(each, EmbedPatches) else embed_patches_of(each)
        handler = patches._handler()
        assert (handler._trust_model, handler._max_model_bytes) == expected


def test_paths_that_no_storage_can_have_fail_their_clips_and_no_other(
    raw: list[str], tmp_path: Path
) -> None:
    write_wav(tmp_path / "good.wav", noise(48_000))
    reasons = {
        "http://[::1/foo.wav": "unreadable",
        "azfs://a/b/c.wav": "unreadable",
        "hdfs://host/a.wav": "unreadable",
        "ftp://host/a.wav": "unreadable",
        "s3://B_!/a.wav": "unreadable",
        "http:///a.wav": "unreadable",
        "gs:///a.wav": "not_found",
        "C:\\a.wav": "not_found",
    }
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["uri", "good.wav", *reasons]) + "\n")
    assert embed(tmp_path / "out", "--manifest", table, *raw) == 3
    lines = (tmp_path / "out/audio-failures.jsonl").read_text().splitlines()
    failures = [json.loads(line) for line in lines]
    assert {failure["id"]: failure["reason"] for failure in failures} == reasons
    assert json.loads((tmp_path / "out/dataset.json").read_text())["counts"]["records"] == 1


@pytest.mark.parametrize("flag", ["--input", "--manifest", "--class_map", "--model", "--output"])
@pytest.mark.parametrize("path", ["azfs://a/b", "http://[::1/x", "s3://B_!/a"])
def test_such_a_path_of_an_option_is_refused_before_the_job(
    raw: list[str], tmp_path: Path, flag: str, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wav(tmp_path / "audio/a.wav", noise(48_000))
    flags = ["--input", tmp_path / "audio", *raw]
    assert embed(tmp_path / "out", *flags, flag, path) == 2
    assert flag in capsys.readouterr().err
