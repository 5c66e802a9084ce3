"""The forecast by a header, compared with decoding."""

import io
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
import soundfile
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.sounds import noise
from transforms.audio.span_decoding import decode_spans
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.runs import DecodedClip
from transforms.corpus.spans import FramingConfig, single_task
from transforms.preflight import forecast
from transforms.preflight.survey import Failed, Header, Sums

VGGISH = FramingConfig(patch_samples=15_600, hop_samples=15_360)
KEEP = FramingConfig(patch_samples=15_600, hop_samples=15_360, keep_damaged=True)
SKIP = FramingConfig(patch_samples=15_600, hop_samples=15_360, pad_short_clips=False)


def header(seconds: str | None, can_seek: bool = True, missing: str | None = None) -> Header:
    return Header("WAV", None if seconds is None else Fraction(seconds), can_seek, missing)


def clip(start: str = "0", end: str | None = None, **fields: Any) -> Clip:
    return Clip("a", "a.wav", Decimal(start), None if end is None else Decimal(end), **fields)


def cut(seconds: str, max_rows: int | None = None, pad: bool = True) -> FramingConfig:
    return FramingConfig(15_600, 15_360, max_rows, pad, Decimal(seconds))


@given(
    num_samples=st.integers(1, 60_000),
    start=st.sampled_from(["0", "0.5", "1", "2.5", "4"]),
    end=st.sampled_from([None, "0.5", "1.5", "2", "3", "9"]),
    clip_seconds=st.sampled_from([None, "0.975", "1", "1.5", "2"]),
    max_rows=st.sampled_from([None, 1, 2]),
    pad=st.booleans(),
)
def test_the_forecast_is_the_result_of_decoding(
    num_samples: int,
    start: str,
    end: str | None,
    clip_seconds: str | None,
    max_rows: int | None,
    pad: bool,
) -> None:
    framing = FramingConfig(
        15_600, 15_360, max_rows, pad, Decimal(clip_seconds) if clip_seconds else None
    )
    file = io.BytesIO()
    soundfile.write(file, noise(num_samples), 16_000, format="WAV")
    asked = clip(start, end)
    assume(asked.end_seconds is None or asked.start_seconds < asked.end_seconds)

    def opened() -> io.BytesIO:
        return io.BytesIO(file.getvalue())

    found = list(decode_spans(opened, single_task([asked]), framing, ".wav"))
    decoded = [each for each in found if isinstance(each, DecodedClip)]
    failures = [each.reason for each in found if isinstance(each, Failure)]
    told = forecast.of_recording([asked], header(str(Fraction(num_samples, 16_000))), framing)
    assert told.sums.num_clips == len(decoded)
    assert told.sums.num_rows == sum(each.num_rows for each in decoded)
    assert list(told.failures) == failures
    if framing.clip_seconds is None:
        assert told.counts.get("truncated", 0) == sum(each.truncated for each in decoded)
        assert told.counts.get("padded", 0) == sum(each.padded for each in decoded)


@pytest.mark.parametrize(
    ("asked", "of", "framing", "num_clips", "num_rows", "reason"),
    [
        (clip(), header("10"), VGGISH, 1, 10, None),
        (clip("5"), header("5"), VGGISH, 0, 0, "out_of_range"),
        (clip("1", "1"), header("5"), VGGISH, 0, 0, "empty"),
        (clip(), header("0.9"), SKIP, 0, 0, "too_short"),
        (clip(), header("100"), cut("10"), 10, 100, None),
        (clip(), header("100", missing="its end"), cut("10"), 9, 90, "decode_error"),
        (clip(), header("100", missing="its end"), VGGISH, 0, 0, "decode_error"),
        (clip(), header("100", missing="its end"), KEEP, 1, 104, None),
        (clip("0", "10"), header("100", missing="its end"), VGGISH, 1, 10, None),
        (clip(), header(None), VGGISH, 1, 0, None),
    ],
)
def test_clips(
    asked: Clip,
    of: Header,
    framing: FramingConfig,
    num_clips: int,
    num_rows: int,
    reason: str | None,
) -> None:
    told = forecast.of_recording([asked], of, framing)
    assert (told.sums.num_clips, told.sums.num_rows) == (num_clips, num_rows)
    assert told.failures == ({reason: Failed(1, ("a",))} if reason else {})
    assert told.counts.get("unknown_length", 0) == (of.seconds is None)
    assert told.counts.get("damaged", 0) == framing.keep_damaged


def test_what_is_decoded() -> None:
    def decoded(framing: FramingConfig, can_seek: bool, *asked: Clip) -> float:
        of = header("100", can_seek)
        return forecast.of_recording(asked, of, framing).sums.decoded_seconds

    two = (clip("10", "20"), clip("50", "60"))
    assert decoded(VGGISH, True, *two) == 20
    assert decoded(VGGISH, False, *two) == 60, "from its start"
    assert decoded(VGGISH, True, clip(), clip()) == 100, "once for both"
    assert decoded(FramingConfig(15_600, 15_360, max_rows=10), True, clip()) == pytest.approx(
        10.575
    )


def test_the_first_clips_up_to_a_number_of_rows() -> None:
    first, second, third = (clip(str(start), str(start + 5)) for start in (0, 5, 10))
    kept = forecast.limited([third, second, first], VGGISH, 8)
    assert [(each.start_seconds, each.end_seconds) for each in kept] == [
        (0, 5),
        (5, Decimal("7.695")),
    ]
    (piece,) = forecast.limited([clip()], cut("10"), 64)
    assert piece.end_seconds == 70, "whole pieces"


def test_a_sample_has_about_its_size_and_is_reproducible() -> None:
    uris = [f"/corpus/{number}.wav" for number in range(4_000)]
    sample = [uri for uri in uris if forecast.is_in_sample(uri, len(uris), 400)]
    assert 340 < len(sample) < 460
    assert sample[:2] == ["/corpus/13.wav", "/corpus/15.wav"]
    assert all(forecast.is_in_sample(uri, 4_000, 4_000) for uri in uris)


def test_splits_and_kinds_add_up_to_the_same() -> None:
    asked = [clip(split="train"), clip("0", "5", split="test")]
    told = forecast.of_recording(asked, header("10"), VGGISH)
    assert told.sums == Sums(1, 2, 15, 15.0, 10.0)
    assert {split: sums.num_rows for split, sums in told.splits.items()} == {
        "train": 10,
        "test": 5,
    }
