"""Telling that a file ends before its audio does, where the decoder keeps silent.

libsndfile decodes what is there of a cut file and reports no error for most formats. What
the file itself says of its length is held against what came: chunk sizes (WAV, AIFF, AU, CAF,
W64, RF64), frame counts (FLAC, NIST SPHERE, MP3 with a Xing or Info header), the end-of-stream
mark of Ogg (RFC 3533), and the frames of MP3.

libsndfile reads from the same descriptor. Every look into the file begins with a seek to its end,
which makes Python forget what it has buffered and where it believes to be.
"""

import os
import re
import struct
from typing import Protocol

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


class Readable(Protocol):
    """What is asked of a file here."""

    def read(self, num_bytes: int, /) -> bytes:
        """Returns bytes."""

    def seek(self, offset: int, whence: int = ..., /) -> int:
        """Goes to a position and returns it."""


def missing_end(sound: soundfile.SoundFile, num_frames: int, file: Readable) -> str | None:
    """Says what is missing at the end of a recording that was read to its end.

    Args:
      sound: The decoder, at the end.
      num_frames: What it delivered.
      file: The same recording's bytes, seekable.

    Returns:
      The reason in words, or None where nothing is known to be missing.
    """
    if short := _SHORT_CHUNK.search(sound.extra_info):
        declared, actual = int(short["declared"]), int(short["actual"])
        if actual < declared < _UNKNOWN_LENGTH:
            return f"its header promises {declared} bytes of samples and {actual} are there"
    if short := _SHORT_RF64.search(sound.extra_info):
        return f"its header promises {short[1]} frames"
    if sound.format == "NIST" and (declared := _num_frames_of_nist(file)) > num_frames:
        return f"its header promises {declared} frames"
    if sound.format == "CAF" and (missing := _missing_of_caf(file)):
        return f"its last chunk lacks {missing} bytes"
    if sound.format == "OGG" and (why := _walk_ogg(file)[1]):
        return why
    if sound.format == "MP3":
        return _missing_end_of_mp3(sound, num_frames, file)
    # A FLAC of unknown length gives the largest number there is.
    if num_frames < sound.frames < 2**62:
        return f"its header promises {sound.frames / sound.samplerate:.3f} s"
    return None


def is_read_in_part(sound: soundfile.SoundFile, file: Readable) -> bool:
    """Tells whether libsndfile would stop before the end of a whole recording, without a word.

    It reads the first of chained Ogg streams, and guesses the length of an MP3 without a header
    from the bit rate of its first frame. The file is left at its start.
    """
    in_part = False
    if sound.format == "OGG":
        chained, missing = _walk_ogg(file)
        in_part = chained and not missing
    elif sound.format == "MP3":
        has_header, num_frames, missing_bytes = _walk_mp3(file)
        guess_is_short = sound.frames + _MP3_SLACK_FRAMES < num_frames
        in_part = guess_is_short and not has_header and not missing_bytes
    file.seek(0)
    return in_part


def _num_frames_of_nist(file: Readable) -> int:
    """Returns the length that the text header of a SPHERE file gives, or 0."""
    file.seek(0, os.SEEK_END)
    file.seek(0)
    found = re.search(rb"^sample_count -i (\d+)", file.read(1_024), re.MULTILINE)
    return int(found[1]) if found else 0


def _missing_of_caf(file: Readable) -> int:
    """Returns how many bytes the last chunk of a CAF file lacks."""
    size = file.seek(0, os.SEEK_END)
    position = 8
    while position + 12 <= size:
        file.seek(position)
        (length,) = struct.unpack(">4xq", file.read(12))
        if length < 0:  # a last chunk of unknown length
            return 0
        position += 12 + length
    return max(0, position - size)


def _walk_ogg(file: Readable) -> tuple[bool, str | None]:
    """Walks an Ogg file from page to page.

    Returns:
      Whether streams are chained, one behind the other; and what is missing at the end.
    """
    size = file.seek(0, os.SEEK_END)
    position = 0
    flags = 0
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
        position += _OGG_HEADER_BYTES + num_segments + sum(segments)
        if len(segments) < num_segments or position > size:
            return chained, "its last page is cut"
    return chained, None if flags & _OGG_LAST_PAGE else "the stream has no end mark"


def _missing_end_of_mp3(sound: soundfile.SoundFile, num_frames: int, file: Readable) -> str | None:
    """Goes by the header that encoders put into the first MPEG frame, and by the frames."""
    has_header, num_due, missing = _walk_mp3(file)
    if has_header:
        num_due = max(num_due, sound.frames)
    if missing:
        return f"the last MPEG frame lacks {missing} bytes"
    if num_frames + _MP3_SLACK_FRAMES < num_due:
        return f"it holds {num_due / sound.samplerate:.3f} s by its header or its frames"
    return None


def _first_mp3_frame(file: Readable) -> int:
    """Returns where the MPEG stream starts: behind an ID3v2 tag, if there is one."""
    file.seek(0)
    tag = file.read(10)
    if tag[:3] != b"ID3" or len(tag) < 10:
        return 0
    # 28 bits in four bytes, the top bit of each unused (ID3v2.4, 6.2).
    return 10 + (tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9])


def _walk_mp3(file: Readable) -> tuple[bool, int, int]:
    """Walks an MPEG stream from frame header to frame header.

    Where no frame follows (a tag, padding or damage) the walk ends, and takes the stream for
    whole: the decoder has had its say on those.

    Returns:
      Whether the first frame is a header with the length; audio frames (samples of one channel)
      on the way; and bytes that the last MPEG frame lacks.
    """
    size = file.seek(0, os.SEEK_END)
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
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bitrate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    synchronised = header[0] == 0xFF and header[1] >> 5 == 7
    if not synchronised or version == 1 or layer != 1 or bitrate in (0, 15) or rate == 3:
        return 0, 0
    bits_per_second = 1_000 * _MP3_BITRATES_KBPS["1" if version == 3 else "2"][bitrate]
    num_samples = 1_152 if version == 3 else 576
    sample_rate_hz = _MP3_SAMPLE_RATES_HZ[version][rate]
    return num_samples, num_samples // 8 * bits_per_second // sample_rate_hz + padding
