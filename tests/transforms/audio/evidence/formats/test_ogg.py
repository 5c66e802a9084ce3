"""Ogg: every page of every stream."""

from pathlib import Path

import numpy as np
import pytest

from tests.evidence import examine, starts
from tests.sounds import decode, encode, encode_with_ffmpeg
from transforms.audio.evidence.formats import ogg

ID3V1 = b"TAG" + bytes(125)
ID3V2 = b"ID3\x03\0\0\0\0\x01\0" + b"text" * 32
NAMES = ("vorbis", "opus", "flac")


def encoded(name: str, seconds: float = 4.0, num_channels: int = 1) -> bytes:
    samples = np.random.default_rng(0).normal(0, 0.1, (int(seconds * 48_000), num_channels))
    samples = samples.astype(np.float32)
    if name in ("vorbis", "opus"):
        return encode(samples, 48_000, "OGG", name.upper())
    return encode_with_ffmpeg(samples, 48_000, "ogg", "flac")


def pages(content: bytes) -> list[bytes]:
    found, position = [], 0
    while position < len(content):
        num_segments = content[position + 26]
        end = position + 27 + num_segments
        end += sum(content[position + 27 : end])
        found.append(content[position:end])
        position = end
    return found


def with_flags(page: bytes, flags: int) -> bytes:
    """Returns a page with other flags, and the right checksum."""
    page = page[:5] + bytes([flags]) + page[6:22] + bytes(4) + page[26:]
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C1_1DB7 if crc >> 31 else 0)) & 0xFFFF_FFFF
    return page[:22] + crc.to_bytes(4, "little") + page[26:]


every_codec = pytest.mark.parametrize("name", NAMES)


@every_codec
def test_a_whole_recording_is_whole(name: str) -> None:
    content = encoded(name)
    for tail in (b"", bytes(1_000), ID3V1, ID3V2):
        whole = content + tail
        account = examine(whole)
        assert account.damages == ()
        assert account.parts == ()
        assert account.rates_hz == (48_000,)
        assert account.num_seconds == pytest.approx(4.0, abs=0.05)


@every_codec
def test_a_missing_end_of_stream_flag_is_no_damage(name: str) -> None:
    content = pages(encoded(name, 1.0))
    last = with_flags(content[-1], 0)
    assert ogg.has_valid_checksum(last)
    assert examine(b"".join([*content[:-1], last])).damages == ()


@every_codec
def test_every_cut_in_a_page_is_told(name: str) -> None:
    content = encoded(name)
    last = len(content) - len(pages(content)[-1])
    for end in [
        *range(last + 1, last + 40),
        *range(last + 40, len(content), 997),
        len(content) - 1,
    ]:
        account = examine(content[:end])
        assert None in starts(account), end
        assert "the last page is cut" in [damage.message for damage in account.damages]


@every_codec
def test_a_damaged_page_is_told_with_its_time(name: str) -> None:
    content = pages(encoded(name))
    damaged = bytearray(content[4])
    damaged[-1] ^= 1
    account = examine(b"".join([*content[:4], damaged, *content[5:]]))
    assert len(account.damages) == 1
    assert account.damages[0].message == "the checksum of a page is wrong"
    assert 0 < account.damages[0].num_seconds < 2.1
    start = account.damages[0].start_seconds
    assert start is not None
    assert 0 < start < 3
    missing = examine(b"".join([*content[:4], *content[5:]]))
    assert starts(missing) == starts(account)
    assert "pages are missing" in missing.damages[0].message


@every_codec
def test_damage_of_the_last_page_is_told(name: str) -> None:
    content = bytearray(encoded(name))
    content[-1] ^= 1
    assert starts(examine(bytes(content))) == [None]


def test_junk_between_pages_is_told() -> None:
    content = pages(encoded("opus"))
    account = examine(b"".join([*content[:3], b"junk" * 20, *content[3:]]))
    assert [damage.message for damage in account.damages] == ["80 bytes between pages are no page"]
    assert examine(b"".join([*content[:3], bytes(80), *content[3:]])).damages == ()


def test_a_recording_of_a_broadcast_is_whole() -> None:
    """The headers, and pages that begin in the middle of the stream."""
    content = pages(encoded("opus", 20.0))
    account = examine(b"".join([*content[:2], *content[12:]]))
    assert account.damages == ()
    assert account.num_seconds == pytest.approx(10.0, abs=1.1)


@pytest.mark.parametrize("name", ["vorbis", "opus"])
def test_gaps_of_granule_positions_are_no_audio(name: str) -> None:
    """The length is that of the packets, wherever the last granule position is."""
    content = pages(encoded(name))
    granule = int.from_bytes(content[-1][6:14], "little") + 480_000
    late = content[-1][:6] + granule.to_bytes(8, "little") + content[-1][14:]
    account = examine(b"".join([*content[:-1], with_flags(late, late[5])]))
    assert account.damages == ()
    assert account.num_seconds == pytest.approx(4.0, abs=0.05)


