"""Which shard a record is in, what a shard holds, and sums to prove that nothing is lost."""

import dataclasses
import hashlib
import re
from collections.abc import Iterable
from typing import BinaryIO

import google_crc32c

from transforms.dataset import tfrecord

# Large enough to read at full speed from any storage, small enough to copy and to hold in memory.
TARGET_SHARD_BYTES = 100_000_000
MAX_SHARDS = 99_999  # five digits in the name


@dataclasses.dataclass(frozen=True)
class Record:
    """A clip's record.

    Attributes:
      clip_id: Sorts it, and says which shard it is in.
      data: The serialised `SequenceExample`.
      split: Part of the dataset that it is in.
    """

    clip_id: str
    data: bytes
    split: str = ""


@dataclasses.dataclass(frozen=True)
class RecordSums:
    """Sums over records in any order.

    Attributes:
      num_records: How many.
      num_bytes: Of the records in a file, framing included.
      checksum: Of their CRC-32Cs, modulo 2**64.
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
class Shard:
    """A shard that was written under a temporary name.

    Attributes:
      split: Part of the dataset.
      index: From 0.
      path: Where it is.
      sums: Of what was written.
      crc32c: Of the whole file.
    """

    split: str
    index: int
    path: str
    sums: RecordSums
    crc32c: int


def record_sums(record: Record) -> RecordSums:
    """Returns the sums of one record."""
    size = len(record.data) + tfrecord.OVERHEAD_BYTES
    return RecordSums(1, size, google_crc32c.value(record.data))


def choose_num_shards(num_bytes: int) -> int:
    """Returns how many shards so much data makes: it alone decides, so every run agrees."""
    return min(MAX_SHARDS, max(1, -(-num_bytes // TARGET_SHARD_BYTES)))


def shard_of(clip_id: str, num_shards: int) -> int:
    """Returns the shard of a clip: it follows from the id alone."""
    digest = hashlib.sha256(clip_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") % num_shards


def shard_name(name: str, index: int, num_shards: int) -> str:
    """Returns a shard's file name."""
    return f"{name}-{index:05d}-of-{num_shards:05d}.tfrecord"


def shard_pattern(name: str) -> re.Pattern[str]:
    """Returns what the file names of a dataset's shards match, however many there are."""
    return re.compile(rf"{re.escape(name)}-\d{{5}}-of-\d{{5}}\.tfrecord")


def write_shard(file: BinaryIO, records: Iterable[Record]) -> tuple[RecordSums, int]:
    """Writes a shard in the order of the ids.

    Returns:
      The sums of what was written and the CRC-32C of the file.
    """
    sums = RecordSums()
    crc = google_crc32c.Checksum()
    for record in sorted(records, key=lambda record: record.clip_id):
        framed = tfrecord.frame_record(record.data)
        file.write(framed)
        crc.update(framed)
        sums += record_sums(record)
    return sums, int.from_bytes(crc.digest(), "big")
