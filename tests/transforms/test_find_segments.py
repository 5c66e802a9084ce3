"""FindSegments."""

import gzip
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.memory_filesystem import MemoryFileSystem
from tests.running import outputs
from transforms.corpus.clips import Clip, Failure
from transforms.dataset.table_files import FAILURES
from transforms.find_segments import FindSegments

SEGMENTS = """\
# Segments csv created Sun Mar  5 10:54:31 2017
# YTID, start_seconds, end_seconds, positive_labels
--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"
abcdefgh_12, 0.000, 10.000, "/m/a"
"""


@pytest.fixture(autouse=True)
def objects() -> Iterator[dict[str, bytes]]:
    MemoryFileSystem.objects.clear()
    yield MemoryFileSystem.objects
    MemoryFileSystem.objects.clear()


@pytest.fixture
def segments(tmp_path: Path) -> Path:
    (tmp_path / "s.csv").write_text(SEGMENTS)
    return tmp_path / "s.csv"


def _found(find: FindSegments, *patterns: Path | str) -> tuple[list[Clip], list[Failure]]:
    clips, failures = outputs(find, list(map(os.fsencode, patterns)), "clips", FAILURES)
    return clips, failures


def _find(find: FindSegments, *patterns: Path | str) -> tuple[dict[str, Clip], dict[str, Failure]]:
    """Finds segments of which each has an id of its own."""
    clips, failures = _found(find, *patterns)
    assert len({clip.id for clip in clips}) == len(clips)
    assert len({failure.id for failure in failures}) == len(failures)
    return {clip.id: clip for clip in clips}, {failure.id: failure for failure in failures}


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_segment_of_a_whole_recording_is_the_clip_between_its_times(
    tmp_path: Path, segments: Path
) -> None:
    _touch(tmp_path / "in", "x/--PJHxphWEs.m4a", "Yabcdefgh_12.wav", "abcdefgh.wav", "notes.txt")
    clips, failures = _find(FindSegments(f"{tmp_path}/in"), segments)
    assert failures == {}
    assert clips["--PJHxphWEs"] == Clip(
        "--PJHxphWEs",
        f"{tmp_path}/in/x/--PJHxphWEs.m4a",
        Decimal(30),
        Decimal(40),
        recording_offset_seconds=Decimal(0),
        labels=("/m/09x0r", "/t/dd00088"),
        recording="--PJHxphWEs",
    )
    assert (clips["--PJHxphWEs"].manifest, clips["--PJHxphWEs"].line) == (str(segments), 3)
    assert clips["abcdefgh_12"].uri == f"{tmp_path}/in/Yabcdefgh_12.wav"


def test_a_file_that_is_named_with_the_times_begins_where_the_segment_does(
    tmp_path: Path, segments: Path
) -> None:
    _touch(tmp_path / "in", "--PJHxphWEs.wav", "--PJHxphWEs_30000_40000.wav", "abcdefgh_12_0.wav")
    clips, failures = _find(FindSegments(f"{tmp_path}/in"), segments)
    assert failures == {}
    assert clips["--PJHxphWEs"].uri == f"{tmp_path}/in/--PJHxphWEs_30000_40000.wav"
    assert clips["abcdefgh_12"].uri == f"{tmp_path}/in/abcdefgh_12_0.wav"
    for clip in clips.values():
        assert clip.recording_offset_seconds == clip.start_seconds
        assert clip.recording == clip.id


def test_the_user_may_say_that_files_hold_the_segments_only(tmp_path: Path, segments: Path) -> None:
    _touch(tmp_path / "in", "--PJHxphWEs.wav", "abcdefgh_12.wav")
    for template in (None, "{id}.wav"):
        clips, _ = _find(FindSegments(f"{tmp_path}/in", template, are_cut=True), segments)
        assert clips["--PJHxphWEs"].uri == f"{tmp_path}/in/--PJHxphWEs.wav"
        assert clips["--PJHxphWEs"].recording_offset_seconds == 30
    clips, _ = _find(FindSegments(f"{tmp_path}/in", "{id}.wav"), segments)
    assert clips["--PJHxphWEs"].recording_offset_seconds == 0


def test_a_segment_without_audio_is_a_failure_that_leads_back_to_its_line(
    tmp_path: Path, segments: Path
) -> None:
    _touch(tmp_path / "in", "--PJHxphWEs_20_30.wav", "abcdefgh_12.wav")
    clips, failures = _find(FindSegments(f"{tmp_path}/in"), segments)
    assert list(clips) == ["abcdefgh_12"]
    (failure,) = failures.values()
    assert (failure.id, failure.step, failure.reason) == ("--PJHxphWEs", "list", "not_found")
    assert (failure.manifest, failure.line, failure.uri) == (str(segments), 3, f"{tmp_path}/in")
    assert "no audio below this folder is named --PJHxphWEs" in failure.message


