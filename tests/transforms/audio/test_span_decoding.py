"""One pass over a recording: every clip's rows once, one verdict each, whatever is wrong."""

import dataclasses
import io
import itertools
import os
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import BinaryIO

import av
import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.audio import decoding
from transforms.audio.span_decoding import decode_spans
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.runs import DecodedClip, PatchRun
from transforms.corpus.spans import DecodeTask, FramingConfig, single_task, split_into_tasks

PATCH_SAMPLES = 15_600
VGGISH = FramingConfig(PATCH_SAMPLES, 15_360)
# Small rows make many of a little sound.
SMALL = FramingConfig(400, 160)
RATES_HZ = [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000]
MOST_FOUND = 5_000
MOST_OPENED = 50

# Streams: what can only be read from its start. The first two are lossless.
STREAMS = ("alac.caf", "flac.mka", "mp3", "opus", "ogg", "m4a")


def noise(num_frames: int, num_channels: int = 1, seed: int = 3) -> np.ndarray:
    """Returns `[num_frames, num_channels]` that 16 bits hold exactly."""
    rng = np.random.default_rng(seed)
    values = rng.integers(-20_000, 20_000, (num_frames, num_channels))
    return (values / 2**15).astype(np.float32)


def encoded(
    samples: np.ndarray, rate_hz: int, file_format: str = "WAV", subtype: str = "PCM_16"
) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=file_format, subtype=subtype)
    return file.getvalue()


def muxed(samples: np.ndarray, rate_hz: int, container: str, codec: str) -> bytes:
    """Returns a file of FFmpeg's with one channel."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate_hz, layout="mono")
        context = stream.codec_context
        whole = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "fltp", "mono")
        whole.sample_rate = rate_hz
        whole.pts = 0
        resampler = av.AudioResampler(
            context.format, "mono", rate_hz, frame_size=context.frame_size or 1_024
        )
        for frame in [*resampler.resample(whole), *resampler.resample(None)]:
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def stream(name: str, samples: np.ndarray, rate_hz: int) -> bytes:
    if name == "alac.caf":
        return encoded(samples, rate_hz, "CAF", "ALAC_16")
    if name == "flac.mka":
        return muxed(samples, rate_hz, "matroska", "flac")
    if name == "m4a":
        return muxed(samples, rate_hz, "mp4", "aac")
    file_format, subtype = {
        "mp3": ("MP3", "MPEG_LAYER_III"),
        "opus": ("OGG", "OPUS"),
        "ogg": ("OGG", "VORBIS"),
    }[name]
    return encoded(samples, rate_hz, file_format, subtype)


def decoded_whole(data: bytes) -> np.ndarray:
    """Returns a recording mixed to mono."""
    with decoding.open_recording(io.BytesIO(data)) as recording:
        return np.concatenate(list(iter(recording.read, Empty())))


class Empty:
    """Equals an empty block."""

    def __eq__(self, block: object) -> bool:
        return isinstance(block, np.ndarray) and not len(block)


class Counting(io.BytesIO):
    """A file without a descriptor, that counts what is read of it and may be broken somewhere."""

    def __init__(self, data: bytes, broken_at: int | None = None) -> None:
        super().__init__(data)
        self.num_read = 0
        self._broken_at = broken_at

    def read(self, num_bytes: int | None = -1, /) -> bytes:
        if self._broken_at is not None and self.tell() + (num_bytes or 0) > self._broken_at:
            raise OSError(5, "Input/output error")
        data = super().read(num_bytes)
        self.num_read += len(data)
        return data


class Opener:
    """Opens the same recording as often as it must, and remembers what it gave."""

    def __init__(self, data: bytes, broken_at: int | None = None) -> None:
        self._data = data
        self._broken_at = broken_at
        self.opened: list[Counting] = []

    def __call__(self) -> BinaryIO:
        assert len(self.opened) < MOST_OPENED, "it is opened again and again"
        self.opened.append(Counting(self._data, self._broken_at))
        return self.opened[-1]

    @property
    def num_read(self) -> int:
        return sum(file.num_read for file in self.opened)


class Results:
    """What reading gave: no row twice, and no more verdicts than may be."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[int, np.ndarray]] = {}
        self.decode_results: dict[str, DecodedClip | Failure] = {}

    def add(self, found: PatchRun | DecodedClip | Failure) -> None:
        if isinstance(found, PatchRun):
            assert len(found.patches)
            rows = self.rows.setdefault(found.clip_id, {})
            for row, patch in enumerate(found.patches.copy(), found.first_row):
                assert row not in rows, "a row that comes twice"
                rows[row] = patch
            return
        clip_id = found.clip.id if isinstance(found, DecodedClip) else found.id
        assert clip_id not in self.decode_results, "two verdicts"
        self.decode_results[clip_id] = found

    def decoded(self, clip_id: str) -> DecodedClip:
        """Returns the verdict of a clip that must have succeeded, with the rows it promises."""
        verdict = self.decode_results[clip_id]
        assert isinstance(verdict, DecodedClip), verdict
        assert sorted(self.rows[clip_id]) == list(range(verdict.num_rows))
        return verdict

    def patches(self, clip_id: str) -> np.ndarray:
        num_rows = self.decoded(clip_id).num_rows
        return np.stack([self.rows[clip_id][row] for row in range(num_rows)])

    def failure(self, clip_id: str) -> Failure:
        verdict = self.decode_results[clip_id]
        assert isinstance(verdict, Failure), verdict
        assert verdict.step == "decode"
        return verdict

    def outcomes(self) -> dict[str, str]:
        """Returns for each clip why it failed, or `ok`."""
        return {
            clip_id: verdict.reason if isinstance(verdict, Failure) else "ok"
            for clip_id, verdict in self.decode_results.items()
        }


