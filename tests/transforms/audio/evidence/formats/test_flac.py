"""FLAC: its true length, whatever its header counts."""

from pathlib import Path

import numpy as np
import pytest

from tests.evidence import examine, starts
from tests.sounds import encode, encode_with_ffmpeg, noise, tone
from transforms.audio.evidence.account import Account

RATE_HZ = 16_000
NUM_FRAMES = 40_123
ID3V1 = b"TAG" + bytes(125)
APE = b"APETAGEX\xd0\x07\0\0" + (32).to_bytes(4, "little") + bytes(16)
ID3V2 = b"ID3\x04\0\0\0\0\x01\0" + bytes(128)


def flac(num_frames: int = NUM_FRAMES, rate_hz: int = RATE_HZ) -> bytes:
    return encode(noise(num_frames), rate_hz, "FLAC", "PCM_16")


def with_length(content: bytes, num_frames: int) -> bytes:
    """Returns a file whose STREAMINFO has this 36-bit number of samples."""
    packed = int.from_bytes(content[18:26], "big") >> 36 << 36 | num_frames
    return content[:18] + packed.to_bytes(8, "big") + content[26:]


WHOLE = Account(NUM_FRAMES, NUM_FRAMES / RATE_HZ, (RATE_HZ,))


@pytest.mark.parametrize("length", [0, (1 << 36) - 1, NUM_FRAMES, NUM_FRAMES + 3_000, 20_000])
def test_the_true_length_is_that_of_the_frames(length: int) -> None:
    assert examine(with_length(flac(), length)) == WHOLE


@pytest.mark.parametrize("length", [(1 << 36) - 2, 1 << 35, NUM_FRAMES + RATE_HZ])
def test_a_length_of_much_more_is_told(length: int) -> None:
    account = examine(with_length(flac(), length))
    assert account.num_frames == NUM_FRAMES
    assert starts(account) == [None]
    lost = (length - NUM_FRAMES) / RATE_HZ
    assert account.damages[0].num_seconds == pytest.approx(lost)


@pytest.mark.parametrize("num_channels", [1, 2, 6])
@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 44_100, 96_000])
def test_rates_and_channels(num_channels: int, rate_hz: int) -> None:
    content = encode(tone(3 * rate_hz, rate_hz, num_channels), rate_hz, "FLAC", "PCM_24")
    assert examine(content) == Account(3 * rate_hz, 3.0, (rate_hz,))
    assert examine(content[:-7]).damages


def test_ffmpegs_file() -> None:
    content = encode_with_ffmpeg(tone(50_000), 44_100, "flac", "flac")
    assert examine(content) == Account(50_000, 50_000 / 44_100, (44_100,))


@pytest.mark.parametrize("tail", [ID3V1, APE, APE + ID3V1, bytes(1_000), bytes(70_000), b"junk"])
@pytest.mark.parametrize("front", [b"", ID3V2])
def test_what_is_around_the_audio_is_no_damage(front: bytes, tail: bytes) -> None:
    content = front + flac()
    account = examine(content + tail)
    assert account.damages == ()
    assert account.num_frames == NUM_FRAMES
    assert account.audio_range == (len(front), len(content))


def test_every_cut_is_told() -> None:
    content = flac()
    for end in [*range(len(content) - 30, len(content)), *range(300, len(content) - 30, 997)]:
        account = examine(content[:end])
        assert starts(account) == [None], end
        assert account.num_frames is not None
        assert account.num_frames % 4_096 == 0
        lost = (NUM_FRAMES - account.num_frames) / RATE_HZ
        assert account.damages[0].num_seconds == pytest.approx(lost, abs=0.26)


def test_a_cut_is_told_where_no_length_is_declared() -> None:
    content = with_length(flac(), 0)
    for end in range(len(content) - 3_000, len(content), 100):
        account = examine(content[:end])
        assert starts(account) == [None]


def test_a_cut_in_the_metadata_is_told() -> None:
    content = flac()
    account = examine(content[:50])
    assert starts(account) == [None]
    assert account.num_frames == 0
    assert account.damages[0].num_seconds == pytest.approx(NUM_FRAMES / RATE_HZ)


def test_junk_at_the_end_is_told() -> None:
    account = examine(flac() + np.random.default_rng(5).bytes(5_000))
    assert starts(account) == [None]
    assert account.num_frames == NUM_FRAMES


@pytest.mark.parametrize("tag", [b"", b"TAG" + b"a" * 125, ID3V2 + b"TAG" + b"a" * 125])
def test_files_in_a_row_are_parts(tag: bytes) -> None:
    first, second = flac() + tag, flac(8_000, 8_000)
    account = examine(first + second + tag)
    total = len(first + second)
    assert account.parts[0] == (0, len(first))
    assert account.parts[1][0] == len(first)
    assert total <= account.parts[1][1] <= total + len(tag)
    assert account.rates_hz == (RATE_HZ, 8_000)
    assert account.damages == ()
    assert account.num_seconds == pytest.approx(NUM_FRAMES / RATE_HZ + 1)


def test_shared_recordings(shared: Path) -> None:
    data = shared / "data"
    for name, num_frames, rate_hz in (
        ("field/28-flac-tail/ape.flac", 24_000, 16_000),
        ("field/28-flac-tail/id3v1.flac", 24_000, 16_000),
        ("faults/10-flac-id3v1/drum.flac", 100_769, 44_100),
        ("faults/10-flac-id3v1/drum_id3v1.flac", 100_769, 44_100),
    ):
        account = examine((data / name).read_bytes())
        assert account.num_frames == num_frames
        assert account.rates_hz == (rate_hz,)
        assert account.damages == ()
    lie = examine((data / "faults/03-flac-length-lie/flac_2e36m1.flac").read_bytes())
    assert lie.damages == ()
    assert lie.num_frames == 40_000
