"""Decoding of spans in tests: recordings, what decoding them gives, and what it must give."""

import dataclasses
import io
import itertools
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np
import soxr

from tests.sounds import encode, encode_with_ffmpeg
from transforms.audio import decoding
from transforms.audio.span_decoding import Decoded, decode_spans
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.runs import DamagedAudio, DecodedClip, PatchRun
from transforms.corpus.spans import DecodeTask, FramingConfig

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


def stream(name: str, samples: np.ndarray, rate_hz: int) -> bytes:
    if name == "alac.caf":
        return encode(samples, rate_hz, "CAF", "ALAC_16")
    if name == "flac.mka":
        return encode_with_ffmpeg(samples, rate_hz, "matroska", "flac")
    if name == "m4a":
        return encode_with_ffmpeg(samples, rate_hz, "mp4", "aac")
    file_format, subtype = {
        "mp3": ("MP3", "MPEG_LAYER_III"),
        "opus": ("OGG", "OPUS"),
        "ogg": ("OGG", "VORBIS"),
    }[name]
    return encode(samples, rate_hz, file_format, subtype)


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
        self.damages: list[DamagedAudio] = []

    def add(self, found: Decoded) -> None:
        if isinstance(found, DamagedAudio):
            self.damages.append(found)
            return
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


def clip(clip_id: str, start: str = "0", end: str | None = None, **others: Any) -> Clip:
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
    end_seconds = clip.end_seconds if at_its_end else end_of_recording
    assert end_seconds is not None
    decoded = DecodedClip(
        clip,
        len(kept),
        len(waveform),
        float(end_seconds),
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


def cut_into(seconds: str, framing: FramingConfig = VGGISH) -> FramingConfig:
    return dataclasses.replace(framing, clip_seconds=Decimal(seconds))
