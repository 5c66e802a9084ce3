"""The command line: help, misspelt flags, and the commands besides `embed`."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import cli
from tests.pipeline.refusing import refusal


def test_a_missing_flag_that_is_misspelt_is_hinted_at(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--outptu is unknown; did you mean --output?" in refusal(
        capsys, "embed", "--input", "a", "--outptu", "b"
    )


def test_a_run_without_an_input_is_refused_with_the_flags_for_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "no input: pass --input, --manifest or --audioset_segments" in refusal(
        capsys, "embed", "--output", "b"
    )


@pytest.mark.parametrize(
    "command", [[], ["embed"], ["check"], ["plan"], ["layouts"], ["export-model"], ["demo"]]
)
def test_help_has_defaults_and_units(
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


def test_export_model_refuses_a_used_folder_and_an_absent_checkpoint(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    assert "exists already" in refusal(
        capsys, "export-model", "--untrained", f"--output={tmp_path}"
    )
    assert "--checkpoint=/absent does not exist" in refusal(
        capsys, "export-model", "--checkpoint=/absent", f"--output={tmp_path / 'new'}"
    )
    assert "one of the arguments --checkpoint --untrained is required" in refusal(
        capsys, "export-model", f"--output={tmp_path / 'new'}"
    )
    assert "--stray is unknown to export-model" in refusal(
        capsys, "export-model", "--untrained", f"--output={tmp_path / 'new'}", "--stray"
    )


@pytest.mark.slow
def test_export_model_prints_the_kind_of_the_weights(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(["export-model", "--untrained", "--seed=7", f"--output={tmp_path / 'm'}"]) == 0
    assert "VGGish (UNTRAINED, seed 7)" in capsys.readouterr().out
    import tensorflow as tf

    assert int(tf.saved_model.load(str(tmp_path / "m")).untrained_seed) == 7