def read(
    source: bytes | Callable[[], BinaryIO],
    decode_tasks: DecodeTask | Iterable[DecodeTask],
    framing: FramingConfig,
    suffix: str = "",
) -> Results:
    results = Results()
    for decode_task in [decode_tasks] if isinstance(decode_tasks, DecodeTask) else decode_tasks:
        open_file = Opener(source) if isinstance(source, bytes) else source
        found = decode_spans(open_file, decode_task, framing, suffix)
        for each in itertools.islice(found, MOST_FOUND):
            results.add(each)
        assert next(found, None) is None, "no end is in sight"
    return results


def clip(clip_id: str, start: str = "0", end: str | None = None, **others: object) -> Clip:
    end_seconds = None if end is None else Decimal(end)
    return Clip(clip_id, "u", Decimal(start), end_seconds, **others)


def nearest_frame(seconds: Decimal, rate_hz: int) -> int:
    return int((seconds * rate_hz).to_integral_value(ROUND_HALF_UP))


def expected(
    mono: np.ndarray, rate_hz: int, clip: Clip, framing: FramingConfig
) -> tuple[str, np.ndarray, DecodedClip | None]:
    """Returns what must become of a clip, by the definitions: slice, resample, cut."""
    none = np.empty((0, framing.patch_samples), np.float32)
    start = nearest_frame(clip.start_seconds - clip.recording_offset_seconds, rate_hz)
    end = len(mono)
    if clip.end_seconds is not None:
        end = nearest_frame(clip.end_seconds - clip.recording_offset_seconds, rate_hz)
        if end <= start <= len(mono):
            return "empty", none, None
    if start >= len(mono):
        return "out_of_range", none, None
    waveform = mono[start:end]
    if rate_hz != 16_000:
        waveform = soxr.resample(waveform, rate_hz, 16_000, quality="VHQ")
    starts = range(0, len(waveform) - framing.patch_samples + 1, framing.hop_samples)
    patches = [waveform[at : at + framing.patch_samples] for at in starts]
    padded = not patches
    if padded and not framing.pad_short_clips:
        return "too_short", none, None
    if padded:
        patches = [np.pad(waveform, (0, framing.patch_samples - len(waveform)))]
    kept = patches[: framing.max_rows]
    at_its_end = clip.end_seconds is not None and end <= len(mono)
    end_of_recording = Fraction(len(mono), rate_hz) + Fraction(clip.recording_offset_seconds)
    decoded = DecodedClip(
        clip,
        len(kept),
        len(waveform),
        float(clip.end_seconds if at_its_end else end_of_recording),
        "",
        padded=padded,
        truncated=end > len(mono) and framing.clip_seconds is None,
        num_rows_skipped=len(patches) - len(kept),
    )
    return "ok", np.stack(kept), decoded


def assert_as_defined(
    results: Results,
    mono: np.ndarray,
    rate_hz: int,
    clips: Iterable[Clip],
    framing: FramingConfig,
    atol: float = 1e-7,
) -> None:
    clips = list(clips)
    assert set(results.decode_results) == {clip.id for clip in clips}
    for each in clips:
        outcome, patches, decoded = expected(mono, rate_hz, each, framing)
        assert results.outcomes()[each.id] == outcome, results.decode_results[each.id]
        if decoded is None:
            assert each.id not in results.rows
        else:
            got = results.decoded(each.id)
            assert got.decoder
            assert dataclasses.replace(got, decoder="") == decoded
            np.testing.assert_allclose(results.patches(each.id), patches, rtol=0, atol=atol)


# Spans against the whole.


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize(("num_channels", "file_format"), [(1, "WAV"), (2, "FLAC")])
@pytest.mark.parametrize("hop_samples", [15_360, 16_000, 1_601, 40_000])
def test_spans_of_a_clip_are_together_the_clip(
    rate_hz: int, num_channels: int, file_format: str, hop_samples: int
) -> None:
    samples = noise(10 * rate_hz + 321, num_channels)
    data = encoded(samples, rate_hz, file_format)
    framing = FramingConfig(PATCH_SAMPLES, hop_samples)
    whole = read(data, single_task([clip("a")]), framing)
    mono = samples.mean(axis=1)
    assert_as_defined(whole, mono, rate_hz, [clip("a")], framing)
    seconds = Fraction(len(samples), rate_hz)
    for span_rows in (7, 13) if hop_samples == 1_601 else (1, 2):
        decode_tasks = list(split_into_tasks([clip("a")], seconds, framing, span_rows))
        assert len(decode_tasks) >= 2
        spread = read(data, decode_tasks, framing)
        assert spread.decode_results == whole.decode_results
        np.testing.assert_allclose(spread.patches("a"), whole.patches("a"), rtol=0, atol=1e-7)


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
@pytest.mark.parametrize("max_rows", [1, 5, 6, 9, 10, 11, 100])
def test_spans_stop_at_the_limit_of_rows_and_count_what_is_skipped(
    rate_hz: int, max_rows: int
) -> None:
    samples = noise(10 * rate_hz)
    data = encoded(samples, rate_hz)
    framing = FramingConfig(PATCH_SAMPLES, 15_360, max_rows)
    clips = [clip("a"), clip("b", "1.5", "9"), clip("c", "3", "30")]
    whole = read(data, single_task(clips), framing)
    assert_as_defined(whole, samples[:, 0], rate_hz, clips, framing)
    spread = read(data, split_into_tasks(clips, Fraction(10), framing, 2), framing)
    assert_as_defined(spread, samples[:, 0], rate_hz, clips, framing)


