"""PublishDataset."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tests.memory_filesystem import MemoryFileSystem
from transforms import storage
from transforms.corpus.clips import Failure
from transforms.dataset.profiles import PROFILES
from transforms.dataset.provenance import Origin
from transforms.dataset.shards import RecordSums, Shard
from transforms.model.loading import ModelFacts
from transforms.publish_dataset import PublishDataset

ORIGIN = Origin(
    name="audio",
    profile=PROFILES["audioset"],
    inputs=("/in",),
    model="/model",
    patch_samples=15_600,
    short_clips="pad",
    pca=("/pca.npz", "abc"),
    resampler="soxr",
    decoder="libsndfile",
)
FAILURE = Failure("b", "/in/b", "decode", "empty", "nothing")
FACTS = ModelFacts("f" * 64, 128)
SUMS = RecordSums(2, 10, 77)


@pytest.fixture(params=["local", "mem://bucket/out"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    MemoryFileSystem.objects.clear()
    yield f"{tmp_path}/out" if request.param == "local" else request.param
    MemoryFileSystem.objects.clear()


def _publish(folder: str, **changes: Any) -> None:
    """Publishes two shards, the second one empty, with something changed."""
    staging = f"{folder}/.audio.incomplete"
    storage.make_folder(staging)
    shards = []
    for index, (data, sums) in enumerate([(b"0123456789", SUMS), (b"", RecordSums())]):
        path = storage.temporary_name(f"{staging}/{index}")
        with storage.created(path) as file:
            file.write(data)
        shards.append(Shard(index, path, sums, 0xABC))
    with storage.created(storage.temporary_name(f"{staging}/0")) as file:
        file.write(b"of an attempt that failed")
    given: dict[str, Any] = {
        "written": shards,
        "due": [(0, SUMS)],
        "failures": [FAILURE],
        "tallies": [("clips", 3), ("records", 2), ("rows", 9), ("failures/empty", 1)],
        "models": [FACTS],
        "num_shards": [2],
        **changes,
    }
    if "shards" in given:
        given["written"] = given.pop("shards")(shards)
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        collections = {
            name: pipeline | name >> beam.Create(elements) for name, elements in given.items()
        }
        _ = pipeline | PublishDataset(origin=ORIGIN, folder=folder, staging=staging, **collections)


def test_the_dataset_is_complete_and_nothing_temporary_is_left(folder: str) -> None:
    _publish(folder)
    assert storage.list_names(folder) == [
        "audio-00000-of-00002.tfrecord",
        "audio-00001-of-00002.tfrecord",
        "audio-failures.jsonl",
        "dataset.json",
        "schema.pbtxt",
    ]
    with storage.open_to_read(f"{folder}/audio-00000-of-00002.tfrecord") as file:
        assert file.read() == b"0123456789"
    with storage.open_to_read(f"{folder}/audio-failures.jsonl") as file:
        assert json.loads(file.read()) == dataclasses.asdict(FAILURE)
    with storage.open_to_read(f"{folder}/dataset.json") as file:
        info = json.loads(file.read())
    assert info["counts"]["clips"] == 3
    assert info["counts"]["failures"] == 1
    assert info["model"]["fingerprint"] == FACTS.fingerprint
    assert info["shards"] == [
        {"name": "audio-00000-of-00002.tfrecord", "records": 2, "bytes": 10, "crc32c": "00000abc"},
        {"name": "audio-00001-of-00002.tfrecord", "records": 0, "bytes": 0, "crc32c": "00000abc"},
    ]


def test_a_dataset_in_the_way_is_replaced_and_other_files_stay(folder: str) -> None:
    _publish(folder)
    for name in ("notes.txt", "other-00000-of-00001.tfrecord"):
        storage.write_at_once(f"{folder}/{name}", b"mine")
    _publish(
        folder,
        shards=lambda shards: [dataclasses.replace(shards[0], sums=SUMS)],
        num_shards=[1],
    )
    assert storage.list_names(folder) == [
        "audio-00000-of-00001.tfrecord",
        "audio-failures.jsonl",
        "dataset.json",
        "notes.txt",
        "other-00000-of-00001.tfrecord",
        "schema.pbtxt",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"tallies": [("clips", 4), ("records", 2)]},
        {"tallies": [("clips", 2), ("records", 1)]},
        {"failures": []},
        {"failures": [FAILURE, FAILURE]},
        {"num_shards": [3]},
        {"due": [(0, RecordSums(2, 10, 78))]},
        {"due": [(0, RecordSums(1, 10, 77))]},
        {"due": [(1, SUMS)]},
        {"due": [(0, SUMS), (5, SUMS)]},
        {"shards": lambda shards: shards[:1]},
        {"shards": lambda shards: [*shards, shards[0]]},
        {"models": [FACTS, dataclasses.replace(FACTS, fingerprint="e")]},
    ],
)
def test_sums_that_disagree_publish_nothing(tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = f"{tmp_path}/out"
    with pytest.raises(Exception, match=r"were asked for|shard|different models"):
        _publish(folder, **changes)
    assert storage.list_names(folder) == [".audio.incomplete"]
