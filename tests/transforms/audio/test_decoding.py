"""Decoding: every format to mono float32, and every bad file to one of the reasons."""

import contextlib
import io
import itertools
import os
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import settings

from tests.sounds import blocks_of, decode, encode, tone
from transforms.audio import decoding
from transforms.audio.errors import AudioError
from transforms.corpus.clips import REASONS

# libsndfile's names of format and subtype, sample rate, and how far samples are off on average.
FORMATS = {
    "wav_u8": ("WAV", "PCM_U8", 22_050, 2**-7),
    "wav_16": ("WAV", "PCM_16", 44_100, 2**-15),
    "wav_24": ("WAV", "PCM_24", 48_000, 2**-23),
    "wav_float": ("WAV", "FLOAT", 16_000, 0),
    "wav_adpcm": ("WAV", "IMA_ADPCM", 8_000, 0.01),
    "rf64": ("RF64", "PCM_16", 44_100, 2**-15),
    "w64": ("W64", "PCM_16", 44_100, 2**-15),
    "aiff": ("AIFF", "PCM_16", 44_100, 2**-15),
    "au": ("AU", "PCM_16", 44_100, 2**-15),
    "caf": ("CAF", "PCM_16", 44_100, 2**-15),
    "caf_alac": ("CAF", "ALAC_16", 44_100, 2**-15),
    "flac": ("FLAC", "PCM_16", 44_100, 2**-15),
    "ogg_vorbis": ("OGG", "VORBIS", 44_100, 0.02),
    "ogg_opus": ("OGG", "OPUS", 48_000, 0.02),
    "mp3": ("MP3", "MPEG_LAYER_III", 44_100, 0.02),
}
every_format = pytest.mark.parametrize("name", FORMATS)


def encoded(
    samples: np.ndarray, file_format: str = "WAV", subtype: str = "FLOAT", rate_hz: int = 44_100
) -> bytes:
    return encode(samples, rate_hz, file_format, subtype)


def encoded_as(name: str, num_frames: int, num_channels: int = 1) -> bytes:
    file_format, subtype, rate_hz, _ = FORMATS[name]
    return encoded(tone(num_frames, rate_hz, num_channels), file_format, subtype, rate_hz)


def failure(data: bytes) -> AudioError:
    with pytest.raises(AudioError) as caught:
        decode(data)
    assert caught.value.reason in REASONS
    return caught.value


class Remote(io.RawIOBase):
    """A file without a descriptor, as from an object storage; it may fail once."""

    def __init__(self, data: bytes, broken_at: int | None = None) -> None:
        self._file = io.BytesIO(data)
        self._broken_at = broken_at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        if self._broken_at is not None and self._file.tell() >= self._broken_at:
            self._broken_at = None
            raise OSError("the connection is lost")
        return self._file.readinto(memoryview(buffer)[:4_096])


def test_every_format_gives_its_rate_and_all_its_frames() -> None:
    for name in FORMATS:
        _, subtype, rate_hz, error = FORMATS[name]
        num_frames = 30_000
        got_rate_hz, samples = decode(io.BytesIO(encoded_as(name, num_frames)))
        assert got_rate_hz == rate_hz
        if subtype == "IMA_ADPCM":  # comes in whole blocks of its own
            assert num_frames <= len(samples) < num_frames + 4_096
            samples = samples[:num_frames]
        assert len(samples) == num_frames
        assert np.abs(samples - tone(num_frames, rate_hz)[:, 0]).mean() <= error


def test_a_file_gives_the_same_samples_by_descriptor_and_without(tmp_path: Path) -> None:
    for name in FORMATS:
        data = encoded_as(name, 20_000)
        path = tmp_path / "name without suffix"
        path.write_bytes(data)
        expected = decode(data)[1].tolist()
        assert decode(io.BufferedReader(Remote(data)))[1].tolist() == expected
        with path.open("rb") as file:
            assert decode(file)[1].tolist() == expected
        with path.open("rb", buffering=0) as file:
            assert decode(file)[1].tolist() == expected


def test_blocks_are_together_what_one_read_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    for num_channels, name in itertools.product([1, 2], FORMATS):
        data = encoded_as(name, 30_000, num_channels)
        expected, _ = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
        monkeypatch.setattr("transforms.audio.recording.BLOCK_VALUES", 4_096)
        with decoding.open_recording(io.BytesIO(data)) as recording:
            blocks = list(blocks_of(recording))
        assert all(len(block) * num_channels <= 4_096 for block in blocks)
        got = np.concatenate(blocks)
        # FFmpeg's decoder of MP3 rounds in another way than libsndfile's.
        np.testing.assert_allclose(got, expected.mean(axis=1), rtol=0, atol=5e-6)


