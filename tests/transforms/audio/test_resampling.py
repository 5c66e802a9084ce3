"""Resampling in blocks: equal to one call on the whole recording."""

from collections.abc import Iterable, Iterator

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from transforms.audio.resampling import CONTEXT_SAMPLES, Resampler, count_samples, period

RATES_HZ = [1_000, 8_000, 11_025, 15_999, 16_001, 22_050, 32_000, 44_100, 48_000, 96_000, 768_000]


def noise(num_samples: int) -> np.ndarray:
    return np.random.default_rng(7).uniform(-1, 1, num_samples).astype(np.float32)


def resample(blocks: Iterable[np.ndarray], sample_rate_hz: int) -> Iterator[np.ndarray]:
    resampler = Resampler(sample_rate_hz)
    for block in blocks:
        yield resampler.push(block)
    yield resampler.finish()


def resampled(blocks: list[np.ndarray], sample_rate_hz: int) -> np.ndarray:
    parts = [np.empty(0, np.float32), *resample(blocks, sample_rate_hz)]
    assert {part.dtype for part in parts} == {np.dtype(np.float32)}
    return np.concatenate(parts)


def middle(samples: np.ndarray) -> np.ndarray:
    """Leaves out the ends, where the filter meets the silence before and after."""
    return samples[1_000:-1_000]


@given(
    sample_rate_hz=st.sampled_from(RATES_HZ),
    num_samples=st.integers(0, 10_000),
    data=st.data(),
)
def test_blocks_cut_anywhere_give_what_one_call_gives(
    sample_rate_hz: int, num_samples: int, data: st.DataObject
) -> None:
    samples = noise(num_samples)
    cuts = sorted(data.draw(st.lists(st.integers(0, num_samples), max_size=20)))
    got = resampled(np.split(samples, cuts), sample_rate_hz)
    expected = soxr.resample(samples, sample_rate_hz, 16_000, quality="VHQ")
    assert len(got) == len(expected)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)


def test_the_length_in_seconds_stays() -> None:
    for sample_rate_hz in RATES_HZ:
        num_samples = sample_rate_hz // 3
        blocks = np.split(noise(num_samples), 5 * [num_samples // 2])
        assert (
            abs(len(resampled(blocks, sample_rate_hz)) - num_samples * 16_000 / sample_rate_hz) <= 1
        )


def test_blocks_at_16_khz_pass_unchanged() -> None:
    blocks = np.split(noise(1_000), [0, 1, 500])
    *passed, rest = resample(blocks, 16_000)
    assert len(rest) == 0
    assert all(got is given for got, given in zip(passed, blocks, strict=True))


@pytest.mark.parametrize("sample_rate_hz", [16_000, 44_100])
def test_nothing_gives_nothing(sample_rate_hz: int) -> None:
    assert len(resampled([], sample_rate_hz)) == 0


def test_a_sine_stays_the_same_sine_at_the_same_time() -> None:
    for sample_rate_hz in [8_000, 11_025, 22_050, 44_100, 48_000, 96_000]:
        sine = np.sin(2 * np.pi * 1_000 * np.arange(sample_rate_hz) / sample_rate_hz).astype("f4")
        got = resampled(np.split(sine, [1_234]), sample_rate_hz)
        expected = np.sin(2 * np.pi * 1_000 * np.arange(len(got)) / 16_000)
        np.testing.assert_allclose(middle(got), middle(expected), rtol=0, atol=1e-4)


@pytest.mark.parametrize("sample_rate_hz", [22_050, 44_100, 48_000])
def test_a_sine_above_8_khz_does_not_come_back_as_another(sample_rate_hz: int) -> None:
    sine = np.sin(2 * np.pi * 9_000 * np.arange(sample_rate_hz) / sample_rate_hz).astype("f4")
    assert np.abs(middle(resampled([sine], sample_rate_hz))).max() < 1e-4


def test_a_channel_of_an_interleaved_block_is_resampled_like_its_copy() -> None:
    stereo = noise(20_000).reshape(-1, 2)
    got = resampled([stereo[:, 0]], 44_100)
    assert got.tolist() == resampled([stereo[:, 0].copy()], 44_100).tolist()


@given(sample_rate_hz=st.sampled_from(RATES_HZ), num_frames=st.integers(0, 30_000))
def test_the_number_of_samples_is_known_before(sample_rate_hz: int, num_frames: int) -> None:
    got = resampled([np.zeros(num_frames, np.float32)], sample_rate_hz)
    assert count_samples(num_frames, sample_rate_hz) == len(got)


def test_a_later_start_gives_the_same_bits_at_the_usual_rates() -> None:
    for sample_rate_hz in [8_000, 11_025, 22_050, 32_000, 44_100, 48_000, 64_000, 96_000, 128_000]:
        samples = noise(8 * sample_rate_hz)
        whole = resampled([samples], sample_rate_hz)
        out_period, in_period = period(sample_rate_hz)
        for periods in (16_000 // out_period, 50_000 // out_period):
            later = resampled([samples[periods * in_period :]], sample_rate_hz)
            expected = whole[periods * out_period + CONTEXT_SAMPLES :]
            assert len(expected) > 16_000
            np.testing.assert_array_equal(later[CONTEXT_SAMPLES:], expected)


@pytest.mark.parametrize("sample_rate_hz", [*RATES_HZ, 12_345, 44_101])
def test_a_later_start_gives_the_same_samples_after_its_context(sample_rate_hz: int) -> None:
    samples = noise(4 * sample_rate_hz)
    whole = resampled([samples], sample_rate_hz)
    out_period, in_period = period(sample_rate_hz)
    assert out_period * sample_rate_hz == in_period * 16_000
    for periods in (1, 16_000 // out_period, 24_000 // out_period):
        later = resampled([samples[periods * in_period :]], sample_rate_hz)
        got, expected = later[CONTEXT_SAMPLES:], whole[periods * out_period + CONTEXT_SAMPLES :]
        assert len(expected) > 16_000
        np.testing.assert_allclose(got, expected, rtol=0, atol=3e-6 if in_period > 9_999 else 1e-7)


def test_samples_after_the_context_have_no_effect() -> None:
    for sample_rate_hz in RATES_HZ:
        samples = noise(3 * sample_rate_hz)
        whole = resampled([samples], sample_rate_hz)
        cut = resampled([samples[: 2 * sample_rate_hz]], sample_rate_hz)[: 32_000 - CONTEXT_SAMPLES]
        np.testing.assert_allclose(cut, whole[: len(cut)], rtol=0, atol=1e-7)
