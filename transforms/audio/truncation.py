"""Detection of truncated files that the decoder does not report.

libsndfile decodes truncated files of most formats without an error. The decoded length is therefore
compared with what the file declares: chunk sizes (WAV, AIFF, AU, CAF, W64, RF64), frame counts
(FLAC, NIST SPHERE, MP3 with a Xing or Info header), the end-of-stream flag and the checksums of Ogg
(RFC 3533), and the frames of MP3.
"""

import dataclasses
import os
import re
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import soundfile

# Lines in libsndfile's log about chunks that are longer than the file.
_SHORT_CHUNK = re.compile(
    r"^\s*(data|SSND|Data Size|riff)\s*:\s*(?P<declared>\d+) \(should be (?P<actual>\d+)\)",
    re.MULTILINE,
)
_SHORT_RF64 = re.compile(
    r"Calculated frame count \d+ does not match value from 'ds64' chunk of (\d+)"
)
# Sizes from here on are placeholders, written by programs that stream to a pipe.
_UNKNOWN_LENGTH = 0x7FFF_0000

_OGG_PAGE = b"OggS"
_OGG_HEADER_BYTES = 27  # followed by the lengths of up to 255 segments
_OGG_FIRST_PAGE = 2
_OGG_LAST_PAGE = 4
_OGG_CHECKSUM = (22, 26)
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))

# Bytes of the first frame up to the Xing mark: header, checksum, side information, mark.
_MP3_HEADER_BYTES = 4 + 2 + 32 + 4
# The decoder drops the encoder's delay and padding, and encoders differ in whether they count the
# header frame.
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
    """The length of a recording, as declared by the file.

    Attributes:
      missing: Description of what is missing at the end; None if nothing is known to be.
      num_frames: Declared number of audio frames; 0 if unknown.
      slack_frames: Tolerance of `num_frames`.
      libsndfile_stops_early: Whether libsndfile would silently stop before the end of a complete
        recording: it reads the first of chained Ogg streams only, and estimates the length of an
        MP3 without a header from the bit rate of the first frame.
    """

    missing: str | None = None
    num_frames: int = 0
    slack_frames: int = 0
    libsndfile_stops_early: bool = False

    def missing_after(self, num_frames: int, sample_rate_hz: int) -> str | None:
        """Describes what is missing after `num_frames` decoded frames; None if nothing is."""
        if self.missing is None and num_frames + self.slack_frames < self.num_frames:
            return f"the header declares {self.num_frames / sample_rate_hz:.3f} s"
        return self.missing


def declared_length(sound: soundfile.SoundFile, file: BinaryIO) -> DeclaredLength:
    """Determines the declared length of a recording.

    Args:
      sound: The decoder, before it has decoded anything.
      file: The recording's file. Its position changes, and that of a shared descriptor.

    Raises:
      OSError: The storage failed.
    """
    # Also makes Python drop its buffer and its cached position of the descriptor.
    size = file.seek(0, os.SEEK_END)
    # A FLAC of unknown length has the largest possible number.
    num_frames = sound.frames if sound.frames < 2**62 else 0
    if short := _SHORT_CHUNK.search(sound.extra_info):
        declared, actual = int(short["declared"]), int(short["actual"])
        if actual < declared < _UNKNOWN_LENGTH:
            return DeclaredLength(
                f"the header declares {declared} bytes of samples, the file has {actual}"
            )
    if short := _SHORT_RF64.search(sound.extra_info):
        return DeclaredLength(f"the header declares {short[1]} frames")
    if sound.format == "NIST":
        return DeclaredLength(num_frames=_nist_num_frames(file))
    if sound.format == "CAF" and (missing := _caf_missing_bytes(file, size)):
        return DeclaredLength(f"the last chunk lacks {missing} bytes")
    if sound.format == "OGG":
        is_chained, missing_pages = _walk_ogg(file, size)
        stops_early = is_chained and not missing_pages
        return DeclaredLength(missing_pages, num_frames, libsndfile_stops_early=stops_early)
    if sound.format == "MP3":
        has_header, num_walked, missing = _walk_mp3(file, size)
        if missing:
            return DeclaredLength(f"the last MPEG frame lacks {missing} bytes")
        stops_early = not has_header and num_frames + _MP3_SLACK_FRAMES < num_walked
        num_declared = max(num_walked, num_frames) if has_header else num_walked
        return DeclaredLength(None, num_declared, _MP3_SLACK_FRAMES, stops_early)
    return DeclaredLength(num_frames=num_frames)


