"""Which files are a dataset's: no other one may ever be deleted."""

import dataclasses
import itertools
import json
from typing import Any

import pytest

from tests.descriptions import ORIGIN, SHARDS, TALLIES, info, of_no_split, splits
from transforms.corpus.spans import FramingConfig
from transforms.dataset.file_names import is_dataset_file, is_split, is_split_folder, own_files
from transforms.dataset.provenance import (
    Part,
    collection_info,
    to_json,
)


def test_the_own_files_of_a_collection_are_those_of_its_splits_and_its_description() -> None:
    data = to_json(collection_info(*splits()))
    beside = ("clips-failures.jsonl", "schema.pbtxt", "class_map.csv", "dataset.json")
    assert sorted(own_files(data)) == sorted(
        ["dataset.json"]
        + [f"{split}/{name}" for split in ("train", "test") for name, _ in SHARDS]
        + [f"{split}/{name}" for split in ("train", "test") for name in beside]
    )
    assert all(is_dataset_file(file, "clips") for file in own_files(data))


def test_a_collection_owns_no_files_of_folders_that_cannot_be_splits() -> None:
    for folder in ["..", ".", "", "a/b", "/etc", ".git", "-a"]:
        ours = collection_info(*splits())
        ours["splits"][1]["folder"] = folder
        with pytest.raises(ValueError, match="lists files that do not belong to a dataset"):
            own_files(to_json(ours))


@pytest.mark.parametrize("folder", ["train", "unsplit", "v1_a-b"])
def test_a_split_is_recognised_by_the_folder_in_its_description(folder: str) -> None:
    own = to_json(info(part=Part(folder, folder, SHARDS, 0)))
    assert is_split(own, folder)
    assert not is_split(own, "other")
    assert not is_split(to_json(info()), folder)
    assert is_split_folder(folder)


def test_other_data_is_not_a_split() -> None:
    for data in [b"", b"no JSON", b"\xff", b"[]", b"null", b'"train"', b"{}"]:
        assert not is_split(data, "train")


def test_own_files_are_all_that_the_dataset_is_made_of() -> None:
    assert sorted(own_files(to_json(info()))) == [
        "class_map.csv",
        "clips-00000-of-00002.tfrecord",
        "clips-00001-of-00002.tfrecord",
        "clips-failures.jsonl",
        "dataset.json",
        "schema.pbtxt",
    ]


def test_the_table_of_notes_is_a_datasets_own_where_rows_are_repeated() -> None:
    repeated = info(tallies=TALLIES | of_no_split({"notes": 1}))
    assert sorted(own_files(to_json(repeated))) == sorted(
        [*own_files(to_json(info())), "clips-notes.jsonl"]
    )


def test_the_table_of_notes_is_a_datasets_own_only_where_damaged_clips_are_kept() -> None:
    origin = dataclasses.replace(ORIGIN, framing=FramingConfig(keep_damaged=True))
    kept = own_files(to_json(info(origin)))
    assert sorted(kept) == sorted([*own_files(to_json(info())), "clips-notes.jsonl"])
    others: list[Any] = [None, 7, [], "keep", {}, {"damaged": None}]
    for audio in others:
        assert "clips-notes.jsonl" not in own_files(json.dumps(info() | {"audio": audio}).encode())


def test_own_files_are_named_like_files_of_the_dataset() -> None:
    files = own_files(to_json(info()))
    assert all(is_dataset_file(file, "clips") for file in files)


def test_other_files_are_not_named_like_files_of_the_dataset() -> None:
    for file in [
        "notes.txt",
        "dataset.json.bak",
        "other-failures.jsonl",
        "other-notes.jsonl",
        "other-00000-of-00001.tfrecord",
        "clips.tfrecord",
        "",
        "a/b/dataset.json",
        "../dataset.json",
        "/dataset.json",
        "./dataset.json",
        ".git/dataset.json",
        "a/notes.txt",
        "a/",
    ]:
        assert not is_dataset_file(file, "clips")


def test_files_of_the_dataset_are_recognised_by_name_also_in_folders_of_splits() -> None:
    for file, folder in itertools.product(
        [
            "dataset.json",
            "schema.pbtxt",
            "class_map.csv",
            "clips-failures.jsonl",
            "clips-notes.jsonl",
            "clips-00000-of-00001.tfrecord",
        ],
        ["", "train/", "unsplit/"],
    ):
        assert is_dataset_file(folder + file, "clips")


def test_a_json_that_is_not_ours_has_no_own_files() -> None:
    for data in [
        b"",
        b"not JSON",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"7",
        b"{}",
        b'{"format": "other", "name": "clips", "shards": []}',
        b'{"name": "clips", "shards": []}',
        b'{"format": "beam-audio-embeddings", "name": "clips"}',
        b'{"format": "beam-audio-embeddings", "shards": []}',
        b'{"format": "beam-audio-embeddings", "name": "clips", "shards": null}',
        b'{"format": "beam-audio-embeddings", "name": "clips", "shards": [{}]}',
        b'{"format": "beam-audio-embeddings", "name": "clips", "shards": ["a.tfrecord"]}',
        b'{"format": "beam-audio-embeddings", "name": "clips", "splits": [{"folder": "a"}]}',
        b'{"format": "beam-audio-embeddings", "name": "clips", "splits": ["a"]}',
        b'{"format": "beam-audio-embeddings", "name": "clips", "splits": 7}',
    ]:
        with pytest.raises(ValueError):  # noqa: PT011 - some are the json module's
            own_files(data)


def test_own_files_are_never_those_of_another_folder() -> None:
    for bad in ["../a", "/etc/passwd", "a/b", "a\\b", "gs://bucket/a"]:
        ours = info()
        for changed in (ours | {"name": bad}, ours | {"shards": [{"name": "a"}, {"name": bad}]}):
            with pytest.raises(ValueError, match="lists files that do not belong to a dataset"):
                own_files(json.dumps(changed).encode())
