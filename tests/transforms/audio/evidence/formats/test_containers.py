"""Containers: a file that is cut is told, one that is whole is not."""

import io
from pathlib import Path

import av
import numpy as np
import pytest

from tests.evidence import examine, starts
from tests.sounds import decode, encode_with_ffmpeg, noise
from transforms.audio.errors import AudioError
from transforms.audio.evidence.account import Account

RATE_HZ = 48_000
ID3V1 = b"TAG" + bytes(125)
KINDS = {
    "mkv": ("matroska", "flac"),
    "webm": ("webm", "libopus"),
    "mp4": ("mp4", "aac"),
    "mov": ("mov", "pcm_s16le"),
    "adts": ("adts", "aac"),
    "ac3": ("ac3", "ac3"),
    "eac3": ("eac3", "eac3"),
    "wma": ("asf", "wmav2"),
    "avi": ("avi", "pcm_s16le"),
    "flv": ("flv", "aac"),
    "tta": ("tta", "tta"),
    "wv": ("wv", "wavpack"),
    "ts": ("mpegts", "aac"),
}
every_kind = pytest.mark.parametrize("name", KINDS)


def encoded(name: str, seconds: float = 4.0) -> bytes:
    samples = noise(int(seconds * RATE_HZ))
    return encode_with_ffmpeg(samples, RATE_HZ, *KINDS[name], bit_rate=128_000)


def remuxed(content: bytes, container: str, options: dict[str, str]) -> bytes:
    """Returns a recording in another container, or written with other options."""
    output = io.BytesIO()
    with (
        av.open(io.BytesIO(content), "r") as old,
        av.open(output, "w", format=container, options=options) as new,
    ):
        source = old.streams.audio[0]
        stream = new.add_stream_from_template(source)
        for packet in old.demux(source):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    return output.getvalue()


@every_kind
def test_a_whole_recording_is_whole(name: str) -> None:
    content = encoded(name)
    assert examine(content).damages == ()
    assert examine(content + bytes(1_000)).damages == ()
    assert examine(content + ID3V1).damages == ()


@every_kind
def test_a_cut_is_told(name: str) -> None:
    """MP4 and MOV have their index at the end: without it, nothing decodes."""
    content = encoded(name)
    first = len(content) // 10
    for step in range(1, 17):
        end = first + step * (len(content) - first) // 17 + step
        if name in ("mp4", "mov"):
            end -= 3_000
        account = examine(content[:end])
        assert starts(account) == [None], end
    if name not in ("mp4", "mov", "flv", "tta", "wv"):  # whose last bytes are no media
        assert starts(examine(content[:-1])) == [None]


