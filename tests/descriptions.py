"""Descriptions of datasets, as `dataset.json` has them, and what they are made of."""

import json
from typing import Any

from transforms.corpus.spans import FramingConfig
from transforms.dataset.profiles import PROFILES
from transforms.dataset.provenance import (
    Origin,
    Part,
    dataset_info,
    to_json,
)
from transforms.dataset.shards import RecordSums, Shard
from transforms.model.embedding_model import ModelFacts

EMPTY = RecordSums()


SUMS = RecordSums(2, 300, 0xDEADBEEF)


def shard(index: int, sums: RecordSums = EMPTY, crc32c: int = 0, split: str = "") -> Shard:
    return Shard(split, index, f"/tmp/{index}", sums, crc32c)


def of_no_split(tallies: dict[str, int]) -> dict[tuple[str, str], int]:
    return {("", name): count for name, count in tallies.items()}


OTHER = RecordSums(1, 100, 7)


ORIGIN = Origin(
    name="clips",
    profile=PROFILES["audioset"],
    corpus=(("inputs", ["/data/ü", "gs://bucket/*.wav"]), ("clip_seconds", 10.5)),
    model="https://tfhub.dev/google/vggish/1",
    precision="float32",
    framing=FramingConfig(),
    pca=("pca.npz", "ab" * 32),
    resampler="soxr HQ",
    decoder="libsndfile 1.2.2",
)


MODEL = ModelFacts("cd" * 32, 128)


TALLIES = of_no_split(
    {
        "clips": 5,
        "records": 3,
        "repeats": 4,
        "merged_rows": 4,
        "rows": 30,
        "samples": 16_000 * 5_400,
        "padded_clips": 1,
        "truncated_clips": 2,
        "rows_skipped": 4,
        "damaged_clips": 2,
        "damaged_microseconds": 1_250_000,
        "labels_dropped": 6,
        "failures/empty": 1,
        "failures/decode_error": 1,
        "skipped/hidden": 2,
        "decoders/libsndfile 1.2.2": 3,
    }
)


OF_TRAIN = {("train", name): 10 * count for (_, name), count in TALLIES.items()}


SHARDS = (
    ("clips-00000-of-00002.tfrecord", shard(0, SUMS, 0xABC)),
    ("clips-00001-of-00002.tfrecord", shard(1, OTHER, 0xFFFFFFFF)),
)


WHOLE = Part("", "", SHARDS, num_failures=2)


def info(
    origin: Origin = ORIGIN,
    models: tuple[ModelFacts, ...] = (MODEL,),
    tallies: dict[tuple[str, str], int] = TALLIES,
    part: Part = WHOLE,
    **others: Any,
) -> dict[str, Any]:
    return json.loads(to_json(dataset_info(origin, models, tallies, part, **others)))


def splits(**tallies: int) -> tuple[dict[str, dict[str, Any]], dict[tuple[str, str], int]]:
    """Returns the infos of two splits with everything once and tenfold, and the tallies."""
    test = {("test", name): count for (_, name), count in TALLIES.items()}
    all_tallies = OF_TRAIN | test | of_no_split({"skipped/other": 8, **tallies})
    parts = (Part("train", "train", SHARDS, 20), Part("test", "test", SHARDS, 2))
    infos = {part.folder: info(tallies=all_tallies, part=part) for part in parts}
    return infos, all_tallies