@settings(max_examples=150, deadline=None)
@given(
    rate_hz=st.sampled_from([*RATES_HZ, 1_000, 96_000, 12_345]),
    num_ms=st.integers(1, 3_000),
    num_more=st.integers(0, 20),
    hop_samples=st.integers(100, 2_000),
    max_rows=st.none() | st.integers(1, 60),
    span_rows=st.integers(1, 30),
    times=st.none() | st.tuples(st.decimals(0, 1, places=4), st.decimals(1, 4, places=4)),
)
def test_spans_of_any_size_are_together_the_clip(
    rate_hz: int,
    num_ms: int,
    num_more: int,
    hop_samples: int,
    max_rows: int | None,
    span_rows: int,
    times: tuple[Decimal, Decimal] | None,
) -> None:
    samples = noise(num_ms * rate_hz // 1_000 + num_more + 1)
    data = encoded(samples, rate_hz)
    framing = FramingConfig(400, hop_samples, max_rows)
    asked_for = clip("a") if times is None else Clip("a", "u", *times)
    seconds = Fraction(len(samples), rate_hz)
    decode_tasks = itertools.islice(
        split_into_tasks([asked_for], seconds, framing, span_rows), 1_000
    )
    results = read(data, decode_tasks, framing)
    atol = 1e-5 if rate_hz == 12_345 else 1e-7
    assert_as_defined(results, samples[:, 0], rate_hz, [asked_for], framing, atol)


# Clips in time.


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("file_format", ["WAV", "FLAC"])
def test_clips_in_any_order_overlapping_and_touching_are_slices_of_the_recording(
    rate_hz: int, file_format: str
) -> None:
    samples = noise(6 * rate_hz, 2)
    clips = [
        clip("last", "4.2"),
        clip("whole"),
        clip("first", "0", "1.000011"),
        clip("touching", "1.000011", "2.5"),
        clip("overlapping", "2.000045", "4.999977"),
        clip("inside", "2.1", "2.2"),
        clip("same", "2.1", "2.2"),
        clip("the same start", "2.1", "5"),
    ]
    mono = samples.mean(axis=1)
    data = encoded(samples, rate_hz, file_format)
    for order in (clips, clips[::-1]):
        results = read(data, single_task(order), VGGISH)
        assert_as_defined(results, mono, rate_hz, clips, VGGISH)
    spread = read(data, split_into_tasks(clips, Fraction(6), VGGISH, 2), VGGISH)
    assert spread.decode_results == results.decode_results
    assert_as_defined(spread, mono, rate_hz, clips, VGGISH)


@pytest.mark.parametrize(
    ("start", "end", "first", "behind"),
    [
        ("0.0625", "0.125", 500, 1_000),
        ("0.00006", "1", 0, 8_000),
        ("0.0000625", "1", 1, 8_000),
        ("0.00019", "0.00031", 2, 2),
        ("0.00019", "0.0003125", 2, 3),
    ],
)
def test_each_time_is_rounded_once_to_the_nearest_frame_and_half_a_frame_up(
    start: str, end: str, first: int, behind: int
) -> None:
    samples = noise(8_000)
    framing = FramingConfig(1, 1)
    results = read(encoded(samples, 8_000), single_task([clip("a", start, end)]), framing)
    if first == behind:
        assert results.failure("a").reason == "empty"
        return
    part = soxr.resample(samples[first:behind, 0], 8_000, 16_000, quality="VHQ")
    np.testing.assert_allclose(results.patches("a")[:, 0], part, rtol=0, atol=1e-7)


def test_a_clip_that_reaches_beyond_the_end_is_truncated_or_out_of_range() -> None:
    samples = noise(32_000)
    clips = [
        clip("in it", "0", "2"),
        clip("truncated", "0.5", "2.5"),
        clip("a frame", "1.99994", "3"),
        clip("at the end", "2", "3"),
        clip("open at the end", "2"),
        clip("behind", "2.5", "3"),
        clip("open behind", "100"),
    ]
    results = read(encoded(samples, 16_000), single_task(clips), VGGISH)
    assert_as_defined(results, samples[:, 0], 16_000, clips, VGGISH)
    assert not results.decoded("in it").truncated
    for name in ("truncated", "a frame"):
        assert results.decoded(name).truncated
        assert results.decoded(name).end_seconds == 2.0
    for name, begins in (("at the end", "2"), ("behind", "2.5"), ("open behind", "100")):
        assert results.failure(name).reason == "out_of_range"
        assert f"ends after 2.000 s, and the clip begins at {begins} s" in (
            results.failure(name).message
        )


@pytest.mark.parametrize("kind", ["WAV", "alac.caf"])
def test_times_of_a_file_cut_out_of_a_longer_recording_begin_where_it_was_cut(kind: str) -> None:
    samples = noise(48_000)
    data = encoded(samples, 16_000) if kind == "WAV" else stream("alac.caf", samples[:, 0], 16_000)
    zero = Decimal("30.5")
    clips = [
        clip("whole", "30.5", None, recording_offset_seconds=zero),
        clip("part", "31", "32.25", recording_offset_seconds=zero),
        clip("truncated", "31", "40", recording_offset_seconds=zero),
        clip("behind", "33.5", "40", recording_offset_seconds=zero),
        clip("from another zero", "1", "2"),
    ]
    results = read(data, single_task(clips), VGGISH)
    assert_as_defined(results, samples[:, 0], 16_000, clips, VGGISH)
    assert results.decoded("whole").end_seconds == 33.5
    assert results.decoded("part").end_seconds == 32.25
    assert results.decoded("truncated").end_seconds == 33.5
    assert "ends after 3.000 s, and the clip begins at 3.0 s" in results.failure("behind").message


def test_a_clip_without_a_sample_is_empty_and_others_there_are_not() -> None:
    samples = noise(16_000)
    clips = [
        clip("before", "0", "0.5"),
        clip("empty", "0.50001", "0.50002"),
        clip("a sample", "0.5", "0.5000625"),
        clip("no time", "0.25", "0.25"),
        clip("no time at the end", "1", "1"),
        clip("behind", "0.5"),
    ]
    results = read(encoded(samples, 16_000), single_task(clips), SMALL)
    assert_as_defined(results, samples[:, 0], 16_000, clips, SMALL)
    assert results.outcomes() == {
        "before": "ok",
        "empty": "empty",
        "a sample": "ok",
        "no time": "empty",
        "no time at the end": "empty",
        "behind": "ok",
    }


def test_every_clip_of_a_recording_without_a_sample_is_empty() -> None:
    clips = [clip("whole"), clip("part", "1", "2")]
    for data in (b"", encoded(noise(0), 16_000)):
        for decode_tasks in (single_task(clips), [single_task([each]) for each in clips]):
            assert set(read(data, decode_tasks, VGGISH).outcomes().items()) == {
                ("whole", "empty"),
                ("part", "empty"),
            }


# Streams.

IN_STREAMS = [
    clip("middle", "1.25", "3.000021"),
    clip("whole"),
    clip("overlapping", "0.5", "1.5"),
    clip("last", "3.1", "60"),
    clip("behind", "50", "60"),
]


@pytest.mark.parametrize("name", STREAMS)
def test_clips_of_a_stream_are_slices_of_all_that_is_decoded(name: str) -> None:
    rate_hz = 48_000 if name == "opus" else 44_100
    data = stream(name, noise(4 * rate_hz)[:, 0], rate_hz)
    mono = decoded_whole(data)
    results = read(data, single_task(IN_STREAMS), VGGISH)
    assert_as_defined(results, mono, rate_hz, IN_STREAMS, VGGISH, atol=1e-6)
    assert results.failure("behind").reason == "out_of_range"


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_read_once_for_all_its_clips(name: str) -> None:
    data = stream(name, noise(200_000)[:, 0], 48_000)
    for_one, for_all = Opener(data), Opener(data)
    read(for_one, single_task([clip("whole")]), VGGISH)
    read(for_all, single_task(IN_STREAMS), VGGISH)
    assert len(for_one.opened) == len(for_all.opened) == 1
    assert for_all.num_read == for_one.num_read


def test_a_flac_that_does_not_know_its_length_is_read_as_a_stream() -> None:
    samples = noise(64_000)
    data = bytearray(encoded(samples, 16_000, "FLAC"))
    data[8 + 13] &= 0xF0  # 36 bits in STREAMINFO
    data[8 + 14 : 8 + 18] = bytes(4)
    with decoding.open_recording(io.BytesIO(data)) as recording:
        assert recording.num_frames is None
    clips = [clip("a", "1", "2.5"), clip("b", "0.5", "3"), clip("c", "3"), clip("d", "4")]
    results = read(bytes(data), single_task(clips), VGGISH)
    assert_as_defined(results, samples[:, 0], 16_000, clips, VGGISH)


def test_a_clip_far_into_a_long_recording_reads_only_its_part() -> None:
    data = encoded(noise(60 * 44_100, 2), 44_100)
    file = Opener(data)
    results = read(file, single_task([clip("a", "50", "52")]), VGGISH)
    assert results.decoded("a").num_rows == 2
    assert 2 * 176_400 <= file.num_read < 2.5 * 176_400
    file = Opener(data)
    *_, before, _ = split_into_tasks([clip("a")], Fraction(60), VGGISH, 10)
    read(file, before, VGGISH)
    assert file.num_read < (10 * 0.96 + 2.5) * 176_400
    file = Opener(data)
    results = read(file, single_task([clip("a", "10")]), dataclasses.replace(VGGISH, max_rows=3))
    assert results.decoded("a").num_rows_skipped == 52 - 3
    assert file.num_read < (3 + 2.5) * 176_400


# Cutting into pieces.


def pieces_of(results: Results) -> list[tuple[str, Decimal, Decimal | None, str, str]]:
    found = []
    for clip_id, outcome in results.outcomes().items():
        if outcome == "ok":
            piece = results.decoded(clip_id).clip
            times = piece.start_seconds, piece.end_seconds
            found.append((clip_id, *times, piece.recording, outcome))
    return sorted(found, key=lambda each: each[1])


def piece(start: str, seconds: str) -> Clip:
    end = str(Decimal(start) + Decimal(seconds))
    return clip(f"a#{start}", start, end, recording="a")


def cut_into(seconds: str, framing: FramingConfig = VGGISH) -> FramingConfig:
    return dataclasses.replace(framing, clip_seconds=Decimal(seconds))


@pytest.mark.parametrize("name", ["WAV", "mp3", "alac.caf"])
@pytest.mark.parametrize(
    ("num_seconds", "starts"),
    [
        ("4", ["0", "2"]),
        ("6", ["0", "2", "4"]),
        ("4.975", ["0", "2", "4"]),
        ("4.97", ["0", "2"]),
        ("4.0001", ["0", "2"]),
        ("3.9", ["0", "2"]),
        ("2", ["0"]),
        ("1.2", ["0"]),
        ("0.3", ["0"]),
    ],
)
def test_a_recording_is_cut_and_the_last_piece_kept_if_it_has_a_row(
    name: str, num_seconds: str, starts: list[str]
) -> None:
    samples = noise(int(Decimal(num_seconds) * 16_000))[:, 0]
    data = encoded(samples, 16_000) if name == "WAV" else stream(name, samples, 16_000)
    mono = decoded_whole(data)
    assert len(mono) == len(samples)
    results = read(data, single_task([clip("a")]), cut_into("2"))
    pieces = [piece(start, "2") for start in starts]
    assert_as_defined(results, mono, 16_000, pieces, cut_into("2"), 1e-6)
    *full, last = (results.decoded(f"a#{start}") for start in starts)
    assert {each.num_samples for each in full} <= {32_000}
    assert last.end_seconds == min(float(num_seconds), float(starts[-1]) + 2)


@pytest.mark.parametrize("name", ["WAV", "mp3"])
def test_a_recording_shorter_than_a_row_is_not_cut_away(name: str) -> None:
    samples = noise(8_000)[:, 0]
    data = encoded(samples, 16_000) if name == "WAV" else stream(name, samples, 16_000)
    padded = read(data, single_task([clip("a")]), cut_into("2"))
    assert padded.decoded("a#0").padded
    skipping = dataclasses.replace(cut_into("2"), pad_short_clips=False)
    failed = read(data, single_task([clip("a")]), skipping)
    assert failed.outcomes() == {"a#0": "too_short"}


@pytest.mark.parametrize("name", ["WAV", "mp3"])
def test_clips_with_start_and_end_are_cut_into_pieces_of_their_own(name: str) -> None:
    samples = noise(128_000)[:, 0]
    data = encoded(samples, 16_000) if name == "WAV" else stream(name, samples, 16_000)
    clips = [
        clip("a", "1.5", "6.5"),
        clip("b", "1.5", "6", recording="r"),
        clip("c", "7", "100"),
        clip("d", "9", "100"),
    ]
    results = read(data, single_task(clips), cut_into("2"))
    expected_pieces = [
        clip("a#1.5", "1.5", "3.5", recording="a"),
        clip("a#3.5", "3.5", "5.5", recording="a"),
        clip("a#5.5", "5.5", "6.5", recording="a"),
        clip("b#1.5", "1.5", "3.5", recording="r"),
        clip("b#3.5", "3.5", "5.5", recording="r"),
        clip("c#7", "7", "9", recording="c"),
        clip("d#9", "9", "11", recording="d"),
    ]
    mono = decoded_whole(data)
    assert_as_defined(results, mono, 16_000, expected_pieces, cut_into("2"), 1e-6)
    assert results.decoded("c#7").end_seconds == 8
    assert results.failure("d#9").reason == "out_of_range"


@pytest.mark.parametrize("end", ["4.00001", "4.000031"])
@pytest.mark.parametrize("span_rows", [None, 2])
def test_a_rest_without_a_sample_is_skipped(end: str, span_rows: int | None) -> None:
    data = encoded(noise(80_000), 16_000)
    framing = cut_into("2")
    decode_tasks = [single_task([clip("a", "0", end)])]
    if span_rows is not None:
        decode_tasks = list(
            split_into_tasks([clip("a", "0", end)], Fraction(5), framing, span_rows)
        )
    assert read(data, decode_tasks, framing).outcomes() == {"a#0": "ok", "a#2": "ok"}


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_pieces_of_exactly_one_row_are_all_there_at_every_rate(rate_hz: int) -> None:
    data = encoded(noise(10 * rate_hz), rate_hz)
    results = read(data, single_task([clip("a")]), cut_into("0.975"))
    starts = [each[1] for each in pieces_of(results)]
    assert starts == [Decimal("0.975") * index for index in range(10)]
    assert {results.decoded(clip_id).num_rows for clip_id in results.decode_results} == {1}


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 44_100])
@pytest.mark.parametrize("times", [("0", None), ("1.25", "12.3"), ("0.5", "12"), ("0", "100")])
@pytest.mark.parametrize("clip_seconds", ["1.5", "2"])
def test_pieces_are_the_same_however_the_work_is_spread(
    rate_hz: int, times: tuple[str, str | None], clip_seconds: str
) -> None:
    samples = noise(int(12.7 * rate_hz))
    data = encoded(samples, rate_hz)
    framing = cut_into(clip_seconds)
    asked_for = clip("a", *times)
    together = read(data, single_task([asked_for]), framing)
    assert len(together.decode_results) >= 5
    seconds = Fraction(len(samples), rate_hz)
    for span_rows in (1, 2, 3):
        decode_tasks = list(split_into_tasks([asked_for], seconds, framing, span_rows))
        assert len(decode_tasks) >= 2
        spread = read(data, decode_tasks, framing)
        assert spread.decode_results == together.decode_results
        for clip_id in together.decode_results:
            got, want = spread.patches(clip_id), together.patches(clip_id)
            np.testing.assert_array_equal(got, want)


