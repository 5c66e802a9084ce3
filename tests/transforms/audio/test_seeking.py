"""Seeks: exact in seekable recordings, forwards in all others."""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.sounds import assert_exact_seeks, decode, encode, tone
from transforms.audio import decoding
from transforms.audio.errors import AudioError


def encoded(
    samples: np.ndarray, file_format: str = "WAV", subtype: str = "FLOAT", rate_hz: int = 44_100
) -> bytes:
    return encode(samples, rate_hz, file_format, subtype)


SEEKABLE = [
    *itertools.product(
        ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST"),
        ("PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
    ),
    *itertools.product(("FLAC",), ("PCM_S8", "PCM_16", "PCM_24")),
]
SEEKABLE = [kind for kind in SEEKABLE if soundfile.check_format(*kind)]
NOT_SEEKABLE = [
    ("WAV", "IMA_ADPCM"),
    ("WAV", "MS_ADPCM"),
    ("WAV", "GSM610"),
    ("AIFF", "IMA_ADPCM"),
    ("AU", "G721_32"),
    ("CAF", "ALAC_16"),
    ("CAF", "ALAC_24"),
    ("MAT5", "FLOAT"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]


def test_a_seek_is_exact_where_the_length_is_known(tmp_path: Path) -> None:
    for num_channels, (file_format, subtype) in itertools.product([1, 2], SEEKABLE):
        rng = np.random.default_rng(4)
        samples = rng.uniform(-1, 1, (9_000, num_channels))
        data = encoded(samples, file_format, subtype, 16_000)
        expected = decode(data)[1]
        assert len(expected) == 9_000
        path = tmp_path / "recording"
        path.write_bytes(data)
        with path.open("rb") as by_descriptor:
            for file in (by_descriptor, io.BytesIO(data)):
                with decoding.open_recording(file) as recording:
                    assert recording.num_frames == 9_000
                    assert_exact_seeks(recording, expected)


def test_a_seek_in_a_stream_reads_up_to_the_frame() -> None:
    for file_format, subtype in NOT_SEEKABLE:
        rng = np.random.default_rng(4)
        data = encoded(rng.uniform(-0.9, 0.9, 30_000), file_format, subtype, 16_000)
        expected = decode(data)[1]
        with decoding.open_recording(io.BytesIO(data)) as recording:
            assert recording.num_frames is None
            for frame in (0, 1, 5_000, 5_000, 17_777):
                recording.seek(frame)
                assert recording.position == frame
            got = recording.read(3_000)
            np.testing.assert_allclose(got, expected[17_777:20_777], rtol=0, atol=1e-6)
            recording.seek(10**9)
            assert recording.position == len(expected)
            assert not len(recording.read())


def test_a_seek_beyond_the_end_of_a_cut_recording_finds_the_damage() -> None:
    data = encoded(tone(30_000), subtype="PCM_16")
    with decoding.open_recording(io.BytesIO(data[:20_044])) as recording:
        assert recording.num_frames == 10_000
        recording.seek(9_999)
        assert len(recording.read()) == 1
        with pytest.raises(AudioError, match=r"after 0\.227 s: truncated"):
            recording.seek(25_000)


@pytest.mark.parametrize("frame", [99_999, 100_000, 10**9])
def test_a_seek_beyond_the_end_of_a_cut_flac_finds_the_damage_too(frame: int) -> None:
    data = encoded(tone(100_000), "FLAC", "PCM_16")
    with decoding.open_recording(io.BytesIO(data[: len(data) // 2])) as recording:
        assert recording.num_frames == 49_152  # twelve frames of FLAC
        with pytest.raises(AudioError) as caught:
            recording.seek(frame)
    assert caught.value.reason == "decode_error"
