"""Any clips of any recording are decoded as defined."""

import dataclasses
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from tests.sounds import encode
from tests.span_results import (
    RATES_HZ,
    SMALL,
    assert_as_defined,
    expected,
    noise,
    read,
    stream,
)
from transforms.corpus.clips import Clip
from transforms.corpus.spans import FramingConfig, single_task, split_into_tasks

microseconds = st.integers(0, 2_200_000).map(lambda number: Decimal(number).scaleb(-6))


@st.composite
def clips_in_time(draw: st.DrawFn) -> list[Clip]:
    clips = []
    for index in range(draw(st.integers(1, 8))):
        start, end = draw(microseconds), draw(st.none() | microseconds)
        zero = draw(st.sampled_from([Decimal(0), Decimal("0.000001"), Decimal("17.3")]))
        if end is not None:
            start, end = min(start, end), max(start, end)
            end += zero + Decimal("0.000001")
        clips.append(Clip(f"{index}", "u", start + zero, end, recording_offset_seconds=zero))
    return clips


@given(
    clips=clips_in_time(),
    rate_hz=st.sampled_from(RATES_HZ),
    num_frames=st.integers(1, 30_000),
    kind=st.sampled_from(["WAV", "FLAC", "alac.caf"]),
    framing=st.builds(
        FramingConfig,
        patch_samples=st.sampled_from([1, 400, 5_000]),
        hop_samples=st.sampled_from([160, 400, 7_000]),
        max_rows=st.none() | st.integers(1, 20),
        pad_short_clips=st.booleans(),
    ),
    span_rows=st.none() | st.integers(3, 100),
)
def test_every_clip_gets_one_verdict_and_the_rows_that_it_promises(
    clips: list[Clip],
    rate_hz: int,
    num_frames: int,
    kind: str,
    framing: FramingConfig,
    span_rows: int | None,
) -> None:
    samples = noise(num_frames)
    if kind == "alac.caf":
        data, span_rows = stream(kind, samples, rate_hz), None
    else:
        data = encode(samples, rate_hz, kind)
    decode_tasks = [single_task(clips)]
    if span_rows is not None:
        seconds = Fraction(num_frames, rate_hz)
        decode_tasks = list(split_into_tasks(clips, seconds, framing, span_rows))
    results = read(data, decode_tasks, framing)
    assert_as_defined(results, samples[:, 0], rate_hz, clips, framing)


@given(
    clips=clips_in_time(),
    clip_ms=st.just(25) | st.integers(25, 900),
    rate_hz=st.sampled_from([11_025, 16_000, 44_100]),
    num_frames=st.integers(1, 30_000),
    kind=st.sampled_from(["WAV", "alac.caf"]),
    pad_short_clips=st.booleans(),
)
def test_pieces_are_the_clips_that_one_would_write_down(
    clips: list[Clip],
    clip_ms: int,
    rate_hz: int,
    num_frames: int,
    kind: str,
    pad_short_clips: bool,
) -> None:
    samples = noise(num_frames)
    data = encode(samples, rate_hz) if kind == "WAV" else stream(kind, samples, rate_hz)
    length = Decimal(clip_ms).scaleb(-3)
    framing = dataclasses.replace(SMALL, clip_seconds=length, pad_short_clips=pad_short_clips)
    written = []
    for each in clips:
        end = Fraction(num_frames, rate_hz) + Fraction(each.recording_offset_seconds)
        if each.end_seconds is not None:
            end = min(end, Fraction(each.end_seconds))
        for index in range(1_000):
            start = each.start_seconds + index * length
            if index and start >= end:
                break
            until = start + length
            if each.end_seconds is not None:
                until = min(until, each.end_seconds)
            written_down = dataclasses.replace(
                each,
                id=f"{each.id}#{start.normalize():f}",
                start_seconds=start,
                end_seconds=until,
                recording=each.id,
            )
            _, _, decoded = expected(samples[:, 0], rate_hz, written_down, SMALL)
            has_row = decoded is not None and not decoded.padded
            is_whole = decoded is not None and not decoded.truncated and until - start == length
            if not index or has_row or is_whole:
                written.append(written_down)
    results = read(data, single_task(clips), framing)
    assert_as_defined(results, samples[:, 0], rate_hz, written, framing)
