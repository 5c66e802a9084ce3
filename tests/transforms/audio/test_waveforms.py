"""Waveforms in memory: patches and failures as of a recording with the same samples."""

import dataclasses
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tests.sounds import encode, noise
from tests.span_results import SMALL, VGGISH, Results, read
from transforms.audio.waveforms import waveform_patches
from transforms.corpus.clips import Clip
from transforms.corpus.spans import FramingConfig, single_task

CLIP = Clip("a", "u")


def results_of(samples: Any, rate_hz: Any, framing: FramingConfig) -> Results:
    results = Results()
    for each in waveform_patches(CLIP, samples, rate_hz, framing):
        results.add(each)
    return results


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
def test_patches_are_those_of_a_recording_with_the_same_samples(rate_hz: int) -> None:
    for framing in (
        VGGISH,
        dataclasses.replace(VGGISH, max_rows=2),
        dataclasses.replace(VGGISH, clip_seconds=Decimal(2)),
        dataclasses.replace(SMALL, clip_seconds=Decimal("0.5")),
        dataclasses.replace(VGGISH, pad_short_clips=False),
    ):
        for num_frames in (100, 2 * rate_hz, 4 * rate_hz + 1, 5 * rate_hz):
            samples = noise(num_frames)
            found = results_of(samples, rate_hz, framing)
            recorded = read(encode(samples, rate_hz, subtype="FLOAT"), single_task([CLIP]), framing)
            assert found.outcomes() == recorded.outcomes()
            for clip_id, outcome in found.outcomes().items():
                if outcome == "ok":
                    np.testing.assert_array_equal(found.patches(clip_id), recorded.patches(clip_id))
                    decoded = dataclasses.replace(recorded.decoded(clip_id), decoder="none")
                    assert found.decoded(clip_id) == decoded


GOOD = noise(16_000)


@pytest.mark.parametrize(
    ("samples", "rate_hz", "reason", "message"),
    [
        (GOOD[:0], 16_000, "empty", "no samples"),
        (GOOD.astype(np.float64), 16_000, "unsupported_format", "float64 [16000] (allowed: float"),
        (GOOD[None], 16_000, "unsupported_format", "float32 [1, 16000] (allowed: float32"),
        (GOOD.tolist(), 16_000, "unsupported_format", "the samples are list"),
        (GOOD, 999, "unsupported_format", "the sample rate is 999 Hz (allowed: integers from 1000"),
        (GOOD, 768_001, "unsupported_format", "to 768000)"),
        (GOOD, 16_000.5, "unsupported_format", "the sample rate is 16000.5 Hz"),
        (np.where(np.arange(16_000) == 8_000, np.nan, GOOD), 16_000, "non_finite", "at 0.500 s"),
        (GOOD * 10_000, 16_000, "over_full_scale", "allowed: 16"),
    ],
    ids=["empty", "type", "shape", "list", "low rate", "high rate", "fraction", "NaN", "integers"],
)
def test_invalid_waveforms_fail(samples: Any, rate_hz: Any, reason: str, message: str) -> None:
    failure = results_of(samples, rate_hz, VGGISH).failure("a")
    assert failure.reason == reason
    assert message in failure.message


def test_numpy_integers_are_sample_rates() -> None:
    assert results_of(GOOD, np.int32(16_000), VGGISH).outcomes() == {"a": "ok"}
