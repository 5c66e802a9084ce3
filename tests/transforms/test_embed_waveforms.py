"""EmbedWaveforms, and `embed_waveform` without a pipeline: the rows of EmbedAudio."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from apache_beam.typehints.decorators import TypeCheckError

from tests.sounds import noise, write_wav
from tests.transforms.test_embed_audio import joined
from transforms.audio.errors import AudioError
from transforms.corpus.spans import FramingConfig
from transforms.embed_audio import EmbedAudio
from transforms.embed_waveforms import EmbedWaveforms
from transforms.frame_waveforms import _FrameFn
from transforms.model.embedding import embed_waveform, load_model

# (rate, samples): around the first rows, and rates that are resampled in blocks of several kinds.
SOUNDS = [(16_000, n) for n in (1, 15_599, 15_600, 30_960, 400_000)]
SOUNDS += [
    (rate, 3 * rate + 17) for rate in (8_000, 11_025, 22_050, 32_000, 44_100, 48_000, 96_000)
]
FRAMINGS = [
    FramingConfig(),
    FramingConfig(hop_samples=16_000, max_rows=2),
    FramingConfig(hop_samples=4_000),
    FramingConfig(clip_seconds=Decimal("1.5")),
    FramingConfig(pad_short_clips=False),
]


@pytest.mark.parametrize("framing", FRAMINGS, ids=["plain", "youtube8m", "dense", "cut", "skip"])
def test_rows_and_failures_are_those_of_recordings(
    stand_in_model: str, tmp_path: Path, framing: FramingConfig
) -> None:
    waveforms, audio = [], []
    for number, (rate_hz, num_samples) in enumerate(SOUNDS):
        key, path = f"{number:02}", tmp_path / f"{number}.wav"
        waveforms.append((key, write_wav(path, noise(num_samples, number), rate_hz), rate_hz))
        audio.append((key, str(path)))
    expected, expected_failures = joined(EmbedAudio(stand_in_model, framing), audio)
    rows, failures = joined(EmbedWaveforms(stand_in_model, framing), waveforms)
    assert sorted(rows) == sorted(expected)
    for key in expected:
        np.testing.assert_array_equal(rows[key], expected[key], err_msg=key)
    assert [(each.id, each.step, each.reason, each.message) for each in failures] == [
        (each.id, each.step, each.reason, each.message) for each in expected_failures
    ]
    if framing.clip_seconds is None:
        model = load_model(stand_in_model)
        for key, samples, rate_hz in waveforms:
            if key in expected:
                own = embed_waveform(model, samples, rate_hz, framing)
                np.testing.assert_array_equal(own, expected[key], err_msg=key)
            else:
                with pytest.raises(AudioError, match="a row needs 15600"):
                    embed_waveform(model, samples, rate_hz, framing)


GOOD = np.zeros(16_000, np.float32)
BAD = {
    "double": (GOOD.astype(np.float64), 16_000, "unsupported_format", "float64 [16000]"),
    "integers": (GOOD.astype(np.int16), 16_000, "unsupported_format", "int16 [16000]"),
    "stereo": (np.zeros((16_000, 2), np.float32), 16_000, "unsupported_format", "[16000, 2]"),
    "list": ([0.0, 0.0], 16_000, "unsupported_format", "list"),
    "rate": (GOOD, 10, "unsupported_format", "sample rate is 10 Hz"),
    "fraction": (GOOD, 16_000.5, "unsupported_format", "16000.5 Hz"),
    "not a number": (GOOD + np.float32(np.nan), 16_000, "non_finite", "NaN"),
    "loud": (GOOD + np.float32(32_767), 16_000, "over_full_scale", "full scale"),
    "empty": (GOOD[:0], 16_000, "empty", "no samples"),
    "twice": (GOOD, 16_000, "duplicate_id", "the same id"),
}


def test_what_is_no_waveform_fails_by_itself(stand_in_model: str) -> None:
    given: list[tuple[str, Any, Any]] = [
        (key, samples, rate_hz) for key, (samples, rate_hz, _, _) in BAD.items()
    ]
    given += [("twice", GOOD + np.float32(0.5), 16_000), ("good", GOOD, np.int64(16_000))]
    given += [("equal", GOOD, 16_000)] * 2
    rows, failures = joined(EmbedWaveforms(stand_in_model), given)
    assert sorted(rows) == ["equal", "good"]
    assert len(failures) == len(BAD)
    for failure in failures:
        _, _, reason, message = BAD[failure.id]
        assert failure.reason == reason
        assert message in failure.message


def test_a_key_that_is_no_text_is_an_error() -> None:
    with pytest.raises(TypeCheckError, match="requires PCollections of type"):
        joined(EmbedWaveforms("/model"), [(7, GOOD, 16_000)])
    with pytest.raises(TypeError, match=r"the key 7 is a int \(allowed: str\)"):
        list(_FrameFn(FramingConfig()).process((7, GOOD, 16_000)))  # type: ignore[arg-type]


def test_a_waveform_alone_is_one_clip(stand_in_model: str) -> None:
    framing = FramingConfig(clip_seconds=Decimal(1))
    with pytest.raises(ValueError, match=r"clip_seconds=1 \(allowed: None"):
        embed_waveform(load_model(stand_in_model), GOOD, framing=framing)
