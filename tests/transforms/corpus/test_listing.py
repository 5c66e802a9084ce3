"""Listing: every file of a folder is a clip, a failure or left out, and none is lost."""

import collections
import contextlib
import fnmatch
import glob
import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus import listing
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.listing import (
    HIDDEN,
    OTHER,
    SkippedFile,
    glob_root,
    is_glob,
    is_named_like_audio,
    list_folder,
    list_paths,
    quote_glob,
)


class Found:
    """What a listing gave, by kind; every clip's id once."""

    def __init__(self, found: Iterable[Clip | Failure | SkippedFile]) -> None:
        entries = list(found)
        clips = [entry for entry in entries if isinstance(entry, Clip)]
        self.clips = {clip.id: clip.uri for clip in clips}
        assert len(self.clips) == len(clips)
        self.failures = {entry.id: entry for entry in entries if isinstance(entry, Failure)}
        self.skipped = collections.Counter(
            entry.why for entry in entries if isinstance(entry, SkippedFile)
        )
        assert all(failure.step == "list" for failure in self.failures.values())


def make_files(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def test_clips_of_nested_folders_have_their_relative_path_as_id(tmp_path: Path) -> None:
    names = ["a.wav", "b/a.wav", "b/c/a.flac", "b/c/d/e/f.ogg", "z.mp3"]
    make_files(tmp_path, *names)
    found = Found(list_folder(str(tmp_path)))
    assert found.clips == {name: str(tmp_path / name) for name in names}
    assert not found.failures
    assert not found.skipped


def test_ids_do_not_depend_on_a_slash_behind_the_folder(tmp_path: Path) -> None:
    make_files(tmp_path, "a.wav", "b/a.wav")
    found = Found(list_folder(f"{tmp_path}/"))
    assert sorted(found.clips) == ["a.wav", "b/a.wav"]
    assert all(Path(uri).read_text() == name for name, uri in found.clips.items())


def test_an_empty_folder_gives_nothing(tmp_path: Path) -> None:
    (tmp_path / "also empty").mkdir()
    assert list(list_folder(str(tmp_path))) == []


def test_what_is_hidden_or_no_recording_is_skipped_and_counted(tmp_path: Path) -> None:
    make_files(tmp_path, "a.wav", ".b.wav", "c/.d.wav", "c/e.txt", "README", "c/f.wav.part", ".wav")
    make_files(tmp_path, ".git/a.wav", ".git/b/c.wav")
    found = Found(list_folder(str(tmp_path)))
    assert list(found.clips) == ["a.wav"]
    assert found.skipped == {HIDDEN: 4, OTHER: 3}  # a hidden folder counts once


def test_a_dot_in_the_path_of_the_folder_itself_hides_nothing(tmp_path: Path) -> None:
    make_files(tmp_path, ".cache/a.wav")
    assert list(Found(list_folder(str(tmp_path / ".cache"))).clips) == ["a.wav"]


@pytest.mark.parametrize(
    ("name", "is_audio"),
    [
        ("a.wav", True),
        ("A.WAV", True),
        ("a.Flac", True),
        ("a.b.mp3", True),
        ("a b.m4a", True),
        ("folder.d/a.opus", True),
        ("folder.wav/a", False),
        ("a.wav.part", False),
        ("a.wav~", False),
        ("a.txt", False),
        ("wav", False),
        ("a.", False),
        ("", False),
    ],
)
def test_the_suffix_decides_what_is_meant_to_be_audio(name: str, is_audio: bool) -> None:
    assert is_named_like_audio(name) == is_audio


def test_suffixes_are_lower_case_and_begin_with_a_dot() -> None:
    assert {".wav", ".mp3", ".flac", ".ogg", ".opus", ".aiff", ".mp4"} <= listing.AUDIO_SUFFIXES
    assert all(
        suffix == suffix.lower() and suffix.rfind(".") == 0 for suffix in listing.AUDIO_SUFFIXES
    )


def test_a_folder_named_like_a_recording_is_a_failure_and_is_walked(tmp_path: Path) -> None:
    make_files(tmp_path, "a.wav/b.wav", "a.wav/c.txt")
    found = Found(list_folder(str(tmp_path)))
    assert found.clips == {"a.wav/b.wav": str(tmp_path / "a.wav" / "b.wav")}
    assert list(found.failures) == ["a.wav"]
    assert found.failures["a.wav"].reason == "unreadable"
    assert found.failures["a.wav"].uri == str(tmp_path / "a.wav")
    assert found.skipped == {OTHER: 1}


def test_a_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    make_files(tmp_path, "outside/a.wav", "corpus/b.wav")
    (tmp_path / "corpus" / "link").symlink_to(tmp_path / "outside")
    found = Found(list_folder(str(tmp_path / "corpus")))
    assert sorted(found.clips) == ["b.wav", "link/a.wav"]
    assert Path(found.clips["link/a.wav"]).read_text() == "outside/a.wav"


def test_two_links_to_one_folder_give_its_clips_twice(tmp_path: Path) -> None:
    make_files(tmp_path, "corpus/real/a.wav")
    (tmp_path / "corpus" / "again").symlink_to("real")
    (tmp_path / "corpus" / "once more").symlink_to("again")
    found = Found(list_folder(str(tmp_path / "corpus")))
    assert sorted(found.clips) == ["again/a.wav", "once more/a.wav", "real/a.wav"]
    assert not found.failures


@pytest.mark.parametrize("target", [".", "..", "../../corpus", "../b"])
def test_a_link_back_to_a_folder_above_is_a_failure_and_ends(tmp_path: Path, target: str) -> None:
    make_files(tmp_path, "corpus/a.wav", "corpus/b/c.wav")
    (tmp_path / "corpus" / "b" / "loop").symlink_to(target)
    found = Found(list_folder(str(tmp_path / "corpus")))
    assert sorted(found.clips) == ["a.wav", "b/c.wav"]
    assert list(found.failures) == ["b/loop"]
    assert found.failures["b/loop"].reason == "unreadable"


def test_many_folders_that_all_link_to_each_other_end_soon(tmp_path: Path) -> None:
    names = [f"folder{index}" for index in range(8)]
    for name in names:
        make_files(tmp_path, f"{name}/a.wav")
        for other in names:
            (tmp_path / name / f"to {other}").symlink_to(f"../{other}")
    found = list(list_folder(str(tmp_path)))
    clips = [each.id for each in found if isinstance(each, Clip)]
    # 8 folders, and from each on at most 4 links to others that were not yet on the way.
    assert len(clips) == 8 * (1 + 7 + 7 * 6 + 7 * 6 * 5 + 7 * 6 * 5 * 4)
    assert max(clip.count("/") for clip in clips) == 5
    messages = {each.message for each in found if isinstance(each, Failure)}
    assert messages == {
        "a link to a folder that it is in",
        "more than 4 links to folders lead here",
    }


def test_folders_that_link_to_each_other_end(tmp_path: Path) -> None:
    make_files(tmp_path, "a/a.wav", "b/b.wav")
    (tmp_path / "a" / "to b").symlink_to("../b")
    (tmp_path / "b" / "to a").symlink_to("../a")
    found = Found(list_folder(str(tmp_path)))
    assert sorted(found.clips) == ["a/a.wav", "a/to b/b.wav", "b/b.wav", "b/to a/a.wav"]
    assert sorted(found.failures) == ["a/to b/to a", "b/to a/to b"]


def test_links_that_lead_nowhere_are_clips_which_opening_will_tell(tmp_path: Path) -> None:
    (tmp_path / "dangling.wav").symlink_to("not there.wav")
    (tmp_path / "itself.wav").symlink_to("itself.wav")
    (tmp_path / "dangling").symlink_to("not there")
    found = Found(list_folder(str(tmp_path)))
    assert sorted(found.clips) == ["dangling.wav", "itself.wav"]
    assert found.skipped == {OTHER: 1}
    with pytest.raises(FileNotFoundError):
        Path(found.clips["dangling.wav"]).read_bytes()


def test_a_link_to_a_recording_is_a_clip(tmp_path: Path) -> None:
    make_files(tmp_path, "outside.wav", "corpus/other.txt")
    (tmp_path / "corpus" / "link.wav").symlink_to("../outside.wav")
    found = Found(list_folder(str(tmp_path / "corpus")))
    assert found.clips == {"link.wav": str(tmp_path / "corpus" / "link.wav")}


def test_a_folder_that_cannot_be_looked_into_is_a_failure_and_the_others_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_files(tmp_path, "a/a.wav", "locked/b.wav", "c/c.wav")
    scandir = os.scandir

    def scan(path: str) -> object:
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scan)
    found = Found(list_folder(str(tmp_path)))
    assert sorted(found.clips) == ["a/a.wav", "c/c.wav"]
    assert list(found.failures) == ["locked"]
    failure = found.failures["locked"]
    assert (failure.reason, failure.message) == ("unreadable", "Permission denied")
    assert failure.uri == str(tmp_path / "locked")