def test_a_stream_is_cut_for_all_its_clips_in_one_pass() -> None:
    data = stream("mp3", noise(160_000)[:, 0], 16_000)
    file = Opener(data)
    results = read(file, single_task([clip("a"), clip("b", "0.5", "8")]), cut_into("1"))
    assert len(file.opened) == 1
    assert len(results.decode_results) == 10 + 7
    assert set(results.outcomes().values()) == {"ok"}


# Damage.

AROUND_5_SECONDS = [
    clip("long before", "0", "2"),
    clip("just before", "2", "4.5"),
    clip("over", "4", "6"),
    clip("long over", "1", "9"),
    clip("just behind", "5.5", "7"),
    clip("long behind", "8", "9.5"),
]


def seconds_in(message: str) -> float:
    """Returns after how many seconds a message says that decoding failed."""
    return float(message.partition("decoding fails after ")[2].partition(" s")[0])


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_of_a_truncated_wav_the_clips_before_the_end_succeed(rate_hz: int) -> None:
    samples = noise(10 * rate_hz)
    data = encoded(samples, rate_hz)[: 44 + 2 * 5 * rate_hz]
    results = read(data, single_task(AROUND_5_SECONDS), VGGISH)
    before, damaged = AROUND_5_SECONDS[:2], AROUND_5_SECONDS[2:]
    assert {results.failure(each.id).reason for each in damaged} == {"decode_error"}
    for each in damaged[:2]:
        assert seconds_in(results.failure(each.id).message) == 5
        assert "truncated: its header promises" in results.failure(each.id).message
    for each in damaged:
        del results.decode_results[each.id]
        results.rows.pop(each.id, None)
    assert_as_defined(results, samples[:, 0], rate_hz, before, VGGISH)


