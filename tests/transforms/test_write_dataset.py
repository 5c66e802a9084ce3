"""WriteDataset: what it refuses before a job starts, and rows in 8 bits."""

import os
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tests.running import outputs
from transforms.corpus.runs import RowRun
from transforms.corpus.spans import FramingConfig
from transforms.embed_audio import EmbedAudio, EmbeddedClips
from transforms.model.sources.pca import load_pca
from transforms.quantise_rows import QuantiseRows
from transforms.write_dataset import WriteDataset


def _embedded(framing: FramingConfig | None = None) -> EmbeddedClips:
    pipeline = beam.Pipeline(runner=FnApiRunner())
    embedded = pipeline | beam.Create(["/a.wav"]) | EmbedAudio("/m", framing or FramingConfig())
    assert isinstance(embedded, EmbeddedClips)
    return embedded


def test_values_that_are_not_allowed_are_refused() -> None:
    with pytest.raises(ValueError, match=r"profile='mp3' \(allowed: audioset, youtube8m, raw\)"):
        WriteDataset("/out", profile="mp3")
    with pytest.raises(ValueError, match=r"num_shards=0 \(allowed: 1 to 99999\)"):
        WriteDataset("/out", num_shards=0)
    with pytest.raises(ValueError, match=r"name='../x' \(allowed: letters"):
        WriteDataset("/out", name="../x")


def test_a_profile_of_another_framing_is_refused(tmp_path: Path, pca_file: str) -> None:
    folder = str(tmp_path / "out")
    with pytest.raises(ValueError, match=r"framing=FramingConfig\(hop_samples=16000, max_rows=300"):
        _ = _embedded() | WriteDataset(folder, profile="youtube8m", pca=pca_file)
    assert not os.path.exists(folder)
    framing = FramingConfig(hop_samples=16_000, max_rows=300)
    _ = _embedded(framing) | WriteDataset(folder, profile="youtube8m", pca=pca_file)


def test_a_folder_that_is_not_empty_is_refused_unless_it_may_be_overwritten(tmp_path: Path) -> None:
    write = WriteDataset(str(tmp_path), profile="raw")
    (tmp_path / ".audio.incomplete").mkdir()
    _ = _embedded() | write
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileExistsError, match=r"is not empty \(notes.txt\): name another, or"):
        _ = _embedded() | write
    _ = _embedded() | WriteDataset(str(tmp_path), profile="raw", overwrite=True)
    assert sorted(os.listdir(tmp_path)) == [".audio.incomplete", "notes.txt"]


def test_rows_are_quantised_before_they_are_shuffled(pca_file: str) -> None:
    pca = load_pca(pca_file)
    rows = np.random.default_rng(0).normal(size=(3, 128)).astype(np.float32)
    ((clip_id, run),) = outputs(QuantiseRows(pca), [("a", RowRun(2, rows))], "rows")[0]
    assert (clip_id, run.first_row, run.rows.dtype) == ("a", 2, np.uint8)
    np.testing.assert_array_equal(run.rows, pca.quantise(rows))


def test_rows_of_another_size_do_not_fit_the_pca(pca_file: str) -> None:
    rows = np.zeros((3, 64), np.float32)
    with pytest.raises(Exception, match=r"rows of 64 values.* needs 128; --profile=raw"):
        outputs(QuantiseRows(load_pca(pca_file)), [("a", RowRun(0, rows))], "rows")
