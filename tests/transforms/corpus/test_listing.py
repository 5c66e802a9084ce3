"""Listing: every file of a folder is a clip, a failure or skipped, and none is lost."""

import collections
import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.memory_filesystem import MemoryFileSystem
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.listing import (
    AUDIO_SUFFIXES,
    HIDDEN,
    OTHER,
    Shard,
    SkippedFile,
    is_named_like_audio,
    list_files,
    list_folder,
    list_input,
)
from transforms.storage.store import FileInfo


class Found:
    """What a listing gave, by kind; every clip's id once."""

    def __init__(self, found: Iterable[Clip | Failure | Shard | SkippedFile]) -> None:
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


def test_ids_do_not_depend_on_a_trailing_slash(tmp_path: Path) -> None:
    make_files(tmp_path, "a.wav", "b/a.wav")
    found = Found(list_folder(f"{tmp_path}/"))
    assert sorted(found.clips) == ["a.wav", "b/a.wav"]
    assert all(Path(uri).read_text() == name for name, uri in found.clips.items())


def test_an_empty_folder_gives_nothing(tmp_path: Path) -> None:
    (tmp_path / "also empty").mkdir()
    assert list(list_folder(str(tmp_path))) == []


def test_hidden_and_other_files_are_skipped_and_counted(tmp_path: Path) -> None:
    make_files(tmp_path, "a.wav", ".b.wav", "c/.d.wav", "c/e.txt", "README", "c/f.wav.part", ".wav")
    make_files(tmp_path, ".git/a.wav", ".git/b/c.wav")
    found = Found(list_folder(str(tmp_path)))
    assert list(found.clips) == ["a.wav"]
    assert found.skipped == {HIDDEN: 4, OTHER: 3}  # a hidden folder counts once


def test_a_dot_in_the_path_of_the_folder_itself_hides_nothing(tmp_path: Path) -> None:
    make_files(tmp_path, ".cache/a.wav")
    assert list(Found(list_folder(str(tmp_path / ".cache"))).clips) == ["a.wav"]


def test_the_suffix_decides_what_is_meant_to_be_audio() -> None:
    for name, is_audio in [
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
    ]:
        assert is_named_like_audio(name) == is_audio


def test_suffixes_are_lower_case_and_begin_with_a_dot() -> None:
    assert {".wav", ".mp3", ".flac", ".ogg", ".opus", ".aiff", ".mp4"} <= AUDIO_SUFFIXES
    assert all(suffix == suffix.lower() and suffix.rfind(".") == 0 for suffix in AUDIO_SUFFIXES)


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


def test_a_link_back_to_a_folder_above_is_a_failure_and_ends(tmp_path: Path) -> None:
    for target in [".", "..", "../../corpus", "../b"]:
        make_files(tmp_path, "corpus/a.wav", "corpus/b/c.wav")
        (tmp_path / "corpus" / "b" / "loop").symlink_to(target)
        found = Found(list_folder(str(tmp_path / "corpus")))
        assert sorted(found.clips) == ["a.wav", "b/c.wav"]
        assert list(found.failures) == ["b/loop"]
        assert found.failures["b/loop"].reason == "unreadable"
        (tmp_path / "corpus" / "b" / "loop").unlink()


@pytest.mark.slow
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
        "a link to a folder that contains it",
        "more than 4 links to folders on this path",
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