@pytest.mark.parametrize(
    ("name", "share"), [("FLAC", 0.5), ("mp3", 0.5), ("ogg", 0.58), ("flac.mka", 0.5)]
)
def test_of_another_truncated_recording_the_clips_before_the_end_succeed(
    name: str, share: float
) -> None:
    samples = noise(160_000)
    data = encoded(samples, 16_000, "FLAC")
    if name != "FLAC":
        data = stream(name, samples[:, 0], 16_000)
    mono = decoded_whole(data)
    results = read(data[: int(share * len(data))], single_task(AROUND_5_SECONDS), VGGISH)
    before, damaged = AROUND_5_SECONDS[:2], AROUND_5_SECONDS[2:]
    assert {results.failure(each.id).reason for each in damaged} == {"decode_error"}
    for each in damaged[:2]:
        assert seconds_in(results.failure(each.id).message) == pytest.approx(5, abs=0.6)
    for each in damaged:
        del results.decode_results[each.id]
        results.rows.pop(each.id, None)
    assert_as_defined(results, mono, 16_000, before, VGGISH, atol=1e-6)


def with_damage(data: bytes, share: float, num_bytes: int = 200) -> bytes:
    """Overwrites bytes in the middle of a recording."""
    at = int(share * len(data))
    return data[:at] + np.random.default_rng(0).bytes(num_bytes) + data[at + num_bytes :]


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
@pytest.mark.parametrize("num_bytes", [4, 200, 8_000])
def test_behind_a_corrupted_block_of_a_flac_the_clips_succeed_again(
    rate_hz: int, num_bytes: int
) -> None:
    samples = noise(10 * rate_hz)
    data = with_damage(encoded(samples, rate_hz, "FLAC"), 0.5, num_bytes)
    file = Opener(data)
    results = read(file, single_task(AROUND_5_SECONDS), VGGISH)
    for name in ("over", "long over"):
        failed = results.failure(name)
        assert failed.reason == "decode_error"
        assert seconds_in(failed.message) == pytest.approx(5, abs=0.3)
        del results.decode_results[name]
        results.rows.pop(name, None)
    good = [each for each in AROUND_5_SECONDS if "over" not in each.id]
    assert_as_defined(results, samples[:, 0], rate_hz, good, VGGISH)
    assert len(file.opened) == 2


