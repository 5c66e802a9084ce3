"""The patches of one clip, from the file to what decoding found."""

import io

import numpy as np
import pytest
import soundfile
import soxr
from transforms.audio.clip_patches import ClipPatches, Cutting

from transforms.audio import decoding
from transforms.audio.errors import AudioError
from transforms.corpus.rows import Decoded

PATCH_SAMPLES = 15_600
VGGISH = Cutting(PATCH_SAMPLES, 15_360)


def noise(num_frames: int, num_channels: int = 1) -> np.ndarray:
    rng = np.random.default_rng(5)
    return rng.uniform(-1, 1, (num_frames, num_channels)).astype(np.float32)


def wav(samples: np.ndarray, sample_rate_hz: int = 16_000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate_hz, format="WAV", subtype="FLOAT")
    return file.getvalue()


def cut(data: bytes, cutting: Cutting) -> tuple[list[list[float]], Decoded]:
    """Collects the patches only when all are cut: a later block must not change earlier ones."""
    clip_patches = ClipPatches(io.BytesIO(data), cutting)
    assert clip_patches.decoded is None
    parts = list(clip_patches)
    assert all(len(part) for part in parts)
    assert {part.dtype for part in parts} == {np.dtype(np.float32)}
    assert {part.shape[1:] for part in parts} == {(cutting.patch_samples,)}
    assert clip_patches.decoded is not None
    patches = [patch.tolist() for part in parts for patch in part]
    assert clip_patches.decoded.num_rows == len(patches)
    return patches, clip_patches.decoded


def sliced(samples: np.ndarray, patch_samples: int, hop_samples: int) -> list[list[float]]:
    starts = range(0, len(samples) - patch_samples + 1, hop_samples)
    return [samples[start : start + patch_samples].tolist() for start in starts]


@pytest.mark.parametrize(
    ("hop_samples", "num_samples", "num_rows"),
    [
        (15_360, 15_600, 1),
        (15_360, 15_601, 1),
        (15_360, 30_959, 1),
        (15_360, 30_960, 2),
        (15_360, 30_961, 2),
        (15_360, 160_000, 10),
        (15_600, 31_199, 1),
        (15_600, 31_200, 2),
        (16_000, 31_599, 1),
        (16_000, 31_600, 2),
        (16_000, 160_000, 10),
        (20_000, 35_599, 1),
        (20_000, 35_600, 2),
    ],
)
@pytest.mark.parametrize("block_values", [2**20, 7_777])
def test_a_clip_gives_the_slices_of_its_waveform(
    hop_samples: int,
    num_samples: int,
    num_rows: int,
    block_values: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decoding, "BLOCK_VALUES", block_values)
    samples = noise(num_samples)
    patches, decoded = cut(wav(samples), Cutting(PATCH_SAMPLES, hop_samples))
    assert patches == sliced(samples[:, 0], PATCH_SAMPLES, hop_samples)
    assert decoded == Decoded(num_rows, num_samples, num_samples / 16_000)


@pytest.mark.parametrize("num_samples", [1, 240, 15_599])
@pytest.mark.parametrize("block_values", [2**20, 7_777])
def test_a_clip_shorter_than_a_patch_is_padded_to_one_row(
    num_samples: int, block_values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "BLOCK_VALUES", block_values)
    samples = noise(num_samples)
    patches, decoded = cut(wav(samples), VGGISH)
    assert patches == [samples[:, 0].tolist() + [0.0] * (PATCH_SAMPLES - num_samples)]
    assert decoded == Decoded(1, num_samples, num_samples / 16_000, padded=True)


def test_a_short_clip_at_another_rate_is_padded_after_resampling() -> None:
    samples = noise(10_000)
    patches, decoded = cut(wav(samples, 44_100), VGGISH)
    resampled = soxr.resample(samples[:, 0], 44_100, 16_000)
    assert decoded == Decoded(1, len(resampled), 10_000 / 44_100, padded=True)
    np.testing.assert_allclose(patches[0][: len(resampled)], resampled, rtol=0, atol=1e-6)
    assert not any(patches[0][len(resampled) :])


@pytest.mark.parametrize("sample_rate_hz", [16_000, 44_100, 768_000])
def test_a_single_frame_is_padded_to_one_row(sample_rate_hz: int) -> None:
    patches, decoded = cut(wav(noise(1), sample_rate_hz), VGGISH)
    assert len(patches) == 1
    assert decoded.padded
    assert decoded.num_samples <= 1
    assert decoded.seconds == 1 / sample_rate_hz


