"""Every kind of sound file decodes to what FFmpeg's program gives."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests import kinds, optional
from tests.kinds import KINDS, Kind
from tests.making_kinds import Maker
from tests.sounds import assert_exact_seeks, blocks_of, decode
from transforms.audio import decoding
from transforms.audio.resampling import Resampler
from transforms.corpus.spans import SAMPLE_RATE_HZ

PAGE = Path(__file__).resolve().parents[3] / "docs" / "formats.md"
# Of samples near full scale: what is rounded last, a sum or its parts.
RESAMPLING = 2.0**-22
# At an end, before which the resampler knows what follows.
RINGING_SAMPLES = 1_600


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    optional.need_module("imageio_ffmpeg", optional.REFERENCES)
    import imageio_ffmpeg

    return Maker(imageio_ffmpeg.get_ffmpeg_exe(), tmp_path_factory.mktemp("kinds"))


def difference(samples: np.ndarray, expected: np.ndarray) -> float:
    length = min(len(samples), len(expected))
    if len(samples) != len(expected):
        length = max(1, length - RINGING_SAMPLES)
    return float(np.abs(samples[:length].astype(np.float64) - expected[:length]).max(initial=0))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_kind_decodes_as_by_ffmpeg(kind: Kind, maker: Maker) -> None:
    path = maker.make(kind)
    native, at_16_khz = maker.decode(kind, path)
    assert len(at_16_khz)
    with path.open("rb") as file, decoding.open_recording(file, kind.suffix) as recording:
        assert recording.decoder.startswith({"FFmpeg": "PyAV"}.get(kind.decoder, kind.decoder))
        assert (recording.num_frames is not None) == kind.is_seekable
        assert recording.num_channels == kind.sound.num_channels
        rate_hz = recording.sample_rate_hz
        samples = np.concatenate(list(blocks_of(recording)))
        if kind.is_seekable and len(samples) > 1_000:
            assert_exact_seeks(recording, samples)
    # As from a storage: without a descriptor, which libsndfile reads from itself.
    assert decode(path.read_bytes(), kind.suffix)[1].tobytes() == samples.tobytes()
    resampler = Resampler(rate_hz)
    resampled = np.concatenate([resampler.push(samples), resampler.finish()])
    tolerance = kind.tolerance
    # What has parts of several rates is 16 kHz already.
    assert rate_hz == (kind.sound.rate_hz if kind.has_one_rate else SAMPLE_RATE_HZ)
    if kind.has_one_rate:
        assert abs(len(samples) - len(native)) <= tolerance.num_frames
        assert difference(samples, native.mean(axis=1, dtype=np.float64)) <= tolerance.difference
    num_samples = -(-tolerance.num_frames * SAMPLE_RATE_HZ // kind.sound.rate_hz)
    assert abs(len(resampled) - len(at_16_khz)) <= num_samples
    assert difference(resampled, at_16_khz) <= tolerance.difference + RESAMPLING


def test_there_are_many_kinds() -> None:
    assert len(KINDS) == len({kind.name for kind in KINDS})
    assert len(KINDS) >= 130
    assert len({kind.suffix for kind in KINDS}) >= 40


def test_the_table_of_the_documents_is_that_of_the_tests() -> None:
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(r"<!-- python -m tests\.kinds -->\n(.*?)\n\n", text, re.DOTALL)
    assert found is not None
    assert found[1] == kinds.table()