def test_only_the_piece_on_a_corrupted_block_fails() -> None:
    data = with_damage(encoded(noise(160_000), 16_000, "FLAC"), 0.53)
    together = read(data, single_task([clip("a")]), cut_into("1"))
    outcomes = {f"a#{start}": "decode_error" if start == 5 else "ok" for start in range(10)}
    assert together.outcomes() == outcomes
    spread = split_into_tasks([clip("a")], Fraction(10), cut_into("1"), 3)
    assert read(data, spread, cut_into("1")).outcomes() == outcomes


def test_spans_of_a_clip_on_a_corrupted_block_fail_and_none_gives_a_wrong_row() -> None:
    samples = noise(20 * 16_000)
    data = with_damage(encoded(samples, 16_000, "FLAC"), 0.5)
    whole = expected(samples[:, 0], 16_000, clip("a"), VGGISH)[1]
    reasons, rows = [], set()
    for decode_task in split_into_tasks([clip("a")], Fraction(20), VGGISH, 4):
        results = read(data, decode_task, VGGISH)
        for row, patch in results.rows.get("a", {}).items():
            np.testing.assert_array_equal(patch, whole[row])
            rows.add(row)
        reasons += [
            each.reason for each in results.decode_results.values() if isinstance(each, Failure)
        ]
    assert set(reasons) == {"decode_error"}
    assert {*range(8), *range(13, 20)} <= rows


