"""The TFRecord container, byte by byte."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.checksums import crc32c
from transforms.dataset.tfrecord import OVERHEAD_BYTES, frame_record


def masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF


def test_the_reference_here_is_crc_32c() -> None:
    assert crc32c(b"123456789") == 0xE3069283


# Written by tf.io.TFRecordWriter of TensorFlow 2.21.
@pytest.mark.parametrize(
    ("data", "written"),
    [
        (b"", "0000000000000000 29039807 d8ea82a2"),
        (b"123456789", "0900000000000000 37f97139 313233343536373839 e5b08ac7"),
    ],
)
def test_a_record_is_what_tensorflow_writes(data: bytes, written: str) -> None:
    assert frame_record(data) == bytes.fromhex(written)


@given(data=st.binary(max_size=300))
def test_a_record_is_length_and_data_each_with_its_masked_crc(data: bytes) -> None:
    length = struct.pack("<Q", len(data))
    expected = (
        length
        + struct.pack("<I", masked(crc32c(length)))
        + data
        + struct.pack("<I", masked(crc32c(data)))
    )
    assert frame_record(data) == expected


def test_the_overhead_does_not_depend_on_the_length() -> None:
    for num_bytes in [0, 1, 255, 256, 65_536]:
        assert len(frame_record(bytes(num_bytes))) == num_bytes + OVERHEAD_BYTES
