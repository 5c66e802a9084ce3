"""Damaged audio from the decoders to the dataset, with damage that a decoder is made to report."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import soundfile

from tests import reading
from tests.running import embed, outputs
from tests.sounds import noise, write_wav
from tests.stand_in import stand_in_rows
from transforms import decode_patches
from transforms.audio.span_decoding import decode_spans
from transforms.corpus.clips import AudioNote, Clip
from transforms.corpus.runs import DamagedAudio, DecodedClip
from transforms.corpus.spans import FramingConfig
from transforms.embed_audio import EmbedAudio

HOLES = ((1.0, 1.25), (1.125, 1.5), (2.0, 2.0))


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three whole recordings, of which the decoder says that `hole.wav` and `z.wav` have holes."""
    for seed, name in enumerate(("hole.wav", "whole.wav", "z.wav")):
        write_wav(tmp_path / "in" / name, noise(48_000, seed=seed))

    def with_holes(*arguments: Any) -> Iterator[Any]:
        for each in decode_spans(*arguments):
            yield each
            if isinstance(each, DecodedClip) and "whole.wav" not in each.clip.uri:
                for start, end in HOLES:
                    yield DamagedAudio(each.clip.id, start, end, "a hole")

    monkeypatch.setattr(decode_patches, "decode_spans", with_holes)
    return tmp_path / "in"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def line(corpus: Path, name: str, start: float, end: float) -> dict[str, Any]:
    return {
        "id": name,
        "uri": f"{corpus}/{name}",
        "start_seconds": start,
        "end_seconds": end,
        "message": "a hole",
    }


