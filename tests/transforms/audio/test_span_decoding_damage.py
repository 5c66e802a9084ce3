"""Damaged recordings and failing storage: only the affected clips fail, each once."""

import dataclasses
import io
import itertools
import os
from decimal import Decimal
from fractions import Fraction
from typing import BinaryIO

import numpy as np
import pytest

from tests.sounds import encode
from tests.span_results import (
    VGGISH,
    Opener,
    assert_as_defined,
    clip,
    cut_into,
    decoded_whole,
    expected,
    noise,
    read,
    stream,
)
from transforms.corpus.clips import Failure
from transforms.corpus.spans import single_task, split_into_tasks

AROUND_5_SECONDS = [
    clip("long before", "0", "2"),
    clip("just before", "2", "4.5"),
    clip("over", "4", "6"),
    clip("long over", "1", "9"),
    clip("just behind", "5.5", "7"),
    clip("long behind", "8", "9.5"),
]


def seconds_in(message: str) -> float:
    """Returns after how many seconds a message says that decoding failed."""
    return float(message.partition("decoding failed after ")[2].partition(" s")[0])


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_of_a_truncated_wav_the_clips_before_the_end_succeed(rate_hz: int) -> None:
    samples = noise(10 * rate_hz)
    data = encode(samples, rate_hz)[: 44 + 2 * 5 * rate_hz]
    results = read(data, single_task(AROUND_5_SECONDS), VGGISH)
    before, damaged = AROUND_5_SECONDS[:2], AROUND_5_SECONDS[2:]
    assert {results.failure(each.id).reason for each in damaged} == {"decode_error"}
    for each in damaged[:2]:
        assert seconds_in(results.failure(each.id).message) == 5
        assert "truncated: the header declares" in results.failure(each.id).message
    for each in damaged:
        del results.decode_results[each.id]
        results.rows.pop(each.id, None)
    assert_as_defined(results, samples[:, 0], rate_hz, before, VGGISH)


def test_of_another_truncated_recording_the_clips_before_the_end_succeed() -> None:
    for name, share in [("FLAC", 0.5), ("mp3", 0.5), ("ogg", 0.58), ("flac.mka", 0.5)]:
        samples = noise(160_000)
        data = encode(samples, 16_000, "FLAC")
        if name != "FLAC":
            data = stream(name, samples[:, 0], 16_000)
        mono = decoded_whole(data)
        results = read(data[: int(share * len(data))], single_task(AROUND_5_SECONDS), VGGISH)
        before, damaged = AROUND_5_SECONDS[:2], AROUND_5_SECONDS[2:]
        assert {results.failure(each.id).reason for each in damaged} == {"decode_error"}
        for each in damaged[:2]:
            assert seconds_in(results.failure(each.id).message) == pytest.approx(5, abs=0.6)
        for each in damaged:
            del results.decode_results[each.id]
            results.rows.pop(each.id, None)
        assert_as_defined(results, mono, 16_000, before, VGGISH, atol=1e-6)


def with_damage(data: bytes, share: float, num_bytes: int = 200) -> bytes:
    """Overwrites bytes in the middle of a recording."""
    at = int(share * len(data))
    return data[:at] + np.random.default_rng(0).bytes(num_bytes) + data[at + num_bytes :]


def test_clips_after_a_corrupted_block_of_a_flac_succeed() -> None:
    for num_bytes, rate_hz in itertools.product([4, 200, 8_000], [16_000, 44_100]):
        samples = noise(10 * rate_hz)
        data = with_damage(encode(samples, rate_hz, "FLAC"), 0.5, num_bytes)
        file = Opener(data)
        results = read(file, single_task(AROUND_5_SECONDS), VGGISH)
        for name in ("over", "long over"):
            failed = results.failure(name)
            assert failed.reason == "decode_error"
            assert seconds_in(failed.message) == pytest.approx(5, abs=0.3)
            del results.decode_results[name]
            results.rows.pop(name, None)
        good = [each for each in AROUND_5_SECONDS if "over" not in each.id]
        assert_as_defined(results, samples[:, 0], rate_hz, good, VGGISH)
        assert len(file.opened) == 2


def test_only_the_piece_on_a_corrupted_block_fails() -> None:
    data = with_damage(encode(noise(160_000), 16_000, "FLAC"), 0.53)
    together = read(data, single_task([clip("a")]), cut_into("1"))
    outcomes = {f"a#{start}": "decode_error" if start == 5 else "ok" for start in range(10)}
    assert together.outcomes() == outcomes
    spread = split_into_tasks([clip("a")], Fraction(10), cut_into("1"), 3)
    assert read(data, spread, cut_into("1")).outcomes() == outcomes


def test_spans_of_a_clip_on_a_corrupted_block_fail_and_none_gives_a_wrong_row() -> None:
    samples = noise(20 * 16_000)
    data = with_damage(encode(samples, 16_000, "FLAC"), 0.5)
    whole = expected(samples[:, 0], 16_000, clip("a"), VGGISH)[1]
    reasons, rows = [], set()
    for decode_task in split_into_tasks([clip("a")], Fraction(20), VGGISH, 4):
        results = read(data, decode_task, VGGISH)
        for row, patch in results.rows.get("a", {}).items():
            np.testing.assert_array_equal(patch, whole[row])
            rows.add(row)
        reasons += [
            each.reason for each in results.decode_results.values() if isinstance(each, Failure)
        ]
    assert set(reasons) == {"decode_error"}
    assert {*range(8), *range(13, 20)} <= rows


