"""Decoding of spans: every clip is the slice of its recording, however the work is split."""

import dataclasses
import io
import itertools
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from tests.sounds import encode
from tests.span_results import (
    PATCH_SAMPLES,
    RATES_HZ,
    SMALL,
    STREAMS,
    VGGISH,
    Opener,
    assert_as_defined,
    clip,
    decoded_whole,
    noise,
    read,
    stream,
)
from transforms.audio import decoding
from transforms.corpus.clips import Clip
from transforms.corpus.spans import FramingConfig, single_task, split_into_tasks


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize(("num_channels", "file_format"), [(1, "WAV"), (2, "FLAC")])
@pytest.mark.parametrize("hop_samples", [15_360, 16_000, 1_601, 40_000])
def test_spans_of_a_clip_are_together_the_clip(
    rate_hz: int, num_channels: int, file_format: str, hop_samples: int
) -> None:
    samples = noise(10 * rate_hz + 321, num_channels)
    data = encode(samples, rate_hz, file_format)
    framing = FramingConfig(PATCH_SAMPLES, hop_samples)
    whole = read(data, single_task([clip("a")]), framing)
    mono = samples.mean(axis=1)
    assert_as_defined(whole, mono, rate_hz, [clip("a")], framing)
    seconds = Fraction(len(samples), rate_hz)
    for span_rows in (7, 13) if hop_samples == 1_601 else (1, 2):
        decode_tasks = list(split_into_tasks([clip("a")], seconds, framing, span_rows))
        assert len(decode_tasks) >= 2
        spread = read(data, decode_tasks, framing)
        assert spread.decode_results == whole.decode_results
        np.testing.assert_allclose(spread.patches("a"), whole.patches("a"), rtol=0, atol=1e-7)


def test_spans_stop_at_the_maximum_of_rows_and_count_skipped_rows() -> None:
    for max_rows, rate_hz in itertools.product([1, 5, 6, 9, 10, 11, 100], [16_000, 44_100]):
        samples = noise(10 * rate_hz)
        data = encode(samples, rate_hz)
        framing = FramingConfig(PATCH_SAMPLES, 15_360, max_rows)
        clips = [clip("a"), clip("b", "1.5", "9"), clip("c", "3", "30")]
        whole = read(data, single_task(clips), framing)
        assert_as_defined(whole, samples[:, 0], rate_hz, clips, framing)
        spread = read(data, split_into_tasks(clips, Fraction(10), framing, 2), framing)
        assert_as_defined(spread, samples[:, 0], rate_hz, clips, framing)


