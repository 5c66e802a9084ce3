"""The patches of one clip, from the file to what decoding found."""

import io
import itertools
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from transforms.audio.decoders import libsndfile
from transforms.audio.errors import AudioError
from transforms.audio.resampling import CONTEXT_SAMPLES
from transforms.audio.span_decoding import decode_spans
from transforms.audio.span_patches import SpanPatches
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.runs import DecodedClip, PatchRun
from transforms.corpus.spans import FramingConfig, Span, single_task

PATCH_SAMPLES = 15_600
VGGISH = FramingConfig(PATCH_SAMPLES, 15_360)
SKIPPING = FramingConfig(PATCH_SAMPLES, 15_360, pad_short_clips=False)
WHOLE = Clip("a", "u")
MOST_FOUND = 1_000


def noise(num_frames: int, num_channels: int = 1) -> np.ndarray:
    rng = np.random.default_rng(5)
    return rng.uniform(-1, 1, (num_frames, num_channels)).astype(np.float32)


def wav(samples: np.ndarray, sample_rate_hz: int = 16_000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate_hz, format="WAV", subtype="FLOAT")
    return file.getvalue()


def read(data: bytes, framing: FramingConfig) -> tuple[list[list[float]], DecodedClip | Failure]:
    """Collects the patches only when all are cut: a later block must not change earlier ones."""
    found = decode_spans(lambda: io.BytesIO(data), single_task([WHOLE]), framing)
    *runs, verdict = itertools.islice(found, MOST_FOUND)
    assert next(found, None) is None
    assert isinstance(verdict, DecodedClip | Failure)
    patches: list[list[float]] = []
    for run in runs:
        assert isinstance(run, PatchRun)
        assert run.clip_id == WHOLE.id
        assert run.first_row == len(patches)
        assert run.patches.dtype == np.float32
        assert run.patches.shape[1:] == (framing.patch_samples,)
        assert len(run.patches)
        patches.extend(run.patches.tolist())
    return patches, verdict


def cut(data: bytes, framing: FramingConfig) -> tuple[list[list[float]], DecodedClip]:
    patches, decoded = read(data, framing)
    assert isinstance(decoded, DecodedClip)
    assert decoded.num_rows == len(patches)
    return patches, decoded


def failure(data: bytes, framing: FramingConfig = VGGISH) -> Failure:
    _, failed = read(data, framing)
    assert isinstance(failed, Failure)
    assert (failed.id, failed.uri, failed.step) == ("a", "u", "decode")
    return failed


def whole(num_rows: int, num_samples: int, seconds: float, **facts: Any) -> DecodedClip:
    return DecodedClip(WHOLE, num_rows, num_samples, seconds, libsndfile.VERSION, **facts)


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
    monkeypatch.setattr("transforms.audio.recording.BLOCK_VALUES", block_values)
    samples = noise(num_samples)
    patches, decoded = cut(wav(samples), FramingConfig(PATCH_SAMPLES, hop_samples))
    assert patches == sliced(samples[:, 0], PATCH_SAMPLES, hop_samples)
    assert decoded == whole(num_rows, num_samples, num_samples / 16_000)


def test_a_clip_shorter_than_a_patch_is_padded_to_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    for block_values, num_samples in itertools.product([2**20, 7_777], [1, 240, 15_599]):
        monkeypatch.setattr("transforms.audio.recording.BLOCK_VALUES", block_values)
        samples = noise(num_samples)
        patches, decoded = cut(wav(samples), VGGISH)
        assert patches == [samples[:, 0].tolist() + [0.0] * (PATCH_SAMPLES - num_samples)]
        assert decoded == whole(1, num_samples, num_samples / 16_000, padded=True)


def test_a_short_clip_at_another_rate_is_padded_after_resampling() -> None:
    samples = noise(10_000)
    patches, decoded = cut(wav(samples, 44_100), VGGISH)
    resampled = soxr.resample(samples[:, 0], 44_100, 16_000, quality="VHQ")
    assert decoded == whole(1, len(resampled), 10_000 / 44_100, padded=True)
    np.testing.assert_allclose(patches[0][: len(resampled)], resampled, rtol=0, atol=1e-7)
    assert not any(patches[0][len(resampled) :])


@pytest.mark.parametrize("sample_rate_hz", [16_000, 44_100, 768_000])
def test_a_single_frame_is_padded_to_one_row(sample_rate_hz: int) -> None:
    patches, decoded = cut(wav(noise(1), sample_rate_hz), VGGISH)
    assert len(patches) == 1
    assert decoded.padded
    assert decoded.num_samples <= 1
    assert decoded.end_seconds == 1 / sample_rate_hz


