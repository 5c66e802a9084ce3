"""PublishDataset."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tests import publishing
from tests.memory_filesystem import MemoryFileSystem
from tests.publishing import FACTS, FAILURE, ORIGIN, SUMS, FixedNumShards, of_no_split
from transforms.corpus.clips import AudioNote
from transforms.corpus.labels import build_class_map
from transforms.corpus.spans import FramingConfig
from transforms.dataset.note_table import note_lines
from transforms.dataset.provenance import Origin
from transforms.dataset.shards import RecordSums
from transforms.dataset.table_files import NOTES, TableFile
from transforms.publish_dataset import PublishDataset, _PublishFn
from transforms.storage import files


@pytest.fixture(params=["local", "mem://bucket/out"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    MemoryFileSystem.objects.clear()
    yield f"{tmp_path}/out" if request.param == "local" else request.param
    MemoryFileSystem.objects.clear()


def _run(folder: str, staging: str, given: dict[str, Any], origin: Origin = ORIGIN) -> None:
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        collections = {
            name: pipeline | name >> beam.Create(elements)
            for name, elements in publishing.with_reports(given).items()
        }
        collections["class_map"] = beam.pvalue.AsSingleton(collections["class_map"])
        number = FixedNumShards(given)
        publish = PublishDataset(origin, folder, staging, number, **collections)
        _ = pipeline | beam.Impulse() | publish


def _publish(folder: str, **changes: Any) -> None:
    staging = publishing.staging(folder)
    _run(folder, staging, publishing.one_part(staging, **changes))


def _publish_splits(folder: str, **changes: Any) -> None:
    staging = publishing.staging(folder)
    _run(folder, staging, publishing.splits(staging, **changes))


def _read(path: str) -> Any:
    with files.open_to_read(path) as file:
        return json.loads(file.read())


def test_the_dataset_is_complete_and_nothing_temporary_is_left(folder: str) -> None:
    _publish(folder)
    assert files.list_names(folder) == [
        "audio-00000-of-00002.tfrecord",
        "audio-00001-of-00002.tfrecord",
        "audio-failures.jsonl",
        "dataset.json",
        "schema.pbtxt",
    ]
    with files.open_to_read(f"{folder}/audio-00000-of-00002.tfrecord") as file:
        assert file.read() == b"0123456789"
    assert _read(f"{folder}/audio-failures.jsonl") == {
        name: getattr(FAILURE, name) for name in ("id", "uri", "step", "reason", "message")
    }
    info = _read(f"{folder}/dataset.json")
    assert info["labels"] == {"class_map": None}
    assert info["counts"]["clips"] == 3
    assert info["counts"]["failures"] == 1
    assert info["model"]["fingerprint"] == FACTS.fingerprint
    assert info["shards"] == [
        {"name": "audio-00000-of-00002.tfrecord", "records": 2, "bytes": 10, "crc32c": "00000abc"},
        {"name": "audio-00001-of-00002.tfrecord", "records": 0, "bytes": 0, "crc32c": "00000abc"},
    ]
    assert [*info][-1] == "run", "what differs between equal runs is the last key"
    assert info["run"]["steps"] == {"decoding": {"seconds": 3.0, "share": 1.0}}


KEEPING = dataclasses.replace(ORIGIN, framing=FramingConfig(keep_damaged=True))


def _noted(staging: str, *notes: AudioNote) -> TableFile:
    path = files.temporary_name(f"{staging}/notes")
    files.write_atomically(path, note_lines(notes))
    return TableFile(NOTES, notes[0].split, path, len(notes))


def test_the_notes_of_all_parts_are_one_table_that_goes_with_its_dataset(folder: str) -> None:
    staging = publishing.staging(folder)
    given = publishing.one_part(staging)
    given["tables"] += [
        _noted(staging, AudioNote("a", "/a", 1.0, 2.0, "x"), AudioNote("c", "/c", 1.0, 1.0, "y")),
        _noted(staging, AudioNote("b", "/b", 0.0, 2.0, "z")),
    ]
    given["tallies"] += [(("", "notes"), 3), (("", "damaged_clips"), 3)]
    _run(folder, staging, given, KEEPING)
    with files.open_to_read(f"{folder}/audio-notes.jsonl") as file:
        lines = [json.loads(line) for line in file.read().splitlines()]
    assert [(line["id"], line["message"]) for line in lines] == [("a", "x"), ("b", "z"), ("c", "y")]
    info = _read(f"{folder}/dataset.json")
    assert (info["counts"]["damaged_clips"], info["audio"]["damaged"]) == (3, "keep")
    _publish(folder)
    assert "audio-notes.jsonl" not in files.list_names(folder)


def test_each_split_has_a_table_of_notes_even_without_notes(folder: str) -> None:
    staging = publishing.staging(folder)
    given = publishing.splits(staging)
    given["tables"].append(_noted(staging, AudioNote("a", "/a", 1.0, 2.0, "x", "train")))
    given["tallies"].append((("train", "notes"), 1))
    _run(folder, staging, given, KEEPING)
    tables = [name for name in files.list_names(folder) if "notes" in name]
    assert tables == ["test/audio-notes.jsonl", "train/audio-notes.jsonl"]
    assert [files.size(f"{folder}/{name}") > 0 for name in tables] == [False, True]
    _publish_splits(folder)
    assert files.list_names(folder) == SPLIT_FILES


def test_a_dataset_in_the_way_is_replaced_and_other_files_stay(folder: str) -> None:
    _publish(folder)
    for name in ("notes.txt", "other-00000-of-00001.tfrecord"):
        files.write_atomically(f"{folder}/{name}", [b"mine"])
    _publish(folder, written=lambda shards: shards[:1], num_shards=[("", 1)])
    assert files.list_names(folder) == [
        "audio-00000-of-00001.tfrecord",
        "audio-failures.jsonl",
        "dataset.json",
        "notes.txt",
        "other-00000-of-00001.tfrecord",
        "schema.pbtxt",
    ]


SPLIT_FILES = [
    "dataset.json",
    "test/audio-00000-of-00001.tfrecord",
    "test/audio-failures.jsonl",
    "test/dataset.json",
    "test/schema.pbtxt",
    "train/audio-00000-of-00002.tfrecord",
    "train/audio-00001-of-00002.tfrecord",
    "train/audio-failures.jsonl",
    "train/dataset.json",
    "train/schema.pbtxt",
]


def test_each_split_is_a_dataset_in_a_folder_of_its_own(folder: str) -> None:
    _publish_splits(folder)
    assert files.list_names(folder) == SPLIT_FILES
    with files.open_to_read(f"{folder}/train/audio-00000-of-00002.tfrecord") as file:
        assert file.read() == b"0123456789"
    with files.open_to_read(f"{folder}/test/audio-failures.jsonl") as file:
        assert [json.loads(line)["id"] for line in file] == ["c", "d", "e"]
    assert _read(f"{folder}/train/audio-failures.jsonl")["id"] == "b"
    infos = {split: _read(f"{folder}/{split}/dataset.json") for split in ("train", "test")}
    assert {name: info["split"] for name, info in infos.items()} == {n: n for n in infos}
    numbers = ("clips", "records", "failures")
    assert [infos["train"]["counts"][name] for name in numbers] == [3, 2, 1]
    assert [infos["test"]["counts"][name] for name in numbers] == [3, 0, 3]
    whole = _read(f"{folder}/dataset.json")
    assert [whole["counts"][name] for name in numbers] == [6, 2, 4]
    assert [part["folder"] for part in whole["splits"]] == ["test", "train"]
    assert [*whole][-1] == "run"
    assert not any("run" in info for info in infos.values())


def test_what_is_in_no_split_stands_in_a_folder_beside_them(folder: str) -> None:
    staging = publishing.staging(folder)
    given = publishing.splits(staging)
    given["written"].append(publishing.shard(staging, "", 0, b"", RecordSums()))
    given["num_shards"].append(("", 1))
    given["tables"].append(publishing.failed(staging, dataclasses.replace(FAILURE, id="m.csv:3")))
    given["tallies"] += [(("", "failures/empty"), 1)]
    given["tallies"][0] = (("", "clips"), 7)
    _run(folder, staging, given)
    assert files.list_names(folder) == sorted(
        [*SPLIT_FILES, *(name.replace("test", "unsplit") for name in SPLIT_FILES[1:5])]
    )
    assert _read(f"{folder}/unsplit/audio-failures.jsonl")["id"] == "m.csv:3"
    assert _read(f"{folder}/unsplit/dataset.json")["split"] == "unsplit"
    assert _read(f"{folder}/dataset.json")["counts"]["clips"] == 7


def test_where_all_is_in_splits_nothing_stands_beside_them(tmp_path: Path) -> None:
    folder = f"{tmp_path}/out"
    staging = publishing.staging(folder)
    given = publishing.splits(staging)
    given["written"].append(publishing.shard(staging, "", 0, b"", RecordSums()))
    given["num_shards"].append(("", 1))
    given["tallies"].append((("", "labels_dropped"), 5))
    _run(folder, staging, given)
    assert files.list_names(folder) == SPLIT_FILES
    assert _read(f"{folder}/dataset.json")["counts"]["labels_dropped"] == 5


def test_labels_are_numbered_beside_every_shard(tmp_path: Path) -> None:
    class_map = build_class_map(["speech", "a,b"])
    _publish(f"{tmp_path}/one", class_map=[class_map])
    _publish_splits(f"{tmp_path}/two", class_map=[class_map])
    for folder in ("one", "two/train", "two/test"):
        assert (tmp_path / folder / "class_map.csv").read_bytes() == class_map.text()
    for folder in ("one", "two", "two/train"):
        assert _read(f"{tmp_path}/{folder}/dataset.json")["labels"] == {
            "class_map": "class_map.csv"
        }


def test_datasets_with_and_without_splits_take_each_others_place(folder: str) -> None:
    mine = ["train/mine.txt", "validation/mine.txt"]
    _publish_splits(folder, class_map=[build_class_map(["a"])])
    for name in mine:
        files.make_folder(f"{folder}/validation")
        files.write_atomically(f"{folder}/{name}", [b"mine"])
    _publish(folder)
    assert files.list_names(folder) == [
        "audio-00000-of-00002.tfrecord",
        "audio-00001-of-00002.tfrecord",
        "audio-failures.jsonl",
        "dataset.json",
        "schema.pbtxt",
        *mine,
    ]
    _publish_splits(folder)
    assert files.list_names(folder) == sorted(SPLIT_FILES + mine)


def test_publishing_again_after_all_was_published_changes_nothing(folder: str) -> None:
    staging = publishing.staging(folder)
    given = publishing.splits(staging)
    number, given = FixedNumShards(given), publishing.for_process(given)
    texts: list[Any] = []
    for _ in range(2):
        texts += _PublishFn(ORIGIN, folder, staging, number).process(None, **given)
        assert files.list_names(folder) == SPLIT_FILES
        with files.open_to_read(f"{folder}/test/audio-failures.jsonl") as file:
            assert len(file.read().splitlines()) == 3
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"tallies": of_no_split(clips=4, records=2)},
        {"tallies": of_no_split(clips=2, records=1)},
        {"tallies": of_no_split(clips=3, records=2, decode_tasks=2, decode_tasks_done=1)},
        {"tables": lambda tables: []},
        {"tables": lambda tables: tables * 2},
        {"tables": lambda tables: [*tables, TableFile(NOTES, "", "/a", 1)]},
        {"tallies": of_no_split(clips=3, records=2, notes=1)},
        {"num_shards": [("", 3)]},
        {"num_shards": [("", 2), ("train", 1)]},
        {"due": [(("", 0), RecordSums(2, 10, 78))]},
        {"due": [(("", 0), RecordSums(1, 10, 77))]},
        {"due": [(("", 1), SUMS)]},
        {"due": [(("", 0), SUMS), (("", 5), SUMS)]},
        {"due": [(("train", 0), SUMS)]},
        {"written": lambda shards: shards[:1]},
        {"written": lambda shards: [*shards, shards[0]]},
        {"models": [FACTS, dataclasses.replace(FACTS, fingerprint="e")]},
    ],
)
def test_sums_that_disagree_publish_nothing(tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = f"{tmp_path}/out"
    with pytest.raises(
        Exception, match=r"were requested|shard|decode tasks|different models|notes"
    ):
        _publish(folder, **changes)
    assert {name.split("/")[0] for name in files.list_names(folder)} == {".audio.incomplete"}
