"""Files without a header."""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.sounds import assert_exact_seeks, blocks_of, decode, encode, tone
from transforms.audio import decoding
from transforms.audio.decoders.raw_formats import SUFFIXES
from transforms.audio.errors import AudioError
from transforms.corpus.clips import RawFormat
from transforms.corpus.listing import AUDIO_SUFFIXES

# For each name how numpy writes it, or libsndfile's subtype; and the
# largest error of a sample.
RAW_SAMPLES = {
    "s8": ("i1", 2**-8),
    "u8": ("u1", 2**-8),
    "s16le": ("<i2", 2**-16),
    "s16be": (">i2", 2**-16),
    "s24le": ("<i3", 2**-23),
    "s24be": (">i3", 2**-23),
    "s32le": ("<i4", 2**-24),
    "s32be": (">i4", 2**-24),
    "f32le": ("<f4", 0),
    "f32be": (">f4", 0),
    "f64le": ("<f8", 0),
    "f64be": (">f8", 0),
    "mulaw": ("ULAW", 0.02),
    "alaw": ("ALAW", 0.02),
    "gsm": ("GSM610", 0.3),
}
SEEKABLE_RAW = sorted({*RAW_SAMPLES} - {"gsm"})


def raw(name: str, samples: np.ndarray) -> bytes:
    """Returns `[num_frames, num_channels]` without a header."""
    kind = RAW_SAMPLES[name][0]
    if kind.isupper():
        file = io.BytesIO()
        soundfile.write(file, samples, 8_000, format="RAW", subtype=kind)
        return file.getvalue()
    if "f" in kind:
        return samples.astype(kind).tobytes()
    num_bytes = int(kind[-1])
    values = np.round(samples.astype(np.float64) * 2 ** (8 * num_bytes - 1))
    if kind[0] == "u":
        values += 2**7
    if num_bytes != 3:
        return values.astype(kind).tobytes()
    four_bytes = values.astype("<i4").reshape(-1, 1).view("u1")
    return (four_bytes[:, :3] if kind[0] == "<" else four_bytes[:, 2::-1]).tobytes()


def test_every_headerless_format_is_tried_here() -> None:
    # FFmpeg has no encoders of the last two.
    assert {*RAW_SAMPLES, "g722", "g723_1", "g729"} == decoding.RAW_FORMATS


@pytest.mark.parametrize(
    ("name", "num_channels"),
    [*itertools.product(RAW_SAMPLES, [1]), *itertools.product(SEEKABLE_RAW, [2])],
)
def test_samples_without_a_header_come_out_as_they_went_in(name: str, num_channels: int) -> None:
    num_frames = 1_600
    data = raw(name, tone(num_frames, 8_000, num_channels))
    rate_hz, samples = decode(data, "", RawFormat(name, 11_025, num_channels))
    assert rate_hz == 11_025
    expected = tone(num_frames, 8_000, num_channels).mean(axis=1)
    assert len(samples) == num_frames
    np.testing.assert_allclose(samples, expected, rtol=0, atol=RAW_SAMPLES[name][1])
    if num_channels == 2:
        right = decode(data, "", RawFormat(name, 11_025, 2), channel=2)[1]
        expected = tone(num_frames, 8_000, 2)[:, 1]
        np.testing.assert_allclose(right, expected, rtol=0, atol=RAW_SAMPLES[name][1])


def test_samples_without_a_header_are_read_from_anywhere() -> None:
    for name in SEEKABLE_RAW:
        data = raw(name, tone(5_000, 8_000, 2))
        expected = decode(data, "", RawFormat(name, 8_000, 2))[1]
        with decoding.open_recording(io.BytesIO(data), "", RawFormat(name, 8_000, 2)) as recording:
            assert recording.num_frames == 5_000
            assert_exact_seeks(recording, expected)


def test_raw_formats_are_not_detected_by_content() -> None:
    data = encode(tone(1_000), 44_100)
    _, samples = decode(data, "", RawFormat("s16le", 8_000))
    assert len(samples) == len(data) // 2
    assert samples.tolist() == (np.frombuffer(data, "<i2") / 2**15).tolist()


def test_gsm_as_it_was_released(shared: Path) -> None:
    prompt, rate_hz = soundfile.read(shared / "data/audio/prompt_8k.wav", dtype="float32")
    with (
        (shared / "data/audio/prompt.gsm").open("rb") as file,
        decoding.open_recording(file, ".gsm", RawFormat("gsm", 8_000)) as recording,
    ):
        assert recording.sample_rate_hz == rate_hz == 8_000
        assert recording.num_frames is None
        samples = np.concatenate(list(blocks_of(recording)))
    assert len(prompt) <= len(samples) < len(prompt) + 160, "whole frames of 20 ms"
    assert np.corrcoef(samples[: len(prompt)], prompt)[0, 1] > 0.98


def test_g722_is_read_by_its_name_without_a_suffix(shared: Path) -> None:
    prompt, _ = soundfile.read(shared / "data/audio/prompt_8k.wav", dtype="float32")
    data = (shared / "data/audio/prompt.g722").read_bytes()
    rate_hz, samples = decode(data, "", RawFormat("g722", 16_000))
    assert rate_hz == 16_000
    assert len(samples) == 2 * len(data) == 2 * len(prompt)
    # Another encoder's: 4 samples late and upside down.
    assert np.corrcoef(samples[9::2], prompt[: len(prompt) - 4])[0, 1] < -0.85


def test_telephone_audio_is_known_by_its_suffix() -> None:
    for suffix, (name, rate_hz) in {
        ".gsm": ("gsm", 8_000),
        ".ul": ("mulaw", 8_000),
        ".ulaw": ("mulaw", 8_000),
        ".al": ("alaw", 8_000),
        ".alaw": ("alaw", 8_000),
        ".sln": ("s16le", 8_000),
        ".sln16": ("s16le", 16_000),
        ".sln44": ("s16le", 44_100),
    }.items():
        data = raw(name, tone(1_600, rate_hz))
        expected = decode(data, "", RawFormat(name, rate_hz))
        found = decode(data, suffix)
        assert found[0] == expected[0] == rate_hz
        assert found[1].tolist() == expected[1].tolist()
        # A header overrules the suffix.
        assert decode(encode(tone(1_000), 44_100), suffix)[0] == 44_100


def test_every_suffix_of_headerless_audio_is_listed_as_audio() -> None:
    assert SUFFIXES.keys() <= AUDIO_SUFFIXES
    assert {raw_format.name for raw_format in SUFFIXES.values()} <= decoding.RAW_FORMATS


def test_a_web_page_with_the_suffix_of_headerless_audio_is_no_audio() -> None:
    with pytest.raises(AudioError, match="an HTML page"):
        decode(b"<!DOCTYPE html><html><title>Not found</title></html>", ".ulaw")
    with pytest.raises(AudioError, match="AppleDouble"):
        decode(bytes.fromhex("00051607 00020000") + b"Mac OS X        " + bytes(4_000), ".ulaw")


@pytest.mark.parametrize("raw_format", [RawFormat("gsm", 8_000, 2), RawFormat("s16le", 8_000, 0)])
def test_a_headerless_format_that_cannot_be_fails(raw_format: RawFormat) -> None:
    with pytest.raises(AudioError) as caught:
        decode(bytes(10_000), "", raw_format)
    assert caught.value.reason in ("decode_error", "unsupported_format")
