"""Files that end before their audio does: none passes for a shorter recording."""

import io
import itertools
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.sounds import blocks_of
from transforms.audio import decoding
from transforms.audio.errors import AudioError

FORMATS = {
    "wav_u8": ("WAV", "PCM_U8", 44_100),
    "wav_16": ("WAV", "PCM_16", 44_100),
    "wav_float": ("WAV", "FLOAT", 44_100),
    "wav_adpcm": ("WAV", "IMA_ADPCM", 8_000),
    "rf64": ("RF64", "PCM_16", 44_100),
    "w64": ("W64", "PCM_16", 44_100),
    "aiff": ("AIFF", "PCM_16", 44_100),
    "au": ("AU", "PCM_16", 44_100),
    "nist": ("NIST", "PCM_16", 16_000),
    "caf": ("CAF", "PCM_16", 44_100),
    "caf_alac": ("CAF", "ALAC_16", 44_100),
    "flac": ("FLAC", "PCM_16", 44_100),
    "ogg_vorbis": ("OGG", "VORBIS", 44_100),
    "ogg_opus": ("OGG", "OPUS", 48_000),
    "mp3": ("MP3", "MPEG_LAYER_III", 44_100),
}
every_format = pytest.mark.parametrize("name", FORMATS)
NUM_FRAMES = 44_100


def encoded(name: str, num_frames: int = NUM_FRAMES, **options: object) -> bytes:
    file_format, subtype, rate_hz = FORMATS[name]
    rng = np.random.default_rng(11)
    sine = np.sin(2 * np.pi * 440 * np.arange(num_frames) / rate_hz)
    samples = 0.3 * sine + 0.1 * rng.standard_normal(num_frames)
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=file_format, subtype=subtype, **options)
    return file.getvalue()


def decoded(data: bytes) -> np.ndarray:
    with decoding.open_recording(io.BytesIO(data)) as recording:
        return np.concatenate(list(blocks_of(recording)))


def assert_truncated(data: bytes) -> None:
    with pytest.raises(AudioError) as caught:
        decoded(data)
    assert caught.value.reason == "decode_error"


def assert_whole_or_refused(data: bytes, num_frames: int) -> None:
    """No audio is lost without a word."""
    try:
        num_decoded = len(decoded(data))
    except AudioError:
        assert_truncated(data)
    else:
        assert num_decoded >= num_frames


def test_a_cut_file_fails() -> None:
    for share, name in itertools.product([0.3, 0.7, 0.95], FORMATS):
        data = encoded(name)
        assert len(decoded(data)) >= NUM_FRAMES
        assert_truncated(data[: int(share * len(data))])