def test_a_root_that_vanished_is_a_failure(tmp_path: Path) -> None:
    found = Found(list_folder(str(tmp_path / "gone")))
    assert list(found.failures) == ["."]
    assert found.failures["."].reason == "unreadable"


NAMES = [
    b"caf\xe9.wav",
    b"\xff\xfe/\x80.wav",
    "日本/ü.wav".encode(),
    b"a [live].wav",
    b"[ab]/*?.wav",
    b"'single' \"double\".wav",
    b"line\nbreak.wav",
    b" leading and trailing .wav",
    b"back\\slash.wav",
    b"100%.wav",
    b"-dash.wav",
    b"a,b;c.wav",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_becomes_an_id_in_unicode_and_a_uri_that_opens(
    name: bytes, tmp_path: Path
) -> None:
    path = os.path.join(os.fsencode(tmp_path), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        with open(path, "wb") as file:
            file.write(name)
    except OSError:
        pytest.skip("a file system that takes no such name")
    ((clip_id, uri),) = Found(list_folder(str(tmp_path))).clips.items()
    assert clip_id.encode() == name.decode("utf-8", "backslashreplace").encode()
    assert os.fsencode(uri) == path
    with open(uri, "rb") as file:
        assert file.read() == name


def test_a_tree_deeper_than_pythons_stack_is_walked_to_its_end(tmp_path: Path) -> None:
    depth = 1_500
    folders = [f"{tmp_path}{'/d' * level}" for level in range(1, depth + 1)]
    recording = Path(folders[-1], "a.wav")
    made = []
    try:
        for folder in folders:
            try:
                os.mkdir(folder)
            except OSError:
                pytest.skip("a system that takes no paths so long")
            made.append(folder)
        recording.touch()
        found = Found(list_folder(str(tmp_path)))
    finally:  # pytest's own clean-up goes by Python's stack
        with contextlib.suppress(OSError):
            recording.unlink()
        for folder in reversed(made):
            os.rmdir(folder)
    assert found.clips == {"d/" * depth + "a.wav": str(recording)}
    assert not found.failures


def test_files_named_by_the_user_are_clips_whatever_their_names() -> None:
    paths = ["/c/b.txt", "/c/.hidden/a", "/c/a.wav", "/c/.wav"]
    found = list(list_paths("/c/", map(listing.Found, paths), explicit=True))
    assert found == [
        Clip("b.txt", "/c/b.txt"),
        Clip(".hidden/a", "/c/.hidden/a"),
        Clip("a.wav", "/c/a.wav"),
        Clip(".wav", "/c/.wav"),
    ]


def test_files_of_a_storage_are_sorted_out_like_those_of_a_folder() -> None:
    root = "gs://bucket/.data/"
    names = ["b.wav", "a/c.FLAC", "a/d.txt", ".e/f.wav", "a/.g/h/i.wav", "a/.j.wav"]
    files = [listing.Found(root + name) for name in names]
    found = Found(list_paths(root, files, explicit=False))
    assert found.clips == {"a/c.FLAC": root + "a/c.FLAC", "b.wav": root + "b.wav"}
    assert found.skipped == {HIDDEN: 3, OTHER: 1}


def test_a_root_without_its_slash_gives_the_same_ids() -> None:
    (clip,) = list_paths("/c", [listing.Found("/c/a.wav", 5)], explicit=True)
    assert isinstance(clip, Clip)
    assert (clip, clip.num_bytes) == (Clip("a.wav", "/c/a.wav"), 5)


@pytest.mark.parametrize(
    ("pattern", "root"),
    [
        ("/a/b/*.wav", "/a/b/"),
        ("/a/b*/c.wav", "/a/"),
        ("/a/**/c.wav", "/a/"),
        ("/a/b/c?.wav", "/a/b/"),
        ("/a/b/[cd].wav", "/a/b/"),
        ("/*", "/"),
        ("*.wav", ""),
        ("gs://bucket/a/*.wav", "gs://bucket/a/"),
        ("gs://bucket/*", "gs://bucket/"),
        ("/a/b/c.wav", "/a/b/"),
        ("/a]b/*.wav", "/a]b/"),
    ],
)
def test_the_root_of_a_glob_ends_before_its_first_special_segment(pattern: str, root: str) -> None:
    assert glob_root(pattern) == root


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/b.wav", False),
        ("/a/*", True),
        ("/a?", True),
        ("[a]", True),
        ("/a]", False),
        ("", False),
    ],
)
def test_special_characters_make_a_glob(path: str, expected: bool) -> None:
    assert is_glob(path) == expected


@given(path=st.text("ab*?[]!^-\\/.\n ", max_size=12), other=st.text("ab*?[]!-", max_size=12))
def test_a_quoted_path_matches_itself_and_nothing_else(path: str, other: str) -> None:
    assert fnmatch.fnmatchcase(path, quote_glob(path))
    assert fnmatch.fnmatchcase(other, quote_glob(path)) == (other == path)


def test_a_quoted_path_finds_its_file_among_those_it_would_match_unquoted(tmp_path: Path) -> None:
    names = ["a [live].wav", "a l.wav", "b*.wav", "bc.wav", "d?.wav", "de.wav", "[!f].wav", "g.wav"]
    make_files(tmp_path, *names)
    for name in names:
        path = str(tmp_path / name)
        assert glob.glob(quote_glob(path)) == [path]
