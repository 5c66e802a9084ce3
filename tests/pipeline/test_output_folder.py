"""The output folder, from the launcher's side."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.output_folder import OutputFolder
from pipeline.settings import UsageError
from tests.memory_filesystem import MemoryFileSystem
from transforms import storage

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
    "schema.pbtxt": "schema",
}


@pytest.fixture(params=["local", "mem://bucket/out"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    MemoryFileSystem.objects.clear()
    yield f"{tmp_path}/out" if request.param == "local" else request.param
    MemoryFileSystem.objects.clear()


def _fill(path: str, files: dict[str, str]) -> None:
    storage.make_folder(path)
    for name, text in files.items():
        storage.write_at_once(f"{path}/{name}", text.encode())


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_absent_or_empty_folder_is_taken_and_given_back(path: str, overwrite: bool) -> None:
    for _ in range(2):
        folder = OutputFolder(path, "audio", overwrite)
        folder.check()
        folder.prepare()
        assert storage.list_names(path) in ([], [".audio.incomplete"])
        folder.discard()
        assert not storage.exists(path)
    storage.make_folder(path)
    folder = OutputFolder(path, "audio", overwrite)
    folder.check()
    folder.prepare()
    folder.discard()
    assert storage.list_names(path) == []


@pytest.mark.parametrize(
    ("files", "overwrite", "why"),
    [
        (DATASET, False, "holds a dataset already.*--overwrite"),
        ({"notes.txt": ""}, False, r"is not empty \(1 entry: notes.txt\).*--overwrite"),
        ({"a": "", "b": "", "c": "", "d": ""}, False, r"\(4 entries: a, b, c, …\)"),
        ({"schema.pbtxt": ""}, True, "would replace.*schema.pbtxt"),
        ({"audio-00000-of-00009.tfrecord": ""}, True, "would replace.*00009"),
        ({**DATASET, "audio-00003-of-00009.tfrecord": ""}, True, "would replace.*00009"),
        ({"dataset.json": "{}"}, True, "was not written by this program; nothing there is over"),
        ({"dataset.json": "not json"}, True, "nothing there is overwritten"),
    ],
)
def test_what_would_be_lost_is_refused_with_the_way_out(
    path: str, files: dict[str, str], overwrite: bool, why: str
) -> None:
    _fill(path, files)
    with pytest.raises(UsageError, match=why):
        OutputFolder(path, "audio", overwrite).check()
    assert storage.list_names(path) == sorted(files)


@pytest.mark.parametrize("files", [DATASET, {"notes.txt": ""}, {**DATASET, "notes.txt": ""}])
def test_a_run_that_fails_leaves_an_older_dataset_as_it_was(
    path: str, files: dict[str, str]
) -> None:
    _fill(path, files)
    folder = OutputFolder(path, "audio", True)
    folder.check()
    folder.prepare()
    folder.discard()
    assert storage.list_names(path) == sorted(files)


def test_remains_of_an_interrupted_run_are_cleared_away(path: str) -> None:
    remains = {name: text for name, text in DATASET.items() if name != "dataset.json"}
    _fill(path, remains)
    _fill(f"{path}/.audio.incomplete", {"00000.1.tmp": "half"})
    folder = OutputFolder(path, "audio", False)
    folder.check()
    folder.prepare()
    assert set(storage.list_names(path)) <= {".audio.incomplete"}
    assert storage.list_names(folder.staging) == []


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is not a folder"):
        OutputFolder(f"{tmp_path}/file", "audio", True).check()
    below = OutputFolder(f"{tmp_path}/file/below", "audio", True)
    below.check()
    with pytest.raises(UsageError, match=r"cannot be written.*Not a directory"):
        below.prepare()
