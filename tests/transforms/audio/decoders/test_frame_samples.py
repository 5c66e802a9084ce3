import av
import numpy as np
import pytest

from tests.sounds import decode, encode_with_ffmpeg, noise
from transforms.audio.decoders.frame_samples import float_samples

NUM_FRAMES = 50
TYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}
# Full scale of integers, and silence.
SCALES = {"u8": (2**7, 2**7), "s16": (2**15, 0), "s32": (2**31, 0), "s64": (2**63, 0)}


@pytest.mark.parametrize("planar", ["", "p"], ids=["packed", "planar"])
@pytest.mark.parametrize("layout", ["mono", "stereo", "7.1", "hexadecagonal"])
@pytest.mark.parametrize("name", TYPES)
def test_samples_are_those_of_the_frame(name: str, layout: str, planar: str) -> None:
    # Of eight and more planar channels, PyAV's own conversion ends the process.
    frame = av.AudioFrame(name + planar, layout, NUM_FRAMES)
    num_channels = frame.layout.nb_channels
    rng = np.random.default_rng(num_channels)
    if name in SCALES:
        limits = np.iinfo(TYPES[name])
        values = rng.integers(limits.min, limits.max, (NUM_FRAMES, num_channels), TYPES[name])
        full_scale, silence = SCALES[name]
        expected = ((values.astype(float) - silence) / full_scale).astype(np.float32)
    else:
        values = rng.normal(size=(NUM_FRAMES, num_channels)).astype(TYPES[name])
        expected = values.astype(np.float32)
    channels = values.T if planar else [values]
    for plane, channel in zip(frame.planes, channels, strict=False):
        written = channel.tobytes()
        plane.update(written + bytes(plane.buffer_size - len(written)))
    got = float_samples(frame)
    assert got.dtype == np.float32
    assert np.array_equal(got, expected)


@pytest.mark.parametrize(("container", "codec"), [("wv", "wavpack"), ("mp4", "aac")])
def test_a_recording_of_eight_channels_is_decoded(container: str, codec: str) -> None:
    samples = np.stack([noise(8_192, seed=3)] * 8, axis=1)
    rate_hz, decoded = decode(encode_with_ffmpeg(samples, 48_000, container, codec))
    assert rate_hz == 48_000
    assert len(decoded) >= 8_192
    if codec == "wavpack":  # lossless, of 8 bits
        np.testing.assert_allclose(decoded, samples[:, 0], atol=1 / 128)


def test_a_wave_file_of_64_bits_is_decoded() -> None:
    samples = noise(1_000)
    data = encode_with_ffmpeg(samples, 8_000, "wav", "pcm_s64le")
    rate_hz, decoded = decode(data)
    assert rate_hz == 8_000
    assert np.array_equal(decoded, samples)
