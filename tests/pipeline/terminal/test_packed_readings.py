"""How packed files are read, as it is printed before a job."""

from pathlib import Path
from typing import Any

from pipeline.terminal import packed_readings
from tests.packing import audio_structs, wav, write_parquet
from transforms.corpus.listing import Shard
from transforms.packed.address import PARQUET


def printed(tmp_path: Path, **columns: Any) -> list[str]:
    audio = audio_structs([wav(0.5)], ["a.wav"])
    path = write_parquet(tmp_path / "x.parquet", {"audio": audio, **columns})
    shard = Shard("x.parquet", str(path), PARQUET, True)
    return list(packed_readings.lines([packed_readings.read_beginning(shard)]))


def test_columns_that_seem_to_ask_for_something_and_are_not_read_are_noted(tmp_path: Path) -> None:
    lines = printed(tmp_path, genre=["rock"], start=[0.5], split=["train"], n=[1])
    assert lines[1:3] == [
        "  read      recordings of audio",
        "  not read  genre, start, split, n",
    ]
    notes = [line.partition(",")[0] for line in lines if "NOTE" in line]
    assert notes == [
        "  NOTE: genre may be meant as labels",
        "  NOTE: split may be meant as a split",
        "  NOTE: start may be meant as times",
    ]


def test_nothing_is_noted_where_labels_are_read_and_no_more_is_there(tmp_path: Path) -> None:
    lines = printed(tmp_path, label=["dog"], genre=["rock"], n=[1])
    assert "  read      labels of label" in lines
    assert not any("NOTE" in line for line in lines)