def test_an_unreadable_folder_is_a_failure_and_the_others_are_listed(
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


def test_files_of_a_storage_are_sorted_out_like_those_of_a_folder() -> None:
    root = "gs://bucket/.data/"
    names = ["b.wav", "a/c.FLAC", "a/d.txt", ".e/f.wav", "a/.g/h/i.wav", "a/.j.wav"]
    found = Found(list_files(root, [FileInfo(root + name, 5) for name in names]))
    assert found.clips == {"a/c.FLAC": root + "a/c.FLAC", "b.wav": root + "b.wav"}
    assert found.skipped == {HIDDEN: 3, OTHER: 1}


OBJECTS = [
    "mem://bucket/corpus/a.wav",
    "mem://bucket/corpus/b/c.FLAC",
    "mem://bucket/corpus/b/notes.txt",
    "mem://bucket/corpus/.hidden/d.wav",
    "mem://bucket/corpus/e [live].wav",
    "mem://bucket/corpus2/f.wav",
]


@pytest.fixture
def storage() -> Iterator[None]:
    MemoryFileSystem.objects.update(dict.fromkeys(OBJECTS, b"data"))
    yield
    MemoryFileSystem.objects.clear()


def _listed(path: str) -> tuple[list[str], list[str]]:
    """Returns the ids, and why the others are skipped."""
    found = list(list_input(path))
    clips = [each for each in found if isinstance(each, Clip)]
    assert all(each.uri.endswith(each.id) for each in clips)
    skipped = [each.why for each in found if isinstance(each, SkippedFile)]
    return sorted(each.id for each in clips), sorted(skipped)


@pytest.mark.usefixtures("storage")
@pytest.mark.parametrize(
    ("path", "ids", "skipped"),
    [
        ("mem://bucket/corpus", ["a.wav", "b/c.FLAC", "e [live].wav"], ["hidden", "other"]),
        ("mem://bucket/corpus/", ["a.wav", "b/c.FLAC", "e [live].wav"], ["hidden", "other"]),
        ("mem://bucket/corpus/a.wav", ["a.wav"], []),
        ("mem://bucket/corpus/e [live].wav", ["e [live].wav"], []),
        ("mem://bucket/corpus/b/*", ["c.FLAC", "notes.txt"], []),
        ("mem://bucket/corpus/**/*.wav", [".hidden/d.wav", "a.wav", "e [live].wav"], []),
        (
            "mem://bucket/corpus*/*.wav",
            ["corpus/a.wav", "corpus/e [live].wav", "corpus2/f.wav"],
            [],
        ),
        ("mem://bucket/absent", [], []),
        ("mem://bucket/corp", [], []),
    ],
)
def test_inputs_on_an_object_storage(path: str, ids: list[str], skipped: list[str]) -> None:
    assert _listed(path) == (ids, skipped)


def test_inputs_on_this_machine(tmp_path: Path) -> None:
    for name in ("x[1]/a.wav", "x[1]/b/c.flac", "x1/d.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert _listed(f"{tmp_path}/x[1]") == (["a.wav", "b/c.flac"], []), "a folder of that name"
    assert _listed(f"{tmp_path}/x[1]/a.wav") == (["a.wav"], [])
    assert _listed(f"{tmp_path}/x[12]/*.wav") == (["x1/d.wav"], [])
    assert _listed(f"{tmp_path}/*/*.wav") == (["x1/d.wav", "x[1]/a.wav"], [])
    assert _listed(f"{tmp_path}/absent*") == ([], [])


@pytest.mark.parametrize("pattern", ["*", "?*", "**/*"])
def test_files_named_by_the_user_are_clips_whatever_their_names(
    tmp_path: Path, pattern: str
) -> None:
    make_files(tmp_path, "b.txt", "a.wav")
    make_files(tmp_path / ".hidden", ".wav", "d.txt")
    assert _listed(f"{tmp_path}/{pattern}") == (["a.wav", "b.txt"], [])
    assert _listed(f"{tmp_path}/.hidden/.w*") == ([".wav"], [])
    assert _listed(f"{tmp_path}/.hidden/d.txt") == (["d.txt"], [])


def test_the_size_of_a_file_comes_from_its_storage(storage: None) -> None:
    for path in ("mem://bucket/corpus/a.wav", "mem://bucket/corpus", "mem://bucket/corpus/a*"):
        sizes = {each.num_bytes for each in list_input(path) if isinstance(each, Clip)}
        assert sizes == {4}


@pytest.mark.parametrize("path", ["nope://bucket/a.csv", "nope://bucket/*.csv"])
def test_an_unknown_storage_is_an_os_error(path: str) -> None:
    with pytest.raises(OSError, match="no storage is known for nope://"):
        list(list_input(path))
