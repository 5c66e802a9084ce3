"""Synthetic audio, encoded in any format, and the blocks of a recording."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile

from transforms.audio import decoding
from transforms.audio.decoders.decoder import FilePart
from transforms.audio.recording import Recording
from transforms.corpus.clips import RawFormat


def noise(num_samples: int, seed: int = 0, scale: float = 0.1) -> np.ndarray:
    """Returns float32 `[num_samples]` that 16 bits represent exactly."""
    samples = np.random.default_rng(seed).normal(0, scale, num_samples)
    return (np.clip(np.round(samples * 2**15), -(2**15), 2**15 - 1) / 2**15).astype(np.float32)


def write_wav(path: Path, samples: np.ndarray, sample_rate_hz: int = 16_000) -> np.ndarray:
    """Writes 16-bit WAV, and returns the samples."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:  # soundfile itself takes no path that is not UTF-8
        soundfile.write(file, samples, sample_rate_hz, subtype="PCM_16", format="WAV")
    return samples


def encode(
    samples: np.ndarray,
    rate_hz: int,
    file_format: str = "WAV",
    subtype: str = "PCM_16",
    **options: object,
) -> bytes:
    """Encodes `[num_frames]` or `[num_frames, num_channels]` with libsndfile."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=file_format, subtype=subtype, **options)
    return file.getvalue()


def encode_with_ffmpeg(
    samples: np.ndarray,
    rate_hz: int,
    container: str,
    codec: str,
    bit_rate: int | None = None,
    options: dict[str, str] | None = None,
    with_video: bool = False,
    muxer_options: dict[str, str] | None = None,
) -> bytes:
    """Encodes `[num_frames]` or `[num_frames, num_channels]` (1, 2, 6 or 8) with FFmpeg."""
    import av

    samples = samples.reshape(len(samples), -1)
    layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[samples.shape[1]]
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=muxer_options or {}) as output:
        # PyAV types a stream by the codec's literal name, which is not known here.
        stream: Any = output.add_stream(codec, rate=rate_hz, layout=layout)
        if bit_rate is not None:
            stream.bit_rate = bit_rate
        stream.options = options or {}
        if with_video:
            video = output.add_stream("mpeg4", rate=10)
            video.width = video.height = 32
            for index in range(10 * len(samples) // rate_hz):
                image = av.VideoFrame(32, 32, "yuv420p")
                image.pts = index
                output.mux(video.encode(image))
            output.mux(video.encode(None))
        context = stream.codec_context
        # Not planar: PyAV fails on eight planes.
        whole = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples).reshape(1, -1), "flt", layout
        )
        whole.sample_rate = rate_hz
        whole.pts = 0
        resampler = av.AudioResampler(
            context.format, layout, rate_hz, frame_size=context.frame_size or 1_024
        )
        for frame in [*resampler.resample(whole), *resampler.resample(None)]:
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def tone(num_frames: int, rate_hz: int = 44_100, num_channels: int = 1) -> np.ndarray:
    """Returns a sine of 440 Hz, in each channel half as loud as in the one before."""
    sine = 0.5 * np.sin(2 * np.pi * 440 * np.arange(num_frames) / rate_hz)
    return (sine[:, None] * 0.5 ** np.arange(num_channels)).astype(np.float32)


def file_part(data: bytes) -> FilePart:
    """Returns a file in memory as decoders get it."""
    return FilePart(io.BytesIO(data), 0, len(data))


def blocks_of(recording: Recording) -> Iterator[np.ndarray]:
    """Yields the blocks of a recording up to its end, validated like those of clips."""
    while len(block := recording.read()):
        first_frame = recording.position - len(block)
        decoding.validate_samples(block, first_frame, recording.sample_rate_hz, recording.is_float)
        yield block


def decode(
    file: bytes | BinaryIO,
    suffix: str = "",
    raw_format: RawFormat | None = None,
    channel: int | None = None,
    keep_damaged: bool = False,
) -> tuple[int, np.ndarray]:
    """Returns the sample rate and all samples of a recording."""
    opened = io.BytesIO(file) if isinstance(file, bytes) else file
    with decoding.open_recording(opened, suffix, raw_format, channel, keep_damaged) as recording:
        blocks = list(blocks_of(recording))
        assert recording.position == sum(map(len, blocks))
        assert {(block.dtype, block.ndim) for block in blocks} == {(np.dtype(np.float32), 1)}
        return recording.sample_rate_hz, np.concatenate(blocks)


def assert_exact_seeks(recording: Recording, expected: np.ndarray) -> None:
    """Checks seeks to several positions against all samples of a seekable recording."""
    num_frames = len(expected)
    for start in (num_frames // 2, 1, num_frames - 1, 0, num_frames // 3, num_frames - 700):
        recording.seek(start)
        assert recording.position == start
        blocks = [recording.read(1), recording.read(500)]
        assert recording.position == min(start + 501, num_frames)
        got = np.concatenate(blocks)
        assert got.tolist() == expected[start : start + 501].tolist()
    for beyond in (num_frames, num_frames + 1, 10**9):
        recording.seek(beyond)
        assert recording.position == num_frames
        assert not len(recording.read())
