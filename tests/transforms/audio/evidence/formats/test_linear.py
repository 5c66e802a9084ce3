"""Samples between a header and an end: how many there are, whatever the header declares."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.evidence import examine, starts
from tests.sounds import encode, noise
from transforms.audio.evidence.account import Account

RATE_HZ = 16_000
NUM_FRAMES = 40_000
INTEGERS = ("PCM_16", "PCM_24", "PCM_32")
SUBTYPES = {
    "WAV": ("PCM_U8", *INTEGERS, "FLOAT", "DOUBLE", "ULAW", "ALAW"),
    "WAVEX": ("PCM_U8", *INTEGERS, "FLOAT", "ULAW"),
    "RF64": ("PCM_16", "PCM_24", "FLOAT"),
    "W64": ("PCM_16", "PCM_24", "FLOAT", "ALAW"),
    "AIFF": ("PCM_S8", *INTEGERS, "FLOAT", "DOUBLE", "ULAW", "ALAW"),
    "AU": ("PCM_S8", *INTEGERS, "FLOAT", "DOUBLE", "ULAW", "ALAW"),
    "CAF": ("PCM_S8", *INTEGERS, "FLOAT", "DOUBLE", "ULAW", "ALAW"),
    "NIST": ("PCM_S8", *INTEGERS, "ULAW", "ALAW"),
}
every_encoding = pytest.mark.parametrize(
    ("file_format", "subtype"), [(name, kind) for name, kinds in SUBTYPES.items() for kind in kinds]
)
TAG = b"TAG" + bytes(125)
LIST = b"LIST\x1a\0\0\0INFOISFT\x0e\0\0\0Lavf60.16.100\0"
DATA_SIZE = 40
RIFF_SIZE = 4


def stereo() -> np.ndarray:
    return noise(2 * NUM_FRAMES).reshape(-1, 2)


def wav(subtype: str = "PCM_16") -> bytes:
    return encode(stereo(), RATE_HZ, "WAV", subtype)


def with_size(content: bytes, data_size: int, riff_size: int | None = None) -> bytes:
    patched = bytearray(content)
    struct.pack_into("<I", patched, DATA_SIZE, data_size)
    if riff_size is not None:
        struct.pack_into("<I", patched, RIFF_SIZE, riff_size)
    return bytes(patched)


def raw_samples(content: bytes, account: Account) -> np.ndarray:
    """Decodes the samples that an account has found."""
    raw = account.samples
    assert raw is not None
    samples, rate_hz = soundfile.read(
        io.BytesIO(content[raw.start : raw.end]),
        format="RAW",
        samplerate=raw.rate_hz,
        channels=raw.num_channels,
        subtype=raw.subtype,
        endian=raw.endian,
        dtype="float32",
    )
    assert rate_hz == RATE_HZ
    return samples


@every_encoding
def test_every_encoding(file_format: str, subtype: str) -> None:
    content = encode(stereo(), RATE_HZ, file_format, subtype)
    expected, _ = soundfile.read(io.BytesIO(content), dtype="float32")
    for whole in (content, content + TAG):
        account = examine(whole)
        assert account == Account(NUM_FRAMES, NUM_FRAMES / RATE_HZ, (RATE_HZ,))
    less = examine(content[:-1])
    assert less.damages == ()
    assert less.num_frames == NUM_FRAMES - 1
    assert np.array_equal(raw_samples(content, less), expected[:-1])
    half = examine(content[: len(content) // 2])
    assert starts(half) == [None]
    assert half.num_frames == pytest.approx(NUM_FRAMES / 2, abs=3_000)
    assert half.num_frames is not None
    lost = half.damages[0].num_seconds
    assert lost == pytest.approx((NUM_FRAMES - half.num_frames) / RATE_HZ, abs=0.001)
    assert np.array_equal(raw_samples(content, half), expected[: half.num_frames])


PLACEHOLDERS: tuple[int, ...] = (
    0,
    0xFFFF_FFFF,
    0xFFFF_FFDB,
    0xFFFF_FFFF - 44,
    0x7FFF_FFFF - 36,
    0x7FFF_FFFF - 44,
)
PLACEHOLDERS += (0x7FFF_F000, 0x7FFF_FFFF, 0x8000_0000, 2_000_000_000, 2_000_000_044)


@pytest.mark.parametrize("size", PLACEHOLDERS)
@pytest.mark.parametrize("tail", [b"", LIST, TAG, LIST + TAG])
def test_sizes_of_programs_that_stream_mean_nothing(size: int, tail: bytes) -> None:
    content = with_size(wav(), size, min(size + 36, 0xFFFF_FFFF)) + tail
    account = examine(content)
    assert account.damages == ()
    assert account.num_frames == NUM_FRAMES
    assert np.array_equal(raw_samples(content, account), stereo())


@pytest.mark.parametrize("size", [0x7FFE_FFFF, 0x7FFF_0001, 0x7000_0000, 3_000_000_000])
def test_other_large_sizes_are_those_of_files_that_were_cut(size: int) -> None:
    account = examine(with_size(wav(), size))
    assert starts(account) == [None]
    assert account.damages[0].num_seconds == pytest.approx(size / 64_000, rel=0.01)
    message = f"the header declares {size} bytes of samples, the file has 160000"
    assert account.damages[0].message == message


@pytest.mark.parametrize("surplus", [1, 2, 8, 36, 44])
@pytest.mark.parametrize("tail", [b"", LIST])
def test_some_bytes_too_many_are_none(surplus: int, tail: bytes) -> None:
    content = with_size(wav(), 4 * NUM_FRAMES + surplus) + tail
    account = examine(content)
    assert account.damages == ()
    assert account.num_frames == NUM_FRAMES


def test_the_size_of_the_file_as_that_of_the_samples() -> None:
    content = wav() + LIST
    account = examine(with_size(content, len(content)))
    assert account.damages == ()
    assert account.num_frames == NUM_FRAMES


def test_a_last_frame_that_is_cut_is_no_damage() -> None:
    content = wav("PCM_24")[:-2]
    account = examine(content)
    assert account.damages == ()
    assert account.num_frames == NUM_FRAMES - 1


def test_an_empty_recording_is_empty() -> None:
    for tail in (b"", LIST):
        account = examine(encode(np.zeros((0, 1)), RATE_HZ) + tail)
        assert account.num_frames == 0
        assert account.damages == ()


def test_a_recorder_that_crashed_loses_nothing() -> None:
    """It has written one of its two sizes, or none, since the start."""
    for riff_size in (0, 36, 4 * NUM_FRAMES + 36, 0xFFFF_FFFF):
        content = with_size(wav(), 80_000, riff_size)
        account = examine(content)
        assert account.damages == ()
        assert account.num_frames == NUM_FRAMES
        assert np.array_equal(raw_samples(content, account), stereo())


def test_bytes_behind_a_complete_file_are_told() -> None:
    account = examine(wav() + noise(16_000).tobytes())
    assert starts(account) == [2.5]
    assert account.num_frames == NUM_FRAMES
    assert "64000 bytes behind the samples" in account.damages[0].message
    assert examine(wav() + bytes(64_000)).damages == ()


def test_files_in_a_row_are_parts() -> None:
    first, second = wav(), encode(noise(8_000), 8_000)
    account = examine(first + LIST[:0] + second + first)
    ends = (len(first), len(first) + len(second), 2 * len(first) + len(second))
    assert account.parts == ((0, ends[0]), (ends[0], ends[1]), (ends[1], ends[2]))
    assert account.rates_hz == (RATE_HZ, 8_000, RATE_HZ)
    assert account.num_seconds == pytest.approx(6.0)
    assert account.damages == ()


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM", "GSM610"])
def test_compressed_samples_that_are_cut(subtype: str) -> None:
    content = encode(noise(4 * 8_000), 8_000, "WAV", subtype)
    assert examine(content) == Account(rates_hz=(8_000,))
    cut = examine(content[: len(content) // 2])
    assert starts(cut) == [None]
    assert cut.damages[0].num_seconds == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("name", ["AU", "CAF", "AIFF"])
def test_an_unknown_size(name: str) -> None:
    content = bytearray(encode(stereo(), RATE_HZ, name, "PCM_16"))
    if name == "AU":
        content[8:12] = b"\xff" * 4
    elif name == "AIFF":
        for at in (4, content.find(b"COMM") + 10, content.find(b"SSND") + 4):
            content[at : at + 4] = b"\xff" * 4
    else:
        position = content.find(b"data")
        content[position + 4 : position + 12] = b"\xff" * 8
    account = examine(bytes(content))
    assert account.num_frames == NUM_FRAMES
    assert account.damages == ()


@pytest.mark.parametrize(("file_format", "num_bytes"), [("NIST", 600), ("AIFF", 52), ("AU", 22)])
def test_samples_that_would_be_behind_the_file_are_in_none(
    file_format: str, num_bytes: int
) -> None:
    content = encode(stereo(), 8_000, file_format)[:num_bytes]
    samples = examine(content).samples
    assert samples is None or samples.start == samples.end <= num_bytes


def test_shared_sizes(shared: Path) -> None:
    paths = [*(shared / "data/field/23-wav-size-zero").glob("*.wav")]
    paths += (shared / "data/field/24-wav-size-off").glob("*.wav")
    assert len(paths) == 5
    for path in paths:
        account = examine(path.read_bytes())
        assert account.num_frames == NUM_FRAMES
        assert account.damages == ()
    for path in (shared / "data/faults/07-wav-over-2g-cut").glob("*.wav"):
        account = examine(path.read_bytes())
        assert account.num_frames == 32_000
        assert account.damages[0].num_seconds > 67_000
