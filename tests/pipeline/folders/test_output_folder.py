"""The output folder as the launcher sees it."""

import json
import posixpath
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import JobError, JobGoesOnError, UsageError
from pipeline.folders.output_folder import OutputFolder
from tests.memory_filesystem import MemoryFileSystem
from transforms.storage import files, leases

DATASET = {
    "dataset.json": json.dumps(
        {
            "format": "beam-audio-embeddings",
            "name": "audio",
            "shards": [{"name": "audio-00000-of-00001.tfrecord"}],
        }
    ),
    "audio-00000-of-00001.tfrecord": "shard",
    "audio-failures.jsonl": "",
    "class_map.csv": "index,mid,display_name",
    "schema.pbtxt": "schema",
}


def _split(folder: str, split: str | None = None) -> dict[str, str]:
    """Returns the contents of a split; in its folder, unless it is another one's."""
    description = json.loads(DATASET["dataset.json"]) | {"split": split or folder}
    contents = {**DATASET, "dataset.json": json.dumps(description)}
    return {f"{folder}/{name}": text for name, text in contents.items()}


def _foreign(folder: str) -> dict[str, str]:
    return {f"{folder}/{name}": text for name, text in DATASET.items()}


SPLITS = {
    **_split("train"),
    **_split("unsplit"),
    "dataset.json": json.dumps(
        {
            "format": "beam-audio-embeddings",
            "name": "audio",
            "splits": [
                {"folder": folder, "shards": [{"name": "audio-00000-of-00001.tfrecord"}]}
                for folder in ("train", "unsplit")
            ],
        }
    ),
}
STAGED = {".audio.incomplete/00000.1.tmp": "half"}


REFUSED: list[tuple[dict[str, str], bool, str]] = [
    (DATASET, False, "holds a dataset already.*--overwrite"),
    ({"notes.txt": ""}, False, r"is not empty \(1 entry: notes.txt\).*--overwrite"),
    ({"a": "", "b": "", "c": "", "d": ""}, False, r"\(4 entries: a, b, c, …\)"),
    ({"schema.pbtxt": ""}, True, "would replace.*schema.pbtxt"),
    ({"audio-00000-of-00009.tfrecord": ""}, True, "would replace.*00009"),
    ({**DATASET, "audio-00003-of-00009.tfrecord": ""}, True, "would replace.*00009"),
    ({"dataset.json": "{}"}, True, "was not written by this program; nothing there is over"),
    ({"dataset.json": "not json"}, True, "nothing there is overwritten"),
    (SPLITS, False, "holds a dataset already.*--overwrite"),
    (_split("train"), False, r"is not empty \(5 entries: train/audio-.*--overwrite"),
    (_split("train"), True, "would replace.*train/audio-00000"),
    ({**SPLITS, **_split("test")}, True, "would replace.*test/audio-00000"),
    ({"train/class_map.csv": ""}, True, "would replace.*train/class_map.csv"),
    (_foreign("train"), True, "would replace.*train/audio-00000"),
    ({**DATASET, **_foreign("train")}, True, "would replace.*train/audio-00000"),
    ({**_foreign("train"), **STAGED}, False, r"is not empty \(5 entries: train/"),
    ({**_foreign("train"), **STAGED}, True, "would replace.*train/audio-00000"),
    ({**_split("train", "other"), **STAGED}, True, "would replace.*train/audio-00000"),
    (
        {"dataset.json": SPLITS["dataset.json"].replace("train", "..")},
        True,
        "lists files that do not belong to a dataset; nothing there is overwritten",
    ),
]


def _without_description(contents: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in contents.items() if name != "dataset.json"}


