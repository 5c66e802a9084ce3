"""Telling that a file ends before its audio does, where the decoder keeps silent.

libsndfile decodes what is there of a cut file and reports no error for most formats. What
the file itself says of its length is held against what came: chunk sizes (WAV, AIFF, AU, CAF,
W64, RF64), frame counts (FLAC, NIST SPHERE, MP3 with a Xing or Info header), the end-of-stream
mark and the checksums of Ogg (RFC 3533), and the frames of MP3.
"""

import dataclasses
import os
import re
import struct
import zlib
from typing import BinaryIO

import soundfile

# Lines of libsndfile's log on chunks of samples that are longer than the file.
_SHORT_CHUNK = re.compile(
    r"^\s*(data|SSND|Data Size|riff)\s*:\s*(?P<declared>\d+) \(should be (?P<actual>\d+)\)",
    re.MULTILINE,
)
_SHORT_RF64 = re.compile(
    r"Calculated frame count \d+ does not match value from 'ds64' chunk of (\d+)"
)
# Written by programs that stream to a pipe and cannot come back to fill in the size.
_UNKNOWN_LENGTH = 0x7FFF_0000

_OGG_PAGE = b"OggS"
_OGG_HEADER_BYTES = 27  # and the lengths of up to 255 segments behind it
_OGG_FIRST_PAGE = 2
_OGG_LAST_PAGE = 4
_OGG_CHECKSUM = (22, 26)
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))

