"""WriteShards: from records to files under temporary names."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.typehints.decorators import no_annotations

from transforms.dataset.shards import Record, Shard, shard_of, write_shard
from transforms.metrics.reporting import REPORTS, ReportingFn
from transforms.metrics.run_times import WRITING
from transforms.storage import files


@dataclasses.dataclass
class WriteShards(beam.PTransform):
    """Writes all shards under temporary names, the empty ones too.

    Input: `Record`s. Outputs: `shards` (`Shard`) and `reports`. Each attempt writes to its own
    file, and only the file of the successful attempt is published later.

    Attributes:
      folder: Existing folder of the files.
      num_shards: Side input, the number of shards by split.
    """

    folder: str
    num_shards: pvalue.AsDict

    @no_annotations
    def expand(self, records: pvalue.PCollection[Record]) -> pvalue.DoOutputsTuple:
        by_shard = records | "AssignShard" >> beam.Map(
            _assigned, num_shards=self.num_shards
        ).with_output_types(tuple[tuple[str, int], Record | None])
        every_shard = (
            records.pipeline
            | "Once" >> beam.Create([None])
            | "EveryShard"
            >> beam.FlatMap(_empty_shards, num_shards=self.num_shards).with_output_types(
                tuple[tuple[str, int], Record | None]
            )
        )
        return (
            (by_shard, every_shard)
            | beam.Flatten()
            | beam.GroupByKey()
            | beam.ParDo(_WriteShardFn(self.folder)).with_outputs(REPORTS, main="shards")
        )


class _WriteShardFn(ReportingFn):
    step = WRITING

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def process(self, element: tuple[tuple[str, int], Iterable[Record | None]]) -> Iterator[Any]:
        yield from self.timed(self._written(*element))
        self.increment(shards=1)

    def _written(self, shard: tuple[str, int], records: Iterable[Record | None]) -> Iterator[Shard]:
        split, index = shard
        path = files.temporary_name(f"{self._folder}/{index:05d}")
        with files.created(path) as file:
            sums, crc32c = write_shard(file, (each for each in records if each is not None))
        size = files.size(path)
        if size != sums.num_bytes:
            raise OSError(f"{path} has {size} bytes after {sums.num_bytes} were written to it")
        yield Shard(split, index, path, sums, crc32c)


def _assigned(
    record: Record, num_shards: Mapping[str, int]
) -> tuple[tuple[str, int], Record | None]:
    return (record.split, shard_of(record.clip_id, num_shards[record.split])), record


def _empty_shards(
    _: None, num_shards: Mapping[str, int]
) -> Iterator[tuple[tuple[str, int], Record | None]]:
    for split, number in num_shards.items():
        for index in range(number):
            yield (split, index), None