@pytest.mark.parametrize("name", ["mp3", "flac.mka"])
def test_a_truncated_stream_fails_in_the_piece_where_it_ends(name: str) -> None:
    data = stream(name, noise(160_000)[:, 0], 16_000)
    results = read(data[: int(0.55 * len(data))], single_task([clip("a")]), cut_into("1"))
    assert results.outcomes() == {
        **{f"a#{start}": "ok" for start in range(5)},
        "a#5": "decode_error",
    }


def test_invalid_samples_fail_only_the_clips_that_contain_them() -> None:
    for file_format, (value, reason) in itertools.product(
        ["WAV", "MAT5"],
        [(np.nan, "non_finite"), (np.inf, "non_finite"), (-300.0, "over_full_scale")],
    ):
        samples = noise(160_000)
        samples[80_000] = value
        samples[120_000] = value
        clips = [*AROUND_5_SECONDS, clip("between", "5.0000625", "7.5"), clip("up to it", "3", "5")]
        holding = {"over", "long over", "long behind"}
        clips[5] = clip("long behind", "7.5", "9.5")
        data = encode(samples, 16_000, file_format, "FLOAT")
        file = Opener(data)
        results = read(file, single_task(clips), VGGISH)
        assert len(file.opened) == 1
        outcomes = {each.id: reason if each.id in holding else "ok" for each in clips}
        assert results.outcomes() == outcomes
        if reason == "non_finite":
            assert "at 5.000 s" in results.failure("over").message
            assert "at 7.500 s" in results.failure("long behind").message
        for each in clips:
            if each.id not in holding:
                patches = expected(samples[:, 0], 16_000, each, VGGISH)[1]
                np.testing.assert_array_equal(results.patches(each.id), patches)


def test_a_recording_that_cannot_be_opened_fails_every_clip_once() -> None:
    for clip_seconds, (error, reason) in itertools.product(
        [None, Decimal(2)],
        [
            (FileNotFoundError(2, "No such file or directory"), "not_found"),
            (FileNotFoundError("mem://u does not exist"), "not_found"),
            (PermissionError(13, "Permission denied"), "unreadable"),
            (IsADirectoryError(21, "Is a directory"), "unreadable"),
            (OSError("the bucket is gone"), "unreadable"),
        ],
    ):
        num_opened = 0

        def refuse(error: OSError = error) -> BinaryIO:
            nonlocal num_opened
            num_opened += 1
            raise error

        clips = [clip("a", "7"), clip("b", "1", "5"), clip("c")]
        framing = dataclasses.replace(VGGISH, clip_seconds=clip_seconds)
        results = read(refuse, single_task(clips), framing)
        ids = ["a", "b", "c"] if clip_seconds is None else ["a#7", "b#1", "c#0"]
        assert results.outcomes() == dict.fromkeys(ids, reason)
        assert {results.failure(clip_id).message for clip_id in ids} == {
            error.strerror or str(error)
        }
        assert not results.rows
        assert num_opened == 1


# The end of a FLAC is read first, for its true length; that of a WAV is in its header.
@pytest.mark.parametrize(("file_format", "num_good"), [("WAV", 2), ("FLAC", 0)])
def test_a_failing_storage_fails_the_remaining_clips(file_format: str, num_good: int) -> None:
    samples = noise(160_000)
    data = encode(samples, 16_000, file_format)
    file = Opener(data, broken_at=len(data) // 2)
    results = read(file, single_task(AROUND_5_SECONDS), VGGISH)
    good, failed = AROUND_5_SECONDS[:num_good], AROUND_5_SECONDS[num_good:]
    for each in failed:
        failure = results.failure(each.id)
        assert (failure.reason, failure.message) == ("unreadable", "Input/output error")
        del results.decode_results[each.id]
        results.rows.pop(each.id, None)
    assert_as_defined(results, samples[:, 0], 16_000, good, VGGISH)
    assert len(file.opened) == 1


@pytest.mark.parametrize("name", ["mp3", "m4a"])
def test_a_failing_storage_fails_the_remaining_clips_of_a_stream(name: str) -> None:
    data = stream(name, noise(441_000)[:, 0], 44_100)
    file = Opener(data, broken_at=len(data) // 2)
    results = read(file, single_task(AROUND_5_SECONDS), VGGISH)
    assert set(results.decode_results) == {each.id for each in AROUND_5_SECONDS}
    for name in ("over", "long over", "just behind", "long behind"):
        assert results.failure(name).reason == "unreadable"


def test_a_recording_that_vanishes_before_it_is_reopened_fails_the_remaining_clips() -> None:
    data = with_damage(encode(noise(160_000), 16_000, "FLAC"), 0.5)
    opened = iter([io.BytesIO(data)])

    def open_file() -> BinaryIO:
        try:
            return next(opened)
        except StopIteration:
            raise FileNotFoundError(2, os.strerror(2)) from None

    assert read(open_file, single_task(AROUND_5_SECONDS), VGGISH).outcomes() == {
        "long before": "ok",
        "just before": "ok",
        "over": "decode_error",
        "long over": "decode_error",
        "just behind": "not_found",
        "long behind": "not_found",
    }


def test_other_files_fail_every_clip_once() -> None:
    results = read(b"no sound" * 100, single_task(AROUND_5_SECONDS), VGGISH)
    assert set(results.outcomes().values()) == {"unsupported_format"}
    assert len(results.decode_results) == len(AROUND_5_SECONDS)


def test_a_channel_that_is_not_there_fails_every_clip_once() -> None:
    framing = dataclasses.replace(VGGISH, channel=3)
    for data in (encode(noise(160_000, 2), 16_000), stream("mp3", noise(160_000), 16_000)):
        results = read(data, single_task(AROUND_5_SECONDS), framing)
        assert results.outcomes() == {each.id: "no_channel" for each in AROUND_5_SECONDS}
