"""Reading a dataset back with TensorFlow's own parser."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf


def records(folder: Path) -> list[tf.train.SequenceExample]:
    """Returns the records of all shards, in the order of the files."""
    shards = sorted(str(path) for path in folder.glob("*.tfrecord"))
    return [
        tf.train.SequenceExample.FromString(data.numpy())
        for data in tf.data.TFRecordDataset(shards)
    ]


def float_rows(folder: Path) -> dict[str, np.ndarray]:
    """Returns `[num_rows, embedding_size]` by id, of a dataset of profile raw."""
    return {
        record.context.feature["video_id"].bytes_list.value[0].decode(): np.array(
            [
                row.float_list.value
                for row in record.feature_lists.feature_list["audio_embedding"].feature
            ],
            np.float32,
        )
        for record in records(folder)
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
    return json.loads((folder / "dataset.json").read_text())
