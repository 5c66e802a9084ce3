"""Reading a dataset back with TensorFlow's own parser, which is imported at the first record."""

import json
from pathlib import Path
from typing import Any

import numpy as np


def records(folder: Path) -> list[Any]:
    """Returns the `tf.train.SequenceExample`s of all shards, in the order of the files."""
    import tensorflow as tf

    shards = sorted(str(path) for path in folder.glob("*.tfrecord"))
    return [
        tf.train.SequenceExample.FromString(data.numpy())
        for data in tf.data.TFRecordDataset(shards)
    ]


def records_by_id(folder: Path, id_key: str = "video_id") -> dict[str, Any]:
    """Returns the records by their ids, each of which is there once."""
    found = records(folder)
    by_id = {each.context.feature[id_key].bytes_list.value[0].decode(): each for each in found}
    assert len(by_id) == len(found), "an id is there twice"
    return by_id


def byte_rows(record: Any, rows_key: str = "audio_embedding") -> list[bytes]:
    """Returns the rows of a record of an 8-bit profile."""
    rows = [row.bytes_list.value for row in record.feature_lists.feature_list[rows_key].feature]
    assert all(len(values) == 1 for values in rows)
    return [values[0] for values in rows]


def float_rows(folder: Path) -> dict[str, np.ndarray]:
    """Returns `[num_rows, embedding_size]` by id, of a dataset of profile raw."""
    return {
        clip_id: np.array(
            [
                row.float_list.value
                for row in record.feature_lists.feature_list["audio_embedding"].feature
            ],
            np.float32,
        )
        for clip_id, record in records_by_id(folder).items()
    }


def times_of(folder: Path) -> dict[str, tuple[float, float]]:
    """Returns the start and the end of each record by id, in seconds."""
    return {
        clip_id: (
            record.context.feature["start_time_seconds"].float_list.value[0],
            record.context.feature["end_time_seconds"].float_list.value[0],
        )
        for clip_id, record in records_by_id(folder).items()
    }


def failures(folder: Path) -> dict[str, str]:
    """Returns the reasons by id; an id fails once."""
    lines = [
        json.loads(line)
        for path in folder.glob("*-failures.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert len({(line["id"], line["uri"]) for line in lines}) == len(lines)
    return {line["id"]: line["reason"] for line in lines}


def info(folder: Path) -> dict[str, Any]:
    """Returns the parsed `dataset.json`."""
    found: dict[str, Any] = json.loads((folder / "dataset.json").read_text())
    return found
