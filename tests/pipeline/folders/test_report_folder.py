"""The folder of the reports, which leaves nothing behind."""

import os
from pathlib import Path

import pytest

from pipeline.folders.report_folder import ReportFolder


def test_it_removes_all_folders_that_it_created(tmp_path: Path) -> None:
    folder = ReportFolder.inside(f"{tmp_path}/new/deep/", "audio")
    assert Path(folder.path).parent == tmp_path / "new/deep"
    assert os.listdir(folder.path) == ["launcher"]
    Path(folder.path, "h-1.json").write_text("{}")
    folder.remove()
    assert list(tmp_path.iterdir()) == []
    folder.remove()  # twice is once


def test_it_keeps_files_of_others(tmp_path: Path) -> None:
    first, second = (ReportFolder.inside(f"{tmp_path}/new", "audio") for _ in range(2))
    first.remove()
    assert os.listdir(second.path) == ["launcher"]
    (tmp_path / "new/mine.txt").touch()
    second.remove()
    assert os.listdir(tmp_path / "new") == ["mine.txt"]


def test_an_unwritable_folder_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Not a directory"):
        ReportFolder.inside(f"{tmp_path}/file/out", "audio")
    assert os.listdir(tmp_path) == ["file"]


def test_a_temporary_folder_for_local_workers() -> None:
    folder = ReportFolder.temporary()
    assert os.listdir(folder.path) == ["launcher"]
    folder.remove()
    assert not os.path.exists(folder.path)
