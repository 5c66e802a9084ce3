"""Damage that is kept: what decodes stays at its time, and each hole is told."""

import dataclasses
import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.sounds import decode, encode, encode_with_ffmpeg
from tests.span_results import VGGISH, Results, clip, noise, read, stream
from transforms.audio import decoding
from transforms.audio.errors import AudioError
from transforms.audio.recording import DamagedRange
from transforms.corpus.spans import single_task, split_into_tasks

KEEP = dataclasses.replace(VGGISH, keep_damaged=True)
RATE_HZ = 16_000


def kept(data: bytes, suffix: str = "") -> tuple[np.ndarray, list[DamagedRange]]:
    """Returns all samples of a damaged recording, and its damage."""
    with decoding.open_recording(io.BytesIO(data), suffix, keep_damaged=True) as recording:
        blocks = []
        while len(block := recording.read()):
            blocks.append(block)
        return np.concatenate(blocks), recording.damaged


def overwritten(data: bytes, share: float, num_bytes: int) -> bytes:
    at = int(share * len(data))
    return data[:at] + np.random.default_rng(0).bytes(num_bytes) + data[at + num_bytes :]


@pytest.mark.parametrize("num_bytes", [4, 200, 8_000])
def test_a_hole_in_flac_is_silence_of_its_length_and_all_else_is_exact(num_bytes: int) -> None:
    sound = noise(10 * RATE_HZ)[:, 0]
    data = overwritten(encode(sound, RATE_HZ, "FLAC"), 0.5, num_bytes)
    samples, damaged = kept(data)
    assert len(samples) == len(sound)
    start, end = min(each.start for each in damaged), max(each.end for each in damaged)
    differs = np.flatnonzero(samples != sound)
    assert start <= differs[0] < differs[-1] < end <= start + 4 * 4_096
    assert not samples[differs].any()


def test_a_truncated_wav_keeps_what_is_there() -> None:
    sound = noise(10 * RATE_HZ)[:, 0]
    samples, damaged = kept(encode(sound, RATE_HZ)[: 44 + 2 * 4 * RATE_HZ])
    assert samples.tolist() == sound[: 4 * RATE_HZ].tolist()
    (damage,) = damaged
    assert (damage.start, damage.end) == (4 * RATE_HZ, 10 * RATE_HZ)
    assert "declares 320000 bytes of samples, the file has 128000" in damage.message


@pytest.mark.parametrize("name", ["mp3", "ogg", "opus", "flac.mka", "m4a"])
def test_a_truncated_stream_keeps_what_is_there(name: str, tmp_path: Path) -> None:
    rate_hz = 48_000 if name == "opus" else 44_100
    data = stream(name, noise(4 * rate_hz)[:, 0], rate_hz)
    if name == "m4a":  # with its list of samples in front
        data = faststart(data, tmp_path)
    whole = decode(data)[1]
    samples, damaged = kept(data[: int(0.6 * len(data))])
    assert 0.3 * len(whole) < len(samples) < 0.8 * len(whole)
    # The last packet of a cut file may be damaged itself.
    np.testing.assert_allclose(samples[:-4_096], whole[: len(samples) - 4_096], atol=1e-6)
    assert damaged
    with pytest.raises(AudioError, match="decoding failed after"):
        decode(data[: int(0.6 * len(data))])


def faststart(data: bytes, folder: Path) -> bytes:
    """Moves the index of an MP4 file in front of its media, as encoders do for the web."""
    import av

    path = folder / "faststart.mp4"
    with (
        av.open(io.BytesIO(data), "r") as source,
        av.open(str(path), "w", options={"movflags": "faststart"}) as output,
    ):
        copy = output.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = copy
                output.mux(packet)
    return path.read_bytes()


@pytest.mark.parametrize("name", ["ogg", "opus", "flac.oga"])
def test_a_lost_page_of_ogg_is_silence_of_its_length(name: str) -> None:
    rate_hz = 48_000
    sound = noise(8 * rate_hz)[:, 0]
    if name == "flac.oga":
        data = encode_with_ffmpeg(sound, rate_hz, "ogg", "flac")
    else:
        data = stream(name, sound, rate_hz)
    whole = decode(data)[1]
    pages = [at for at in range(len(data)) if data[at : at + 4] == b"OggS"]
    middle = len(pages) // 2
    lost = data[: pages[middle]] + data[pages[middle + 1] :]
    samples, damaged = kept(lost)
    assert abs(len(samples) - len(whole)) <= 0.1 * rate_hz
    end = int(0.5 * rate_hz)
    np.testing.assert_allclose(samples[-end:-4_800], whole[-end:-4_800], atol=1e-3)
    assert damaged
    assert 0 < sum(each.end - each.start for each in damaged) < 3 * rate_hz
    with pytest.raises(AudioError) as caught:
        decode(lost)
    assert caught.value.reason == "decode_error"