def test_a_damaged_stream_says_after_how_many_seconds() -> None:
    data = encoded("flac")
    with pytest.raises(AudioError) as caught:
        decoded(data[: len(data) * 7 // 10])
    found = re.search(r"failed after (\d+\.\d{3}) s", str(caught.value))
    assert found is not None
    assert 0.5 < float(found[1]) < 0.75


def test_a_header_that_promises_more_samples_than_come_fails() -> None:
    data = bytearray(encoded("flac"))
    data[22:26] = struct.pack(">I", NUM_FRAMES + 1)
    assert_truncated(bytes(data))


def test_a_cut_of_few_bytes_fails_where_it_costs_a_sample() -> None:
    for name in FORMATS:
        data = encoded(name)
        for num_bytes in range(1, 11):
            assert_whole_or_refused(data[:-num_bytes], NUM_FRAMES)


def test_a_message_says_after_how_many_seconds() -> None:
    data = encoded("wav_16")
    with pytest.raises(AudioError, match=r"after 0\.500 s.*88200 bytes.*44100"):
        decoded(data[: 44 + 2 * NUM_FRAMES // 2])


def test_the_blocks_before_the_error_are_good(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ["wav_16", "aiff", "au", "flac", "ogg_vorbis", "ogg_opus"]:
        monkeypatch.setattr(decoding, "BLOCK_VALUES", 4_096)
        data = encoded(name)
        whole = decoded(data)
        blocks: list[np.ndarray] = []
        with decoding.open_recording(io.BytesIO(data[: len(data) * 7 // 10])) as recording:
            with pytest.raises(AudioError):
                blocks.extend(blocks_of(recording))
            num_frames = recording.position
        good = np.concatenate(blocks)
        assert 4_096 <= len(good) <= num_frames < NUM_FRAMES
        np.testing.assert_allclose(good, whole[: len(good)], rtol=0, atol=1e-6)


def wav(riff_bytes: int, data_bytes: int, samples: bytes, behind: bytes = b"") -> bytes:
    """Returns a 16-bit mono WAV that says of its length what it is told to."""
    layout = struct.pack("<HHIIHH", 1, 1, 44_100, 88_200, 2, 16)
    return (
        b"RIFF" + struct.pack("<I", riff_bytes) + b"WAVE"
        b"fmt " + struct.pack("<I", len(layout)) + layout +
        b"data" + struct.pack("<I", data_bytes) + samples + behind
    )  # fmt: skip


SAMPLES = np.arange(-1_500, 1_500, dtype="<i2").tobytes()
LIST_CHUNK = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + 14 * b"x"


@pytest.mark.parametrize(
    "data",
    [
        wav(36 + len(SAMPLES), len(SAMPLES), SAMPLES),
        wav(2**32 - 1, 2**32 - 1, SAMPLES),
        wav(2**31 - 1, 2**31 - 37, SAMPLES),
        wav(44 + len(SAMPLES), len(SAMPLES), SAMPLES),
        wav(36 + len(SAMPLES) + len(LIST_CHUNK), len(SAMPLES), SAMPLES, LIST_CHUNK),
        wav(36 + len(SAMPLES), len(SAMPLES), SAMPLES, LIST_CHUNK),
        wav(36 + len(SAMPLES) + len(LIST_CHUNK), len(SAMPLES), SAMPLES, LIST_CHUNK[:20]),
        wav(36 + len(SAMPLES), len(SAMPLES), SAMPLES, b"\x00" * 100),
    ],
    ids=[
        "sizes right",
        "sizes unknown, as streamed",
        "sizes at the signed limit, as streamed",
        "whole file's size where RIFF's should be",
        "text chunk behind",
        "text chunk behind that RIFF does not count",
        "text chunk cut",
        "zeros behind",
    ],
)
def test_a_wav_with_all_its_samples_passes(data: bytes) -> None:
    expected = np.arange(-1_500, 1_500) / 32_768
    assert decoded(data).tolist() == expected.tolist()


def test_a_wav_that_lacks_samples_fails_also_without_riff_saying_so() -> None:
    for num_missing in [1, 2, 3_000, 6_000]:
        assert_truncated(wav(0, len(SAMPLES), SAMPLES[:-num_missing]))


def test_a_sample_chunk_of_odd_length_passes_without_its_padding_byte() -> None:
    data = encoded("wav_u8", 3_001)
    assert len(data) == 44 + 3_001 + 1
    assert len(decoded(data)) == len(decoded(data[:-1])) == 3_001
    assert_truncated(data[:-2])


def test_an_au_stream_of_unknown_length_passes() -> None:
    data = encoded("au", 3_000)
    assert len(decoded(data[:8] + b"\xff\xff\xff\xff" + data[12:])) == 3_000


def flac_of_unknown_length() -> bytes:
    """Returns what encoders write to a pipe: neither a sample count nor an MD5 in STREAMINFO."""
    data = bytearray(encoded("flac"))
    data[21] &= 0xF0
    data[22:42] = bytes(20)
    return bytes(data)


def test_a_flac_stream_of_unknown_length_passes() -> None:
    assert decoded(flac_of_unknown_length()).tolist() == decoded(encoded("flac")).tolist()


@pytest.mark.parametrize("share", [0.3, 0.7, 0.999])
def test_a_flac_stream_of_unknown_length_fails_when_cut_within_a_frame(share: float) -> None:
    data = flac_of_unknown_length()
    assert_truncated(data[: int(share * len(data))])


@pytest.mark.parametrize("name", ["ogg_vorbis", "ogg_opus"])
def test_ogg_fails_when_cut_between_pages(name: str) -> None:
    data = encoded(name, 5 * NUM_FRAMES)
    last_page = data.rindex(b"OggS")
    assert last_page > len(data) // 2
    assert_truncated(data[:last_page])
    assert_truncated(data[: last_page + 27])


@pytest.mark.parametrize("name", ["ogg_vorbis", "ogg_opus"])
def test_ogg_fails_when_any_page_is_damaged(name: str) -> None:
    """Decoders leave such a page out, and the first and the last one say how long the sound is."""
    data = encoded(name, 5 * NUM_FRAMES)
    starts = [match.start() for match in re.finditer(b"OggS", data)]
    assert len(starts) > 5
    for start, end in itertools.pairwise([*starts, len(data)]):
        damaged = bytearray(data)
        damaged[(start + 30 + end) // 2] ^= 1
        assert_truncated(bytes(damaged))


@pytest.mark.parametrize("name", ["ogg_vorbis", "ogg_opus"])
def test_ogg_passes_with_other_data_after_it(name: str) -> None:
    assert len(decoded(encoded(name) + bytes(1_000))) == NUM_FRAMES


@pytest.mark.parametrize("name", ["ogg_vorbis", "ogg_opus"])
def test_ogg_streams_in_a_chain_are_not_cut_down_to_the_first(name: str) -> None:
    data = encoded(name) + encoded(name, 20_000)
    assert len(decoded(data)) == pytest.approx(NUM_FRAMES + 20_000, abs=1_024)
    assert_truncated(data[:-500])


# kbit/s by the index in a frame's header (ISO 11172-3, layer III).
KBPS = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
ID3V2_TAG = b"ID3\x04\x00\x00" + bytes([0, 0, 2, 0]) + bytes(256)
ID3V1_TAG = b"TAG" + 125 * b" "


def mp3_frame_starts(data: bytes) -> list[int]:
    """Walks through MPEG-1 layer III frames of 44.1 kHz; the last number is the end."""
    starts = [0]
    while starts[-1] < len(data):
        header = data[starts[-1] : starts[-1] + 4]
        assert header[:2] == b"\xff\xfb"
        length = 144 * 1_000 * KBPS[header[2] >> 4] // 44_100 + (header[2] >> 1 & 1)
        starts.append(starts[-1] + length)
    return starts


def mp3_without_header(bitrate_mode: str) -> bytes:
    """Returns an MP3 whose first frame, the encoder's notes on its length, is taken off."""
    data = encoded("mp3", bitrate_mode=bitrate_mode, compression_level=0.5)
    starts = mp3_frame_starts(data)
    assert starts[-1] == len(data)
    first = data[: starts[1]]
    assert b"Xing" in first or b"Info" in first
    return data[starts[1] :]


def test_an_mp3_without_a_header_passes_whole() -> None:
    data = mp3_without_header("CONSTANT")
    assert len(decoded(data)) == 1_152 * (len(mp3_frame_starts(data)) - 1)


def test_an_mp3_of_variable_bit_rate_without_a_header_is_not_cut_down_to_a_guess() -> None:
    data = mp3_without_header("VARIABLE")
    num_frames = 1_152 * (len(mp3_frame_starts(data)) - 1)
    assert len(decoded(data)) == pytest.approx(num_frames, abs=2 * 1_152)
    assert_truncated(data[:-1])


def test_looking_through_a_file_does_not_move_the_decoder(tmp_path: Path) -> None:
    for name in FORMATS:
        data = encoded(name, 100_000)
        expected, _ = soundfile.read(io.BytesIO(data), dtype="float32")
        (tmp_path / "file").write_bytes(data)
        for buffering in (-1, 0, 65_536):
            with (
                (tmp_path / "file").open("rb", buffering=buffering) as file,
                decoding.open_recording(file) as recording,
            ):
                found = np.concatenate(list(blocks_of(recording)))
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("bitrate_mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("tag", [b"", ID3V2_TAG], ids=["bare", "tag in front"])
@pytest.mark.parametrize("share", [0.3, 0.7, 1])
def test_an_mp3_without_a_header_fails_when_cut_in_a_frame(
    bitrate_mode: str, tag: bytes, share: float
) -> None:
    data = mp3_without_header(bitrate_mode)
    starts = mp3_frame_starts(data)
    frame = int(share * (len(starts) - 2))
    for end in (starts[frame] + 4, starts[frame + 1] - 1):
        assert_truncated(tag + data[:end])


@pytest.mark.parametrize(
    "data", [encoded("mp3"), mp3_without_header("CONSTANT")], ids=["header", "no header"]
)
@pytest.mark.parametrize(
    ("in_front", "behind"),
    [(ID3V2_TAG, b""), (b"", ID3V1_TAG), (ID3V2_TAG, ID3V1_TAG)],
    ids=["ID3v2", "ID3v1", "both"],
)
def test_an_mp3_with_tags_passes_whole(data: bytes, in_front: bytes, behind: bytes) -> None:
    assert len(decoded(in_front + data + behind)) == len(decoded(data))


def test_an_mp3_with_a_header_and_a_tag_fails_when_cut() -> None:
    data = ID3V2_TAG + encoded("mp3")
    assert_truncated(data[: len(data) * 7 // 10])
