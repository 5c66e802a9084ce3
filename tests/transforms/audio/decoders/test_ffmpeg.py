"""Decoding through FFmpeg: what libsndfile does not know."""

import io
import itertools
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from av.audio.stream import AudioStream
from av.packet import Packet
from hypothesis import settings

from tests.sounds import blocks_of, decode, encode_with_ffmpeg, file_part
from transforms.audio import decoding
from transforms.audio.decoders import ffmpeg_container
from transforms.audio.decoders.ffmpeg import FfmpegDecoder
from transforms.audio.errors import AudioError
from transforms.corpus.clips import RawFormat

# name: (container, codec, sample rate, channels, largest error of a sample)
FORMATS = {
    "m4a": ("mp4", "aac", 44_100, 2, 0.05),
    "3gp": ("3gp", "aac", 16_000, 1, 0.1),
    "alac.m4a": ("mp4", "alac", 44_100, 2, 1e-4),
    "webm": ("webm", "libopus", 48_000, 2, 0.05),
    "flac.mka": ("matroska", "flac", 44_100, 2, 1e-4),
    "pcm.mka": ("matroska", "pcm_s32le", 8_000, 1, 1e-6),
    "wma": ("asf", "wmav2", 44_100, 2, 0.05),
    "avi": ("avi", "mp2", 44_100, 2, 0.05),
    "aac": ("adts", "aac", 44_100, 2, 0.05),
    "amr": ("amr", "libopencore_amrnb", 8_000, 1, 0.3),
    "ac3": ("ac3", "ac3", 48_000, 2, 0.05),
    "wv": ("wv", "wavpack", 44_100, 2, 0.01),
    "tta": ("tta", "tta", 44_100, 2, 0.01),
    "ts": ("mpegts", "aac", 44_100, 2, 0.05),
    "flv": ("flv", "aac", 44_100, 2, 0.05),
    "g722": ("g722", "g722", 16_000, 1, 0.05),
}
SECONDS = 3.0
# Those that say how long they are, or whose packets show that one is cut.
CUT_IS_SEEN = ("m4a", "3gp", "alac.m4a", "webm", "flac.mka", "pcm.mka", "wv", "tta", "flv")