@pytest.mark.parametrize("name", ["mp3", "flac.mka"])
def test_a_truncated_stream_fails_in_the_piece_where_it_ends(name: str) -> None:
    data = stream(name, noise(160_000)[:, 0], 16_000)
    results = read(data[: int(0.55 * len(data))], single_task([clip("a")]), cut_into("1"))
    assert results.outcomes() == {
        **{f"a#{start}": "ok" for start in range(5)},
        "a#5": "decode_error",
    }


@pytest.mark.parametrize(
    ("value", "reason"),
    [(np.nan, "non_finite"), (np.inf, "non_finite"), (-300.0, "over_full_scale")],
)
@pytest.mark.parametrize("file_format", ["WAV", "MAT5"])
def test_what_is_not_sound_fails_only_the_clips_that_hold_it(
    value: float, reason: str, file_format: str
) -> None:
    samples = noise(160_000)
    samples[80_000] = value
    samples[120_000] = value
    clips = [*AROUND_5_SECONDS, clip("between", "5.0000625", "7.5"), clip("up to it", "3", "5")]
    holding = {"over", "long over", "long behind"}
    clips[5] = clip("long behind", "7.5", "9.5")
    data = encoded(samples, 16_000, file_format, "FLOAT")
    file = Opener(data)
    results = read(file, single_task(clips), VGGISH)
    assert len(file.opened) == 1
    outcomes = {each.id: reason if each.id in holding else "ok" for each in clips}
    assert results.outcomes() == outcomes
    if reason == "non_finite":
        assert "at 5.000 s" in results.failure("over").message
        assert "at 7.500 s" in results.failure("long behind").message
    for each in clips:
        if each.id not in holding:
            patches = expected(samples[:, 0], 16_000, each, VGGISH)[1]
            np.testing.assert_array_equal(results.patches(each.id), patches)


# Storage that fails.


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError(2, "No such file or directory"), "not_found"),
        (FileNotFoundError("mem://u does not exist"), "not_found"),
        (PermissionError(13, "Permission denied"), "unreadable"),
        (IsADirectoryError(21, "Is a directory"), "unreadable"),
        (OSError("the bucket is gone"), "unreadable"),
    ],
)
@pytest.mark.parametrize("clip_seconds", [None, Decimal(2)])
def test_a_recording_that_cannot_be_opened_fails_every_clip_once(
    error: OSError, reason: str, clip_seconds: Decimal | None
) -> None:
    num_opened = 0

    def refuse() -> BinaryIO:
        nonlocal num_opened
        num_opened += 1
        raise error

    clips = [clip("a", "7"), clip("b", "1", "5"), clip("c")]
    framing = dataclasses.replace(VGGISH, clip_seconds=clip_seconds)
    results = read(refuse, single_task(clips), framing)
    ids = ["a", "b", "c"] if clip_seconds is None else ["a#7", "b#1", "c#0"]
    assert results.outcomes() == dict.fromkeys(ids, reason)
    assert {results.failure(clip_id).message for clip_id in ids} == {error.strerror or str(error)}
    assert not results.rows
    assert num_opened == 1