def test_audio_in_the_page_of_the_headers_is_counted() -> None:
    """Which libvorbis drops."""
    old = pages(encoded("vorbis"))
    headers = [index for index, page in enumerate(old) if page[6:14] == bytes(8)]
    last, first = old[headers[-1]], old[headers[-1] + 1]
    segments = last[27 : 27 + last[26]] + first[27 : 27 + first[26]]
    assert len(segments) < 256
    joined = last[:6] + first[6:14] + last[14:26] + bytes([len(segments)]) + segments
    joined += last[27 + last[26] :] + first[27 + first[26] :]
    later = [
        page[:18] + (index + headers[-1] + 1).to_bytes(4, "little") + page[22:]
        for index, page in enumerate(old[headers[-1] + 2 :])
    ]
    rest = [with_flags(page, page[5]) for page in (joined, *later)]
    content = b"".join([*old[: headers[-1]], *rest])
    account = examine(content)
    assert account.damages == ()
    assert account.num_seconds == pytest.approx(4.0, abs=0.05)
    _, samples = decode(content, ".ogg")
    assert len(samples) == pytest.approx(4.0 * 48_000, abs=2_000)


@every_codec
def test_a_page_that_comes_twice_is_told(name: str) -> None:
    """Decoders play it twice."""
    content = pages(encoded(name))
    middle = len(content) // 2
    account = examine(b"".join([*content[: middle + 1], *content[middle:]]))
    assert [damage.message for damage in account.damages] == ["a page is repeated"]
    behind = examine(b"".join([*content, content[-1]]))
    assert behind.damages == ()


def test_flac_that_was_cut_out_of_a_stream_begins_at_once() -> None:
    """Of a broadcast of FLAC the headers come first, and then pages of hours later."""
    first, second, *rest = pages(encoded("flac"))
    late = []
    for page in rest:
        granule = int.from_bytes(page[6:14], "little", signed=True)
        granule += 2 * 3_600 * 48_000 if granule > 0 else 0
        moved = page[:6] + granule.to_bytes(8, "little", signed=True) + page[14:]
        late.append(with_flags(moved, page[5]))
    _, expected = decode(b"".join([first, second, *rest]))
    _, samples = decode(b"".join([first, second, *late]))
    assert samples.tolist() == expected.tolist()


def test_a_page_behind_the_end_of_the_stream_is_whole() -> None:
    content = pages(encoded("opus"))
    content[-2] = with_flags(content[-2], 4)
    assert examine(b"".join(content)).damages == ()


def test_chains_have_parts() -> None:
    first, second, third = encoded("vorbis", 1.0), encoded("opus", 2.0, 2), encoded("vorbis", 1.0)
    account = examine(first + second + third)
    middle = len(first) + len(second)
    assert account.parts == ((0, len(first)), (len(first), middle), (middle, middle + len(third)))
    assert account.rates_hz == (48_000, 48_000, 48_000)
    assert account.damages == ()
    assert account.num_seconds == pytest.approx(4.0, abs=0.05)
    cut = examine(first[:-100] + second)
    assert starts(cut) == [pytest.approx(0.9, abs=0.15)]


def test_a_cut_inside_a_packet_is_told() -> None:
    """FLAC packets run over several pages, so that the file may be cut between two of them."""
    content = pages(encoded("flac"))
    is_open = [page[27 + page[26] - 1] == 255 for page in content]
    for count in range(4, len(content)):
        assert bool(examine(b"".join(content[:count])).damages) == is_open[count - 1]


def test_damage_of_video_is_none_of_audio(shared: Path) -> None:
    content = pages((shared / "data/field/21-ogg-flac-speex-theora-skeleton/t.ogv").read_bytes())
    serial = next(page[14:18] for page in content if page[28:35] == b"\x80theora")
    index = max(index for index, page in enumerate(content[:-4]) if page[14:18] == serial)
    damaged = [bytearray(page) for page in content]
    damaged[index][-1] ^= 1
    assert examine(b"".join(damaged)).damages == ()


@pytest.mark.parametrize(
    ("name", "seconds", "rate_hz"),
    [
        ("field/21-ogg-flac-speex-theora-skeleton/flac.oga", 1.5, 16_000),
        ("field/21-ogg-flac-speex-theora-skeleton/skeleton.ogg", 2.5, 44_100),
        ("field/21-ogg-flac-speex-theora-skeleton/skeleton.opus", 2.5, 48_000),
        ("field/21-ogg-flac-speex-theora-skeleton/sp.spx", 2.5, 16_000),
        ("field/21-ogg-flac-speex-theora-skeleton/t.ogv", 2.5, 44_100),
        ("field/25-ogg-no-eos/noeos_tg.ogg", 2.5, 48_000),
        ("field/25-ogg-no-eos/noeos_vorbis.ogg", 2.5, 44_100),
        ("faults/13-ogg-flac-speex/st_fl.ogg", 68_545 / 48_000, 48_000),
    ],
)
def test_shared_recordings_are_whole(shared: Path, name: str, seconds: float, rate_hz: int) -> None:
    account = examine((shared / "data" / name).read_bytes())
    assert account.damages == ()
    assert account.parts == ()
    assert account.rates_hz == (rate_hz,)
    assert account.num_seconds == pytest.approx(seconds, abs=0.02)
