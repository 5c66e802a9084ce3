"""MPEG audio: every byte is accounted for."""

import struct
from pathlib import Path

import numpy as np
import pytest

from tests.evidence import examine, starts
from tests.sounds import encode, encode_with_ffmpeg, tone

ID3V2 = b"ID3\x04\0\0\0\0\x01\0" + bytes(128)
ID3V1 = b"TAG" + bytes(124) + b"\xff"
APE = b"APETAGEX" + b"\xd0\x07\0\0" + b"\x20\0\0\0" + bytes(4) + bytes(4) + bytes(8)
LYRICS = b"LYRICSBEGIN" + b"IND0000200" + b"000021LYRICS200"
RATE_HZ = 44_100
# Without a header, and with text in front of its footer.
APE_V1 = struct.pack("<II", 40, 0) + b"Title\0" + b"x" * 40
APE_V1 += struct.pack("<8sIIII8x", b"APETAGEX", 1_000, len(APE_V1) + 32, 1, 0)


def mp3(seconds: float = 2.0, rate_hz: int = RATE_HZ, **options: object) -> bytes:
    samples = np.random.default_rng(1).normal(0, 0.1, int(seconds * rate_hz)).astype(np.float32)
    return encode(samples, rate_hz, "MP3", "MPEG_LAYER_III", **options)


def headerless(seconds: float = 2.0) -> bytes:
    """Constant bit rate, 417 or 418 bytes a frame, no header of the stream."""
    whole = encode_with_ffmpeg(tone(int(seconds * RATE_HZ)), RATE_HZ, "mp3", "libmp3lame", 128_000)
    header = whole.find(b"\xff\xfb")
    return whole[whole.find(b"\xff\xfb", header + 400) :]


WHOLE = {
    "id3v2": ID3V2 + mp3(),
    "two_id3v2": ID3V2 + ID3V2 + mp3(),
    "id3v1": mp3() + ID3V1,
    "ape": mp3() + APE,
    "lyrics": mp3() + LYRICS + ID3V1,
    "all_tags": ID3V2 + mp3() + APE + LYRICS + ID3V1,
    "zeros": mp3() + bytes(10_000),
    "zeros_in_front": bytes(5_000) + mp3(),
    "junk": mp3() + b"junk",
    "headerless": headerless(),
    "begins_in_a_frame": headerless()[250:],
    "id3v2_too_small": b"ID3\x03\0\0\0\0\0\x10" + bytes(3_000) + mp3(),
}


@pytest.mark.parametrize("name", WHOLE)
def test_tags_and_padding_are_no_damage(name: str) -> None:
    account = examine(WHOLE[name])
    assert account.damages == ()
    assert account.rates_hz == (RATE_HZ,)
    assert account.num_seconds == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("between", [b"", ID3V1, ID3V2, APE + ID3V1 + ID3V2, bytes(3_000)])
def test_recordings_in_a_row_are_one(between: bytes) -> None:
    account = examine(mp3(1.0) + between + mp3(1.0, 22_050) + between + headerless(1.0))
    assert account.damages == ()
    assert account.rates_hz == (RATE_HZ, 22_050, RATE_HZ)
    assert account.num_seconds == pytest.approx(3.0, abs=0.25)


def test_the_length_of_many_recordings_in_a_row() -> None:
    """Decoders drop the delay and the padding of each."""
    account = examine((ID3V2 + mp3(1.0) + APE_V1 + ID3V1) * 20)
    assert account.damages == ()
    assert account.num_seconds == pytest.approx(20.0, abs=0.01)


@pytest.mark.parametrize("codec", ["mp2", "libmp3lame"])
@pytest.mark.parametrize("rate_hz", [16_000, 24_000, 32_000, 48_000])
def test_frame_sizes(codec: str, rate_hz: int) -> None:
    container = "mp2" if codec == "mp2" else "mp3"
    whole = encode_with_ffmpeg(tone(2 * rate_hz, rate_hz), rate_hz, container, codec, 64_000)
    account = examine(whole)
    assert account.damages == ()
    assert account.rates_hz == (rate_hz,)
    assert account.num_seconds == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize("length", [400, 4_000])
@pytest.mark.parametrize("fill", ["zeros", "noise", "nothing"])
def test_damage_in_the_middle_is_told(fill: str, length: int) -> None:
    whole = headerless(4.0)
    position = len(whole) // 2
    new = {"zeros": bytes(length), "nothing": b""}.get(fill, np.random.default_rng(0).bytes(length))
    account = examine(whole[:position] + new + whole[position + length :])
    assert len(account.damages) == 1
    assert account.damages[0].start_seconds == pytest.approx(2.0, abs=0.1)
    lost = length / 16_000
    assert fill == "nothing" or account.damages[0].num_seconds == pytest.approx(lost, abs=0.06)
    assert account.damages[0].num_seconds >= 0.026
    assert account.num_seconds == pytest.approx(4.0 - lost, abs=0.15)


@pytest.mark.parametrize("tag", [b"", ID3V1])
def test_every_cut_in_a_frame_is_told(tag: bytes) -> None:
    whole = headerless(1.0)
    boundaries = {position for position in range(len(whole)) if whole[position] == 0xFF}
    for end in range(len(whole) - 430, len(whole) - 1):
        account = examine(whole[:end] + tag)
        if end not in boundaries:
            assert starts(account) == [None], end
    assert examine(whole + tag).damages == ()


def test_a_cut_at_a_frame_is_told_by_the_header() -> None:
    whole = mp3(4.0)
    account = examine(whole[: len(whole) // 2])
    assert any("the header declares" in damage.message for damage in account.damages)
    assert sum(damage.num_seconds for damage in account.damages) == pytest.approx(2.0, abs=0.2)


def test_junk_at_the_end_is_told() -> None:
    account = examine(mp3() + np.random.default_rng(0).bytes(5_000))
    assert starts(account) == [None]
    assert "5000 bytes at the end" in account.damages[0].message


def test_free_format_is_whole() -> None:
    """Frames of 500 bytes at a bit rate that no table has."""
    frame = b"\xff\xfb\x00\xc4" + bytes(range(1, 249)) * 2
    assert len(frame) == 500
    account = examine(frame * 50)
    assert account.damages == ()
    assert account.num_seconds == pytest.approx(50 * 1_152 / RATE_HZ)
    assert len(examine(frame * 20 + frame[:300] + frame * 20).damages) == 1


def test_damage_of_shared_recordings(shared: Path) -> None:
    for name in ("m_middrop", "nox_rand400", "nox_zero400"):
        account = examine(
            (shared / f"data/field/17-mp3-damaged-middle-silent/{name}.mp3").read_bytes()
        )
        assert [damage.start_seconds for damage in account.damages] == [
            pytest.approx(3.76, abs=0.03)
        ]
        assert account.num_seconds == pytest.approx(11.96, abs=0.03)


def test_shared_concatenations(shared: Path) -> None:
    for path in sorted((shared / "data/field/19-mp3-concatenated-silent").glob("*.mp3")):
        account = examine(path.read_bytes())
        assert account.damages == ()
        assert account.num_seconds == pytest.approx(5.0, abs=0.01)
        assert account.rates_hz == ((44_100, 22_050) if "rates" in path.name else (44_100,))