@pytest.mark.parametrize("profile", ["audioset", "youtube8m", "raw"])
def test_kept_damage_is_in_records_notes_counts_and_summary(
    profile: str,
    corpus: Path,
    stand_in_model: str,
    pca_file: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "out"
    options = ["--input", corpus, "--model", stand_in_model, "--profile", profile]
    options += [] if profile == "raw" else ["--pca", pca_file]
    assert embed(output, *options, "--damaged=keep") == 0
    id_key = "id" if profile == "youtube8m" else "video_id"
    found = {
        name: each.context.feature["damaged_seconds"].float_list.value
        for name, each in reading.records_by_id(output, id_key).items()
    }
    assert found == {"hole.wav": [0.5], "whole.wav": [0.0], "z.wav": [0.5]}
    assert lines(output / "audio-notes.jsonl") == [
        line(corpus, name, start, end)
        for name in ("hole.wav", "z.wav")
        for start, end in ((1.0, 1.5), (2.0, 2.0))
    ]
    info = reading.info(output)
    assert (info["counts"]["damaged_clips"], info["counts"]["damaged_seconds"]) == (2, 1.0)
    assert info["audio"]["damaged"] == "keep"
    assert "damaged_seconds" in (output / "schema.pbtxt").read_text()
    said = capsys.readouterr().out
    assert "2 damaged clips, 1.000 s of damage" in said
    assert f"notes     {output}/audio-notes.jsonl" in said


@pytest.mark.slow
def test_a_dataset_in_its_place_has_no_notes(
    corpus: Path, stand_in_model: str, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    options = ["--input", corpus, "--model", stand_in_model, "--profile=raw"]
    assert embed(output, *options, "--split=a=0.5,b=0.5", "--damaged=keep") == 0
    assert len(list(output.rglob("audio-notes.jsonl"))) == 2
    assert sum(len(lines(path)) for path in output.rglob("audio-notes.jsonl")) == 4
    assert reading.info(output)["counts"]["damaged_seconds"] == 1.0
    assert embed(output, *options) == 2, "settings differ, and so would records"
    assert embed(output, *options, "--overwrite", "--max_failed_ratio=1") == 0
    assert list(output.rglob("*notes*")) == []
    assert reading.failures(output) == {"hole.wav": "decode_error", "z.wav": "decode_error"}
    (record,) = reading.records(output)
    assert "damaged_seconds" not in record.context.feature
    assert "damaged" not in (output / "schema.pbtxt").read_text()
    assert reading.info(output)["counts"]["damaged_clips"] == 0


def test_a_column_of_ones_own_with_the_name_of_the_feature_is_refused(
    corpus: Path, stand_in_model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.csv").write_text("uri,damaged_seconds\nin/whole.wav,ten\n")
    options = ["--manifest", tmp_path / "m.csv", "--model", stand_in_model, "--profile=raw"]
    options.append("--keep_columns=damaged_seconds")
    assert embed(tmp_path / "out", *options, "--damaged=keep") == 2
    assert "--keep_columns=damaged_seconds: the records have a feature" in capsys.readouterr().err
    assert embed(tmp_path / "out", *options) == 0
    (record,) = reading.records(tmp_path / "out")
    assert record.context.feature["damaged_seconds"].bytes_list.value == [b"ten"]


class _Embedded(beam.PTransform):
    """Gives the rows, the notes and the failures of an embedding as a dict."""

    def __init__(self, model: str, keep_damaged: bool) -> None:
        super().__init__()
        self._embedding = EmbedAudio(model, FramingConfig(keep_damaged=keep_damaged))

    def expand(self, audio: Any) -> Any:
        embedded = audio | self._embedding
        return {name: getattr(embedded, name) for name in ("rows", "notes", "failures")}


def test_the_library_gives_rows_of_damaged_clips_with_notes(
    corpus: Path, stand_in_model: str
) -> None:
    uri = f"{corpus}/hole.wav"
    clip = Clip("hole", uri, Decimal(1), Decimal("2.25"), split="train")
    given = [clip, Clip("whole.wav", f"{corpus}/whole.wav")]
    names = ("rows", "notes", "failures")
    rows, notes, failures = outputs(_Embedded(stand_in_model, True), given, *names)
    assert failures == []
    assert sorted(notes) == [
        AudioNote("hole", uri, 1.0, 1.5, "a hole", "train"),
        AudioNote("hole", uri, 2.0, 2.0, "a hole", "train"),
    ]
    assert sorted(key for key, _ in rows) == ["hole", "whole.wav"]
    np.testing.assert_array_equal(dict(rows)["hole"], stand_in_rows(noise(48_000)[16_000:36_000]))
    rows, notes, failures = outputs(_Embedded(stand_in_model, False), given, *names)
    assert ([key for key, _ in rows], notes) == (["whole.wav"], [])
    (failure,) = failures
    assert failure == clip.failure("decode", "decode_error", "a hole, at 1.000 s")


def _write_damaged(path: Path, samples: np.ndarray) -> np.ndarray:
    """Writes a WAV whose last third is missing, or a FLAC with a hole; returns what decodes."""
    path.parent.mkdir()
    soundfile.write(path, samples, 16_000, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    if path.suffix == ".wav":
        path.write_bytes(data[: 44 + 2 * 320_000])
        return samples[:320_000]
    middle = len(data) // 2
    data[middle : middle + 3_000] = bytes(3_000)
    path.write_bytes(data)
    heard = samples.copy()
    heard[237_568:245_760] = 0  # two blocks of 4096
    return heard


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "clip_seconds", "damage"),
    [
        ("a.wav", None, {"a.wav": (20.0, 30.0)}),
        ("a.wav", 15, {"a.wav#15": (20.0, 30.0)}),
        ("a.flac", None, {"a.flac": (14.848, 15.36)}),
        ("a.flac", 15, {"a.flac#0": (14.848, 15.0), "a.flac#15": (15.0, 15.36)}),
    ],
)
def test_what_decodes_of_a_damaged_recording_becomes_records(
    name: str,
    clip_seconds: int | None,
    damage: dict[str, tuple[float, float]],
    stand_in_model: str,
    tmp_path: Path,
) -> None:
    heard = _write_damaged(tmp_path / "in" / name, noise(30 * 16_000))
    options = ["--input", tmp_path / "in", "--model", stand_in_model, "--profile=raw"]
    options += [f"--clip_seconds={clip_seconds}"] * bool(clip_seconds)
    failed, kept = tmp_path / "failed", tmp_path / "kept"
    assert embed(failed, *options) == 3
    assert reading.failures(failed) == dict.fromkeys(damage, "decode_error")
    assert not (failed / "audio-notes.jsonl").exists()
    assert embed(kept, *options, "--damaged=keep") == 0
    rows = reading.float_rows(kept)
    length = 16_000 * (clip_seconds or 30)
    starts = range(0, len(heard), length)
    ids = [f"{name}#{start // 16_000}" if clip_seconds else name for start in starts]
    assert sorted(rows) == ids
    for clip_id, start in zip(ids, starts, strict=True):
        np.testing.assert_array_equal(rows[clip_id], stand_in_rows(heard[start : start + length]))
    notes = {each["id"]: each for each in lines(kept / "audio-notes.jsonl")}
    found = {id: (note["start_seconds"], note["end_seconds"]) for id, note in notes.items()}
    assert found == damage
    for clip_id, record in reading.records_by_id(kept).items():
        start_seconds, end_seconds = damage.get(clip_id, (0, 0))
        (seconds,) = record.context.feature["damaged_seconds"].float_list.value
        assert seconds == pytest.approx(end_seconds - start_seconds)