def faded_tone(rate_hz: int) -> np.ndarray:
    """Returns float32 `[num_frames]`, faded in and out, where codecs ring."""
    time = np.arange(int(SECONDS * rate_hz)) / rate_hz
    fade = np.minimum(1, np.minimum(time, SECONDS - time) / 0.1)
    return (0.5 * fade * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


def encoded(name: str, with_video: bool = False) -> bytes:
    """Returns a file whose right channel, if there is one, is half as loud as the left."""
    container, codec, rate_hz, num_channels, _ = FORMATS[name]
    sound = faded_tone(rate_hz)[:, None] * np.linspace(1.0, 0.5, num_channels, dtype=np.float32)
    bit_rate = 128_000 if codec == "wmav2" else None  # the others have a default
    return encode_with_ffmpeg(sound, rate_hz, container, codec, bit_rate, with_video=with_video)


def decoded(data: bytes, name: str = "") -> tuple[int, np.ndarray]:
    return decode(data, f".{name.rpartition('.')[2]}")


def reason(data: bytes, name: str = "") -> str:
    with pytest.raises(AudioError) as caught:
        decoded(data, name)
    return caught.value.reason


def test_the_sound_comes_out_as_it_went_in_mixed_to_mono() -> None:
    for name in FORMATS:
        _, _, rate_hz, num_channels, tolerance = FORMATS[name]
        found_rate_hz, samples = decoded(encoded(name), name)
        assert found_rate_hz == rate_hz
        expected = faded_tone(rate_hz) * (0.75 if num_channels == 2 else 1.0)
        assert abs(len(samples) - len(expected)) <= 0.06 * rate_hz
        # Some containers keep the encoder's delay, and WMA loses its first frame: at most three
        # frames of AAC either way.
        size = 2 ** int(np.ceil(np.log2(len(samples) + len(expected))))
        spectrum = np.fft.rfft(samples, size) * np.conj(np.fft.rfft(expected, size))
        correlation = np.roll(np.fft.irfft(spectrum), 3_072)[: 2 * 3_072 + 1]
        differences = []
        for delay in np.argsort(correlation)[-50:] - 3_072:
            ours, theirs = samples[max(0, delay) :], expected[max(0, -delay) :]
            length = min(len(ours), len(theirs))
            differences.append(np.abs(ours[:length] - theirs[:length]).max())
        assert min(differences) <= tolerance


@pytest.mark.parametrize("name", ["m4a", "flac.mka"])
def test_the_sound_of_a_video(name: str) -> None:
    rate_hz, samples = decoded(encoded(name, with_video=True))
    assert len(samples) / rate_hz == pytest.approx(SECONDS, abs=0.06)


def test_a_video_without_sound_is_unsupported() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        video = output.add_stream("mpeg4", rate=10)
        video.width = video.height = 32
        output.mux(video.encode(av.VideoFrame(32, 32, "yuv420p")))
        output.mux(video.encode(None))
    with pytest.raises(AudioError, match="no audio stream") as caught:
        decoded(file.getvalue())
    assert caught.value.reason == "unsupported_format"


def test_a_cut_file_fails() -> None:
    for share, name in itertools.product([0.3, 0.6, 0.85], CUT_IS_SEEN):
        data = encoded(name)
        assert reason(data[: int(share * len(data))]) == "decode_error"


def test_a_failure_says_after_how_many_seconds() -> None:
    data = encoded("webm")
    with pytest.raises(
        AudioError, match=r"failed after 1\.\d{3} s: truncated: the file lacks its last \d+ bytes"
    ):
        decoded(data[: int(0.6 * len(data))])


def test_a_format_without_a_header_is_detected_by_suffix_only() -> None:
    data = encoded("g722")
    assert reason(data) == "unsupported_format"
    assert decoded(data, "g722")[0] == 16_000


def test_a_suffix_does_not_overrule_the_content() -> None:
    rate_hz, samples = decoded(encoded("m4a"), "g722")
    assert rate_hz == 44_100
    assert samples.tolist() == decoded(encoded("m4a"))[1].tolist()


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{path}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {path}\n",
    ],
    ids=["hls", "concat"],
)
def test_a_playlist_opens_no_other_file(tmp_path: Path, playlist: str) -> None:
    soundfile.write(tmp_path / "secret.wav", faded_tone(16_000), 16_000)
    text = playlist.format(path=tmp_path / "secret.wav").encode()
    assert reason(text) == "unsupported_format"
    (tmp_path / "list.wav").write_bytes(text)
    with (tmp_path / "list.wav").open("rb") as file, pytest.raises(AudioError) as caught:
        decoding.open_recording(file, ".wav").__enter__()
    assert caught.value.reason == "unsupported_format"


@pytest.mark.parametrize("at", [0.0, 0.5])
@pytest.mark.parametrize("name", ["m4a", "webm", "wv"])
def test_a_storage_that_fails_is_not_taken_for_damage(name: str, at: float) -> None:
    data = encoded(name)

    class Failing(io.BytesIO):
        def read(self, num_bytes: int | None = -1, /) -> bytes:
            if self.tell() >= at * len(data):
                raise OSError(5, "Input/output error")
            return super().read(num_bytes)

    with (
        pytest.raises(OSError, match="Input/output error"),
        decoding.open_recording(Failing(data)) as recording,
    ):
        list(blocks_of(recording))


def test_both_decoders_agree_on_lengths_to_the_sample() -> None:
    for mode, (kind, subtype, rate_hz) in itertools.product(
        ["CONSTANT", "VARIABLE"],
        [
            ("MP3", "MPEG_LAYER_III", 44_100),
            ("MP3", "MPEG_LAYER_III", 16_000),
            ("OGG", "VORBIS", 44_100),
            ("OGG", "OPUS", 48_000),
            ("FLAC", "PCM_16", 44_100),
        ],
    ):
        file = io.BytesIO()
        options = {"bitrate_mode": mode} if kind == "MP3" else {}
        soundfile.write(file, faded_tone(rate_hz), rate_hz, format=kind, subtype=subtype, **options)
        by_libsndfile, _ = soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")
        decoder = FfmpegDecoder(file_part(file.getvalue()))
        by_ffmpeg = decoder.read(2**20)[:, 0]
        assert len(by_libsndfile) == len(by_ffmpeg) == len(faded_tone(rate_hz))
        np.testing.assert_allclose(by_libsndfile, by_ffmpeg, atol=1e-3)


def opus(container: str, application: str, bit_rate: int, num_channels: int) -> bytes:
    """Returns 3 s of a tone in noise; few bits for speech are coded another way than music."""
    noise = np.random.default_rng(5).normal(0, 0.01, (3 * 48_000, num_channels))
    sound = (faded_tone(48_000)[:, None] + noise).astype(np.float32)
    options = {"application": application}
    return encode_with_ffmpeg(sound, 48_000, container, "libopus", bit_rate, options)