@pytest.mark.parametrize("num_last", [1, 50, 100])
def test_a_short_last_block_of_opus_is_what_one_read_gives(
    num_last: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded_as("ogg_opus", 50_000)
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    monkeypatch.setattr("transforms.audio.recording.BLOCK_VALUES", 50_000 - num_last)
    _, samples = decode(data)
    np.testing.assert_allclose(samples, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("num_channels", [2, 3, 6])
def test_channels_are_mixed_by_their_mean(num_channels: int) -> None:
    channels = np.random.default_rng(3).uniform(-1, 1, (5_000, num_channels)).astype(np.float32)
    _, samples = decode(encoded(channels))
    expected = sum(channels[:, index].astype(float) for index in range(num_channels)) / num_channels
    np.testing.assert_allclose(samples, expected, rtol=0, atol=1e-6)


def test_channels_that_cancel_out_are_silence() -> None:
    left = tone(1_000)
    _, samples = decode(encoded(np.hstack([left, -left])))
    assert not samples.any()


def test_the_callers_file_stays_open_and_may_stand_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(tone(1_000)))
    with path.open("rb") as file:
        file.seek(777)
        first = decode(file)[1]
        second = decode(file)[1]
        file.seek(0)
        assert file.read(4) == b"RIFF"
    assert first.tolist() == second.tolist() == tone(1_000)[:, 0].tolist()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
@pytest.mark.parametrize(
    "data",
    [encoded(tone(1_000)), encoded(tone(1_000))[:3_000], b"no sound" * 100, b""],
    ids=["whole", "cut", "text", "empty"],
)
def test_no_descriptor_stays_open(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    with path.open("rb") as file:
        before = sorted(os.listdir("/proc/self/fd"))
        for _ in range(3):
            with contextlib.suppress(AudioError):
                decode(file)
        assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    "data",
    [
        b"",
        *(
            encoded(tone(0), file_format, "PCM_16")
            for file_format in ("WAV", "AIFF", "AU", "CAF", "W64", "RF64")
        ),
        encoded(tone(0), "OGG", "VORBIS"),
    ],
    ids=["no bytes", "wav", "aiff", "au", "caf", "w64", "rf64", "ogg"],
)
def test_a_file_without_a_sample_is_empty(data: bytes) -> None:
    assert failure(data).reason == "empty"


@pytest.mark.parametrize(
    "data",
    [
        b"a",
        b"index,mid,display_name\n" * 100,
        bytes(10_000),
    ],
    ids=["one byte", "text", "zeros"],
)
def test_what_no_decoder_knows_is_an_unsupported_format(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "renamed.wav"
    path.write_bytes(data)
    assert failure(data).reason == "unsupported_format"
    with path.open("rb") as file, pytest.raises(AudioError) as caught:
        decode(file)
    assert caught.value.reason == "unsupported_format"


def test_a_resource_fork_in_the_current_folder_does_not_make_sound_of_other_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    soundfile.write("sound.sd2", tone(1_000), 8_000, format="SD2", subtype="PCM_16")
    Path("._sound.sd2").rename("._")
    Path("bytes.bin").write_bytes(b"zzzz" + bytes(range(256)) * 20)
    with (
        Path("bytes.bin").open("rb") as file,
        pytest.raises(AudioError, match="no decoder takes the file") as caught,
        decoding.open_recording(file),
    ):
        pass
    assert caught.value.reason == "unsupported_format"


def test_a_file_with_the_header_of_another_that_no_decoder_opens_is_damaged() -> None:
    found = failure(b"RIFF\x24\x00\x00\x00AVI " + bytes(1_000))
    assert (found.reason, str(found)[:30]) == ("decode_error", "no decoder can open the file: ")


def test_nan_and_infinity_are_named_with_their_position(monkeypatch: pytest.MonkeyPatch) -> None:
    for block_values, num_channels, value in itertools.product(
        [2**20, 1_000], [1, 2], [np.nan, np.inf, -np.inf]
    ):
        monkeypatch.setattr("transforms.audio.recording.BLOCK_VALUES", block_values)
        samples = tone(20_000, 16_000, num_channels)
        samples[12_000, -1] = value
        error = failure(encoded(samples, rate_hz=16_000))
        assert error.reason == "non_finite"
        assert "0.750 s" in str(error)


def test_a_sample_somewhat_over_full_scale_passes_unchanged() -> None:
    for value in [-16, -1.5, 1.5, 16]:
        samples = tone(1_000)
        samples[500] = value
        assert decode(encoded(samples))[1].tolist() == samples[:, 0].tolist()


def test_integers_stored_as_floats_are_over_full_scale() -> None:
    for value in [-32_768, -16.001, 16.001, 32_767]:
        samples = tone(1_000)
        samples[500] = value
        error = failure(encoded(samples))
        assert error.reason == "over_full_scale"
        assert f"{abs(value):g}" in str(error)


def patched(offset: int, layout: str, value: int) -> bytes:
    """Returns a 16-bit mono WAV with another value in its header."""
    data = bytearray(encoded(tone(3_000), subtype="PCM_16"))
    struct.pack_into(layout, data, offset, value)
    return bytes(data)


def test_a_sample_rate_that_no_recorder_has_fails() -> None:
    for rate_hz, reason in [
        (0, "decode_error"),
        (1, "unsupported_format"),
        (999, "unsupported_format"),
        (768_001, "unsupported_format"),
        (2**31 - 1, "unsupported_format"),
        (2**31, "decode_error"),
        (4_000_000_000, "decode_error"),
    ]:
        assert failure(patched(24, "<I", rate_hz)).reason == reason


@pytest.mark.parametrize("rate_hz", [1_000, 768_000])
def test_the_lowest_and_the_highest_sample_rate_pass(rate_hz: int) -> None:
    assert decode(patched(24, "<I", rate_hz))[0] == rate_hz


@pytest.mark.parametrize("num_channels", [0, 1_025, 65_535])
def test_a_number_of_channels_that_cannot_be_fails(num_channels: int) -> None:
    assert failure(patched(22, "<H", num_channels)).reason == "decode_error"


def test_hundreds_of_channels_are_mixed_like_two() -> None:
    data = patched(22, "<H", 500)
    values = np.frombuffer(data[44:], "<i2") / 32_768
    _, samples = decode(data)
    np.testing.assert_allclose(samples, values.reshape(6, 500).mean(axis=1), rtol=0, atol=1e-6)


def test_half_a_header_fails() -> None:
    for num_bytes in [5, 12, 20, 36, 40]:
        assert failure(encoded(tone(100), subtype="PCM_16")[:num_bytes]).reason in (
            "decode_error",
            "unsupported_format",
        )


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Overwrites, cuts out or cuts off bytes, more often in the header than behind it."""
    copy = bytearray(data)
    for _ in range(rng.choice([1, 2, 8])):
        position = rng.randrange(min(len(copy), rng.choice([64, 256, len(data)])))
        kind = rng.random()
        if kind < 0.7:
            copy[position] = rng.choice([0, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        elif kind < 0.9:
            del copy[position : position + rng.randrange(1, 50)]
        else:
            del copy[position:]
        if not copy:
            break
    return bytes(copy)


@every_format
@pytest.mark.hypothesis  # as many copies as the profile has examples
def test_damaged_files_give_samples_or_an_audio_error(name: str, tmp_path: Path) -> None:
    rng = random.Random(name)
    data = encoded_as(name, 3_000, 2)
    path = tmp_path / name
    reasons = set()
    for _ in range(min(300, 3 * settings().max_examples)):
        copy = damaged(data, rng)
        path.write_bytes(copy)
        with path.open("rb") as file:
            for opened in (file, io.BytesIO(copy)):
                try:
                    _, samples = decode(opened)
                    assert np.abs(samples).max() <= 1_000  # which NaN is not
                except AudioError as error:
                    reasons.add(error.reason)
    assert reasons
    assert reasons <= set(REASONS)


def test_a_storage_that_fails_is_not_taken_for_the_end_of_the_file() -> None:
    for name, share in itertools.product(
        ["wav_float", "aiff", "flac", "ogg_vorbis", "mp3"], [0, 0.5]
    ):
        data = encoded_as(name, 100_000)
        with pytest.raises((OSError, AudioError)) as caught:
            decode(io.BufferedReader(Remote(data, broken_at=int(share * len(data))), 1_024))
        assert getattr(caught.value, "reason", "unreadable") == "unreadable"


def test_one_channel_of_many_is_taken_as_it_is() -> None:
    for file_format, channel in itertools.product(["WAV", "FLAC"], [1, 2, 6]):
        rng = np.random.default_rng(2)
        samples = (rng.integers(-9_999, 9_999, (3_000, 6)) / 2**15).astype(np.float32)
        data = encoded(samples, file_format, "PCM_16")
        with decoding.open_recording(io.BytesIO(data), channel=channel) as recording:
            got = np.concatenate(list(blocks_of(recording)))
        assert got.tolist() == samples[:, channel - 1].tolist()


@pytest.mark.parametrize(("num_channels", "channel"), [(1, 2), (2, 3), (6, 1_024)])
def test_a_channel_that_is_not_there_is_named_with_how_many_there_are(
    num_channels: int, channel: int
) -> None:
    data = encoded(tone(1_000, num_channels=num_channels))
    with (
        pytest.raises(
            AudioError, match=f"--channel={channel}, and the recording has {num_channels}"
        ) as caught,
        decoding.open_recording(io.BytesIO(data), channel=channel) as recording,
    ):
        recording.read()
    assert caught.value.reason == "no_channel"