@given(
    rate_hz=st.sampled_from([*RATES_HZ, 1_000, 96_000, 12_345]),
    num_ms=st.integers(1, 3_000),
    num_more=st.integers(0, 20),
    hop_samples=st.integers(100, 2_000),
    max_rows=st.none() | st.integers(1, 60),
    span_rows=st.integers(1, 30),
    times=st.none() | st.tuples(st.decimals(0, 1, places=4), st.decimals(1, 4, places=4)),
)
def test_spans_of_any_size_are_together_the_clip(
    rate_hz: int,
    num_ms: int,
    num_more: int,
    hop_samples: int,
    max_rows: int | None,
    span_rows: int,
    times: tuple[Decimal, Decimal] | None,
) -> None:
    samples = noise(num_ms * rate_hz // 1_000 + num_more + 1)
    data = encode(samples, rate_hz)
    framing = FramingConfig(400, hop_samples, max_rows)
    asked_for = clip("a") if times is None else Clip("a", "u", *times)
    seconds = Fraction(len(samples), rate_hz)
    decode_tasks = itertools.islice(
        split_into_tasks([asked_for], seconds, framing, span_rows), 1_000
    )
    results = read(data, decode_tasks, framing)
    atol = 1e-5 if rate_hz == 12_345 else 1e-7
    assert_as_defined(results, samples[:, 0], rate_hz, [asked_for], framing, atol)


def test_clips_in_any_order_overlapping_and_touching_are_slices_of_the_recording() -> None:
    for file_format, rate_hz in itertools.product(["WAV", "FLAC"], RATES_HZ):
        samples = noise(6 * rate_hz, 2)
        clips = [
            clip("last", "4.2"),
            clip("whole"),
            clip("first", "0", "1.000011"),
            clip("touching", "1.000011", "2.5"),
            clip("overlapping", "2.000045", "4.999977"),
            clip("inside", "2.1", "2.2"),
            clip("same", "2.1", "2.2"),
            clip("the same start", "2.1", "5"),
        ]
        mono = samples.mean(axis=1)
        data = encode(samples, rate_hz, file_format)
        for order in (clips, clips[::-1]):
            results = read(data, single_task(order), VGGISH)
            assert_as_defined(results, mono, rate_hz, clips, VGGISH)
        spread = read(data, split_into_tasks(clips, Fraction(6), VGGISH, 2), VGGISH)
        assert spread.decode_results == results.decode_results
        assert_as_defined(spread, mono, rate_hz, clips, VGGISH)


@pytest.mark.parametrize(
    ("start", "end", "first", "behind"),
    [
        ("0.0625", "0.125", 500, 1_000),
        ("0.00006", "1", 0, 8_000),
        ("0.0000625", "1", 1, 8_000),
        ("0.00019", "0.00031", 2, 2),
        ("0.00019", "0.0003125", 2, 3),
    ],
)
def test_each_time_is_rounded_once_to_the_nearest_frame_and_half_a_frame_up(
    start: str, end: str, first: int, behind: int
) -> None:
    samples = noise(8_000)
    framing = FramingConfig(1, 1)
    results = read(encode(samples, 8_000), single_task([clip("a", start, end)]), framing)
    if first == behind:
        assert results.failure("a").reason == "empty"
        return
    part = soxr.resample(samples[first:behind, 0], 8_000, 16_000, quality="VHQ")
    np.testing.assert_allclose(results.patches("a")[:, 0], part, rtol=0, atol=1e-7)


def test_a_clip_that_reaches_beyond_the_end_is_truncated_or_out_of_range() -> None:
    samples = noise(32_000)
    clips = [
        clip("in it", "0", "2"),
        clip("truncated", "0.5", "2.5"),
        clip("a frame", "1.99994", "3"),
        clip("at the end", "2", "3"),
        clip("open at the end", "2"),
        clip("behind", "2.5", "3"),
        clip("open behind", "100"),
    ]
    results = read(encode(samples, 16_000), single_task(clips), VGGISH)
    assert_as_defined(results, samples[:, 0], 16_000, clips, VGGISH)
    assert not results.decoded("in it").truncated
    for name in ("truncated", "a frame"):
        assert results.decoded(name).truncated
        assert results.decoded(name).end_seconds == 2.0
    for name, begins in (("at the end", "2"), ("behind", "2.5"), ("open behind", "100")):
        assert results.failure(name).reason == "out_of_range"
        assert f"ends after 2.000 s, and the clip starts at {begins} s" in (
            results.failure(name).message
        )


@pytest.mark.parametrize("kind", ["WAV", "alac.caf"])
def test_times_of_a_file_cut_out_of_a_longer_recording_begin_where_it_was_cut(kind: str) -> None:
    samples = noise(48_000)
    data = encode(samples, 16_000) if kind == "WAV" else stream("alac.caf", samples[:, 0], 16_000)
    zero = Decimal("30.5")
    clips = [
        clip("whole", "30.5", None, recording_offset_seconds=zero),
        clip("part", "31", "32.25", recording_offset_seconds=zero),
        clip("truncated", "31", "40", recording_offset_seconds=zero),
        clip("behind", "33.5", "40", recording_offset_seconds=zero),
        clip("from another zero", "1", "2"),
    ]
    results = read(data, single_task(clips), VGGISH)
    assert_as_defined(results, samples[:, 0], 16_000, clips, VGGISH)
    assert results.decoded("whole").end_seconds == 33.5
    assert results.decoded("part").end_seconds == 32.25
    assert results.decoded("truncated").end_seconds == 33.5
    assert "ends after 3.000 s, and the clip starts at 3.0 s" in results.failure("behind").message


def test_a_clip_without_a_sample_is_empty_and_others_there_are_not() -> None:
    samples = noise(16_000)
    clips = [
        clip("before", "0", "0.5"),
        clip("empty", "0.50001", "0.50002"),
        clip("a sample", "0.5", "0.5000625"),
        clip("no time", "0.25", "0.25"),
        clip("no time at the end", "1", "1"),
        clip("behind", "0.5"),
    ]
    results = read(encode(samples, 16_000), single_task(clips), SMALL)
    assert_as_defined(results, samples[:, 0], 16_000, clips, SMALL)
    assert results.outcomes() == {
        "before": "ok",
        "empty": "empty",
        "a sample": "ok",
        "no time": "empty",
        "no time at the end": "empty",
        "behind": "ok",
    }


def test_every_clip_of_a_recording_without_a_sample_is_empty() -> None:
    clips = [clip("whole"), clip("part", "1", "2")]
    for data in (b"", encode(noise(0), 16_000)):
        for decode_tasks in (single_task(clips), [single_task([each]) for each in clips]):
            assert set(read(data, decode_tasks, VGGISH).outcomes().items()) == {
                ("whole", "empty"),
                ("part", "empty"),
            }


IN_STREAMS = [
    clip("middle", "1.25", "3.000021"),
    clip("whole"),
    clip("overlapping", "0.5", "1.5"),
    clip("last", "3.1", "60"),
    clip("behind", "50", "60"),
]


def test_clips_of_a_stream_are_slices_of_all_that_is_decoded() -> None:
    for name in STREAMS:
        rate_hz = 48_000 if name == "opus" else 44_100
        data = stream(name, noise(4 * rate_hz)[:, 0], rate_hz)
        mono = decoded_whole(data)
        results = read(data, single_task(IN_STREAMS), VGGISH)
        assert_as_defined(results, mono, rate_hz, IN_STREAMS, VGGISH, atol=1e-6)
        assert results.failure("behind").reason == "out_of_range"


def test_a_stream_is_read_once_for_all_its_clips() -> None:
    for name in STREAMS:
        data = stream(name, noise(200_000)[:, 0], 48_000)
        for_one, for_all = Opener(data), Opener(data)
        read(for_one, single_task([clip("whole")]), VGGISH)
        read(for_all, single_task(IN_STREAMS), VGGISH)
        assert len(for_one.opened) == len(for_all.opened) == 1
        assert for_all.num_read == for_one.num_read


def test_a_flac_that_does_not_know_its_length_is_as_long_as_its_last_frame_says() -> None:
    samples = noise(64_000)
    data = bytearray(encode(samples, 16_000, "FLAC"))
    data[8 + 13] &= 0xF0  # 36 bits in STREAMINFO
    data[8 + 14 : 8 + 18] = bytes(4)
    with decoding.open_recording(io.BytesIO(data)) as recording:
        assert recording.num_frames == 64_000
    clips = [clip("a", "1", "2.5"), clip("b", "0.5", "3"), clip("c", "3"), clip("d", "4")]
    results = read(bytes(data), single_task(clips), VGGISH)
    assert_as_defined(results, samples[:, 0], 16_000, clips, VGGISH)


def test_a_clip_far_into_a_long_recording_reads_only_its_part() -> None:
    data = encode(noise(60 * 44_100, 2), 44_100)
    file = Opener(data)
    results = read(file, single_task([clip("a", "50", "52")]), VGGISH)
    assert results.decoded("a").num_rows == 2
    assert 2 * 176_400 <= file.num_read < 2.7 * 176_400
    file = Opener(data)
    *_, before, _ = split_into_tasks([clip("a")], Fraction(60), VGGISH, 10)
    read(file, before, VGGISH)
    assert file.num_read < (10 * 0.96 + 2.7) * 176_400
    file = Opener(data)
    results = read(file, single_task([clip("a", "10")]), dataclasses.replace(VGGISH, max_rows=3))
    assert results.decoded("a").num_rows_skipped == 52 - 3
    assert file.num_read < (3 + 2.7) * 176_400
