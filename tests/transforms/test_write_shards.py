"""WriteShards."""

import dataclasses
from pathlib import Path
from typing import Any

import apache_beam as beam
import google_crc32c
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tests.publishing import FixedNumShards
from tests.running import outputs
from transforms.corpus.serialization import serialize
from transforms.dataset.shards import (
    NumShards,
    Record,
    RecordSums,
    Shard,
    ShardSums,
    record_sums,
    shard_of,
)
from transforms.storage import files
from transforms.write_shards import WriteShards, _AssignFn, _WriteShardFn

RECORDS = [Record(f"clip {index}", f"data {index}".encode() * index) for index in range(50)]


class _ToShards(beam.PTransform):
    def __init__(self, folder: str, num_shards: dict[str, int]) -> None:
        self._folder = folder
        self._num_shards = num_shards

    def expand(self, records: Any) -> Any:
        once = records.pipeline | beam.Impulse()
        written = (records, once) | WriteShards(
            self._folder, FixedNumShards({"num_shards": self._num_shards}), once
        )
        return written | beam.Filter(lambda each: isinstance(each, Shard))


@pytest.mark.slow
@pytest.mark.parametrize("num_shards", [1, 7, 200])
def test_shards_hold_their_records_in_the_order_of_the_ids(
    tf: Any, tmp_path: Path, num_shards: int
) -> None:
    (shards,) = outputs(_ToShards(str(tmp_path), {"": num_shards}), RECORDS, "shards")
    assert sorted(shard.index for shard in shards) == list(range(num_shards))
    for shard in shards:
        due = sorted(
            (each for each in RECORDS if shard_of(each.clip_id, num_shards) == shard.index),
            key=lambda each: each.clip_id,
        )
        data = [each.numpy() for each in tf.data.TFRecordDataset(shard.path)]
        assert data == [each.data for each in due]
        content = Path(shard.path).read_bytes()
        assert shard.sums.num_records == len(due)
        assert shard.sums.num_bytes == len(content)
        assert shard.crc32c == google_crc32c.value(content)


def test_records_are_in_shards_of_their_split_and_every_split_has_all_of_its_shards(
    tf: Any, tmp_path: Path
) -> None:
    num_shards = {"train": 3, "test": 1, "empty": 2}
    records = [
        dataclasses.replace(record, split="test" if index % 7 == 0 else "train")
        for index, record in enumerate(RECORDS)
    ]
    (shards,) = outputs(_ToShards(str(tmp_path), num_shards), records, "shards")
    assert sorted((shard.split, shard.index) for shard in shards) == [
        ("empty", 0),
        ("empty", 1),
        ("test", 0),
        ("train", 0),
        ("train", 1),
        ("train", 2),
    ]
    assert len({shard.path for shard in shards}) == 6
    for shard in shards:
        data = {each.numpy() for each in tf.data.TFRecordDataset(shard.path)}
        assert data == {
            record.data
            for record in records
            if record.split == shard.split
            and shard_of(record.clip_id, num_shards[shard.split]) == shard.index
        }


def test_what_a_shard_is_due_does_not_pass_through_its_own_elements(tmp_path: Path) -> None:
    """Even if a record is lost on its way to its shard, the sums of the shard count it."""
    (shards, due) = outputs(_Losing(str(tmp_path)), RECORDS, "shards", "due")
    ((shard,), (sums,)) = shards, due
    assert (sums.split, sums.index) == (shard.split, shard.index) == ("", 0)
    assert sums.sums == sum(map(record_sums, RECORDS), RecordSums())
    assert sums.sums.num_records == shard.sums.num_records + 1 == len(RECORDS)
    assert sums.sums.checksum != shard.sums.checksum


class _Losing(beam.PTransform):
    """Writes one shard, and loses a record in the shuffle."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def expand(self, records: Any) -> Any:
        keyed = records | beam.ParDo(_AssignFn(NumShards(1)), settled=())
        lost = serialize((RECORDS[7].clip_id, RECORDS[7].data))
        written = (
            keyed
            | beam.Filter(lambda each: each[1] != lost)
            | beam.GroupByKey()
            | beam.ParDo(_WriteShardFn(self._folder))
        )
        return {
            name: written | name >> beam.Filter(lambda each, kind: isinstance(each, kind), kind)
            for name, kind in (("shards", Shard), ("due", ShardSums))
        }


def test_a_retried_bundle_gives_back_one_file_of_the_two_that_it_wrote(tmp_path: Path) -> None:
    found: list[Shard] = []
    for _ in range(2):
        (shards,) = outputs(_ToShards(str(tmp_path), {"": 1}), RECORDS, "shards")
        found += shards
    assert len({shard.path for shard in found}) == 2
    assert found[0].sums == found[1].sums
    assert found[0].crc32c == found[1].crc32c


def test_a_file_that_is_shorter_than_what_was_written_ends_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "size", lambda path: 3)
    with (
        pytest.raises(Exception, match="has 3 bytes after"),
        beam.Pipeline(runner=FnApiRunner()) as pipeline,
    ):
        _ = pipeline | beam.Create(RECORDS) | _ToShards(str(tmp_path), {"": 1})
