"""Shards: which one a clip is in, what is in one, and sums that show a loss."""

import functools
import hashlib
import io
import itertools
import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.checksums import crc32c
from transforms.dataset.shards import (
    Record,
    RecordSums,
    choose_num_shards,
    record_sums,
    shard_name,
    shard_of,
    shard_pattern,
    write_shard,
)
from transforms.dataset.tfrecord import frame_record

records_of_a_shard = st.dictionaries(st.text(max_size=5), st.binary(max_size=20), max_size=8).map(
    lambda by_id: [Record(clip_id, data) for clip_id, data in by_id.items()]
)


# The first 8 bytes of `printf '%s' ID | sha256sum`, as a number.
def test_the_shard_of_a_clip_never_changes() -> None:
    for num_shards, (clip_id, number) in itertools.product(
        [1, 2, 7, 99_999],
        [
            ("", 0xE3B0C44298FC1C14),
            ("a", 0xCA978112CA1BBDCA),
            ("--_4rKMKCyo", 0x667292170A054264),
            ("dir/clip.wav", 0x3979E271584FD9AE),
            ("ü", 0x607474CA475A9724),
        ],
    ):
        assert shard_of(clip_id, num_shards) == number % num_shards


@given(clip_id=st.text(), num_shards=st.integers(1, 99_999))
def test_the_shard_of_a_clip_follows_from_its_id_alone(clip_id: str, num_shards: int) -> None:
    number = int(hashlib.sha256(clip_id.encode()).hexdigest()[:16], 16)
    assert shard_of(clip_id, num_shards) == number % num_shards


def test_clips_are_spread_evenly() -> None:
    counts = [0] * 10
    for index in range(10_000):
        counts[shard_of(f"folder/{index:05d}.wav", 10)] += 1
    assert min(counts) > 850
    assert max(counts) < 1_150


def test_the_amount_of_data_decides_how_many_shards_there_are() -> None:
    for num_bytes, num_shards in [
        (0, 1),
        (1, 1),
        (100_000_000, 1),
        (100_000_001, 2),
        (200_000_000, 2),
        (200_000_001, 3),
        (99_999 * 100_000_000, 99_999),
        (99_999 * 100_000_000 + 1, 99_999),
        (10**18, 99_999),
    ]:
        assert choose_num_shards(num_bytes) == num_shards


@pytest.mark.parametrize(
    ("index", "num_shards", "name"),
    [
        (0, 1, "clips-00000-of-00001.tfrecord"),
        (7, 12, "clips-00007-of-00012.tfrecord"),
        (99_998, 99_999, "clips-99998-of-99999.tfrecord"),
    ],
)
def test_a_shard_is_named_by_index_and_number(index: int, num_shards: int, name: str) -> None:
    assert shard_name("clips", index, num_shards) == name


def test_names_sort_like_the_shards() -> None:
    names = [shard_name("clips", index, 11_111) for index in range(11_111)]
    assert names == sorted(set(names))


@given(
    name=st.text("ab.*+[](){}\\^$|?-", max_size=8),
    index=st.integers(0, 99_998),
    num_shards=st.integers(1, 99_999),
)
def test_the_pattern_matches_every_shard_of_the_name(
    name: str, index: int, num_shards: int
) -> None:
    assert shard_pattern(name).fullmatch(shard_name(name, index, num_shards))


def test_the_pattern_matches_no_other_file() -> None:
    for file in [
        "other-00000-of-00001.tfrecord",
        "my-a.b-00000-of-00001.tfrecord",
        "aXb-00000-of-00001.tfrecord",
        "a.b-0000-of-00001.tfrecord",
        "a.b-00000-of-00001.tfrecord.gz",
        "a.b-00000-of-00001xtfrecord",
        "a.b-00000-of-00001.tfrecord\n",
        "a.b-failures.jsonl",
        "dataset.json",
    ]:
        assert not shard_pattern("a.b").fullmatch(file)


@given(data=st.binary(max_size=100))
def test_the_sums_of_a_record_count_the_bytes_in_the_file(data: bytes) -> None:
    assert record_sums(Record("id", data)) == RecordSums(1, len(frame_record(data)), crc32c(data))


@given(records=records_of_a_shard, data=st.data())
def test_sums_are_the_same_in_any_order_and_grouping(
    records: list[Record], data: st.DataObject
) -> None:
    expected = RecordSums(
        len(records),
        sum(16 + len(record.data) for record in records),
        sum(crc32c(record.data) for record in records),
    )
    each = [record_sums(record) for record in data.draw(st.permutations(records))]
    cut = data.draw(st.integers(0, len(each)))
    parts = [
        functools.reduce(operator.add, part, RecordSums()) for part in (each[:cut], each[cut:])
    ]
    assert parts[0] + parts[1] == parts[1] + parts[0] == expected


def test_the_split_of_a_record_does_not_change_its_sums() -> None:
    assert record_sums(Record("a", b"1", "train")) == record_sums(Record("a", b"1"))


def test_the_checksum_is_kept_below_64_bits() -> None:
    largest = RecordSums(1, 16, 2**64 - 1)
    assert largest + RecordSums(1, 16, 1) == RecordSums(2, 32, 0)
    assert largest + largest == RecordSums(2, 32, 2**64 - 2)


@given(records=records_of_a_shard, data=st.data())
def test_a_shard_holds_its_records_in_the_order_of_their_ids(
    records: list[Record], data: st.DataObject
) -> None:
    file = io.BytesIO()
    sums, crc = write_shard(file, data.draw(st.permutations(records)))
    ordered = sorted(records, key=lambda record: record.clip_id)
    assert file.getvalue() == b"".join(frame_record(record.data) for record in ordered)
    assert sums == sum((record_sums(record) for record in records), RecordSums())
    assert sums.num_bytes == len(file.getvalue())
    assert crc == crc32c(file.getvalue())


def test_a_shard_without_records_is_an_empty_file() -> None:
    file = io.BytesIO()
    assert write_shard(file, []) == (RecordSums(), 0)
    assert file.getvalue() == b""


def test_a_shard_takes_its_records_from_an_iterator_once() -> None:
    file = io.BytesIO()
    sums, _ = write_shard(file, iter([Record("b", b"2"), Record("a", b"1")]))
    assert sums.num_records == 2
    assert file.getvalue() == frame_record(b"1") + frame_record(b"2")
