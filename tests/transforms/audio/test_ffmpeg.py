"""Decoding through FFmpeg: what libsndfile does not know."""

import io
import random
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from tests.sounds import blocks_of
from transforms.audio import decoding
from transforms.audio.errors import AudioError

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


def tone(rate_hz: int) -> np.ndarray:
    """Returns float32 `[num_frames]`, faded in and out, where codecs ring."""
    time = np.arange(int(SECONDS * rate_hz)) / rate_hz
    fade = np.minimum(1, np.minimum(time, SECONDS - time) / 0.1)
    return (0.5 * fade * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


def encoded(name: str, with_video: bool = False) -> bytes:
    """Returns a file whose right channel, if there is one, is half as loud as the left."""
    container, codec, rate_hz, num_channels, _ = FORMATS[name]
    sound = tone(rate_hz) * np.linspace(1.0, 0.5, num_channels, dtype=np.float32)[:, None]
    file = io.BytesIO()
    layout = "stereo" if num_channels == 2 else "mono"
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate_hz, layout=layout)
        if codec == "wmav2":
            stream.bit_rate = 128_000  # the others have a default
        if with_video:
            video = output.add_stream("mpeg4", rate=10)
            video.width = video.height = 32
            for index in range(int(10 * SECONDS)):
                image = av.VideoFrame(32, 32, "yuv420p")
                image.pts = index
                output.mux(video.encode(image))
            output.mux(video.encode(None))
        context = stream.codec_context
        whole = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), "fltp", layout)
        whole.sample_rate = rate_hz
        whole.pts = 0
        resampler = av.AudioResampler(
            context.format, layout, rate_hz, frame_size=context.frame_size or 1_024
        )
        for frame in [*resampler.resample(whole), *resampler.resample(None)]:
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def decoded(data: bytes, name: str = "") -> tuple[int, np.ndarray]:
    suffix = f".{name.rpartition('.')[2]}"
    with decoding.open_recording(io.BytesIO(data), suffix) as recording:
        return recording.sample_rate_hz, np.concatenate(list(blocks_of(recording)))


def reason(data: bytes, name: str = "") -> str:
    with pytest.raises(AudioError) as caught:
        decoded(data, name)
    return caught.value.reason


@pytest.mark.parametrize("name", FORMATS)
def test_the_sound_comes_out_as_it_went_in_mixed_to_mono(name: str) -> None:
    _, _, rate_hz, num_channels, tolerance = FORMATS[name]
    found_rate_hz, samples = decoded(encoded(name), name)
    assert found_rate_hz == rate_hz
    expected = tone(rate_hz) * (0.75 if num_channels == 2 else 1.0)
    assert abs(len(samples) - len(expected)) <= 0.06 * rate_hz
    # Containers without a note of it keep the encoder's delay, and WMA loses its first frame: at
    # most three frames of AAC either way.
    differences = []
    for delay in range(-3_072, 3_073):
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


@pytest.mark.parametrize("name", CUT_IS_SEEN)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.85])
def test_a_cut_file_fails(name: str, share: float) -> None:
    data = encoded(name)
    assert reason(data[: int(share * len(data))]) == "decode_error"


def test_a_failure_says_after_how_many_seconds() -> None:
    data = encoded("webm")
    with pytest.raises(AudioError, match=r"fails after 1\.\d{3} s: truncated: .* 3\.0\d\d s"):
        decoded(data[: int(0.6 * len(data))])


def test_a_format_without_a_header_is_told_by_its_suffix_only() -> None:
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
    soundfile.write(tmp_path / "secret.wav", tone(16_000), 16_000)
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


@pytest.mark.parametrize(
    ("kind", "subtype", "rate_hz"),
    [
        ("MP3", "MPEG_LAYER_III", 44_100),
        ("MP3", "MPEG_LAYER_III", 16_000),
        ("OGG", "VORBIS", 44_100),
        ("OGG", "OPUS", 48_000),
        ("FLAC", "PCM_16", 44_100),
    ],
)
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_both_decoders_agree_on_lengths_to_the_sample(
    kind: str, subtype: str, rate_hz: int, mode: str
) -> None:
    file = io.BytesIO()
    options = {"bitrate_mode": mode} if kind == "MP3" else {}
    soundfile.write(file, tone(rate_hz), rate_hz, format=kind, subtype=subtype, **options)
    by_libsndfile = decoded(file.getvalue())[1]
    file.seek(0)
    decoder = decoding.FfmpegDecoder(file, "", "")
    by_ffmpeg = decoder.read(2**20)[:, 0]
    assert len(by_libsndfile) == len(by_ffmpeg) == len(tone(rate_hz))
    np.testing.assert_allclose(by_libsndfile, by_ffmpeg, atol=1e-3)


@pytest.mark.parametrize("name", FORMATS)
def test_damage_gives_samples_or_a_reason_and_nothing_else(name: str) -> None:
    rng = random.Random(name)
    data = encoded(name)
    for _ in range(40):
        copy = bytearray(data)
        for _ in range(rng.choice([1, 8, 64])):
            copy[rng.randrange(min(len(copy), rng.choice([64, 512, len(copy)])))] = rng.randrange(
                256
            )
        if rng.random() < 0.3:
            del copy[rng.randrange(len(copy)) :]
        try:
            _, samples = decoded(bytes(copy), name)
            assert np.abs(samples).max() <= 16
        except AudioError:
            pass