def test_opus_is_what_its_reference_decoder_makes_of_it() -> None:
    for (application, bit_rate, num_channels), container in itertools.product(
        [("voip", 8_000, 1), ("voip", 24_000, 1), ("audio", 32_000, 2), ("audio", 128_000, 2)],
        ["ogg", "webm"],
    ):
        in_ogg = opus("ogg", application, bit_rate, num_channels)
        expected, _ = soundfile.read(io.BytesIO(in_ogg), dtype="float32", always_2d=True)
        rate_hz, samples = decoded(opus(container, application, bit_rate, num_channels))
        assert rate_hz == 48_000
        if container == "ogg":
            assert len(samples) == len(expected)
        length = min(len(samples), len(expected))
        assert length >= len(expected) - 960  # webm counts in milliseconds
        np.testing.assert_allclose(samples[:length], expected[:length].mean(axis=1), atol=2e-6)


def test_opus_is_decoded_at_its_native_rate() -> None:
    for header_rate_hz in [8_000, 12_000, 16_000, 24_000]:
        file = io.BytesIO()
        sound = faded_tone(header_rate_hz)
        soundfile.write(file, sound, header_rate_hz, format="OGG", subtype="OPUS")
        data = file.getvalue()
        rate_hz, samples = decoded(data)
        assert (rate_hz, len(samples)) == (48_000, SECONDS * 48_000)
        expected = faded_tone(48_000)
        # The encoder's resampling moves it by some samples.
        np.testing.assert_allclose(samples[4_800:-4_800], expected[4_800:-4_800], atol=0.2)
        # Without its last page, and the mark of the end, it is a shorter recording.
        assert 1.5 < len(decoded(data[: data.rindex(b"OggS")])[1]) / 48_000 < SECONDS
        assert reason(data[: data.rindex(b"OggS") + 30]) == "decode_error"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.hypothesis  # as many copies as the profile has examples
def test_damaged_files_give_samples_or_an_audio_error(name: str) -> None:
    rng = random.Random(name)
    data = encoded(name)
    for _ in range(min(40, settings().max_examples)):
        copy = bytearray(data)
        for _ in range(rng.choice([1, 8, 64])):
            copy[rng.randrange(min(len(copy), rng.choice([64, 512, len(copy)])))] = rng.randrange(
                256
            )
        if rng.random() < 0.3:
            del copy[rng.randrange(len(copy)) :]
        try:
            _, samples = decoded(bytes(copy), name)
            assert np.abs(samples).max() <= 1_000
        except AudioError:
            pass


def blocks_by_ffmpeg(data: bytes, name: str, sizes: list[int]) -> list[np.ndarray]:
    """Reads blocks of so many frames, the last size again and again; without the empty one."""
    decoder = FfmpegDecoder(file_part(data), "g722" if name == "g722" else None)
    assert decoder.num_frames is None
    blocks: list[np.ndarray] = []
    num_frames = 0
    for size in [*sizes, *[sizes[-1]] * 200_000]:
        block = decoder.read(size)
        num_frames += len(block)
        if not len(block):
            assert not len(decoder.read(size))
            return blocks
        blocks.append(block)
    raise AssertionError("no end is in sight")


def test_reads_of_so_many_frames_are_exact_and_join_to_the_whole() -> None:
    for name in ["m4a", "alac.m4a", "webm", "pcm.mka", "amr", "ac3", "g722"]:
        data = encoded(name)
        (whole,) = blocks_by_ffmpeg(data, name, [10**7])
        for sizes in (
            [1, 2, 1_023, 1_024, 1_025, 1, 5_000, 7_777],
            [1] * 1_100 + [50_000],
            [1_024],
            [len(whole)],
        ):
            blocks = blocks_by_ffmpeg(data, name, sizes)
            due = [*sizes, *[sizes[-1]] * len(blocks)][: len(blocks)]
            assert [len(block) for block in blocks[:-1]] == due[:-1]
            assert 0 < len(blocks[-1]) <= due[-1]
            joined = np.concatenate(blocks)
            assert joined.dtype == np.float32
            np.testing.assert_array_equal(joined, whole)


