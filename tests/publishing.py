"""What publishing a small dataset needs: shards and failures under temporary names, counts."""

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

from transforms.corpus.clips import Failure
from transforms.corpus.labels import ClassMap
from transforms.corpus.spans import FramingConfig
from transforms.dataset.failure_table import failure_lines
from transforms.dataset.profiles import PROFILES
from transforms.dataset.provenance import Origin
from transforms.dataset.shards import NumShards, RecordSums, Shard, ShardSums
from transforms.dataset.table_files import FAILURES, TableFile
from transforms.embed_patches import DEVIATION, MODEL
from transforms.metrics.reporting import COUNT, TIME, Totals
from transforms.metrics.run_times import StepTime
from transforms.model.embedding_model import ModelFacts
from transforms.storage import files

ORIGIN = Origin(
    name="audio",
    profile=PROFILES["audioset"],
    corpus=(("inputs", ["/in"]),),
    model="/model",
    precision="float32",
    framing=FramingConfig(),
    pca=("/pca.npz", "abc"),
    resampler="soxr",
    decoder="libsndfile",
)
FAILURE = Failure("b", "/in/b", "decode", "empty", "nothing")
FACTS = ModelFacts("f" * 64, 128)
SUMS = RecordSums(2, 10, 77)


def shard(staging: str, split: str, index: int, data: bytes, sums: RecordSums) -> Shard:
    path = files.temporary_name(f"{staging}/{index}")
    files.write_atomically(path, [data])
    return Shard(split, index, path, sums, 0xABC)


def failed(staging: str, *failures: Failure) -> TableFile:
    path = files.temporary_name(f"{staging}/failures")
    files.write_atomically(path, failure_lines(failures))
    return TableFile(FAILURES, failures[0].split, path, len(failures))


def staging(folder: str) -> str:
    staging = f"{folder}/.audio.incomplete"
    files.make_folder(staging)
    files.write_atomically(files.temporary_name(f"{staging}/0"), [b"of an attempt that failed"])
    return staging


def of_no_split(**tallies: int) -> list[tuple[tuple[str, str], int]]:
    return [(("", name), count) for name, count in tallies.items()]


def one_part(staging: str, **changes: Any) -> dict[str, Any]:
    """Returns what publishes two shards, the second one empty, with something changed."""
    shards = [
        shard(staging, "", 0, b"0123456789", SUMS),
        shard(staging, "", 1, b"", RecordSums()),
    ]
    given: dict[str, Any] = {
        "written": shards,
        "due": [(("", 0), SUMS)],
        "tables": [failed(staging, FAILURE)],
        "tallies": [*of_no_split(clips=3, records=2, rows=9), (("", "failures/empty"), 1)],
        "models": [FACTS],
        "deviations": [],
        "manifests": [],
        "class_map": [ClassMap(())],
        "num_shards": [("", 2)],
        "times": [("decoding", StepTime(3.0, 100.0, 102.0))],
    }
    for name, change in changes.items():
        given[name] = change(given[name]) if callable(change) else change
    return given


def splits(staging: str, **changes: Any) -> dict[str, Any]:
    """Returns what publishes two splits: one of two shards, and one in which everything failed."""
    given = one_part(staging)
    return given | {
        "written": [
            *(dataclasses.replace(shard, split="train") for shard in given["written"]),
            shard(staging, "test", 0, b"", RecordSums()),
        ],
        "due": [(("train", 0), SUMS)],
        "tables": [
            failed(staging, *(dataclasses.replace(FAILURE, id=id, split="test") for id in "ce")),
            failed(staging, dataclasses.replace(FAILURE, id="d", split="test")),
            failed(staging, dataclasses.replace(FAILURE, split="train")),
        ],
        "tallies": [
            *of_no_split(clips=6),
            (("train", "records"), 2),
            (("train", "failures/empty"), 1),
            (("test", "failures/empty"), 3),
        ],
        "num_shards": [("train", 2), ("test", 1)],
        **changes,
    }


def with_reports(given: dict[str, Any]) -> dict[str, Any]:
    """Returns what is given as `PublishDataset` takes it; the last count of a key counts."""
    totals = Totals(
        [
            *(((COUNT, *key), count) for key, count in given["tallies"]),
            *(((MODEL, *dataclasses.astuple(facts)), 1) for facts in given["models"]),
            *(((DEVIATION,), deviation) for deviation in given["deviations"]),
        ]
    )
    times = Totals({(TIME, step): spent for step, spent in given["times"]})
    due = [ShardSums(split, index, sums) for (split, index), sums in given["due"]]
    return {
        "settled": [*given["tables"], *given["manifests"], totals],
        "written": [*given["written"], *due, times],
        "class_map": given["class_map"],
    }


def for_process(given: dict[str, Any]) -> dict[str, Any]:
    """Returns what is given as `_PublishFn.process` takes it."""
    collections = with_reports(given)
    (class_map,) = collections["class_map"]
    return collections | {"class_map": class_map}


class FixedNumShards(NumShards):
    """A given number of shards for each split."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(None)
        object.__setattr__(self, "_by_split", dict(given["num_shards"]))

    def by_split(self, settled: Iterable[object]) -> dict[str, int]:
        return dict(self.__dict__["_by_split"])


def listed_shards(info: bytes) -> list[str]:
    """Returns the names of the shards that a `dataset.json` lists."""
    return [shard["name"] for shard in json.loads(info)["shards"]]
