"""MPEG-1, MPEG-2 and MPEG-2.5 audio, layers I to III (ISO 11172-3, ISO 13818-3)."""

import functools
import re

from transforms.audio.evidence.formats import frames

_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_BIT_RATES_KBPS = {  # by whether it is MPEG-1, and layer
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_NUM_SAMPLES = {(True, 1): 384, (True, 2): 1_152, (True, 3): 1_152}
_NUM_SAMPLES |= {(False, 1): 384, (False, 2): 1_152, (False, 3): 576}
_MONO = 3
_MOST_FREE_BYTES = 12_000  # a frame of 640 kbit/s and 8 kHz
_THIRD_BYTES = bytes(
    byte for byte in range(256) if byte >> 4 != 15 and byte >> 2 & 3 != 3
)  # a bit rate and a sample rate that exist


def _header(second: int, third: int, free_bytes: int = 0) -> frames.Header | None:
    """Returns the header of these bytes behind the first, which is 0xFF."""
    version, layer = second >> 3 & 3, 4 - (second >> 1 & 3)
    bit_rate, rate, padding = third >> 4, third >> 2 & 3, third >> 1 & 1
    if second >> 5 != 7 or version == 1 or layer == 4 or bit_rate == 15 or rate == 3:
        return None
    rate_hz = _RATES_HZ[version][rate]
    num_samples = _NUM_SAMPLES[version == 3, layer]
    slot_bytes = 4 if layer == 1 else 1
    kbps = _BIT_RATES_KBPS[version == 3, layer][bit_rate]
    num_bytes = num_samples // 8 // slot_bytes * 1_000 * kbps // rate_hz * slot_bytes
    num_bytes = (num_bytes or free_bytes) + padding * slot_bytes
    key = (second & 0x1E) << 8 | third & 0x0C | (0 if kbps else 1)
    return frames.Header(key, num_bytes, num_samples, rate_hz)


@functools.lru_cache(4)
def _headers(free_bytes: int) -> dict[bytes, frames.Header]:
    """Returns the headers of all first three bytes of frames."""
    return {
        bytes((0xFF, second, third)): header
        for second in range(0xE0, 0x100)
        for third in range(256)
        if (header := _header(second, third, free_bytes)) and header.num_bytes > 4
    }


class Mpeg(frames.Codec):
    """Frames of MPEG audio.

    The size of frames of a free format is not in their headers: it is found as the distance of the
    first ones, and all of a file have one size, up to padding.
    """

    name = "MPEG frame"
    header_bytes = 4
    sync = re.compile(
        rb"\xff[\xe2-\xe7\xf2-\xff][" + re.escape(_THIRD_BYTES) + rb"]|" + frames.TAG_STARTS,
        re.DOTALL,
    )

    def __init__(self, free_bytes: int = 0) -> None:
        """Creates the codec.

        Args:
          free_bytes: Size of frames of a free format without padding; 0 if there are none.
        """
        self._headers = _headers(free_bytes)

    def parse(self, head: bytes) -> frames.Header | None:
        """Returns the header at the start of `head`; None if no frame begins there."""
        return self._headers.get(head[:3]) if len(head) >= 4 else None

    def needs_predecessor(self, head: bytes) -> bool:
        """Whether a frame of layer III begins in the bit reservoir of frames before it."""
        if len(head) < 8 or head[1] >> 1 & 3 != 1:
            return False
        start = 4 if head[1] & 1 else 6  # after a checksum
        if head[1] >> 3 & 3 == 3:
            return bool(head[start] or head[start + 1] & 0x80)
        return bool(head[start])

    def declared_frames(self, head: bytes) -> int | None:
        """Number of frames by a Xing, Info or VBRI header; 0 if it does not tell; None if audio."""
        if len(head) < 54 or head[1] >> 1 & 3 != 1:
            return None
        if mark := _xing_mark(head):
            has_count = head[mark + 7] & 1
            return int.from_bytes(head[mark + 8 : mark + 12], "big") if has_count else 0
        if head[36:40] == b"VBRI":
            return int.from_bytes(head[50:54], "big")
        return None

    def trimmed_samples(self, head: bytes) -> int:
        """Number of samples that the encoder has added in front and behind, by LAME's header."""
        mark = _xing_mark(head)
        if not mark:
            return 0
        flags = head[mark + 7]
        # Behind the number of frames and of bytes, the table of contents, and the quality.
        encoder = mark + 8 + sum((4, 4, 100, 4)[bit] for bit in range(4) if flags >> bit & 1)
        if head[encoder : encoder + 4] not in (b"LAME", b"Lavf", b"Lavc", b"L3.9"):
            return 0
        delays = int.from_bytes(head[encoder + 21 : encoder + 24], "big")
        return (delays >> 12) + (delays & 0xFFF)


def _xing_mark(head: bytes) -> int:
    """Returns where a Xing or Info header is in the first frame of a stream; 0 if there is none."""
    is_mono, is_mpeg_1 = head[3] >> 6 == _MONO, head[1] >> 3 & 3 == 3
    side_bytes = (17 if is_mono else 32) if is_mpeg_1 else (9 if is_mono else 17)
    for mark in (4 + side_bytes, 6 + side_bytes):  # after a checksum
        if head[mark : mark + 4] in (b"Xing", b"Info") and len(head) >= mark + 12:
            return mark
    return 0


def free_format_bytes(first: bytes) -> int:
    """Finds the size of frames of a free format.

    Args:
      first: The file from its first frame on, up to the end of the third or more.

    Returns:
      The size without padding; 0 if the first frame is of no free format, or of unknown size.
    """
    header = _header(first[1], first[2]) if len(first) > 3 and first[0] == 0xFF else None
    if header is None or not header.key & 1:
        return 0
    slot_bytes = 4 if header.num_samples == 384 else 1
    same = re.compile(
        re.escape(first[:2]) + b"[" + re.escape(bytes((first[2] & 0xFD, first[2] | 2))) + b"]",
        re.DOTALL,
    )
    for found in list(same.finditer(first, 4, _MOST_FREE_BYTES))[:100]:
        size = found.start() - (first[2] >> 1 & 1) * slot_bytes
        second = found.start() + size + (first[found.start() + 2] >> 1 & 1) * slot_bytes
        if same.match(first, second):
            return size
    return 0
