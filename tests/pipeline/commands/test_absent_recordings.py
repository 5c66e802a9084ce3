"""Tables whose first recordings are all absent are refused, and no others."""

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands import absent_recordings
from pipeline.errors import UsageError
from transforms.corpus.manifests.manifest import ManifestOptions, ManifestReading, check_manifest
from transforms.storage import choosing
from transforms.storage.store import FileInfo


class _Store:
    """A storage that answers for each path as it is told, and counts the requests."""

    def __init__(self, answer: Callable[[str], None]) -> None:
        self._answer = answer
        self.asked: list[str] = []

    def info(self, path: str) -> FileInfo:
        self.asked.append(path)
        self._answer(path)
        return FileInfo(path, 1)


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str], None]], _Store]:
    def use(answer: Callable[[str], None]) -> _Store:
        store = _Store(answer)
        monkeypatch.setattr(choosing, "_web", lambda _: store)
        return store

    return use


def _reading(folder: Path, *uris: str) -> ManifestReading:
    table = io.BytesIO("\n".join(["uri", *uris, ""]).encode())
    return check_manifest(table, f"{folder}/m.csv", ManifestOptions())


def _absent(path: str) -> None:
    raise FileNotFoundError(path)


@pytest.mark.parametrize("number", [1, 2, 30])
def test_a_table_is_refused_with_its_first_path_where_it_was_looked_for_and_a_hint(
    tmp_path: Path, number: int
) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips/0.wav").touch()
    reading = _reading(tmp_path, *(f"{index}.wav" for index in range(number)))
    with pytest.raises(UsageError) as refused:
        absent_recordings.check([reading], elsewhere=False)
    for part in (
        f"--manifest={tmp_path}/m.csv: ",
        "its recording is absent" if number == 1 else f"first {min(number, 20)} recordings are",
        f"line 2: {tmp_path}/0.wav does not exist; its folder has 0 files, and clips/ holds",
        f"--audio_root {tmp_path}/clips",
        "--max_failed_ratio=1",
    ):
        assert part in str(refused.value)
    absent_recordings.check([reading], elsewhere=True)
    (tmp_path / f"{min(number, 20) - 1}.wav").touch()
    absent_recordings.check([reading], elsewhere=False)


def test_a_path_that_is_read_in_another_way_is_there(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/a.wav").touch()
    absent_recordings.check([_reading(tmp_path, "x.wav", "b\\a.wav")], elsewhere=False)


def test_a_row_that_is_refused_is_no_absent_recording(tmp_path: Path) -> None:
    reading = check_manifest(
        io.BytesIO(b"uri,start\na.wav,1\n,1\n"), f"{tmp_path}/m.csv", ManifestOptions()
    )
    (tmp_path / "a.wav").touch()
    absent_recordings.check([reading], elsewhere=False)


@pytest.mark.parametrize(
    ("present", "error", "num_asked"),
    [
        (0, None, 3),  # one that is there is enough, and few are asked
        (19, None, 20),
        (None, None, 20),
        (0, PermissionError("denied"), 3),
        (7, OSError("does not answer"), 20),
    ],
)
def test_few_requests_decide_and_an_error_never_refuses(
    tmp_path: Path, storage: Any, present: int | None, error: OSError | None, num_asked: int
) -> None:
    def answer(path: str) -> None:
        if path.endswith(f"/{present}.wav"):
            if error is not None:
                raise error
            return
        _absent(path)

    store = storage(answer)
    reading = _reading(tmp_path, *(f"https://h/{index}.wav" for index in range(25)))
    if present is None:
        with pytest.raises(UsageError, match=r"first 20 recordings are absent.*https://h/0\.wav"):
            absent_recordings.check([reading], elsewhere=True)
    else:
        absent_recordings.check([reading], elsewhere=True)
    # Requests that have not begun are cancelled when one recording is known to be there.
    assert len(store.asked) <= num_asked
    assert present is not None or len(store.asked) == num_asked


def test_a_storage_that_is_slow_never_refuses(
    tmp_path: Path, storage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(absent_recordings, "_SECONDS", 0.2)

    def answer(path: str) -> None:
        time.sleep(1)
        _absent(path)

    storage(answer)
    started = time.monotonic()
    absent_recordings.check([_reading(tmp_path, "https://h/a.wav")], elsewhere=False)
    assert time.monotonic() - started < 0.9


def test_a_member_of_an_absent_packed_file_has_the_hint_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "Shard.tar").touch()
    reading = _reading(tmp_path, f"tar://a.wav::{tmp_path}/shard.tar")
    with pytest.raises(UsageError, match=r"there is Shard\.tar in its folder"):
        absent_recordings.check([reading], elsewhere=False)