@pytest.mark.parametrize("num_samples", [1, 15_599])
def test_a_short_clip_fails_where_short_clips_are_skipped(num_samples: int) -> None:
    clip_patches = ClipPatches(
        io.BytesIO(wav(noise(num_samples))),
        Cutting(PATCH_SAMPLES, 15_360, pad_short_clips=False),
    )
    with pytest.raises(
        AudioError, match=rf"{num_samples / 16_000:.3f} s.*15600.*0\.975 s"
    ) as caught:
        list(clip_patches)
    assert caught.value.reason == "too_short"
    assert clip_patches.decoded is None


def test_a_clip_of_one_patch_passes_where_short_clips_are_skipped() -> None:
    cutting = Cutting(PATCH_SAMPLES, 15_360, pad_short_clips=False)
    _, decoded = cut(wav(noise(PATCH_SAMPLES)), cutting)
    assert decoded == Decoded(1, PATCH_SAMPLES, 0.975)


@pytest.mark.parametrize(
    ("num_patches", "num_rows", "num_left_out"),
    [(1, 1, 0), (299, 299, 0), (300, 300, 0), (301, 300, 1), (950, 300, 650)],
)
@pytest.mark.parametrize("block_values", [2**20, 1_000])
def test_rows_behind_the_limit_are_left_out_and_counted(
    num_patches: int,
    num_rows: int,
    num_left_out: int,
    block_values: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decoding, "BLOCK_VALUES", block_values)
    num_samples = 16 * (num_patches - 1) + 20
    samples = noise(num_samples)
    patches, decoded = cut(wav(samples), Cutting(20, 16, max_rows=300))
    assert patches == sliced(samples[:, 0], 20, 16)[:300]
    assert decoded == Decoded(
        num_rows, num_samples, num_samples / 16_000, num_rows_left_out=num_left_out
    )


@pytest.mark.parametrize("sample_rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("block_values", [2**20, 10_000])
def test_stereo_at_any_rate_is_mixed_then_resampled_then_cut(
    sample_rate_hz: int, block_values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "BLOCK_VALUES", block_values)
    samples = noise(3 * sample_rate_hz, num_channels=2)
    patches, decoded = cut(wav(samples, sample_rate_hz), VGGISH)
    mono = (samples[:, 0] + samples[:, 1]) / np.float32(2)
    resampled = soxr.resample(mono, sample_rate_hz, 16_000, quality="HQ")
    assert decoded == Decoded(len(sliced(resampled, 15_600, 15_360)), len(resampled), 3.0)
    assert len(patches) >= 2
    np.testing.assert_allclose(patches, sliced(resampled, 15_600, 15_360), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("num_frames", "sample_rate_hz", "seconds"),
    [(22_050, 44_100, 0.5), (44_101, 44_100, 44_101 / 44_100), (3, 8_000, 0.000375)],
)
def test_seconds_go_by_the_recordings_own_rate(
    num_frames: int, sample_rate_hz: int, seconds: float
) -> None:
    assert cut(wav(noise(num_frames), sample_rate_hz), VGGISH)[1].seconds == seconds


def test_a_clip_that_fails_in_the_middle_gives_good_patches_and_no_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decoding, "BLOCK_VALUES", 16_000)
    samples = noise(64_000)
    data = wav(samples)
    clip_patches = ClipPatches(io.BytesIO(data[: len(data) // 2]), VGGISH)
    parts: list[np.ndarray] = []
    with pytest.raises(AudioError) as caught:
        parts.extend(clip_patches)
    assert caught.value.reason == "decode_error"
    assert clip_patches.decoded is None
    patches = [patch.tolist() for part in parts for patch in part]
    assert patches == sliced(samples[:, 0], PATCH_SAMPLES, 15_360)[: len(patches)]
    assert patches


@pytest.mark.parametrize("num_frames", [0, 10_000, 40_000])
@pytest.mark.parametrize("pad_short_clips", [True, False])
def test_a_bad_clip_keeps_its_reason_however_short_it_is(
    num_frames: int, pad_short_clips: bool
) -> None:
    data = wav(np.vstack([noise(num_frames), [[np.nan]]]))
    with pytest.raises(AudioError) as caught:
        list(ClipPatches(io.BytesIO(data), Cutting(15_600, 15_360, None, pad_short_clips)))
    assert caught.value.reason == "non_finite"


def test_an_empty_clip_is_not_padded() -> None:
    with pytest.raises(AudioError) as caught:
        list(ClipPatches(io.BytesIO(wav(noise(0))), VGGISH))
    assert caught.value.reason == "empty"