@pytest.fixture(params=["local", "mem://bucket/out"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    MemoryFileSystem.objects.clear()
    yield f"{tmp_path}/out" if request.param == "local" else request.param
    MemoryFileSystem.objects.clear()


def _fill(path: str, contents: dict[str, str]) -> None:
    for name, text in contents.items():
        files.make_folder(posixpath.dirname(f"{path}/{name}"))
        files.write_atomically(f"{path}/{name}", [text.encode()])


def _as_filled(path: str, contents: dict[str, str]) -> bool:
    """Returns whether a folder holds just these contents, unchanged."""
    found = {}
    for name in files.list_names(path):
        with files.open_to_read(f"{path}/{name}") as file:
            found[name] = file.read().decode()
    return found == contents


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_absent_or_empty_folder_is_used_and_restored(path: str, overwrite: bool) -> None:
    for _ in range(2):
        folder = OutputFolder(path, "audio", overwrite)
        folder.check()
        folder.prepare()
        assert files.list_names(path) in ([], [".audio.incomplete"])
        folder.discard()
        assert not files.exists(path)
    files.make_folder(path)
    folder = OutputFolder(path, "audio", overwrite)
    folder.check()
    folder.prepare()
    folder.discard()
    assert files.list_names(path) == []


def test_a_folder_whose_files_would_be_lost_is_refused_with_a_hint(path: str) -> None:
    for number, (contents, overwrite, why) in enumerate(REFUSED):
        folder = f"{path}/{number}"
        _fill(folder, contents)
        with pytest.raises(UsageError, match=why):
            OutputFolder(folder, "audio", overwrite).check()
        assert _as_filled(folder, contents)


def test_a_run_that_fails_leaves_an_older_dataset_as_it_was(path: str) -> None:
    noted = {"notes.txt": "", "train/notes.txt": "", "mine/notes.txt": ""}
    older = [DATASET, {"notes.txt": ""}, DATASET | {"notes.txt": ""}, SPLITS, SPLITS | noted]
    for number, contents in enumerate(older):
        _fill(f"{path}/{number}", contents)
        folder = OutputFolder(f"{path}/{number}", "audio", True)
        folder.check()
        folder.prepare()
        folder.discard()
        assert _as_filled(folder.path, contents)


def test_remains_of_an_interrupted_run_are_removed(path: str) -> None:
    for number, contents in enumerate([DATASET, _split("train") | _split("unsplit"), SPLITS]):
        _fill(f"{path}/{number}", _without_description(contents) | STAGED)
        folder = OutputFolder(f"{path}/{number}", "audio", False)
        folder.check()
        folder.prepare()
        # An object storage has no folders, and so no empty ones.
        assert set(files.list_names(folder.path)) <= {".audio.incomplete"}
        assert files.list_names(folder.staging) == []


def test_remains_of_a_killed_check_are_removed(path: str) -> None:
    report = {".audio.check-0a1b2c3d/report.json": "{}"}
    _fill(path, report)
    folder = OutputFolder(path, "audio", False)
    folder.check()
    folder.prepare()
    assert set(files.list_names(path)) <= {".audio.incomplete"}
    _fill(path, {".audio.check-mine/notes.txt": ""})
    with pytest.raises(UsageError, match="is not empty"):
        OutputFolder(path, "audio", False).check()


@pytest.mark.parametrize("overwrite", [False, True])
def test_remains_of_a_run_with_another_name_are_not_ours(path: str, overwrite: bool) -> None:
    contents = _without_description(DATASET) | STAGED
    _fill(path, contents)
    with pytest.raises(UsageError, match=r"is not empty|would replace"):
        OutputFolder(path, "other", overwrite).check()
    assert _as_filled(path, contents)


def test_other_files_stay_when_remains_are_removed(path: str) -> None:
    mine = {"notes.txt": "mine", "train/notes.txt": "mine", "train/other-failures.jsonl": "mine"}
    _fill(path, _split("train") | mine | STAGED)
    folder = OutputFolder(path, "audio", True)
    folder.check()
    folder.prepare()
    folder.discard()
    assert _as_filled(path, mine)


@pytest.mark.parametrize(
    "inside",
    [_foreign("train"), _split("train", "other"), {**_foreign("train"), "train/x": ""}],
)
def test_a_complete_dataset_in_a_folder_inside_is_never_deleted(
    path: str, inside: dict[str, str]
) -> None:
    _fill(path, _without_description(DATASET) | _split("test") | inside | STAGED)
    folder = OutputFolder(path, "audio", True)
    with pytest.raises(UsageError, match=r"would replace.*train/"):
        folder.check()
    folder.prepare()
    assert set(files.list_names(path)) - {".audio.incomplete"} == set(inside)
    _fill(path, _split("test"))
    folder.discard()
    assert _as_filled(path, inside)


def test_an_invalid_description_inside_keeps_its_folder(path: str) -> None:
    inside = {**_foreign("train"), "train/dataset.json": "no JSON"}
    _fill(path, inside | _split("test") | STAGED)
    OutputFolder(path, "audio", False).discard()
    assert _as_filled(path, inside)


def test_splits_are_discarded_with_their_folders(tmp_path: Path) -> None:
    path = f"{tmp_path}/out"
    folder = OutputFolder(path, "audio", False)
    folder.check()
    folder.prepare()
    _fill(path, _split("train") | _split("unsplit"))
    folder.discard()
    assert not files.exists(path)


def test_an_unknown_storage_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--output=nope://b/out: no storage is known"):
        OutputFolder("nope://b/out", "audio", False).check()


def test_a_file_instead_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is not a folder"):
        OutputFolder(f"{tmp_path}/file", "audio", True).check()
    below = OutputFolder(f"{tmp_path}/file/below", "audio", True)
    below.check()
    with pytest.raises(UsageError, match=r"cannot be written.*Not a directory"):
        below.prepare()


def test_a_run_whose_lease_was_taken_over_ends_and_removes_nothing(path: str) -> None:
    folder = OutputFolder(path, "audio", False)

    def run() -> None:
        with folder.staged():
            _fill(path, {"audio-00000-of-00001.tfrecord": "the other's"})
            assert folder._lease is not None
            folder._lease.is_lost = True
            raise KeyboardInterrupt

    with pytest.raises(JobError, match="another run has taken over --output="):
        run()
    assert "audio-00000-of-00001.tfrecord" in files.list_names(path)


def test_a_folder_in_use_is_refused_to_those_who_would_write_it(path: str) -> None:
    folder = OutputFolder(path, "audio", False)
    with folder.staged():
        OutputFolder(path, "other", False).check()
        with pytest.raises(UsageError, match=r"is in use by process .*; wait for its end, or use"):
            OutputFolder(path, "other", False).check(to_write=True)
        with (
            pytest.raises(UsageError, match="is in use by process"),
            OutputFolder(path, "other", True).staged(),
        ):
            pass
    assert set(files.list_names(path)) <= {".audio.incomplete"}


def test_a_job_whose_runner_does_not_respond_keeps_its_folder(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        pytest.raises(
            JobGoesOnError, match=r"^the runner is gone\. .* holds no new dataset before"
        ),
        OutputFolder(path, "audio", False).staged(),
    ):
        raise JobGoesOnError("the runner is gone", "http://flink/#/job/1")
    assert {leases.FILE_NAME, ".audio.incomplete"} >= set(files.list_names(path))
    assert leases.FILE_NAME in files.list_names(path)
    with OutputFolder(path, "audio", False).staged():
        assert "has submitted a job to http://flink/#/job/1 that writes" in capsys.readouterr().err


def test_a_job_that_runs_on_keeps_its_folder_and_is_told_to_the_next(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with OutputFolder(path, "audio", False).staged(job="FlinkRunner"):
        pass
    assert leases.FILE_NAME in files.list_names(path)
    with OutputFolder(path, "audio", False).staged():
        assert "has submitted a job to FlinkRunner that writes into --output" in (
            capsys.readouterr().err
        )
    assert leases.FILE_NAME not in files.list_names(path)