def test_the_spans_of_a_clip_tell_the_same_damage_as_the_whole() -> None:
    sound = noise(20 * RATE_HZ)[:, 0]
    data = overwritten(encode(sound, RATE_HZ, "FLAC"), 0.5, 200)
    whole = read(data, single_task([clip("a")]), KEEP)
    spans = split_into_tasks([clip("a")], Fraction(20), VGGISH, 4)
    patches: dict[int, np.ndarray] = {}
    damages = set()
    for decode_task in spans:
        results: Results = read(data, decode_task, KEEP)
        patches |= results.rows["a"]
        damages.update(results.damages)
    assert {(each.clip_id, each.message) for each in damages} == {
        (each.clip_id, each.message) for each in whole.damages
    }
    expected = whole.patches("a")
    assert len(patches) == len(expected)
    for row, patch in patches.items():
        np.testing.assert_array_equal(patch, expected[row])


def test_clips_tell_the_damage_that_they_hold_and_no_other() -> None:
    sound = noise(10 * RATE_HZ)[:, 0]
    data = overwritten(encode(sound, RATE_HZ, "FLAC"), 0.5, 200)
    clips = [clip("before", "0", "4"), clip("over", "4", "6"), clip("after", "6", "10")]
    results = read(data, single_task(clips), KEEP)
    assert results.outcomes() == dict.fromkeys(("before", "over", "after"), "ok")
    assert {each.clip_id for each in results.damages} == {"over"}
    truncated = encode(sound, RATE_HZ)[: 44 + 2 * 5 * RATE_HZ]
    results = read(truncated, single_task(clips), KEEP)
    assert results.outcomes() == {"before": "ok", "over": "ok", "after": "out_of_range"}
    assert [(each.clip_id, each.start_seconds) for each in results.damages] == [("over", 5.0)]


def test_a_recording_of_which_nothing_decodes_fails_even_if_damage_is_kept() -> None:
    data = encode(noise(RATE_HZ)[:, 0], RATE_HZ, "FLAC")
    results = read(data[:200], single_task([clip("a")]), KEEP)
    assert results.failure("a").reason == "decode_error"


def chained(*parts: bytes) -> bytes:
    return b"".join(parts)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_chained_recordings_of_other_rates_are_played_through(subtype: str) -> None:
    tones = []
    for rate_hz, num_channels in [(16_000, 1), (48_000, 2), (24_000, 1)]:
        time = np.arange(2 * rate_hz) / rate_hz
        tone = 0.5 * np.sin(2 * np.pi * 440 * time).astype(np.float32)
        sound = np.repeat(tone[:, None], num_channels, axis=1)
        tones.append(encode(sound, rate_hz, "OGG", subtype))
    rate_hz, samples = decode(chained(*tones))
    assert rate_hz == (48_000 if subtype == "OPUS" else 16_000)
    assert len(samples) == pytest.approx(6 * rate_hz, abs=10)
    for part in range(3):  # each in its middle, as loud and as high as it was
        middle = samples[int((2 * part + 0.5) * rate_hz) : int((2 * part + 1.5) * rate_hz)]
        spectrum = np.abs(np.fft.rfft(middle)) / len(middle) * 2
        assert spectrum[440] == pytest.approx(0.5, abs=0.02)
    # Damage in one part is at its place in the whole.
    broken = bytearray(tones[1])
    broken[len(broken) // 2] ^= 0xFF
    with pytest.raises(AudioError, match=r"decoding failed after [23]\.\d+ s"):
        decode(chained(tones[0], bytes(broken), tones[2]))


def test_lossy_audio_beyond_full_scale_is_kept_and_floats_are_not() -> None:
    loud = 30 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    vorbis = encode(loud, RATE_HZ, "OGG", "VORBIS")
    assert 25 < np.abs(decode(vorbis)[1]).max() < 35
    for file_format in ("WAV", "AIFF", "CAF"):
        with pytest.raises(AudioError) as caught:
            decode(encode(loud, RATE_HZ, file_format, "FLOAT"))
        assert caught.value.reason == "over_full_scale"


def test_lossy_audio_far_beyond_what_codecs_overshoot_is_damage() -> None:
    block = np.array([0.5, 30.0, -999.0], np.float32)
    decoding.validate_samples(block, 0, RATE_HZ, is_float=False)
    loud = np.array([0, -1_001], np.float32)
    with pytest.raises(AudioError, match=r"a sample of 1001 at 1\.000 s") as caught:
        decoding.validate_samples(loud, RATE_HZ - 1, RATE_HZ, is_float=False)
    assert caught.value.reason == "decode_error"


def test_gaps_between_packets_are_silence_of_their_length() -> None:
    """Discontinuous transmission: packets 100 to 149 of 20 ms are not there."""
    import av

    sound = noise(5 * 48_000)[:, 0]
    data = encode_with_ffmpeg(sound, 48_000, "webm", "libopus")
    whole = decode(data)[1]
    file = io.BytesIO()
    with (
        av.open(io.BytesIO(data), "r") as source,
        av.open(file, "w", format="webm") as output,
    ):
        copy = output.add_stream_from_template(source.streams.audio[0])
        packets = [each for each in source.demux(source.streams.audio[0]) if each.size]
        for packet in packets[:100] + packets[150:]:
            packet.stream = copy
            output.mux(packet)
    samples = decode(file.getvalue())[1]
    assert abs(len(samples) - len(whole)) <= 48
    assert not samples[int(2.1 * 48_000) : int(2.9 * 48_000)].any()
    np.testing.assert_allclose(samples[: 95 * 960], whole[: 95 * 960], atol=1e-6)