def with_changing_channels() -> bytes:
    mono = faded_tone(44_100)[: 20 * 1_024, None]
    return b"".join(
        encode_with_ffmpeg(np.tile(mono, num_channels), 44_100, "adts", "aac")
        for num_channels in (1, 2, 1)
    )


@pytest.mark.parametrize("size", [1_000, 10**7])
def test_a_number_of_channels_that_changes_begins_a_block(size: int) -> None:
    blocks = blocks_by_ffmpeg(with_changing_channels(), "aac", [size])
    numbers = [block.shape[1] for block in blocks]
    assert [number for number, _ in itertools.groupby(numbers)] == [1, 2, 1]
    assert {sum(len(block) for block in blocks)} == {3 * 21 * 1_024}
    _, mixed = decoded(with_changing_channels(), "aac")
    assert len(mixed) == 3 * 21 * 1_024


def test_a_channel_that_is_gone_in_the_middle_is_missed_there() -> None:
    data = with_changing_channels()
    with decoding.open_recording(io.BytesIO(data), ".aac", channel=1) as recording:
        assert sum(map(len, blocks_of(recording))) == 3 * 21 * 1_024
    with (
        pytest.raises(AudioError, match="--channel=2, and the recording has 1") as caught,
        decoding.open_recording(io.BytesIO(data), ".aac", channel=2) as recording,
    ):
        recording.read()
    assert caught.value.reason == "no_channel"


def test_one_channel_or_the_mean_of_all() -> None:
    for name, (channel, loudness) in itertools.product(
        ["alac.m4a", "flac.mka"], [(None, 0.75), (1, 1.0), (2, 0.5)]
    ):
        with decoding.open_recording(io.BytesIO(encoded(name)), channel=channel) as recording:
            samples = np.concatenate(list(blocks_of(recording)))
        np.testing.assert_allclose(samples, loudness * faded_tone(44_100), rtol=0, atol=1e-4)


def test_g722_by_name_needs_no_suffix_and_overrules_one() -> None:
    data = encoded("g722")
    expected = decoded(data, "g722")[1].tolist()
    for suffix in ("", ".wav", ".g722"):
        raw_format = RawFormat("g722", 16_000)
        with decoding.open_recording(io.BytesIO(data), suffix, raw_format) as recording:
            assert recording.num_frames is None
            assert recording.sample_rate_hz == 16_000
            assert np.concatenate(list(blocks_of(recording))).tolist() == expected


def test_a_seek_reads_up_to_the_frame() -> None:
    for name in ["m4a", "alac.m4a", "webm", "flac.mka", "wma", "amr", "g722"]:
        data = encoded(name)
        suffix = f".{name.rpartition('.')[2]}"
        expected = decoded(data, name)[1]
        with decoding.open_recording(io.BytesIO(data), suffix) as recording:
            assert recording.num_frames is None
            for frame in (0, 1, 5_000, 5_000, 17_777):
                recording.seek(frame)
                assert recording.position == frame
            assert recording.read(3_000).tolist() == expected[17_777:20_777].tolist()
            recording.seek(10**9)
            assert recording.position == len(expected)
            assert not len(recording.read())


def test_the_decoder_itself_refuses_to_seek() -> None:
    with pytest.raises(NotImplementedError, match="5000"):
        FfmpegDecoder(file_part(encoded("m4a"))).seek(5_000)


def test_streams_that_appear_while_a_file_is_read_end_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = decoded(encoded("m4a"), "m4a")[1]
    open_container = ffmpeg_container.open_container

    class WithNewStreams:
        def __init__(self, *arguments: Any) -> None:
            self._container = open_container(*arguments)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._container, name)

        def demux(self, stream: AudioStream) -> Iterator[Packet]:
            yield from self._container.demux(stream)
            raise IndexError("list index out of range")  # as PyAV 18 does

    monkeypatch.setattr(ffmpeg_container, "open_container", WithNewStreams)
    assert decoded(encoded("m4a"), "m4a")[1].tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [
        ("mov", "pcm_s16be", (11_025 << 16).to_bytes(4, "big")),
        ("matroska", "pcm_s16le", struct.pack(">d", 11_025)),
    ],
)
def test_a_sample_rate_of_0_is_damage(container: str, codec: str, rate: bytes) -> None:
    data = encode_with_ffmpeg(np.zeros(11_025, np.float32), 11_025, container, codec)
    assert rate in data
    with pytest.raises(AudioError, match="no audio could be decoded") as caught:
        decode(data.replace(rate, bytes(len(rate))))
    assert caught.value.reason == "decode_error"
