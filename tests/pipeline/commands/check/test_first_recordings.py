"""The first recordings of a corpus, by every kind of source."""

from pathlib import Path

import pytest

from pipeline.commands.check.first_recordings import first_recordings
from tests.sounds import noise, write_wav
from transforms.corpus.clips import RawFormat
from transforms.read_corpus import ReadCorpus


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(5):
        write_wav(tmp_path / f"in/{number}.wav", noise(100))
    (tmp_path / "in/notes.txt").touch()
    return tmp_path


def test_a_few_of_each_kind_of_source_each_recording_once(folder: Path) -> None:
    rows = ["uri,start_seconds,end_seconds", *3 * ["x.wav,0,1"], "y.wav,0,1"]
    (folder / "m.csv").write_text("\n".join(rows))
    corpus = ReadCorpus(inputs=(f"{folder}/in",), manifests=(f"{folder}/*.csv",))
    found = [clip.uri for clip in first_recordings(corpus)]
    assert len(found) == 5
    assert found[3:] == [f"{folder}/x.wav", f"{folder}/y.wav"]


def test_invalid_rows_are_skipped_and_raw_formats_kept(folder: Path) -> None:
    rows = ["uri,format,sample_rate,start_seconds", ",,,", "b.wav,,,-1", "a.raw,s16le,8000,"]
    (folder / "m.csv").write_text("\n".join(rows))
    (clip,) = first_recordings(ReadCorpus(manifests=(f"{folder}/m.csv",)))
    assert clip.raw_format == RawFormat("s16le", 8_000)


@pytest.mark.parametrize(
    ("name", "wanted"), [(None, ["-c.wav"]), ("{id}.wav", ["0.wav", "-c.wav"])]
)
def test_segments_are_found_by_their_names_or_named(
    folder: Path, name: str | None, wanted: list[str]
) -> None:
    (folder / "segments.csv").write_text('0, 0.000, 1.000, "/m/a"\n-c, 1.000, 2.000, "/m/a"\n')
    write_wav(folder / "root/-c.wav", noise(100))
    corpus = ReadCorpus(
        audioset_segments=(f"{folder}/segments.csv",),
        audio_root=f"{folder}/root",
        audio_name=name,
    )
    assert [clip.uri for clip in first_recordings(corpus)] == [f"{folder}/root/{w}" for w in wanted]


def test_an_empty_corpus_has_no_recordings(folder: Path) -> None:
    assert first_recordings(ReadCorpus()) == ()
