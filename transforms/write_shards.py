"""WriteShards: from records to files under temporary names."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.transforms.window import GlobalWindows
from apache_beam.typehints.decorators import no_annotations

from transforms.corpus.serialization import deserialize, serialize
from transforms.dataset.shards import (
    NumShards,
    Record,
    RecordSums,
    Shard,
    ShardSums,
    record_sums,
    shard_of,
    write_shard,
)
from transforms.metrics.reporting import ReportingFn
from transforms.metrics.run_times import WRITING
from transforms.storage import files

# Split, index, and whether the value is the sums of records instead of a record.
_Key = tuple[str, int, bool]
_Keyed = tuple[_Key, bytes]
_NO_RECORD = b""


@dataclasses.dataclass
class WriteShards(beam.PTransform):
    """Writes all shards under temporary names, the empty ones too.

    Input: `Record`s, and a collection of one element, whatever it is. Output: `Shard`s; `ShardSums`
    of the records of each shard that has some, from before the shuffle; and `Totals`. Each attempt
    writes to its own file, and only the file of the successful attempt is published later.

    Attributes:
      folder: Existing folder of the files.
      number: The number of shards.
      settled: Output of `WriteTables`, by which the number is chosen.
    """

    folder: str
    number: NumShards
    settled: pvalue.PCollection

    @no_annotations
    def expand(
        self, inputs: tuple[pvalue.PCollection[Record], pvalue.PCollection]
    ) -> pvalue.PCollection:
        records, once = inputs
        assign = beam.ParDo(_AssignFn(self.number), settled=pvalue.AsIter(self.settled))
        # Beam's Flink runner refuses a Flatten of what no step has made, as an Impulse.
        every_shard = once | "EveryShard" >> beam.Map(bool)
        return (
            (records, every_shard)
            | beam.Flatten()
            | assign.with_output_types(_Keyed)
            | beam.GroupByKey()
            | beam.ParDo(_WriteShardFn(self.folder))
        )


class _AssignFn(beam.DoFn):
    """Keys records by shard, and sums what each shard is due by elements of their own.

    A record that the shuffle loses is missing in its shard, and not in these sums. Anything but a
    record gives each shard an element, so that an empty one is written, too.
    """

    def __init__(self, number: NumShards) -> None:
        self._number = number

    def start_bundle(self) -> None:
        self._num_shards: dict[str, int] = {}
        self._sums: dict[tuple[str, int], RecordSums] = {}

    def process(self, record: Record | bool, settled: Iterable[Any]) -> Iterator[_Keyed]:
        if not self._num_shards:
            self._num_shards = self._number.by_split(settled)
        if not isinstance(record, Record):
            for split, number in self._num_shards.items():
                for index in range(number):
                    yield (split, index, False), _NO_RECORD
            return
        shard = record.split, shard_of(record.clip_id, self._num_shards[record.split])
        self._sums[shard] = self._sums.get(shard, RecordSums()) + record_sums(record)
        yield (*shard, False), serialize((record.clip_id, record.data))

    def finish_bundle(self) -> Iterator[Any]:
        for shard, sums in self._sums.items():
            yield GlobalWindows.windowed_value(((*shard, True), serialize(sums)))


class _WriteShardFn(ReportingFn):
    step = WRITING

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def process(self, element: tuple[_Key, Iterable[bytes]]) -> Iterator[Any]:
        (split, index, are_sums), values = element
        if are_sums:
            yield ShardSums(split, index, sum(map(deserialize, values), RecordSums()))
        else:
            yield from self.timed(self._written(split, index, values))
            self.increment(shards=1)

    def finish_bundle(self) -> Iterator[Any]:
        # The other totals are complete before the first record is written.
        yield GlobalWindows.windowed_value(self.finish())

    def _written(self, split: str, index: int, values: Iterable[bytes]) -> Iterator[Shard]:
        path = files.temporary_name(f"{self._folder}/{index:05d}")
        packed = (deserialize(each) for each in values if each != _NO_RECORD)
        records = (Record(clip_id, data, split) for clip_id, data in packed)
        with files.created(path) as file:
            sums, crc32c = write_shard(file, records)
        size = files.size(path)
        if size != sums.num_bytes:
            raise OSError(f"{path} has {size} bytes after {sums.num_bytes} were written to it")
        yield Shard(split, index, path, sums, crc32c)