def test_two_segments_of_one_recording_find_its_one_file(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("a, 0, 10, /m/a\na, 10, 20, /m/b\n")
    _touch(tmp_path / "in", "a.wav", "a_10_20.wav")
    clips, _ = _found(FindSegments(f"{tmp_path}/in"), tmp_path / "s.csv")
    assert sorted((clip.start_seconds, os.path.basename(clip.uri)) for clip in clips) == [
        (0, "a.wav"),
        (10, "a_10_20.wav"),
    ]


def test_a_template_names_the_files_without_looking_for_them(
    tmp_path: Path, segments: Path
) -> None:
    find = FindSegments(f"{tmp_path}/absent/", "{id}/{start_ms}.flac")
    clips, failures = _find(find, segments)
    assert failures == {}
    assert {clip.id: (clip.uri, clip.recording_offset_seconds) for clip in clips.values()} == {
        "--PJHxphWEs": (f"{tmp_path}/absent/--PJHxphWEs/30000.flac", 30),
        "abcdefgh_12": (f"{tmp_path}/absent/abcdefgh_12/0.flac", 0),
    }


def test_a_segment_whose_times_do_not_fit_into_the_template_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("a, 4.020, 14.020, /m/a\nb, 4, 14.020, /m/a\n")
    clips, failures = _find(FindSegments("/in", "{id}_{start:06d}.wav"), tmp_path / "s.csv")
    assert {clip.uri for clip in clips.values()} == {"/in/b_000004.wav"}
    failure = failures["a"]
    assert (failure.reason, failure.uri, failure.line) == ("invalid_time", "/in", 1)
    assert "its times do not fit into {id}_{start:06d}.wav" in failure.message


@pytest.mark.parametrize("template", [None, "{id}.wav"])
def test_rows_and_files_that_are_wrong_are_failures_and_the_others_are_read(
    tmp_path: Path, segments: Path, template: str | None
) -> None:
    (tmp_path / "bad.csv").write_text("c, 0, 10, /m/a\nd, 10, 0, /m/a\ne, 0\n")
    (tmp_path / "none.csv").write_bytes(b"fLaC\0\0\0\x22")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(SEGMENTS.encode())[:-9])
    _touch(tmp_path / "in", "--PJHxphWEs.wav", "abcdefgh_12.wav", "c.wav", "d.wav")
    patterns = (segments, *(tmp_path / n for n in ("bad.csv", "none.csv", "cut.csv.gz", "absent")))
    clips, failures = _find(FindSegments(f"{tmp_path}/in", template), *patterns)
    assert set(clips) == {"--PJHxphWEs", "abcdefgh_12", "c"}
    assert {id.removeprefix(f"{tmp_path}/"): each.reason for id, each in failures.items()} == {
        "d": "invalid_time",
        "e": "invalid_row",
        "none.csv": "invalid_manifest",
        "cut.csv.gz": "unreadable",
        "absent": "not_found",
    }


def test_what_cannot_be_looked_into_below_the_folder_is_a_failure(
    tmp_path: Path, segments: Path
) -> None:
    _touch(tmp_path / "in", "--PJHxphWEs.wav", "abcdefgh_12.wav", "x.wav/notes.txt")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    clips, failures = _find(FindSegments(f"{tmp_path}/in"), segments)
    assert len(clips) == 2
    assert {id: each.reason for id, each in failures.items()} == {
        "loop": "unreadable",
        "x.wav": "unreadable",
    }


def test_segments_and_audio_may_be_on_an_object_storage(objects: dict[str, bytes]) -> None:
    objects["mem://b/s/one.csv"] = b"a, 0, 10, /m/a\n"
    objects["mem://b/s/two.csv.gz"] = gzip.compress(b"--b, 0, 10, /m/a\n")
    objects["mem://b/in/x/a.wav"] = b""
    objects["mem://b/in/--b_0_10.wav"] = b""
    objects["mem://b/in2/a_0_10.wav"] = b""
    clips, failures = _find(FindSegments("mem://b/in"), "mem://b/s/*.csv", "mem://b/s/two.csv.gz")
    assert failures == {}
    assert {clip.id: clip.uri for clip in clips.values()} == {
        "a": "mem://b/in/x/a.wav",
        "--b": "mem://b/in/--b_0_10.wav",
    }


def test_a_storage_of_audio_that_nobody_knows_is_a_failure_and_so_is_each_segment(
    segments: Path,
) -> None:
    clips, failures = _find(FindSegments("nope://b/in"), segments)
    assert clips == {}
    assert {id: each.reason for id, each in failures.items()} == {
        "nope://b/in": "unreadable",
        "--PJHxphWEs": "not_found",
        "abcdefgh_12": "not_found",
    }


def test_audio_whose_path_is_not_utf_8_is_found(tmp_path: Path, segments: Path) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    os.mkdir(folder)
    for name in ("--PJHxphWEs.wav", "abcdefgh_12.wav", os.fsdecode(b"\xff.wav")):
        with open(f"{folder}/{name}", "wb"):
            pass
    clips, failures = _find(FindSegments(folder), segments)
    assert failures == {}
    assert clips["--PJHxphWEs"].uri == f"{folder}/--PJHxphWEs.wav"


def test_a_segment_whose_file_may_be_either_of_two_is_a_failure_that_names_both(
    tmp_path: Path, segments: Path
) -> None:
    _touch(tmp_path / "in", "A [--PJHxphWEs].m4a", "B [--PJHxphWEs].m4a", "C-abcdefgh_12.f140.m4a")
    clips, failures = _find(FindSegments(f"{tmp_path}/in"), segments)
    assert clips["abcdefgh_12"].uri == f"{tmp_path}/in/C-abcdefgh_12.f140.m4a"
    failure = failures["--PJHxphWEs"]
    assert failure.reason == "not_found"
    assert "A [--PJHxphWEs].m4a and B [--PJHxphWEs].m4a may both be it" in failure.message


def test_absent_segments_of_one_video_fail_with_ids_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("a, 0, 10, /m/a\na, 10, 20, /m/b\nb, 10, 20, /m/b\n")
    (tmp_path / "in").mkdir()
    _, failures = _find(FindSegments(f"{tmp_path}/in"), tmp_path / "s.csv")
    assert {id: each.line for id, each in failures.items()} == {"a_0": 1, "a_10000": 2, "b": 3}