@pytest.mark.parametrize("num_samples", [1, 15_599])
def test_a_short_clip_fails_where_short_clips_are_skipped(num_samples: int) -> None:
    failed = failure(wav(noise(num_samples)), SKIPPING)
    assert failed.reason == "too_short"
    for part in (f"{num_samples / 16_000:.3f} s", "15600", "0.975 s", "--short_clips"):
        assert part in failed.message


def test_a_clip_of_one_patch_passes_where_short_clips_are_skipped() -> None:
    _, decoded = cut(wav(noise(PATCH_SAMPLES)), SKIPPING)
    assert decoded == whole(1, PATCH_SAMPLES, 0.975)


def test_rows_beyond_the_maximum_are_skipped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    for sample_rate_hz, block_values, (num_patches, num_rows, num_skipped) in itertools.product(
        [16_000, 8_000],
        [2**20, 1_000],
        [(1, 1, 0), (299, 299, 0), (300, 300, 0), (301, 300, 1), (3_000, 300, 2_700)],
    ):
        monkeypatch.setattr("transforms.audio.recording.BLOCK_VALUES", block_values)
        num_samples = 16 * (num_patches - 1) + 20
        samples = noise(num_samples * sample_rate_hz // 16_000)[:, 0]
        patches, decoded = cut(wav(samples, sample_rate_hz), FramingConfig(20, 16, max_rows=300))
        resampled = samples if sample_rate_hz == 16_000 else soxr.resample(samples, 8, 16, "VHQ")
        np.testing.assert_allclose(patches, sliced(resampled, 20, 16)[:300], rtol=0, atol=1e-7)
        seconds = num_samples / 16_000
        assert decoded == whole(num_rows, num_samples, seconds, num_rows_skipped=num_skipped)


def test_stereo_at_any_rate_is_mixed_then_resampled_then_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for block_values, sample_rate_hz in itertools.product(
        [2**20, 10_000], [8_000, 11_025, 22_050, 44_100, 48_000, 96_000]
    ):
        monkeypatch.setattr("transforms.audio.recording.BLOCK_VALUES", block_values)
        samples = noise(3 * sample_rate_hz, num_channels=2)
        patches, decoded = cut(wav(samples, sample_rate_hz), VGGISH)
        mono = (samples[:, 0] + samples[:, 1]) / np.float32(2)
        resampled = soxr.resample(mono, sample_rate_hz, 16_000, quality="VHQ")
        assert decoded == whole(len(sliced(resampled, 15_600, 15_360)), len(resampled), 3.0)
        assert len(patches) >= 2
        np.testing.assert_allclose(patches, sliced(resampled, 15_600, 15_360), rtol=0, atol=1e-6)


@pytest.mark.parametrize("channel", [1, 2, 3])
def test_one_channel_of_three_is_resampled_and_cut(channel: int) -> None:
    samples = noise(20_000, num_channels=3)
    framing = FramingConfig(PATCH_SAMPLES, 15_360, channel=channel)
    patches, decoded = cut(wav(samples, 44_100), framing)
    resampled = soxr.resample(samples[:, channel - 1].copy(), 44_100, 16_000, quality="VHQ")
    np.testing.assert_allclose(patches[0][: len(resampled)], resampled, rtol=0, atol=1e-7)
    assert decoded.num_samples == len(resampled)


def test_a_channel_that_is_not_there_fails() -> None:
    failed = failure(wav(noise(20_000, 2)), FramingConfig(PATCH_SAMPLES, 15_360, channel=3))
    assert failed.reason == "no_channel"
    assert "--channel=3, and the recording has 2" in failed.message


@pytest.mark.parametrize(
    ("num_frames", "sample_rate_hz", "seconds"),
    [(22_050, 44_100, 0.5), (44_101, 44_100, 44_101 / 44_100), (3, 8_000, 0.000375)],
)
def test_seconds_go_by_the_recordings_own_rate(
    num_frames: int, sample_rate_hz: int, seconds: float
) -> None:
    assert cut(wav(noise(num_frames), sample_rate_hz), VGGISH)[1].end_seconds == seconds


def test_a_clip_that_fails_in_the_middle_gives_good_patches_and_one_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("transforms.audio.recording.BLOCK_VALUES", 16_000)
    samples = noise(64_000)
    data = wav(samples)
    patches, failed = read(data[: len(data) // 2], VGGISH)
    assert isinstance(failed, Failure)
    assert failed.reason == "decode_error"
    assert patches == sliced(samples[:, 0], PATCH_SAMPLES, 15_360)[: len(patches)]
    assert patches


def test_a_bad_clip_keeps_its_reason_however_short_it_is() -> None:
    for pad_short_clips, num_frames in itertools.product([True, False], [0, 10_000, 40_000]):
        data = wav(np.vstack([noise(num_frames), [[np.nan]]]))
        assert (
            failure(data, FramingConfig(15_600, 15_360, None, pad_short_clips)).reason
            == "non_finite"
        )


def test_an_empty_clip_is_not_padded() -> None:
    assert failure(wav(noise(0))).reason == "empty"
    assert failure(b"").reason == "empty"


def pushed(patches: SpanPatches, frames: np.ndarray, block_frames: int) -> list[Any]:
    """Gives it what it asks for of a recording's frames, in blocks."""
    found: list[Any] = []
    wanted = frames[patches.first_frame : patches.end_frame]
    for start in range(0, len(wanted), block_frames):
        found += patches.push(wanted[start : start + block_frames])
    return found + list(patches.finish("a decoder"))


def test_a_span_in_the_middle_asks_for_its_rows_and_a_second_around_them() -> None:
    for block_frames, sample_rate_hz in itertools.product([997, 10**6], [8_000, 16_000, 44_100]):
        samples = noise(20 * sample_rate_hz)[:, 0]
        span = Span(Clip("a", "u", Decimal(2)), first_row=8, num_rows=2)
        patches = SpanPatches(span, VGGISH, sample_rate_hz, len(samples))
        assert patches.end_frame is not None
        first, end = (2 + 8 * 0.96) * sample_rate_hz, (2 + 9 * 0.96 + 0.975) * sample_rate_hz
        context = CONTEXT_SAMPLES * sample_rate_hz / 16_000
        period = 441 if sample_rate_hz == 44_100 else 1
        assert first - context - period < patches.first_frame <= first - context
        assert end + context <= patches.end_frame < end + context + period
        found = pushed(patches, samples, block_frames)
        rows = np.concatenate([run.patches for run in found])
        clip = samples[2 * sample_rate_hz :]
        resampled = clip
        if sample_rate_hz != 16_000:
            resampled = soxr.resample(clip, sample_rate_hz, 16_000, quality="VHQ")
        assert found[0].first_row == 8
        np.testing.assert_allclose(rows, sliced(resampled, 15_600, 15_360)[8:10], rtol=0, atol=1e-7)


def test_rows_that_are_skipped_are_read_only_where_they_cannot_be_counted_otherwise() -> None:
    for end_seconds, max_rows, num_frames, end_frame in [
        (None, None, 1_600_000, None),
        (None, None, None, None),
        (Decimal("5.5"), None, 1_600_000, 88_000),
        (Decimal("5.5"), None, None, 88_000),
        (None, 3, 1_600_000, 2 * 15_360 + 15_600 + 16_000),
        (None, 3, None, None),
        (Decimal("5.5"), 3, 1_600_000, 2 * 15_360 + 15_600 + 16_000),
        (Decimal("2.5"), 3, 1_600_000, 40_000),
        (Decimal("5.5"), 3, None, 88_000),
    ]:
        span = Span(Clip("a", "u", end_seconds=end_seconds))
        framing = FramingConfig(15_600, 15_360, max_rows)
        assert SpanPatches(span, framing, 16_000, num_frames).end_frame == end_frame


def test_a_span_whose_rows_are_missing_fails_instead_of_giving_fewer() -> None:
    patches = SpanPatches(Span(WHOLE, 0, 3), VGGISH, 16_000, 10**6)
    found = list(patches.push(noise(40_000)[:, 0]))
    assert [(run.first_row, len(run.patches)) for run in found] == [(0, 2)]
    with pytest.raises(AudioError, match=r"early, after 2\.500 s") as caught:
        list(patches.finish("a decoder"))
    assert caught.value.reason == "decode_error"


@pytest.mark.parametrize(("num_frames", "num_rows"), [(15_599, 0), (15_600, 1)])
def test_a_remainder_too_short_for_a_row_is_skipped(num_frames: int, num_rows: int) -> None:
    patches = SpanPatches(Span(WHOLE, is_remainder=True), VGGISH, 16_000, None)
    runs = list(patches.push(noise(num_frames)[:, 0]))
    assert len(runs) == num_rows
    ends: list[Any] = list(patches.finish("a decoder"))
    assert [each.num_rows for each in ends] == [num_rows] * num_rows
