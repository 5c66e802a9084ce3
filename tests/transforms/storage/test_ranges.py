"""Ranged reads: the bytes of the file, and few of them twice or in vain."""

import io
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.storage import ranges
from transforms.storage.ranges import Part, open_ranges

MIB = 2**20


class Server:
    """Gives parts of an object, and remembers which."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.version = "1"
        self.asked: list[tuple[int, int]] = []

    def __call__(self, start: int, end: int) -> Part:
        self.asked.append((start, min(end, len(self.data))))
        return Part(self.data[start:end], start, len(self.data), self.version)

    @property
    def num_bytes(self) -> int:
        return sum(end - start for start, end in self.asked)


def _data(num_bytes: int) -> bytes:
    return np.random.default_rng(num_bytes).bytes(num_bytes)


BIG = _data(20 * MIB)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([io.SEEK_SET, io.SEEK_CUR, io.SEEK_END]),
            st.integers(-2_000, 2_000),
            st.integers(-1, 3_000),
        ),
        max_size=20,
    ),
    st.integers(0, 2_000),
    st.sampled_from([0, 700, 10_000]),
)
def test_any_seeks_and_reads_give_what_a_file_gives(
    steps: list[tuple[int, int, int]], num_bytes: int, whole_bytes: int
) -> None:
    data = BIG[:num_bytes]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranges, "FIRST_BYTES", 100)
        patch.setattr(ranges, "_MIN_AHEAD_BYTES", 50)
        patch.setattr(ranges, "_MAX_AHEAD_BYTES", 300)
        patch.setattr(ranges, "_BUFFER_BYTES", 16)
        file, expected = open_ranges(Server(data), "object", whole_bytes), io.BytesIO(data)
        for whence, offset, size in steps:
            place = {io.SEEK_SET: 0, io.SEEK_CUR: expected.tell(), io.SEEK_END: num_bytes}[whence]
            position = max(0, place + offset)
            assert file.seek(position) == expected.seek(position)
            assert file.read(size) == expected.read(size)
            assert file.tell() == expected.tell()


def test_the_header_of_a_large_object_costs_its_beginning() -> None:
    for whole_bytes in (0, ranges.WHOLE_BYTES):
        server = Server(BIG)
        with open_ranges(server, "object", whole_bytes) as file:
            assert file.read(44) == BIG[:44]
            assert file.seek(0, io.SEEK_END) == len(BIG)
        assert server.asked == [(0, ranges.FIRST_BYTES)]


def test_an_object_that_is_not_large_is_transferred_once() -> None:
    server = Server(BIG)
    with open_ranges(server, "object") as file:
        for place in (0, 19 * MIB, 3 * MIB, 18 * MIB, 7 * MIB, 0):
            file.seek(place)
            assert file.read(MIB) == BIG[place : place + MIB]
        file.seek(0)
        assert file.read() == BIG
    assert server.num_bytes == len(BIG)
    assert len(server.asked) == 4


def test_a_small_object_is_one_request() -> None:
    for data in (b"", BIG[:1000], BIG[: ranges.FIRST_BYTES]):
        server = Server(data)
        with open_ranges(server, "object") as file:
            assert file.read() == data
            file.seek(0)
            assert file.read() == data
        assert len(server.asked) == 1


@pytest.mark.parametrize("start", [0, 44, 5 * MIB + 17, 17 * MIB])
def test_a_piece_of_a_large_object_costs_little_more_than_itself(start: int) -> None:
    piece = 1_764_000  # 10 s of CD sound
    server = Server(BIG)
    with open_ranges(server, "object", whole_bytes=0) as file:
        file.read(44)
        file.seek(start)
        assert file.read(piece) == BIG[start : start + piece]
    assert server.num_bytes < 3_000_000


def test_a_large_object_is_read_through_in_few_requests() -> None:
    server = Server(BIG)
    with open_ranges(server, "object", whole_bytes=0) as file:
        while file.read(4096):
            pass
    assert server.num_bytes == len(BIG)
    assert len(server.asked) < 20


def test_going_back_and_forth_between_a_few_places_fetches_nothing_twice() -> None:
    server = Server(BIG)
    with open_ranges(server, "object", whole_bytes=0) as file:
        for step in range(20):
            for place in (0, 8 * MIB, 16 * MIB):
                file.seek(place + step * 1_000)
                assert file.read(1_000) == BIG[place + step * 1_000 :][:1_000]
    assert len(server.asked) == 3


def test_an_object_that_is_replaced_while_it_is_read_is_an_error() -> None:
    for replace in ("version", "data"):
        server = Server(BIG)
        file = open_ranges(server, "gs://b/object")
        file.read(10)
        setattr(server, replace, "2" if replace == "version" else BIG[:-1])
        file.seek(10 * MIB)
        with pytest.raises(OSError, match="gs://b/object was replaced while it was read"):
            file.read(10)


def test_another_range_than_the_requested_one_is_an_error() -> None:
    def fetch(start: int, end: int) -> Part:
        return Part(BIG[:1000], 0, len(BIG))

    file = open_ranges(fetch, "object")
    assert file.read(1000) == BIG[:1000]
    with pytest.raises(OSError, match="another range than the requested one"):
        file.read(1)


def test_a_server_that_sends_the_whole_file_gets_one_request() -> None:
    asked = []

    def fetch(start: int, end: int) -> Part:
        asked.append(start)
        return Part(BIG, 0, len(BIG))

    with open_ranges(fetch, "object", whole_bytes=0) as file:
        assert file.read() == BIG
        file.seek(-5, os.SEEK_END)
        assert file.read() == BIG[-5:]
    assert asked == [0]


def test_it_is_no_file_of_this_machine() -> None:
    with open_ranges(Server(b"object"), "object") as file:
        assert file.readable()
        assert file.seekable()
        assert not file.writable()
        with pytest.raises(OSError, match="fileno"):
            file.fileno()
        with pytest.raises(ValueError, match="negative"):
            file.seek(-1)
