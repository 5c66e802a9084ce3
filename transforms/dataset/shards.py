"""Shards: assignment of records, writing, and sums that prove that nothing was lost."""

import dataclasses
import hashlib
import re
from collections.abc import Iterable
from typing import BinaryIO

import google_crc32c

from transforms.dataset import tfrecord
from transforms.metrics.totals import COUNT, Totals

# Large enough for full speed on any storage, small enough to copy and to hold in memory.
TARGET_SHARD_BYTES = 100_000_000
MAX_SHARDS = 99_999  # five digits in the name
# Name of the count of `record_bytes`.
RECORD_BYTES = "record_bytes"


@dataclasses.dataclass(frozen=True)
class Record:
    """The record of a clip.

    Attributes:
      clip_id: Id of the clip, which determines the shard and the order in it.
      data: Serialised `SequenceExample`.
      split: Split of the clip.
    """

    clip_id: str
    data: bytes
    split: str = ""


@dataclasses.dataclass(frozen=True)
class RecordSums:
    """Sums over records in any order.

    Attributes:
      num_records: Number of records.
      num_bytes: Size of the records in a file, with framing.
      checksum: Sum of the records' CRC-32Cs, modulo 2**64.
    """

    num_records: int = 0
    num_bytes: int = 0
    checksum: int = 0

    def __add__(self, other: "RecordSums") -> "RecordSums":
        return RecordSums(
            self.num_records + other.num_records,
            self.num_bytes + other.num_bytes,
            (self.checksum + other.checksum) % 2**64,
        )


@dataclasses.dataclass(frozen=True)
class ShardSums:
    """The records that a shard must have.

    Attributes:
      split: Split of the records.
      index: Index of the shard, from 0.
      sums: Sums of the records.
    """

    split: str
    index: int
    sums: RecordSums


@dataclasses.dataclass(frozen=True)
class Shard:
    """A shard, written to a temporary file.

    Attributes:
      split: Split of the records.
      index: Index of the shard, from 0.
      path: Path of the temporary file.
      sums: Sums of the written records.
      crc32c: CRC-32C of the file.
    """

    split: str
    index: int
    path: str
    sums: RecordSums
    crc32c: int


def record_sums(record: Record) -> RecordSums:
    """Returns the sums over one record."""
    return RecordSums(1, record_bytes(record), google_crc32c.value(record.data))


def record_bytes(record: Record) -> int:
    """Returns the size of a record in a file, with framing."""
    return len(record.data) + tfrecord.OVERHEAD_BYTES


def choose_num_shards(num_bytes: int) -> int:
    """Returns the number of shards, which depends on the amount of data only."""
    return min(MAX_SHARDS, max(1, -(-num_bytes // TARGET_SHARD_BYTES)))


@dataclasses.dataclass(frozen=True)
class NumShards:
    """The number of shards of each split.

    Attributes:
      number: The number to use; None to choose it by the size of the data.
      splits: Names of splits that exist even without clips.
    """

    number: int | None
    splits: tuple[str, ...] = ("",)

    def by_split(self, settled: Iterable[object]) -> dict[str, int]:
        """Returns the numbers. A split in which all clips failed is a dataset, too.

        Args:
          settled: Output of `WriteTables`, of which the `Totals` count.
        """
        num_bytes = dict.fromkeys(self.splits, 0)
        for totals in settled:
            if isinstance(totals, Totals):
                for (split, name), count in totals.of_kind(COUNT).items():
                    if name == RECORD_BYTES:
                        num_bytes[split] = count
                    elif name.startswith("failures/"):
                        num_bytes.setdefault(split, 0)
        return {split: self.number or choose_num_shards(size) for split, size in num_bytes.items()}


def shard_of(clip_id: str, num_shards: int) -> int:
    """Returns the index of a clip's shard, which depends on its id and `num_shards` only."""
    digest = hashlib.sha256(clip_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") % num_shards


def shard_name(name: str, index: int, num_shards: int) -> str:
    """Returns the file name of a shard."""
    return f"{name}-{index:05d}-of-{num_shards:05d}.tfrecord"


def shard_pattern(name: str) -> re.Pattern[str]:
    """Returns a pattern that matches the file names of a dataset's shards, of any number."""
    return re.compile(rf"{re.escape(name)}-\d{{5}}-of-\d{{5}}\.tfrecord")


def write_shard(file: BinaryIO, records: Iterable[Record]) -> tuple[RecordSums, int]:
    """Writes a shard, sorted by id.

    Returns:
      The sums of the written records and the CRC-32C of the file.
    """
    sums = RecordSums()
    crc = google_crc32c.Checksum()
    for record in sorted(records, key=lambda record: record.clip_id):
        framed = tfrecord.frame_record(record.data)
        file.write(framed)
        crc.update(framed)
        sums += record_sums(record)
    return sums, int.from_bytes(crc.digest(), "big")
