"""Clips of Parquet and TFRecord files."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from tests.packing import audio_structs, example, flac, wav, write_parquet, write_tfrecord
from transforms.corpus import packed, recordings
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.listing import Shard, SkippedFile
from transforms.corpus.packed import ReadAs
from transforms.packed.address import kind_of

SOUNDS = [wav(0.5, seed) for seed in range(6)]
NAMES = {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}


def listed(path: Path, is_named: bool = True) -> list[Any]:
    kind = kind_of(path.name)
    assert kind is not None
    return list(packed.list_shard(Shard(path.name, str(path), kind, is_named)))


def clips_of(path: Path) -> list[Clip]:
    return [each for each in listed(path) if isinstance(each, Clip)]


def failures_of(path: Path) -> dict[str, str]:
    return {each.id: each.message for each in listed(path) if isinstance(each, Failure)}


def labels_of(path: Path) -> dict[str, tuple[str, ...]]:
    return {clip.id.rpartition("/")[2]: clip.labels for clip in clips_of(path)}


def contents(clips: list[Clip]) -> list[bytes | str]:
    found: list[bytes | str] = []
    for _, open_file in recordings.open_all(clips):
        try:
            with open_file() as file:
                found.append(file.read())
        except OSError as error:
            found.append(str(error))
    return found


def test_hugging_faces_structs_of_bytes(tmp_path: Path) -> None:
    path = write_parquet(
        tmp_path / "x.parquet",
        {
            "audio": audio_structs(SOUNDS, ["a.wav"] * 6),
            "label": [0, 1, 0, 1, -1, None],
            "n": [1] * 6,
        },
        NAMES,
    )
    clips = clips_of(path)
    assert [clip.id for clip in clips] == [f"x.parquet/{row}" for row in range(6)]
    assert [clip.uri for clip in clips] == [f"parquet://{row}::{path}" for row in range(6)]
    assert contents(clips) == SOUNDS
    assert contents(clips[1::2]) == SOUNDS[1::2]
    assert [clip.labels for clip in clips] == [("cat",), ("dog",), ("cat",), ("dog",), (), ()]
    assert [each.what for each in listed(path) if isinstance(each, ReadAs)] == [
        "recordings of audio",
        "labels of label",
        "not read: n",
    ]


def test_the_names_of_classes_in_lists_are_found_however_they_are_written(tmp_path: Path) -> None:
    one = {"_type": "ClassLabel", "names": ["cat", "dog"]}
    for feature in (
        {"_type": "Sequence", "feature": one},
        {"_type": "List", "feature": one},
        [one],
    ):
        path = write_parquet(
            tmp_path / "x.parquet",
            {"audio": audio_structs(SOUNDS[:2], ["a", "b"]), "labels": [[1, 0], [0]]},
            {"labels": feature},
        )
        assert list(labels_of(path).values()) == [("dog", "cat"), ("cat",)]


@pytest.mark.parametrize(
    ("columns", "labels"),
    [
        ({"wav": SOUNDS[:2], "labels": [["x", "y"], []]}, [("x", "y"), ()]),
        ({"content": SOUNDS[:2], "category": ["x", "y"], "target": [1, 2]}, [("x",), ("y",)]),
        ({"wav": SOUNDS[:2], "label": [1.0, None]}, [("1",), ()]),
        ({"wav": SOUNDS[:2], "tags": ["['x', 'y']", '["z"]']}, [("x", "y"), ("z",)]),
        ({"audio": SOUNDS[:2], "cover": [b"1", b"2"]}, [(), ()]),
        ({"audio": pa.array(SOUNDS[:2], pa.large_binary()), "class": [3, 4]}, [("3",), ("4",)]),
    ],
)
def test_columns_of_bytes(
    tmp_path: Path, columns: dict[str, Any], labels: list[tuple[str, ...]]
) -> None:
    path = write_parquet(tmp_path / "x.parquet", columns)
    assert contents(clips_of(path)) == SOUNDS[:2]
    assert [clip.labels for clip in clips_of(path)] == labels


def test_paths_are_files_below_the_folder_of_the_table(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/c.wav").write_bytes(SOUNDS[1])
    paths = ["a.wav", "b/c.wav", "/etc/passwd", "../d.wav", None]
    audio = audio_structs([SOUNDS[0], None, None, None, None], paths)
    path = write_parquet(tmp_path / "x.parquet", {"audio": audio})
    clips = clips_of(path)
    assert [clip.uri for clip in clips] == [
        f"parquet://0::{path}",
        f"{tmp_path}/b/c.wav",
        f"parquet://4::{path}",
    ]
    assert contents(clips[:2]) == SOUNDS[:2]
    assert contents(clips[2:]) == ["the row has no audio: it has neither bytes nor a path"]
    (tmp_path / "only").mkdir()
    alone = pa.array([{"path": "c.wav"}, {"path": None}])
    only_paths = write_parquet(tmp_path / "only/y.parquet", {"audio": alone})
    assert [clip.uri for clip in clips_of(only_paths)] == [
        f"{tmp_path}/only/c.wav",
        f"parquet://1::{only_paths}",
    ]
    assert contents(clips_of(only_paths)[1:]) == contents(clips[2:])
    failures = failures_of(path)
    assert [*failures] == ["x.parquet/2", "x.parquet/3"]
    assert all("leads out of the folder of the table" in why for why in failures.values())


def test_a_table_without_audio_is_told(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", {"text": ["a"], "label": [1]})
    assert "no column of it holds audio (there are: text, label)" in failures_of(path)["x.parquet"]
    assert listed(path, is_named=False) == [SkippedFile("other")]
    path = write_parquet(tmp_path / "y.parquet", {"a": [b"1"], "b": [b"2"]})
    assert "several columns may hold the recordings: a, b" in failures_of(path)["y.parquet"]
    (tmp_path / "z.parquet").write_bytes(b"PAR1" + bytes(10) + b"PAR1")
    assert [*failures_of(tmp_path / "z.parquet")] == ["z.parquet"]
    write_parquet(tmp_path / "w.parquet", {"audio": SOUNDS[:1], "label": [5]}, NAMES)
    assert failures_of(tmp_path / "w.parquet") == {
        "w.parquet/0": "the label 5 is not one of the 2 classes"
    }


def test_a_damaged_row_group_costs_no_other(tmp_path: Path) -> None:
    sounds = [np.random.default_rng(seed).bytes(9_000) for seed in range(8)]
    path = write_parquet(tmp_path / "x.parquet", {"audio": sounds}, row_group_size=2)
    data = bytearray(path.read_bytes())
    at = data.find(sounds[2][:32])
    data[at - 16 : at] = b"\xff" * 16  # the header of the page
    path.write_bytes(data)
    found = contents(clips_of(path))
    assert [index for index in range(8) if found[index] == sounds[index]] == [0, 1, 4, 5, 6, 7]
    assert isinstance(found[2], str)


@pytest.mark.parametrize("name", ["x.tfrecord", "x.tfrecord-00000-of-00002", "x.tfrecords.gz"])
def test_examples_with_encoded_audio(tmp_path: Path, name: str) -> None:
    records = [
        example(audio=sound, label=index % 2, file_name=b"a.wav")
        for index, sound in enumerate([*SOUNDS, flac(0.5)])
    ]
    path = write_tfrecord(tmp_path / name, records)
    assert contents(clips_of(path)) == [*SOUNDS, flac(0.5)]
    assert contents(clips_of(path)[2::3]) == SOUNDS[2::3]
    assert labels_of(path) == {str(row): (str(row % 2),) for row in range(7)}
    (tmp_path / "label.labels.txt").write_text("cat\ndog\n")
    assert labels_of(path) == {str(row): (("cat", "dog")[row % 2],) for row in range(7)}


def test_examples_with_samples_become_recordings(tmp_path: Path) -> None:
    samples, rate_hz = soundfile.read(io.BytesIO(SOUNDS[0]), dtype="int16")
    records = [
        example(audio=samples, sample_rate=rate_hz, labels=[b"a", b"b"]),
        example(audio__waveform=(samples / 2**15).astype(np.float32), sr=float(rate_hz)),
        example(audio=samples),
        example(audio=samples.astype(np.int64) << 16, rate=rate_hz),
        example(audio=[1, 2, 3, 250], rate=rate_hz),
        example(text=b"no audio"),
        b"\xff\xff\xff",
    ]
    path = write_tfrecord(tmp_path / "x.tfrecord", records)
    found = contents(clips_of(path))
    for data in found[:2]:
        assert isinstance(data, bytes)
        decoded, decoded_rate_hz = soundfile.read(io.BytesIO(data), dtype="float32")
        assert decoded_rate_hz == rate_hz
        np.testing.assert_array_equal(decoded, samples / np.float32(2**15))
    assert "without a sample rate" in str(found[2])
    assert "allowed: 16 bits" in str(found[3])
    assert "none of them negative" in str(found[4])
    assert labels_of(path)["0"] == ("a", "b")
    failures = failures_of(path)
    assert [*failures] == ["x.tfrecord/5", "x.tfrecord/6"]
    assert "no feature of it holds audio (there are: text)" in failures["x.tfrecord/5"]
    facts = {"featuresDict": {"features": {"audio": {"audio": {"sampleRate": str(rate_hz)}}}}}
    (tmp_path / "features.json").write_text(json.dumps(facts))
    again = contents(clips_of(path))
    assert again[2] == found[0]


def test_damaged_records_cost_no_others(tmp_path: Path) -> None:
    records = [example(audio=sound) for sound in SOUNDS]
    path = write_tfrecord(tmp_path / "x.tfrecord", records)
    data = bytearray(path.read_bytes())
    size = len(data) // 6
    data[size + 99] ^= 1
    path.write_bytes(data[: size * 5 + 999])
    assert contents(clips_of(path)) == [SOUNDS[0], *SOUNDS[2:5]]
    failures = failures_of(path)
    assert [*failures] == ["x.tfrecord/1", "x.tfrecord/5", "x.tfrecord"]
    assert "its checksum is wrong" in failures["x.tfrecord/1"]
    assert "truncated" in failures["x.tfrecord/5"]
    data[size * 3] ^= 1
    path.write_bytes(gzip.decompress(gzip.compress(data)))
    assert len(clips_of(path)) == 2
    assert "later records cannot be found" in failures_of(path)["x.tfrecord"]


def test_records_without_audio_are_told(tmp_path: Path) -> None:
    path = write_tfrecord(tmp_path / "x.tfrecord", [example(text=b"x")])
    assert "no feature of it holds audio" in failures_of(path)["x.tfrecord"]
    assert listed(path, is_named=False) == [SkippedFile("other")]
    path = write_tfrecord(tmp_path / "y.tfrecord", [example(a=SOUNDS[0], b=SOUNDS[1])])
    assert "several features may hold the recordings: a, b" in failures_of(path)["y.tfrecord"]
