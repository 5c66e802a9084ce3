"""Any bytes: an examination raises nothing, and ends."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evidence import examine
from tests.sounds import encode, encode_with_ffmpeg, tone
from transforms.audio.evidence.account import Account

KINDS = (
    ("MP3", "MPEG_LAYER_III"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("WAV", "PCM_16"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "FLOAT"),
    ("AU", "ULAW"),
    ("CAF", "PCM_24"),
    ("NIST", "PCM_16"),
    ("FLAC", "PCM_16"),
)
MAGICS = [b"", b"ID3\x04\0\0\0\0\0\x05", b"OggS\0", b"\xff\xfb\x90\xc4"]
CONTAINERS = (
    ("matroska", "flac"),
    ("webm", "libopus"),
    ("mp4", "aac"),
    ("adts", "aac"),
    ("ac3", "ac3"),
    ("avi", "pcm_s16le"),
    ("flv", "aac"),
    ("tta", "tta"),
    ("wv", "wavpack"),
)
RECORDINGS = [encode(tone(8_000, 8_000), 8_000, *kind) for kind in KINDS]
RECORDINGS += [encode_with_ffmpeg(tone(4_800, 48_000), 48_000, *kind) for kind in CONTAINERS]
PIECES = st.sampled_from(
    [*MAGICS, *(recording[:600] for recording in RECORDINGS), bytes(5), b"\xff" * 9, b"TAG"]
)


def is_sane(account: Account) -> bool:
    ranges = [*account.parts, *((account.audio_range,) if account.audio_range else ())]
    return (
        all(damage.num_seconds >= 0 and damage.message for damage in account.damages)
        and all(0 <= start <= end for start, end in ranges)
        and (account.samples is None or 0 <= account.samples.start < account.samples.end)
    )


@pytest.mark.parametrize("content", [b"", b"\0", bytes(10_000), b"\xff" * 10_000, b"text" * 999])
def test_what_is_no_recording_has_an_empty_account(content: bytes) -> None:
    assert examine(content) == Account()


@settings(deadline=2_000)
@given(st.lists(st.one_of(st.binary(max_size=50), PIECES), max_size=20))
def test_any_bytes_have_an_account(pieces: list[bytes]) -> None:
    assert is_sane(examine(b"".join(pieces)))


@settings(deadline=2_000)
@given(
    st.sampled_from(RECORDINGS),
    st.lists(st.tuples(st.integers(0, 20_000), st.binary(max_size=8)), max_size=5),
    st.integers(0, 20_000),
)
def test_any_mutation_has_an_account(
    content: bytes, changes: list[tuple[int, bytes]], end: int
) -> None:
    mutated = bytearray(content)
    for position, new in changes:
        start = position % len(content)
        mutated[start : start + len(new)] = new
    assert is_sane(examine(bytes(mutated[: max(1, end)])))


def test_alternating_frames_and_padding_end() -> None:
    frame = b"\xff\xfb\x90\xc4" + bytes(range(1, 249)) + bytes(165)
    content = (frame[:417] + bytes(8)) * 3_000
    assert examine(content).rates_hz == (44_100,)