@pytest.mark.parametrize("file_format", ["WAV", "FLAC"])
def test_a_storage_that_fails_in_the_middle_fails_what_is_left(file_format: str) -> None:
    samples = noise(160_000)
    data = encoded(samples, 16_000, file_format)
    file = Opener(data, broken_at=len(data) // 2)
    results = read(file, single_task(AROUND_5_SECONDS), VGGISH)
    before = AROUND_5_SECONDS[:2]
    for each in AROUND_5_SECONDS[2:]:
        failed = results.failure(each.id)
        assert (failed.reason, failed.message) == ("unreadable", "Input/output error")
        del results.decode_results[each.id]
        results.rows.pop(each.id, None)
    assert_as_defined(results, samples[:, 0], 16_000, before, VGGISH)
    assert len(file.opened) == 1


@pytest.mark.parametrize("name", ["mp3", "m4a"])
def test_a_storage_that_fails_while_a_stream_is_read_fails_what_is_left(name: str) -> None:
    data = stream(name, noise(441_000)[:, 0], 44_100)
    file = Opener(data, broken_at=len(data) // 2)
    results = read(file, single_task(AROUND_5_SECONDS), VGGISH)
    assert set(results.decode_results) == {each.id for each in AROUND_5_SECONDS}
    for name in ("over", "long over", "just behind", "long behind"):
        assert results.failure(name).reason == "unreadable"


def test_a_recording_that_is_gone_when_it_is_opened_again_fails_what_is_left() -> None:
    data = with_damage(encoded(noise(160_000), 16_000, "FLAC"), 0.5)
    opened = iter([io.BytesIO(data)])

    def open_file() -> BinaryIO:
        try:
            return next(opened)
        except StopIteration:
            raise FileNotFoundError(2, os.strerror(2)) from None

    assert read(open_file, single_task(AROUND_5_SECONDS), VGGISH).outcomes() == {
        "long before": "ok",
        "just before": "ok",
        "over": "decode_error",
        "long over": "decode_error",
        "just behind": "not_found",
        "long behind": "not_found",
    }


def test_what_is_no_audio_fails_every_clip_once() -> None:
    results = read(b"no sound" * 100, single_task(AROUND_5_SECONDS), VGGISH)
    assert set(results.outcomes().values()) == {"unsupported_format"}
    assert len(results.decode_results) == len(AROUND_5_SECONDS)


def test_a_channel_that_is_not_there_fails_every_clip_once() -> None:
    framing = dataclasses.replace(VGGISH, channel=3)
    for data in (encoded(noise(160_000, 2), 16_000), stream("mp3", noise(160_000), 16_000)):
        results = read(data, single_task(AROUND_5_SECONDS), framing)
        assert results.outcomes() == {each.id: "no_channel" for each in AROUND_5_SECONDS}


# Whatever is asked for.

microseconds = st.integers(0, 2_200_000).map(lambda number: Decimal(number).scaleb(-6))


@st.composite
def clips_in_time(draw: st.DrawFn) -> list[Clip]:
    clips = []
    for index in range(draw(st.integers(1, 8))):
        start, end = draw(microseconds), draw(st.none() | microseconds)
        zero = draw(st.sampled_from([Decimal(0), Decimal("0.000001"), Decimal("17.3")]))
        if end is not None:
            start, end = min(start, end), max(start, end)
            end += zero + Decimal("0.000001")
        clips.append(Clip(f"{index}", "u", start + zero, end, recording_offset_seconds=zero))
    return clips


@settings(max_examples=200, deadline=None)
@given(
    clips=clips_in_time(),
    rate_hz=st.sampled_from(RATES_HZ),
    num_frames=st.integers(1, 30_000),
    kind=st.sampled_from(["WAV", "FLAC", "alac.caf"]),
    framing=st.builds(
        FramingConfig,
        patch_samples=st.sampled_from([1, 400, 5_000]),
        hop_samples=st.sampled_from([160, 400, 7_000]),
        max_rows=st.none() | st.integers(1, 20),
        pad_short_clips=st.booleans(),
    ),
    span_rows=st.none() | st.integers(3, 100),
)
def test_every_clip_gets_one_verdict_and_the_rows_that_it_promises(
    clips: list[Clip],
    rate_hz: int,
    num_frames: int,
    kind: str,
    framing: FramingConfig,
    span_rows: int | None,
) -> None:
    samples = noise(num_frames)
    if kind == "alac.caf":
        data, span_rows = stream(kind, samples, rate_hz), None
    else:
        data = encoded(samples, rate_hz, kind)
    decode_tasks = [single_task(clips)]
    if span_rows is not None:
        seconds = Fraction(num_frames, rate_hz)
        decode_tasks = list(split_into_tasks(clips, seconds, framing, span_rows))
    results = read(data, decode_tasks, framing)
    assert_as_defined(results, samples[:, 0], rate_hz, clips, framing)


@settings(max_examples=100, deadline=None)
@given(
    clips=clips_in_time(),
    clip_ms=st.just(25) | st.integers(25, 900),
    rate_hz=st.sampled_from([11_025, 16_000, 44_100]),
    num_frames=st.integers(1, 30_000),
    kind=st.sampled_from(["WAV", "alac.caf"]),
    pad_short_clips=st.booleans(),
)
def test_pieces_are_the_clips_that_one_would_write_down(
    clips: list[Clip],
    clip_ms: int,
    rate_hz: int,
    num_frames: int,
    kind: str,
    pad_short_clips: bool,
) -> None:
    samples = noise(num_frames)
    data = encoded(samples, rate_hz) if kind == "WAV" else stream(kind, samples, rate_hz)
    length = Decimal(clip_ms).scaleb(-3)
    framing = dataclasses.replace(SMALL, clip_seconds=length, pad_short_clips=pad_short_clips)
    written = []
    for each in clips:
        end = Fraction(num_frames, rate_hz) + Fraction(each.recording_offset_seconds)
        if each.end_seconds is not None:
            end = min(end, Fraction(each.end_seconds))
        for index in range(1_000):
            start = each.start_seconds + index * length
            if index and start >= end:
                break
            until = start + length
            if each.end_seconds is not None:
                until = min(until, each.end_seconds)
            written_down = dataclasses.replace(
                each,
                id=f"{each.id}#{start.normalize():f}",
                start_seconds=start,
                end_seconds=until,
                recording=each.id,
            )
            _, _, decoded = expected(samples[:, 0], rate_hz, written_down, SMALL)
            has_row = decoded is not None and not decoded.padded
            is_whole = decoded is not None and not decoded.truncated and until - start == length
            if not index or has_row or is_whole:
                written.append(written_down)
    results = read(data, single_task(clips), framing)
    assert_as_defined(results, samples[:, 0], rate_hz, written, framing)
