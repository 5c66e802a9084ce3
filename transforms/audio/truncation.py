"""Telling that a file ends before its audio does, where the decoder keeps silent.

libsndfile decodes what is there of a cut file and reports no error for most formats. What
the file itself says of its length is held against what came: chunk sizes (WAV, AIFF, AU, CAF,
W64, RF64), frame counts (FLAC, MP3 with a Xing or Info header), the end-of-stream mark of Ogg
(RFC 3533), and the last frame of MP3 streams without a header.
"""

import os
import re
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
_OGG_END_OF_STREAM = 4
_OGG_MAX_PAGE_BYTES = 27 + 255 + 255 * 255

# From the first frame's start: header, checksum, side information and the mark itself.
_MP3_HEADER_BYTES = 4 + 2 + 32 + 4
# Encoders differ on whether the header's own frame counts and how the end is padded.
_MP3_SLACK_FRAMES = 2 * 1_152
_MP3_BITRATES_KBPS = {
    "1": (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    "2": (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MP3_SAMPLE_RATES_HZ = {
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8_000),
}


def missing_end(sound: soundfile.SoundFile, num_frames: int, file: BinaryIO) -> str | None:
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
    if sound.format == "OGG" and not _ends_with_last_ogg_page(file):
        return "the stream has no end mark"
    if sound.format == "MP3":
        return _missing_end_of_mp3(sound, num_frames, file)
    # A FLAC of unknown length gives the largest number there is.
    if num_frames < sound.frames < 2**62:
        return f"its header promises {sound.frames / sound.samplerate:.3f} s"
    return None


def _missing_end_of_mp3(sound: soundfile.SoundFile, num_frames: int, file: BinaryIO) -> str | None:
    """Goes by the header that encoders put into the first MPEG frame, or else by the last one."""
    start = _first_mp3_frame(file)
    file.seek(start)
    header = file.read(_MP3_HEADER_BYTES)
    if b"Xing" in header or b"Info" in header:
        if num_frames + _MP3_SLACK_FRAMES < sound.frames:
            return f"its header promises {sound.frames / sound.samplerate:.3f} s"
        return None
    # Without it, libsndfile's length is a guess from the bit rate of the first frame.
    missing = _missing_of_last_mp3_frame(file, start)
    return f"the last MPEG frame lacks {missing} bytes" if missing else None


def _ends_with_last_ogg_page(file: BinaryIO) -> bool:
    """Tells whether the last Ogg page is whole and marked as the end of its stream."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 2 * _OGG_MAX_PAGE_BYTES))
    tail = file.read(2 * _OGG_MAX_PAGE_BYTES)
    start = tail.rfind(_OGG_PAGE)
    header = tail[start : start + 27]
    if start < 0 or len(header) < 27:
        return False
    segments = tail[start + 27 : start + 27 + header[26]]
    whole = len(segments) == header[26] and len(tail) >= start + 27 + header[26] + sum(segments)
    return whole and bool(header[5] & _OGG_END_OF_STREAM)


def _first_mp3_frame(file: BinaryIO) -> int:
    """Returns where the MPEG stream starts: behind an ID3v2 tag, if there is one."""
    file.seek(0)
    tag = file.read(10)
    if tag[:3] != b"ID3" or len(tag) < 10:
        return 0
    # 28 bits in four bytes, the top bit of each unused (ID3v2.4, 6.2).
    return 10 + (tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9])


def _missing_of_last_mp3_frame(file: BinaryIO, start: int) -> int:
    """Returns how many bytes the last frame of an MPEG stream lacks: 0 for a whole one.

    Walks from frame header to frame header. Where no frame follows the last (a tag, padding or
    damage) the stream is taken for whole: the decoder has had its say on those.
    """
    size = file.seek(0, os.SEEK_END)
    position = start
    while position + 4 <= size:
        file.seek(position)
        length = _mp3_frame_bytes(file.read(4))
        if not length:
            return 0
        position += length
    return max(0, position - size)


def _mp3_frame_bytes(header: bytes) -> int:
    """Returns the length of the layer III frame that starts with these four bytes, or 0."""
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bitrate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    synchronised = header[0] == 0xFF and header[1] >> 5 == 7
    if not synchronised or version == 1 or layer != 1 or bitrate in (0, 15) or rate == 3:
        return 0
    bits_per_second = 1_000 * _MP3_BITRATES_KBPS["1" if version == 3 else "2"][bitrate]
    samples_per_frame = 1_152 if version == 3 else 576
    return samples_per_frame // 8 * bits_per_second // _MP3_SAMPLE_RATES_HZ[version][rate] + padding
