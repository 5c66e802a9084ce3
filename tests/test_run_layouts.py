"""Runs on known layouts, end to end: records, labels, splits, failures, and what is printed."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests import reading
from tests.layout_corpora import CASES
from tests.running import embed
from transforms.corpus.layouts.catalogue import layouts

RUN = (
    "--manifest meta/esc50.csv",
    "--manifest data/train/segments",
    "--input genres/ --layout gtzan",
)


def wav(seconds: float) -> bytes:
    file = io.BytesIO()
    samples = np.random.default_rng(0).normal(0, 0.1, int(seconds * 16_000))
    soundfile.write(file, samples, 16_000, format="WAV")
    return file.getvalue()


@pytest.mark.slow
def test_a_layout_becomes_a_dataset_and_is_named_in_it(
    raw: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for number, command in enumerate(RUN):
        case = CASES[command]
        corpus, output = tmp_path / f"corpus{number}", tmp_path / f"out{number}"
        case.write(corpus, wav(5))
        monkeypatch.chdir(corpus)
        capsys.readouterr()
        assert embed(output, *raw, *command.split()) == (3 if case.failures else 0)
        assert "read as the layout" in capsys.readouterr().err
        assert set(reading.float_rows(output)) == {id for id, *_ in case.clips}
        about = json.loads((output / "dataset.json").read_text())
        counts = about["counts"]
        assert counts["clips"] == len(case.clips) + len(case.failures)
        if "--manifest" in command:
            assert about["manifests"][0]["layout"] in layouts()
        else:
            assert about["corpus"]["layout"] == "gtzan"
        classes = (output / "class_map.csv").read_text()
        for *_, labels, _ in case.clips:
            assert all(label in classes for label in labels)
        failures = (output / "audio-failures.jsonl").read_text().splitlines()
        messages = [json.loads(line)["message"] for line in failures]
        assert len(messages) == len(case.failures)
        assert all(part in "".join(messages) for part in case.failures)
