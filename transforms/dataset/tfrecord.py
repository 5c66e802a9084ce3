"""The TFRecord container, uncompressed.

A record consists of its length (uint64), the masked CRC-32C of these 8 bytes, the data, and the
masked CRC-32C of the data, all little-endian (tensorflow/core/lib/io/record_writer.h).
"""

import struct

import google_crc32c

OVERHEAD_BYTES = 16
_MASK_DELTA = 0xA282EAD8


def frame_record(data: bytes) -> bytes:
    """Returns the bytes of a record in the file."""
    length = struct.pack("<Q", len(data))
    return b"".join((length, _masked_crc(length), data, _masked_crc(data)))


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF)
