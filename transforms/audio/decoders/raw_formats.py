"""Encodings of files without a header, which cannot be detected by content."""

from transforms.corpus.clips import RawFormat

# By FFmpeg's names, which users know; libsndfile's subtype and byte order.
LIBSNDFILE_RAW_FORMATS = {
    "s8": ("PCM_S8", "FILE"),
    "u8": ("PCM_U8", "FILE"),
    "s16le": ("PCM_16", "LITTLE"),
    "s16be": ("PCM_16", "BIG"),
    "s24le": ("PCM_24", "LITTLE"),
    "s24be": ("PCM_24", "BIG"),
    "s32le": ("PCM_32", "LITTLE"),
    "s32be": ("PCM_32", "BIG"),
    "f32le": ("FLOAT", "LITTLE"),
    "f32be": ("FLOAT", "BIG"),
    "f64le": ("DOUBLE", "LITTLE"),
    "f64be": ("DOUBLE", "BIG"),
    "mulaw": ("ULAW", "FILE"),
    "alaw": ("ALAW", "FILE"),
    "gsm": ("GSM610", "FILE"),
}
# Names of FFmpeg's demuxers.
FFMPEG_RAW_FORMATS = ("g722", "g723_1", "g729")
RAW_FORMATS = frozenset((*LIBSNDFILE_RAW_FORMATS, *FFMPEG_RAW_FORMATS))

_TELEPHONE_HZ = 8_000
# Rates of Asterisk's "signed linear" files, which are part of the suffix.
_SLN_RATES_HZ = {
    "": 8_000,
    "12": 12_000,
    "16": 16_000,
    "24": 24_000,
    "32": 32_000,
    "44": 44_100,
    "48": 48_000,
    "96": 96_000,
    "192": 192_000,
}
# Suffixes of telephone prompts and calls, which stand for one encoding, rate and channel.
SUFFIXES = {
    ".gsm": RawFormat("gsm", _TELEPHONE_HZ),
    ".ul": RawFormat("mulaw", _TELEPHONE_HZ),
    ".ulaw": RawFormat("mulaw", _TELEPHONE_HZ),
    ".mulaw": RawFormat("mulaw", _TELEPHONE_HZ),
    ".al": RawFormat("alaw", _TELEPHONE_HZ),
    ".alaw": RawFormat("alaw", _TELEPHONE_HZ),
    ".g722": RawFormat("g722", 16_000),
    ".g723": RawFormat("g723_1", _TELEPHONE_HZ),
    ".g723_1": RawFormat("g723_1", _TELEPHONE_HZ),
    ".g729": RawFormat("g729", _TELEPHONE_HZ),
    **{f".sln{suffix}": RawFormat("s16le", rate) for suffix, rate in _SLN_RATES_HZ.items()},
}
