"""Recordings that are cut into clips of equal length."""

import dataclasses
import itertools
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from tests.sounds import encode
from tests.span_results import (
    RATES_HZ,
    Opener,
    Results,
    assert_as_defined,
    clip,
    cut_into,
    decoded_whole,
    noise,
    read,
    stream,
)
from transforms.corpus.clips import Clip
from transforms.corpus.spans import single_task, split_into_tasks


def pieces_of(results: Results) -> list[tuple[str, Decimal, Decimal | None, str, str]]:
    found = []
    for clip_id, outcome in results.outcomes().items():
        if outcome == "ok":
            piece = results.decoded(clip_id).clip
            times = piece.start_seconds, piece.end_seconds
            found.append((clip_id, *times, piece.recording, outcome))
    return sorted(found, key=lambda each: each[1])


def piece(start: str, seconds: str) -> Clip:
    end = str(Decimal(start) + Decimal(seconds))
    return clip(f"a#{start}", start, end, recording="a")


def test_a_recording_is_cut_and_the_last_piece_kept_if_it_has_a_row() -> None:
    for (num_seconds, starts), name in itertools.product(
        [
            ("4", ["0", "2"]),
            ("6", ["0", "2", "4"]),
            ("4.975", ["0", "2", "4"]),
            ("4.97", ["0", "2"]),
            ("4.0001", ["0", "2"]),
            ("3.9", ["0", "2"]),
            ("2", ["0"]),
            ("1.2", ["0"]),
            ("0.3", ["0"]),
        ],
        ["WAV", "mp3", "alac.caf"],
    ):
        samples = noise(int(Decimal(num_seconds) * 16_000))[:, 0]
        data = encode(samples, 16_000) if name == "WAV" else stream(name, samples, 16_000)
        mono = decoded_whole(data)
        assert len(mono) == len(samples)
        results = read(data, single_task([clip("a")]), cut_into("2"))
        pieces = [piece(start, "2") for start in starts]
        assert_as_defined(results, mono, 16_000, pieces, cut_into("2"), 1e-6)
        *full, last = (results.decoded(f"a#{start}") for start in starts)
        assert {each.num_samples for each in full} <= {32_000}
        assert last.end_seconds == min(float(num_seconds), float(starts[-1]) + 2)


@pytest.mark.parametrize("name", ["WAV", "mp3"])
def test_a_recording_shorter_than_a_row_is_not_cut_away(name: str) -> None:
    samples = noise(8_000)[:, 0]
    data = encode(samples, 16_000) if name == "WAV" else stream(name, samples, 16_000)
    padded = read(data, single_task([clip("a")]), cut_into("2"))
    assert padded.decoded("a#0").padded
    skipping = dataclasses.replace(cut_into("2"), pad_short_clips=False)
    failed = read(data, single_task([clip("a")]), skipping)
    assert failed.outcomes() == {"a#0": "too_short"}


@pytest.mark.parametrize("name", ["WAV", "mp3"])
def test_clips_with_start_and_end_are_cut_into_pieces_of_their_own(name: str) -> None:
    samples = noise(128_000)[:, 0]
    data = encode(samples, 16_000) if name == "WAV" else stream(name, samples, 16_000)
    clips = [
        clip("a", "1.5", "6.5"),
        clip("b", "1.5", "6", recording="r"),
        clip("c", "7", "100"),
        clip("d", "9", "100"),
    ]
    results = read(data, single_task(clips), cut_into("2"))
    expected_pieces = [
        clip("a#1.5", "1.5", "3.5", recording="a"),
        clip("a#3.5", "3.5", "5.5", recording="a"),
        clip("a#5.5", "5.5", "6.5", recording="a"),
        clip("b#1.5", "1.5", "3.5", recording="r"),
        clip("b#3.5", "3.5", "5.5", recording="r"),
        clip("c#7", "7", "9", recording="c"),
        clip("d#9", "9", "11", recording="d"),
    ]
    mono = decoded_whole(data)
    assert_as_defined(results, mono, 16_000, expected_pieces, cut_into("2"), 1e-6)
    assert results.decoded("c#7").end_seconds == 8
    assert results.failure("d#9").reason == "out_of_range"


def test_a_remainder_without_samples_is_skipped() -> None:
    for span_rows, end in itertools.product([None, 2], ["4.00001", "4.000031"]):
        data = encode(noise(80_000), 16_000)
        framing = cut_into("2")
        decode_tasks = [single_task([clip("a", "0", end)])]
        if span_rows is not None:
            decode_tasks = list(
                split_into_tasks([clip("a", "0", end)], Fraction(5), framing, span_rows)
            )
        assert read(data, decode_tasks, framing).outcomes() == {"a#0": "ok", "a#2": "ok"}


def test_pieces_of_exactly_one_row_are_all_there_at_every_rate() -> None:
    for rate_hz in RATES_HZ:
        data = encode(noise(10 * rate_hz), rate_hz)
        results = read(data, single_task([clip("a")]), cut_into("0.975"))
        starts = [each[1] for each in pieces_of(results)]
        assert starts == [Decimal("0.975") * index for index in range(10)]
        assert {results.decoded(clip_id).num_rows for clip_id in results.decode_results} == {1}


def test_pieces_are_the_same_however_the_work_is_spread() -> None:
    for clip_seconds, times, rate_hz in itertools.product(
        ["1.5", "2"],
        [("0", None), ("1.25", "12.3"), ("0.5", "12"), ("0", "100")],
        [16_000, 22_050, 44_100],
    ):
        samples = noise(int(12.7 * rate_hz))
        data = encode(samples, rate_hz)
        framing = cut_into(clip_seconds)
        asked_for = clip("a", *times)
        together = read(data, single_task([asked_for]), framing)
        assert len(together.decode_results) >= 5
        seconds = Fraction(len(samples), rate_hz)
        for span_rows in (1, 2, 3):
            decode_tasks = list(split_into_tasks([asked_for], seconds, framing, span_rows))
            assert len(decode_tasks) >= 2
            spread = read(data, decode_tasks, framing)
            assert spread.decode_results == together.decode_results
            for clip_id in together.decode_results:
                got, want = spread.patches(clip_id), together.patches(clip_id)
                np.testing.assert_array_equal(got, want)


def test_a_stream_is_cut_for_all_its_clips_in_one_pass() -> None:
    data = stream("mp3", noise(160_000)[:, 0], 16_000)
    file = Opener(data)
    results = read(file, single_task([clip("a"), clip("b", "0.5", "8")]), cut_into("1"))
    assert len(file.opened) == 1
    assert len(results.decode_results) == 10 + 7
    assert set(results.outcomes().values()) == {"ok"}
