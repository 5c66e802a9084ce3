"""ListClips."""

import os
from pathlib import Path

from tests.running import counted, outputs
from transforms.corpus.clips import Clip
from transforms.dataset.table_files import FAILURES
from transforms.list_clips import ListClips
from transforms.metrics.reporting import REPORTS


def test_every_input_is_listed_with_ids_below_its_root(tmp_path: Path) -> None:
    for name in ("x/a.wav", "x/b/c.mp3", "x/.d.wav", "x/notes.txt", "y/e.ogg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "x/b/loop").symlink_to(tmp_path / "x")
    clips, failures, reports = outputs(
        ListClips(),
        [os.fsencode(tmp_path / "x"), os.fsencode(tmp_path / "y/*")],
        *("clips", FAILURES, REPORTS),
    )
    assert sorted(clips, key=lambda clip: clip.id) == [
        Clip("a.wav", f"{tmp_path}/x/a.wav"),
        Clip("b/c.mp3", f"{tmp_path}/x/b/c.mp3"),
        Clip("e.ogg", f"{tmp_path}/y/e.ogg"),
    ]
    (failure,) = failures
    assert (failure.id, failure.step, failure.reason) == ("b/loop", "list", "unreadable")
    assert counted(reports) == {
        ("", "clips"): 1,
        ("", "failures/unreadable"): 1,
        ("", "listed"): 4,
        ("", "unplanned"): 1,
        ("", "skipped/hidden"): 1,
        ("", "skipped/other"): 1,
    }


def test_an_input_without_audio_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/notes.txt").touch()
    inputs = [os.fsencode(tmp_path / "x"), os.fsencode(tmp_path / "*.wav")]
    clips, failures = outputs(ListClips(), inputs, "clips", FAILURES)
    assert clips == []
    assert sorted((each.uri, each.reason, each.message) for each in failures) == [
        (f"{tmp_path}/*.wav", "not_found", "nothing matches it, seen from a worker"),
        (f"{tmp_path}/x", "not_found", "none of its 1 files is audio by its suffix"),
    ]