# From the first frame's start: header, checksum, side information and the mark itself.
_MP3_HEADER_BYTES = 4 + 2 + 32 + 4
# The decoder takes off what the encoder put in front and behind, and encoders differ on whether
# the header's own frame counts.
_MP3_SLACK_FRAMES = 4 * 1_152
_MP3_BITRATES_KBPS = {
    "1": (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    "2": (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MP3_SAMPLE_RATES_HZ = {
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8_000),
}


@dataclasses.dataclass(frozen=True)
class DeclaredLength:
    """What a recording says of its own length.

    Attributes:
      missing: What is missing at its end, in words; None where nothing is known to be.
      num_frames: That it holds; 0 where it does not say.
      slack_frames: By how much that may be off.
      is_read_in_part: libsndfile would stop before the end of a whole recording, without a word:
        it reads the first of chained Ogg streams, and guesses the length of an MP3 without a
        header from the bit rate of its first frame.
    """

    missing: str | None = None
    num_frames: int = 0
    slack_frames: int = 0
    libsndfile_stops_early: bool = False

    def missing_end(self, num_frames: int, sample_rate_hz: int) -> str | None:
        """Says what is missing of a recording of which `num_frames` came, or None."""
        if self.missing is None and num_frames + self.slack_frames < self.num_frames:
            return f"its header promises {self.num_frames / sample_rate_hz:.3f} s"
        return self.missing


def declared_length(sound: soundfile.SoundFile, file: BinaryIO) -> DeclaredLength:
    """Looks through an open recording, once.

    Args:
      sound: The decoder, before it has decoded anything.
      file: The same recording's bytes, seekable. Where the decoder reads from the same descriptor,
        its place there is lost.

    Raises:
      OSError: The storage fails.
    """
    # Also makes Python forget what it has buffered, and where it believes the descriptor to be.
    size = file.seek(0, os.SEEK_END)
    # A FLAC of unknown length gives the largest number there is.
    num_frames = sound.frames if sound.frames < 2**62 else 0
    if short := _SHORT_CHUNK.search(sound.extra_info):
        declared, actual = int(short["declared"]), int(short["actual"])
        if actual < declared < _UNKNOWN_LENGTH:
            return DeclaredLength(
                f"its header promises {declared} bytes of samples and {actual} are there"
            )
    if short := _SHORT_RF64.search(sound.extra_info):
        return DeclaredLength(f"its header promises {short[1]} frames")
    if sound.format == "NIST":
        return DeclaredLength(num_frames=_num_frames_of_nist(file))
    if sound.format == "CAF" and (missing := _missing_of_caf(file, size)):
        return DeclaredLength(f"its last chunk lacks {missing} bytes")
    if sound.format == "OGG":
        is_chained, cut = _walk_ogg(file, size)
        return DeclaredLength(cut, num_frames, libsndfile_stops_early=is_chained and not cut)
    if sound.format == "MP3":
        has_header, num_walked, missing = _walk_mp3(file, size)
        if missing:
            return DeclaredLength(f"the last MPEG frame lacks {missing} bytes")
        guess_is_short = not has_header and num_frames + _MP3_SLACK_FRAMES < num_walked
        num_due = max(num_walked, num_frames) if has_header else num_walked
        return DeclaredLength(None, num_due, _MP3_SLACK_FRAMES, guess_is_short)
    return DeclaredLength(num_frames=num_frames)


def _num_frames_of_nist(file: BinaryIO) -> int:
    """Returns the length that the text header of a SPHERE file gives, or 0."""
    file.seek(0)
    found = re.search(rb"^sample_count -i (\d+)", file.read(1_024), re.MULTILINE)
    return int(found[1]) if found else 0


def _missing_of_caf(file: BinaryIO, size: int) -> int:
    """Returns how many bytes the last chunk of a CAF file lacks."""
    position = 8
    while position + 12 <= size:
        file.seek(position)
        header = file.read(12)
        length = struct.unpack(">4xq", header)[0] if len(header) == 12 else -1
        if length < 0:  # a last chunk of unknown length, or a file that has become shorter
            return 0
        position += 12 + length
    return max(0, position - size)


def _walk_ogg(file: BinaryIO, size: int) -> tuple[bool, str | None]:
    """Walks an Ogg file from page to page.

    Returns:
      Whether streams are chained, one behind the other; and what is missing at the end.
    """
    position = flags = 0
    first: tuple[int, int] | None = None  # where the first page with sound is
    last = (0, 0)
    begun = chained = False
    while position < size:
        file.seek(position)
        header = file.read(_OGG_HEADER_BYTES + 255)
        if header[:4] != _OGG_PAGE:  # damage between pages, which decoders skip
            found = header.find(_OGG_PAGE, 1)
            position += found if found > 0 else max(1, len(header) - 3)
            continue
        if len(header) < _OGG_HEADER_BYTES:
            return chained, "its last page is cut"
        flags = header[5]
        is_first = bool(flags & _OGG_FIRST_PAGE)
        chained = chained or (is_first and begun)
        begun = begun or not is_first
        num_segments = header[26]
        segments = header[_OGG_HEADER_BYTES : _OGG_HEADER_BYTES + num_segments]
        last = (position, position + _OGG_HEADER_BYTES + num_segments + sum(segments))
        position = last[1]
        if len(segments) < num_segments or position > size:
            return chained, "its last page is cut"
        if first is None and int.from_bytes(header[6:14], "little", signed=True) > 0:
            first = last  # the samples up to its end are counted
    if not flags & _OGG_LAST_PAGE:
        return chained, "the stream has no end mark"
    # Decoders leave out damaged pages. Of one in the middle the samples are missing in the end; the
    # first one and the last one say how many there are.
    for name, (start, end) in (("first", first or last), ("last", last)):
        file.seek(start)
        if not _is_whole_page(file.read(end - start)):
            return chained, f"its {name} page is damaged"
    return chained, None


def _is_whole_page(page: bytes) -> bool:
    """Holds a page against its checksum: CRC-32, in Ogg with the highest bit of a byte first."""
    start, end = _OGG_CHECKSUM
    zeroed = page[:start] + bytes(end - start) + page[end:]
    # zlib's is the same the other way round, and inverted at both ends.
    crc = zlib.crc32(zeroed.translate(_REVERSED_BITS), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return crc.to_bytes(4, "big").translate(_REVERSED_BITS) == page[start:end]


def _first_mp3_frame(file: BinaryIO) -> int:
    """Returns where the MPEG stream starts: behind an ID3v2 tag, if there is one."""
    file.seek(0)
    tag = file.read(10)
    if tag[:3] != b"ID3" or len(tag) < 10:
        return 0
    # 28 bits in four bytes, the top bit of each unused (ID3v2.4, 6.2).
    return 10 + (tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9])


def _walk_mp3(file: BinaryIO, size: int) -> tuple[bool, int, int]:
    """Walks an MPEG stream from frame header to frame header.

    Where no frame follows (a tag, padding or damage) the walk ends, and takes the stream for
    whole: the decoder has had its say on those.

    Returns:
      Whether the first frame is a header with the length; audio frames (samples of one channel)
      on the way; and bytes that the last MPEG frame lacks.
    """
    start = _first_mp3_frame(file)
    file.seek(start)
    first = file.read(_MP3_HEADER_BYTES)
    has_header = b"Xing" in first or b"Info" in first
    position = start
    num_frames = 0
    while position + 4 <= size:
        file.seek(position)
        num_samples, num_bytes = _mp3_frame(file.read(4))
        if not num_bytes:
            return has_header, num_frames, 0
        num_frames += num_samples
        position += num_bytes
    return has_header, num_frames, max(0, position - size)


def _mp3_frame(header: bytes) -> tuple[int, int]:
    """Returns samples and bytes of the layer III frame that starts so, or zeros."""
    if len(header) < 4:  # the file has become shorter meanwhile
        return 0, 0
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bitrate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    synchronised = header[0] == 0xFF and header[1] >> 5 == 7
    if not synchronised or version == 1 or layer != 1 or bitrate in (0, 15) or rate == 3:
        return 0, 0
    bits_per_second = 1_000 * _MP3_BITRATES_KBPS["1" if version == 3 else "2"][bitrate]
    num_samples = 1_152 if version == 3 else 576
    sample_rate_hz = _MP3_SAMPLE_RATES_HZ[version][rate]
    return num_samples, num_samples // 8 * bits_per_second // sample_rate_hz + padding