def _nist_num_frames(file: BinaryIO) -> int:
    """Returns the number of frames in the text header of a SPHERE file; 0 if absent."""
    file.seek(0)
    found = re.search(rb"^sample_count -i (\d+)", file.read(1_024), re.MULTILINE)
    return int(found[1]) if found else 0


def _caf_missing_bytes(file: BinaryIO, size: int) -> int:
    """Returns the number of bytes that the last chunk of a CAF file lacks."""
    position = 8
    while position + 12 <= size:
        file.seek(position)
        header = file.read(12)
        length = struct.unpack(">4xq", header)[0] if len(header) == 12 else -1
        if length < 0:  # the last chunk has unknown length, or the file became shorter
            return 0
        position += 12 + length
    return max(0, position - size)


class _OggPage(NamedTuple):
    start: int
    end: int
    flags: int
    granule_position: int


def _walk_ogg(file: BinaryIO, size: int) -> tuple[bool, str | None]:
    """Walks the pages of an Ogg file.

    Returns:
      Whether streams are chained, and a description of what is missing at the end.
    """
    first: _OggPage | None = None  # the first page with audio
    last: _OggPage | None = None
    has_audio_pages = is_chained = False
    for page in _ogg_pages(file, size):
        if page.end > size:
            return is_chained, "the last page is truncated"
        begins_stream = bool(page.flags & _OGG_FIRST_PAGE)
        is_chained = is_chained or (begins_stream and has_audio_pages)
        has_audio_pages = has_audio_pages or not begins_stream
        if first is None and page.granule_position > 0:
            first = page
        last = page
    if last is None or not last.flags & _OGG_LAST_PAGE:
        return is_chained, "the end-of-stream flag is missing"
    # Decoders skip damaged pages. If one in the middle is damaged, the decoded length is too small;
    # that length is computed from the positions in the first and the last page.
    for name, page in (("first", first or last), ("last", last)):
        file.seek(page.start)
        if not _has_valid_checksum(file.read(page.end - page.start)):
            return is_chained, f"the {name} page is damaged"
    return is_chained, None


def _ogg_pages(file: BinaryIO, size: int) -> Iterator[_OggPage]:
    """Yields the pages of an Ogg file. A truncated last page ends after the file."""
    position = 0
    while position < size:
        file.seek(position)
        header = file.read(_OGG_HEADER_BYTES + 255)
        if header[:4] != _OGG_PAGE:  # damage between pages, which decoders skip
            found = header.find(_OGG_PAGE, 1)
            position += found if found > 0 else max(1, len(header) - 3)
            continue
        end = size + 1
        if len(header) >= _OGG_HEADER_BYTES:
            num_segments = header[26]
            segments = header[_OGG_HEADER_BYTES : _OGG_HEADER_BYTES + num_segments]
            if len(segments) == num_segments:
                end = position + _OGG_HEADER_BYTES + num_segments + sum(segments)
        granule_position = int.from_bytes(header[6:14], "little", signed=True)
        yield _OggPage(position, end, header[5] if len(header) > 5 else 0, granule_position)
        position = end


def _has_valid_checksum(page: bytes) -> bool:
    """Checks the checksum of an Ogg page: CRC-32 with the most significant bit first."""
    start, end = _OGG_CHECKSUM
    zeroed = page[:start] + bytes(end - start) + page[end:]
    # zlib's has the least significant bit first, and is inverted at both ends.
    crc = zlib.crc32(zeroed.translate(_REVERSED_BITS), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return crc.to_bytes(4, "big").translate(_REVERSED_BITS) == page[start:end]


def _first_mp3_frame(file: BinaryIO) -> int:
    """Returns the start of the MPEG stream: after the ID3v2 tag, if there is one."""
    file.seek(0)
    tag = file.read(10)
    if tag[:3] != b"ID3" or len(tag) < 10:
        return 0
    # 28 bits in four bytes, the top bit of each unused (ID3v2.4, 6.2).
    return 10 + (tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9])


def _walk_mp3(file: BinaryIO, size: int) -> tuple[bool, int, int]:
    """Walks the frames of an MPEG stream.

    The walk ends where no frame follows (a tag, padding or damage), and treats the stream as
    complete there: the decoder reports damage itself.

    Returns:
      Whether the first frame is a header with the length; the number of audio frames (samples per
      channel); and the number of bytes that the last MPEG frame lacks.
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
    """Returns the samples and bytes of the layer III frame with this header; zeros if invalid."""
    if len(header) < 4:  # the file became shorter
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
