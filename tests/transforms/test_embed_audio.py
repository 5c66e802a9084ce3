"""EmbedAudio: what it takes, and what it gives."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tests.running import outputs
from tests.sounds import noise, write_wav
from tests.stand_in import stand_in_rows
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.spans import FramingConfig
from transforms.embed_audio import EmbedAudio
from transforms.embed_waveforms import EmbedWaveforms
from transforms.model.errors import ModelError
from transforms.read_corpus import ReadCorpus
from transforms.write_dataset import WriteDataset


class _Joined(beam.PTransform):
    """Gives the rows and the failures of an embedding as a dict."""

    def __init__(self, embedding: Any) -> None:
        super().__init__()
        self._embedding = embedding

    def expand(self, audio: Any) -> Any:
        embedded = audio | self._embedding
        return {"rows": embedded.rows, "failures": embedded.failures}


def joined(embedding: Any, audio: list[Any]) -> tuple[dict[str, np.ndarray], list[Failure]]:
    """Returns the rows by id, and the failures in their order."""
    rows, failures = outputs(_Joined(embedding), audio, "rows", "failures")
    assert len(dict(rows)) == len(rows)
    return dict(rows), sorted(failures)


def test_paths_pairs_and_clips_are_taken(stand_in_model: str, tmp_path: Path) -> None:
    waveform = write_wav(tmp_path / "a.wav", noise(48_000))
    path = f"{tmp_path}/a.wav"
    clip = Clip("clip", path, Decimal(1), Decimal(2))
    rows, failures = joined(EmbedAudio(stand_in_model), [path, ("key", path), clip, path])
    assert failures == []
    assert sorted(rows) == sorted([path, "key", "clip"])
    for key in (path, "key"):
        np.testing.assert_array_equal(rows[key], stand_in_rows(waveform))
    np.testing.assert_array_equal(rows["clip"], stand_in_rows(waveform[16_000:32_000]))


def test_what_fails_is_named_and_costs_no_other(stand_in_model: str, tmp_path: Path) -> None:
    waveform = write_wav(tmp_path / "a.wav", noise(48_000))
    write_wav(tmp_path / "b.wav", noise(48_000, seed=1))
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    audio = [("a", f"{tmp_path}/{name}.wav") for name in "ab"]
    audio += [(name, f"{tmp_path}/{name}.wav") for name in ("broken", "absent")]
    rows, failures = joined(EmbedAudio(stand_in_model), audio)
    np.testing.assert_array_equal(rows.pop("a"), stand_in_rows(waveform))
    assert rows == {}
    assert [(each.id, each.uri, each.step, each.reason) for each in failures] == [
        ("a", f"{tmp_path}/b.wav", "plan", "duplicate_id"),
        ("absent", f"{tmp_path}/absent.wav", "plan", "not_found"),
        ("broken", f"{tmp_path}/broken.wav", "decode", "unsupported_format"),
    ]


@pytest.mark.parametrize("element", [7, b"/a.wav", ("a", "b", "c"), (1, "/a.wav"), None])
def test_what_is_no_audio_is_an_error_that_says_what_is_allowed(element: Any) -> None:
    with pytest.raises(
        Exception, match=r"is not audio \(allowed: a path, \(key, path\), or a Clip"
    ):
        outputs(_Joined(EmbedAudio("/model")), [element], "rows")


@pytest.mark.parametrize("transform", [EmbedAudio, EmbedWaveforms])
def test_settings_are_checked_before_a_job_starts(transform: Any) -> None:
    with pytest.raises(ModelError, match="names no host"):
        transform(model="https://")
    with pytest.raises(ValueError, match=r"precision='float8' \(allowed: float32, bfloat16\)"):
        transform(precision="float8")
    with pytest.raises(ValueError, match=r"patch_samples=100 \(allowed: 15600\)"):
        transform(framing=FramingConfig(100))
    with pytest.raises(ValueError, match=r"hop_samples=0 \(allowed: positive"):
        transform(framing=FramingConfig(hop_samples=0))


def test_clips_that_are_cut_off_are_counted_as_they_are_found(
    stand_in_model: str, tmp_path: Path
) -> None:
    write_wav(tmp_path / "in/a.wav", noise(3 * 16_000))
    (tmp_path / "in/b.wav").write_bytes(b"")
    framing = FramingConfig(clip_seconds=Decimal(1))
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        corpus = pipeline | ReadCorpus(inputs=[f"{tmp_path}/in"])
        # What stands between corpus and embedding leaves the corpus unknown, and all clips counted.
        clips = corpus.clips | beam.Filter(bool)
        embedded = clips | EmbedAudio(stand_in_model, framing)
        info = embedded | WriteDataset(f"{tmp_path}/out", profile="raw")
        _ = info | beam.Map(_check_counts)
        _ = embedded.rows | beam.Keys() | beam.combiners.ToList() | beam.Map(_check_ids)


def _check_counts(text: str) -> None:
    import json

    info = json.loads(text)
    assert [info["counts"][name] for name in ("clips", "records", "failures")] == [4, 3, 1]
    assert info["corpus"] == {"clip_seconds": 1.0}


def _check_ids(ids: list[str]) -> None:
    assert sorted(ids) == ["a.wav#0", "a.wav#1", "a.wav#2"]
