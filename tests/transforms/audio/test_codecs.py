"""The tones: that they are decoded, and that a decoder that is wrong is seen."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from transforms.audio import codecs


def test_every_tone_comes_out_of_its_format_and_is_small() -> None:
    assert codecs.undecodable_formats() == {}
    assert {path.name for path in codecs.FOLDER.iterdir()} == {each.file for each in codecs.TONES}
    assert max(path.stat().st_size for path in codecs.FOLDER.iterdir()) < 8_192


def test_undecodable_formats_and_other_sounds_are_reported_by_format(tmp_path: Path) -> None:
    folder = tmp_path / "tones"
    shutil.copytree(codecs.FOLDER, folder)
    (folder / "amr.amr").unlink()
    (folder / "pcm.wav").write_bytes(b"not sound")
    data = (folder / "flac.flac").read_bytes()
    (folder / "flac.flac").write_bytes(data[: len(data) // 2])
    shutil.copy(folder / "vorbis.ogg", folder / "mp3.mp3")
    found = codecs.undecodable_formats(folder)
    assert sorted(found) == ["AMR", "FLAC", "MP3", "WAV"]
    assert "No such file" in found["AMR"]
    assert found["MP3"] == "a sample rate of 16000 Hz (expected: 44100)"


@pytest.mark.parametrize("shift", [0, 37, 1_000])
def test_a_tone_that_is_delayed_is_the_tone(shift: int) -> None:
    samples = np.concatenate([np.zeros(shift, np.float32), codecs.tone(16_000)])
    assert codecs.describe_difference(samples, 16_000) == ""


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        (np.zeros(4_000), "the tone is 0.00 of the decoded energy"),
        (codecs.tone(16_000) / 2, "the tone's amplitude is 0.25 (expected: 0.5)"),
        (codecs.tone(16_000)[:1_000], "0.062 s of audio (expected: 0.25"),
        (np.tile(codecs.tone(16_000), 2), "0.500 s of audio (expected: 0.25"),
        (
            np.repeat(codecs.tone(16_000)[::2], 2)[::2].repeat(2) ** 2,
            "of the decoded energy (expected: 0.9",
        ),
        (np.random.default_rng(0).normal(0, 0.3, 4_000), "of the decoded energy (expected: 0.9"),
    ],
    ids=["silence", "too soft", "too short", "too long", "another pitch", "noise"],
)
def test_other_samples_are_described(samples: np.ndarray, why: str) -> None:
    assert why in codecs.describe_difference(samples, 16_000)
