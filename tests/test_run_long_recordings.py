"""Long recordings: spans that are embedded apart, in memory that does not grow."""

import functools
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests import reading
from tests.running import embed, embed_measured
from transforms import embed_audio
from transforms.plan_spans import PlanSpans

RATES_HZ = (8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000)
SECONDS = 15


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of recordings at all usual rates, mono and stereo, in formats that can seek."""
    folder = tmp_path_factory.mktemp("recordings")
    random = np.random.default_rng(0)
    for rate_hz in RATES_HZ:
        for num_channels in (1, 2):
            sound = random.normal(0, 0.1, (SECONDS * rate_hz, num_channels))
            suffix = "flac" if num_channels == 2 else "wav"
            soundfile.write(folder / f"{rate_hz}_{num_channels}.{suffix}", sound, rate_hz)
    return folder


@pytest.mark.slow
def test_rows_of_the_real_network_of_spans_equal_those_of_the_whole(
    vggish_model: str,
    recordings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = ["--profile=raw", f"--model={vggish_model}", f"--input={recordings}"]
    assert embed(tmp_path / "whole", *arguments) == 0
    spread = functools.partial(PlanSpans, min_bytes=0, span_rows=7)
    monkeypatch.setattr(embed_audio, "PlanSpans", spread)
    assert embed(tmp_path / "spans", *arguments) == 0
    whole = reading.float_rows(tmp_path / "whole")
    spans = reading.float_rows(tmp_path / "spans")
    assert sorted(whole) == sorted(spans)
    assert len(whole) == 2 * len(RATES_HZ)
    for name, expected in whole.items():
        assert expected.shape == (15, 128)
        np.testing.assert_array_equal(spans[name], expected, err_msg=name)


@pytest.mark.parametrize("lengths", [(5,), pytest.param((1, 13), marks=pytest.mark.slow)])
def test_shards_are_the_same_bytes_whatever_the_spans(
    stand_in_model: str,
    recordings: Path,
    tmp_path: Path,
    pca_file: str,
    monkeypatch: pytest.MonkeyPatch,
    lengths: tuple[int, ...],
) -> None:
    shards = []
    for span_rows in (None, *lengths):
        if span_rows is not None:
            spread = functools.partial(PlanSpans, min_bytes=0, span_rows=span_rows)
            monkeypatch.setattr(embed_audio, "PlanSpans", spread)
        output = tmp_path / str(span_rows)
        arguments = [f"--model={stand_in_model}", f"--pca={pca_file}", f"--input={recordings}"]
        assert embed(output, *arguments) == 0
        shards.append((output / "audio-00000-of-00001.tfrecord").read_bytes())
    assert len(set(shards)) == 1


def _write_flac(path: Path, hours: float) -> None:
    """Writes 48 kHz stereo, block by block: a minute of noise, again and again."""
    minute = np.random.default_rng(1).normal(0, 0.01, (60 * 48_000, 2)).astype(np.float32)
    with soundfile.SoundFile(path, "w", 48_000, 2, "PCM_16", format="FLAC") as file:
        for _ in range(round(hours * 60)):
            file.write(minute)


@pytest.mark.slow
def test_ten_hours_take_no_more_memory_than_ten_seconds(
    stand_in_model: str, tmp_path: Path, pca_file: str
) -> None:
    peaks = {}
    for name, hours in (("short", 10 / 3_600), ("long", 10)):
        recording = tmp_path / f"{name}.flac"
        if hours < 1:
            sound = np.random.default_rng(1).normal(0, 0.01, (480_000, 2))
            soundfile.write(recording, sound, 48_000)
        else:
            _write_flac(recording, hours)
        output = tmp_path / f"out_{name}"
        status, peaks[name] = embed_measured(
            output, f"--input={recording}", f"--model={stand_in_model}", f"--pca={pca_file}"
        )
        assert status == 0
        recording.unlink()
    assert peaks["long"] - peaks["short"] < 300, peaks
    counts = reading.info(tmp_path / "out_long")["counts"]
    assert counts["rows"] == (10 * 3_600 * 16_000 - 240) // 15_360