@pytest.mark.parametrize("name", ["mkv", "webm"])
@pytest.mark.parametrize("limit", ["500", "20000"])
def test_a_cut_of_a_live_recording_is_told(name: str, limit: str) -> None:
    """Sizes of the segment and the clusters are unknown; only cuts between blocks look whole."""
    container, _ = KINDS[name]
    options = {"live": "1", "cluster_time_limit": limit}
    content = remuxed(encoded(name), container, options)
    assert content.find(b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff") > 0
    assert examine(content) == Account()
    whole = [
        end
        for end in range(len(content) - 4_000, len(content))
        if not examine(content[:end]).damages
    ]
    assert len(whole) < 40
    for end in range(100, len(content) - 4_000, len(content) // 300):
        damages = examine(content[:end]).damages
        assert damages or content[end : end + 1] in (b"\xa3", b"\x1f", b"\x16", b"\x12", b"\xec")


def test_damage_inside_a_segment_is_told() -> None:
    content = bytearray(remuxed(encoded("mkv"), "matroska", {"cluster_time_limit": "500"}))
    clusters = [at for at in range(len(content)) if content[at : at + 4] == b"\x1f\x43\xb6\x75"]
    assert len(clusters) > 5
    content[clusters[3] : clusters[3] + 5] = bytes(5)
    account = examine(bytes(content))
    assert len(account.damages) == 1
    # From the last block before the hole to the next cluster.
    assert account.damages[0].start_seconds == pytest.approx(1.4, abs=0.1)
    assert account.damages[0].num_seconds == pytest.approx(0.55, abs=0.1)


@pytest.mark.parametrize("name", ["mkv", "webm", "avi", "flv", "wma"])
def test_damage_between_blocks_is_told_where_it_is(name: str) -> None:
    if name == "avi":
        samples = noise(4 * RATE_HZ)
        content = encode_with_ffmpeg(samples, RATE_HZ, "avi", "libmp3lame", 64_000, with_video=True)
    else:
        content = encoded(name)
    middle = len(content) // 2
    junk = np.random.default_rng(0).bytes(4_000)
    account = examine(content[:middle] + junk + content[middle + 4_000 :])
    assert len(account.damages) == 1
    assert account.damages[0].start_seconds == pytest.approx(2.0, abs=0.4)


def test_a_hole_between_blocks_is_silence_of_its_length() -> None:
    content = remuxed(encoded("webm"), "webm", {"cluster_time_limit": "500"})
    middle = len(content) // 2
    content = content[:middle] + bytes(3_000) + content[middle + 3_000 :]
    with pytest.raises(AudioError, match=r"after [12]\.\d+ s: \d+ bytes are no"):
        decode(content)
    _, samples = decode(content, keep_damaged=True)
    assert len(samples) == pytest.approx(4 * RATE_HZ, abs=0.1 * RATE_HZ)


def test_a_hole_in_the_last_cluster_lasts_to_the_end() -> None:
    content = encoded("webm")  # of one cluster
    middle = len(content) // 2
    account = examine(content[:middle] + bytes(3_000) + content[middle + 3_000 :])
    assert [each.num_seconds for each in account.damages] == [pytest.approx(2.0, abs=0.3)]


def test_segments_in_a_row_are_parts() -> None:
    first, second = encoded("mkv", 1.0), encoded("webm", 1.0)
    total = len(first) + len(second)
    account = examine(first + second)
    assert account == Account(parts=((0, len(first)), (len(first), total)))
    assert starts(examine(first + second[:-9])) == [None]


def test_files_of_mp4_in_a_row_are_parts() -> None:
    content = encoded("mp4", 1.0)
    assert examine(content * 2).parts == ((0, len(content)), (len(content), 2 * len(content)))
    assert len(decode(content * 2)[1]) == 2 * len(decode(content)[1])


@pytest.mark.parametrize("name", ["ts", "wv"])
def test_zeros_behind_the_packets_are_no_damage(name: str) -> None:
    content = encoded(name)
    expected = decode(content)[1]
    assert decode(content + bytes(3_000))[1].tolist() == expected.tolist()


def test_mp4_without_its_index_says_so() -> None:
    with pytest.raises(AudioError, match=r"the index \(moov\) is missing"):
        decode(encoded("mp4")[:-3_000])


def test_media_data_of_mp4_that_are_cut() -> None:
    content = encoded("mp4")
    movie = content.rfind(b"moov") - 4
    first = int.from_bytes(content[:4], "big")
    content = content[:first] + content[movie:] + content[first:movie]  # the index in front
    assert examine(content) == Account()
    first = content.find(b"mdat") + 8
    for end in range(first + 10, len(content), len(content) // 50):
        assert starts(examine(content[:end])) == [None], end
    half = examine(content[: (first + len(content)) // 2])
    assert half.damages[0].num_seconds == pytest.approx(2.0, abs=0.2)


def test_a_fragment_of_mp4_that_is_cut() -> None:
    options = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "500000"}
    content = remuxed(encoded("mp4"), "mp4", options)
    assert examine(content) == Account()
    fragments = [at - 4 for at in range(len(content)) if content[at : at + 4] == b"moof"]
    assert len(fragments) > 4
    for end in range(fragments[1] + 1, fragments[3]):
        is_whole = end == fragments[2] or content[end + 4 : end + 8] == b"mdat"
        assert is_whole or starts(examine(content[:end])) == [None], end
    cut = content[: fragments[3] + 20]
    with pytest.raises(AudioError, match="the last fragment is cut"):
        decode(cut)
    assert len(decode(cut, keep_damaged=True)[1]) > RATE_HZ


@pytest.mark.parametrize("name", ["adts", "ac3", "eac3"])
def test_frames_of_elementary_streams(name: str) -> None:
    content = encoded(name)
    account = examine(content)
    assert account.num_seconds == pytest.approx(4.0, abs=0.1)
    assert account.rates_hz == (() if name == "adts" else (RATE_HZ,))
    position = len(content) // 2
    damaged = examine(content[:position] + bytes(1_500) + content[position + 1_500 :])
    assert starts(damaged) == [pytest.approx(2.0, abs=0.3)]
    joined = examine(content + ID3V1 + content)
    assert joined.damages == ()
    assert joined.num_seconds == pytest.approx(8.0, abs=0.2)


@pytest.mark.parametrize(
    ("magic", "mode", "size", "rate_hz"),
    [(b"#!AMR\n", 7, 32, 8_000), (b"#!AMR-WB\n", 8, 61, 16_000)],
)
def test_amr(magic: bytes, mode: int, size: int, rate_hz: int) -> None:
    frame = bytes([mode << 3 | 4]) + bytes(range(size - 1))
    content = magic + frame * 50
    assert examine(content) == Account(num_seconds=1.0, rates_hz=(rate_hz,))
    assert starts(examine(content[:-1])) == [None]
    assert starts(examine(content + b"\xff" * 100)) == [None]


def test_shared_recordings(shared: Path) -> None:
    for name in ("half.mkv", "half.webm", "start.mkv"):
        account = examine((shared / "data/faults/06-video-truncated" / name).read_bytes())
        assert starts(account) == [None]
    whole = [
        *(shared / "data/faults/06-video-truncated").glob("whole.*"),
        *(shared / "data/field/26-webm-starts-late").glob("*.*[mv]"),
        shared / "data/field/30-audio-starts-late-in-video/delayed.mp4",
    ]
    assert len(whole) == 6
    for path in whole:
        assert examine(path.read_bytes()).damages == ()
    cut = examine(
        (shared / "data/faults/15-ffmpeg-seek-unreadable/1000360_st_wma.wma").read_bytes()
    )
    assert [damage.message for damage in cut.damages] == [
        "the file lacks 6 of 28850 bytes of its data"
    ]
