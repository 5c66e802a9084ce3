"""The evidence of a file: what its bytes prove about its recording, without decoding it."""

from collections.abc import Callable
from typing import BinaryIO

from transforms.audio.evidence.account import Account
from transforms.audio.evidence.formats import (
    adts,
    containers,
    flac,
    frames,
    headers,
    matroska,
    mp4,
    mpeg,
    ogg,
    riff,
    tags,
)
from transforms.audio.evidence.source import Source
from transforms.audio.signatures import has_audio_header

_FREE_FORMAT_BYTES = 40_000
_LEADING_BYTES = 1 << 16  # in which the first frame has to be
_Walker = Callable[[Source, int, int], Account]
_MAGICS: dict[bytes, _Walker] = {
    b"OggS": ogg.walk,
    b"fLaC": flac.walk,
    b"riff": riff.walk_w64,
    b".snd": headers.walk_au,
    b"dns.": headers.walk_au,
    b"caff": headers.walk_caf,
    b"\x1aE\xdf\xa3": matroska.walk,
    b"FLV\1": containers.walk_flv,
    b"TTA1": containers.walk_tta,
    b"wvpk": containers.walk_wavpack,
    b"DSD ": containers.walk_dsf,
    b"#!AM": containers.walk_amr,
}
_LONG_MAGICS: dict[bytes, _Walker] = {
    b"NIST_1A\n": headers.walk_nist,
    containers.ASF_HEADER[:8]: containers.walk_asf,
}


def examine(file: BinaryIO) -> Account:
    """Examines the bytes of a file.

    Work and memory are bounded by the bytes that are there, whatever headers claim. A format that
    is not known here has an empty account.

    Args:
      file: A file that can seek. It is read mostly in sequence; its position changes.

    Raises:
      OSError: The storage failed.
    """
    source = Source(file)
    start = tags.end_of_leading_tags(source)
    walk = _walker(source, start)
    if walk is None:
        if has_audio_header(source.at(start, 32)):  # its data may look like frames
            return Account()
        return _examine_frames(source, start) or Account()
    if walk is riff.walk and riff.fills(source, start):
        return walk(source, start, source.size)  # without a look at its end, which may be far
    return walk(source, start, tags.start_of_trailing_tags(source, start))


def _walker(source: Source, start: int) -> _Walker | None:
    """Returns what walks a file of this magic number; None if it has none that is known."""
    magic = source.at(start, 16)
    if riff.is_wave(source, start):
        return riff.walk
    if magic[:4] == b"FORM" and magic[8:12] in (b"AIFF", b"AIFC"):
        return headers.walk_aiff
    if magic[:4] == b"RIFF" and magic[8:12] == b"AVI ":
        return containers.walk_avi
    if mp4.is_mp4(source, start):
        return mp4.walk
    if containers.is_transport_stream(source, start):
        return containers.walk_transport_stream
    return _MAGICS.get(magic[:4]) or _LONG_MAGICS.get(magic[:8])


def _examine_frames(source: Source, start: int) -> Account | None:
    """Examines an elementary stream; None if the file is none."""
    start = source.end_of_zeros(start, source.size)
    end = tags.start_of_trailing_tags(source, start)
    free_bytes = mpeg.free_format_bytes(source.at(start, _FREE_FORMAT_BYTES))
    codecs: tuple[frames.Codec, ...] = (mpeg.Mpeg(free_bytes), adts.Adts(), adts.Ac3())
    for codec in codecs:
        if frames.is_stream(source, start, codec):
            return frames.walk(source, start, end, codec)
    # A recording of a broadcast begins in the middle of a frame, and a tag can lie about its size.
    limit = start if _contains_files(source, start) else min(end, start + _LEADING_BYTES)
    for codec in codecs:
        if frames.start_of_stream(source, start, limit, codec) < limit:
            return frames.walk(source, start, end, codec)
    return None


def _contains_files(source: Source, start: int) -> bool:
    """Whether a file is of a kind whose content may be streams that are not its own."""
    is_tar = source.at(start + 257, 5) == b"ustar"
    return is_tar or source.at(start, 4) in (b"PK\3\4", b"\0\0\1\xba")
