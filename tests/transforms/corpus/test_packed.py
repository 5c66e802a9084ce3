"""Clips of archives: every member is a clip, a failure or skipped, whatever the archive is."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packing import contents, flac, tar_bytes, webdataset, write_shard
from transforms.corpus import packed
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.listing import Shard, SkippedFile
from transforms.corpus.packed import ReadAs
from transforms.packed.address import kind_of

NAMES = ("x.tar", "x.tar.gz", "x.zip")


def listed(path: Path, is_named: bool = True) -> list[object]:
    kind = kind_of(path.name)
    assert kind is not None
    return list(packed.list_shard(Shard(path.name, str(path), kind, is_named)))


def clips_of(path: Path) -> list[Clip]:
    return [each for each in listed(path) if isinstance(each, Clip)]


def failures_of(path: Path) -> list[tuple[str, str]]:
    return [(each.id, each.message) for each in listed(path) if isinstance(each, Failure)]


@pytest.mark.parametrize("name", NAMES)
def test_members_are_clips_with_ids_of_their_own(tmp_path: Path, name: str) -> None:
    members = {f"./a/{key}": data for key, data in webdataset(3).items()}
    path = write_shard(tmp_path / name, members | {"notes.md": b"x", "a/.b.wav": b"x"})
    clips = clips_of(path)
    assert [clip.id for clip in clips] == [f"{name}/a/000{index}.flac" for index in range(3)]
    kind = "zip" if name == "x.zip" else "tar"
    assert [clip.uri for clip in clips] == [
        f"{kind}://a/000{index}.flac::{path}" for index in range(3)
    ]
    assert [clip.labels for clip in clips] == [("0",), ("1",), ("0",)]
    assert contents(clips) == [data for key, data in members.items() if key.endswith(".flac")]
    assert listed(path).count(SkippedFile("other")) == 2
    assert listed(path).count(ReadAs("labels of .cls")) == 3
    assert listed(path).count(ReadAs("no labels in .txt")) == 3


@pytest.mark.parametrize(
    ("beside", "labels"),
    [
        ({"a.json": b'{"label": "dog, big"}'}, ("dog, big",)),
        ({"a.json": b'{"labels": ["dog", "cat", "dog"]}'}, ("dog", "cat")),
        ({"a.json": b'{"Label": 7, "text": "x"}'}, ("7",)),
        ({"a.json": b'{"label": 7.0}'}, ("7",)),
        ({"a.json": b'{"label": ["[0, 1]"]}'}, ("0", "1")),
        ({"a.json": b'{"label": NaN, "tags": ["x"]}'}, ()),
        ({"a.json": b"{\"labels\": \"['dog', 'cat']\"}"}, ("dog", "cat")),
        ({"a.json": b'{"text": "x"}'}, ()),
        ({"a.json": b"[1]", "a.txt": b"dog\n"}, ("dog",)),
        ({"a.txt": b"a dog barks"}, ()),
        ({"a.cls": b"3", "a.json": b'{"label": "dog"}'}, ("3",)),
        ({"a.cls": b""}, ()),
    ],
)
def test_labels_are_those_of_the_files_beside_a_recording(
    tmp_path: Path, beside: dict[str, bytes], labels: tuple[str, ...]
) -> None:
    for name, order in (("x.tar", 1), ("y.tar.gz", -1)):
        members = dict([*beside.items(), ("a.flac", b"x"), ("b.flac", b"y")][::order])
        clips = {
            clip.id[-6:]: clip.labels for clip in clips_of(write_shard(tmp_path / name, members))
        }
        assert clips == {"a.flac": labels, "b.flac": ()}


@pytest.mark.parametrize(
    ("beside", "message"),
    [
        ({"a.json": b'{"label": '}, "its .json cannot be parsed"),
        ({"a.json": b'{"label": {"name": "dog"}}'}, "the key 'label' of its .json"),
        ({"a.json": b'{"labels": [0, 1, 0.0]}'}, "must name the labels"),
        ({"a.json": b"[" * 60_000}, "its .json cannot be parsed"),
        ({"a.json": b" " * 70_000}, "its .json has more than 65536 bytes"),
        ({"a.cls": b"1\n2"}, "its .cls has several lines"),
        ({"a.cls": b"\xff"}, "not UTF-8"),
    ],
)
def test_labels_that_are_not_understood_fail_the_recording(
    tmp_path: Path, beside: dict[str, bytes], message: str
) -> None:
    path = write_shard(tmp_path / "x.tar", {**beside, "a.flac": b"x", "b.flac": b"y"})
    ((failed, why),) = failures_of(path)
    assert failed == "x.tar/a.flac"
    assert message in why
    assert [clip.id for clip in clips_of(path)] == ["x.tar/b.flac"]


def test_a_key_may_have_several_suffixes(tmp_path: Path) -> None:
    members = {
        "a.audio.flac": b"x",
        "a.cls": b"1",
        "b.1.flac": b"x",
        "b.2.flac": b"x",
        "b.2.cls": b"3",
        "b.3.flac": b"x",
        "b.cls": b"2",
    }
    labels = {clip.id: clip.labels for clip in clips_of(write_shard(tmp_path / "x.tar", members))}
    assert labels == {
        "x.tar/a.audio.flac": ("1",),
        "x.tar/b.1.flac": ("2",),
        "x.tar/b.2.flac": ("3",),
        "x.tar/b.3.flac": ("2",),
    }


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.tar.xz", "x.tar.zst"])
def test_a_truncated_archive_fails_its_last_member_and_itself(tmp_path: Path, name: str) -> None:
    members = {f"{index}.flac": flac(1, index) for index in range(9)}
    path = write_shard(tmp_path / name, members)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    clips, failures = clips_of(path), failures_of(path)
    assert 3 <= len(clips) <= 6
    last = f"{name}/{len(clips)}.flac"
    assert [failed for failed, _ in failures] == [last, name]
    assert "cut off" in failures[0][1] or "truncated" in failures[0][1]
    assert "later members are missing" in failures[1][1]
    assert contents(clips) == [members[f"{index}.flac"] for index in range(len(clips))]


def test_an_archive_without_its_end_says_that_members_may_be_missing(tmp_path: Path) -> None:
    data = tar_bytes({"a.flac": b"x" * 512, "b.flac": b"y" * 512})
    (tmp_path / "x.tar").write_bytes(data[: 4 * 512])
    assert len(clips_of(tmp_path / "x.tar")) == 2
    ((failed, why),) = failures_of(tmp_path / "x.tar")
    assert (failed, "end-of-archive mark is missing" in why) == ("x.tar", True)
    (tmp_path / "y.tar").write_bytes(data + tar_bytes({"c.flac": b"z"}))
    assert len(clips_of(tmp_path / "y.tar")) == 3  # one behind the other, as cat writes them
    assert failures_of(tmp_path / "y.tar") == []


def test_a_damaged_header_costs_its_member_only(tmp_path: Path) -> None:
    members = {f"{index}.flac": bytes([65 + index]) * 700 for index in range(5)}
    data = bytearray(tar_bytes(members))
    data[3 * 512 + 10] ^= 0xFF  # the header of 1.flac
    for name in ("x.tar", "x.tar.gz"):
        path = write_shard(tmp_path / name, {})
        if name == "x.tar":
            path.write_bytes(data)
        else:
            import gzip

            path.write_bytes(gzip.compress(data))
        clips = clips_of(path)
        assert [clip.id[-6:] for clip in clips] == ["0.flac", "2.flac", "3.flac", "4.flac"]
        assert contents(clips) == [members[clip.id[-6:]] for clip in clips]
        ((failed, why),) = failures_of(path)
        assert failed == name
        assert "at byte 1536: a damaged header" in why


def _special(kind: bytes, name: str = "a.wav") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = "/etc/passwd"
    return member


def test_links_and_devices_are_not_followed(tmp_path: Path) -> None:
    kinds = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
    with tarfile.open(tmp_path / "x.tar", "w:") as tar:
        for index, kind in enumerate(kinds):
            tar.addfile(_special(kind, f"{index}.wav"))
        tar.addfile(_special(tarfile.DIRTYPE, "folder.wav"))
        tar.addfile(_special(tarfile.SYMTYPE, "notes.md"))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as bundle:
        entry = zipfile.ZipInfo("0.wav")
        entry.external_attr = 0o120777 << 16
        bundle.writestr(entry, "/etc/passwd")
    assert clips_of(tmp_path / "x.tar") == clips_of(tmp_path / "x.zip") == []
    found = failures_of(tmp_path / "x.tar")
    assert [failed for failed, _ in found] == [f"x.tar/{index}.wav" for index in range(5)]
    assert all("which is not followed" in why for _, why in found)
    assert "symbolic link" in failures_of(tmp_path / "x.zip")[0][1]


def test_names_that_lead_outside_are_names_only(tmp_path: Path) -> None:
    members = {"../../etc/a.wav": b"1", "/etc/b.wav": b"2", "c%3A::/etc/passwd.wav": b"3"}
    for name in NAMES:
        path = write_shard(tmp_path / name, members)
        clips = clips_of(path)
        assert contents(clips) == [*members.values()]
        assert [clip.id for clip in clips] == [
            f"{name}/{each}" for each in ("../../etc/a.wav", "etc/b.wav", "c%3A::/etc/passwd.wav")
        ]


def test_members_of_one_name_differ_in_their_places(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(tar_bytes([("a.wav", b"1"), ("a.wav", b"2")]))
    first, second = clips_of(path)
    assert first.uri == second.uri
    assert first != second


def test_sizes_that_lie_cost_no_memory(tmp_path: Path) -> None:
    member = tarfile.TarInfo("a.wav")
    for size in (2**60, 2**33, 8**11 - 1):
        member.size = size
        header = member.tobuf(tarfile.GNU_FORMAT)
        (tmp_path / "x.tar").write_bytes(header + b"x" * 2_000)
        assert clips_of(tmp_path / "x.tar") == []
        (failed, why), (shard, _) = failures_of(tmp_path / "x.tar")
        assert (failed, shard) == ("x.tar/a.wav", "x.tar")
        assert f"2000 of the member's {size} bytes" in why


def test_zip_archives_say_what_cannot_be_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        bundle.writestr("bzip2.wav", b"x" * 99, zipfile.ZIP_BZIP2)
        bundle.writestr("good.wav", b"x" * 99, zipfile.ZIP_DEFLATED)
        bundle.writestr("crypt.wav", b"x" * 99)
        bundle.writestr("wrong.wav", b"x" * 99)
    data = bytearray(buffer.getvalue())
    entry = data.rfind(b"PK\x01\x02", 0, data.rfind(b"crypt.wav"))
    data[entry + 8] |= 1
    data[data.find(b"wrong.wav") + 12] ^= 1  # its content
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    assert {failed[6:]: why for failed, why in failures_of(path)} == {
        "bzip2.wav": "compressed with method 12 of zip (allowed: 0 and 8, stored and deflated)",
        "crypt.wav": "it is encrypted",
    }
    good, wrong = clips_of(path)
    assert contents([good]) == [b"x" * 99]
    with pytest.raises(OSError, match="its checksum is wrong"):
        contents([wrong])
    path.write_bytes(data[:-30])
    ((failed, why),) = failures_of(path)
    assert failed == "x.zip"
    assert "no directory of a zip archive" in why


def test_overlapping_members_of_a_zip_archive_fail(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        bundle.writestr("a.wav", b"x" * 999)
        entries = [bundle.infolist()[0]]
        bundle.filelist.extend(entries * 9)
    (tmp_path / "x.zip").write_bytes(buffer.getvalue())
    whys = [why for _, why in failures_of(tmp_path / "x.zip")]
    assert len(whys) >= 7
    assert all("members overlap" in why for why in whys)


def test_a_shard_of_nothing_is_told_where_it_was_named(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "x.tar", {"a.md": b"x"})
    assert failures_of(path) == [
        ("x.tar", "the shard: none of its 1 members is audio by its suffix")
    ]
    assert listed(path, is_named=False) == [SkippedFile("other")]
    (tmp_path / "y.tar").write_bytes(b"no archive" * 100)
    (tmp_path / "z.zip").write_bytes(b"")
    assert [failed for failed, _ in failures_of(tmp_path / "y.tar")] == ["y.tar"]
    assert [failed for failed, _ in failures_of(tmp_path / "z.zip")] == ["z.zip"]
