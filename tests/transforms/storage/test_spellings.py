"""Other readings of paths that do not exist, and hints at what they may mean."""

import os
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.storage import choosing, files, near_names, spellings
from transforms.storage.store import FileInfo

_NFC = "é/ñandú.wav"


class _Store:
    """Objects of a bucket, and the number of requests."""

    def __init__(self, *names: str) -> None:
        self.paths = sorted(f"gs://b/{name}" for name in names)
        self.num_requests = 0

    def info(self, path: str) -> FileInfo:
        self.num_requests += 1
        if path not in self.paths:
            raise FileNotFoundError(path)
        return FileInfo(path, 1)

    def list_prefix(self, prefix: str) -> Iterator[FileInfo]:
        self.num_requests += 1
        yield from (FileInfo(path, 1) for path in self.paths if path.startswith(prefix))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Callable[..., _Store]:
    near_names._list_for_a_while.cache_clear()

    def make(*names: str) -> _Store:
        store = _Store(*names)
        monkeypatch.setattr(choosing, "_gcs", lambda *_: store)
        return store

    return make


@pytest.fixture(autouse=True)
def fresh() -> None:
    near_names._list_for_a_while.cache_clear()


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize(
    ("written", "there"),
    [
        (" a.wav", "a.wav"),
        ("a.wav \t", "a.wav"),
        ("\ufeffa.wav", "a.wav"),
        ("audio\\fold 1\\z.wav", "audio/fold 1/z.wav"),
        (".\\a.wav", "a.wav"),
        (" ./a.wav", "a.wav"),
        ("sub%20dir/x%2C.wav", "sub dir/x,.wav"),
        (" sub%20dir\\a.wav ", "sub dir/a.wav"),
        (_NFC, unicodedata.normalize("NFD", _NFC)),
        (unicodedata.normalize("NFD", _NFC), _NFC),
        (_NFC, "é/" + unicodedata.normalize("NFD", "ñandú.wav")),
        ("../ a.wav", "../a.wav"),
    ],
)
def test_a_path_that_nothing_has_is_read_as_the_only_file_that_it_can_mean(
    tmp_path: Path, written: str, there: str
) -> None:
    (tmp_path / "t").mkdir()
    root = f"{tmp_path}/t/"
    touch(tmp_path / "t", there)
    path = os.path.normpath(root + written)
    assert list(map(os.path.normpath, spellings.find_readings(path, written))) == [
        os.path.normpath(root + there)
    ]


def test_a_path_from_the_home_folder_is_read_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", f"{tmp_path}/home")
    touch(tmp_path, "home/b/a.wav")
    assert spellings.find_readings("/t/~/b/a.wav", "~/b/a.wav") == [f"{tmp_path}/home/b/a.wav"]
    assert spellings.find_readings("gs://t/~/b/a.wav", "~/b/a.wav") == []


def test_two_files_that_a_path_may_mean_are_both_named(tmp_path: Path) -> None:
    touch(tmp_path, "a b.wav", "a%20b.wav")
    found = spellings.find_readings(f"{tmp_path}/a%20b.wav ", "a%20b.wav ")
    assert found == [f"{tmp_path}/a b.wav", f"{tmp_path}/a%20b.wav"]


def test_upper_and_lower_case_and_folders_are_no_reading(tmp_path: Path) -> None:
    touch(tmp_path, "É.wav", "folder/x.wav")
    assert spellings.find_readings(f"{tmp_path}/é.wav", "é.wav") == []
    assert spellings.find_readings(f"{tmp_path}/ folder", " folder") == []


def test_an_ordinary_name_costs_no_request(bucket: Callable[..., _Store]) -> None:
    store = bucket("a b/c.wav")
    assert spellings.find_readings("gs://b/absent/c.wav", "absent/c.wav") == []
    assert store.num_requests == 0
    assert spellings.find_readings("gs://b/a%20b/c.wav", "a%20b/c.wav") == ["gs://b/a b/c.wav"]
    assert spellings.find_readings("gs://b/\\a%20b\\é ", "\\a%20b\\é ") == []
    assert store.num_requests <= 1 + spellings._MAX_READINGS


@given(st.text("ab~ \\%20é\u0301/.\0\n\udcff\ud800:", max_size=30))
def test_any_name_has_readings_or_none(name: str) -> None:
    path = f"/absent/{name}"
    assert spellings.find_readings(path, name) == []
    near_names.hint(path, name, "/absent")
    spellings.find_input(path)


def test_inputs_and_tables_are_read_as_what_they_can_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    touch(tmp_path, "a b/t.csv", "home/h.csv")
    for written, there in [
        ("a%20b/t.csv", "a b/t.csv"),
        ("a b\\t.csv", "a b/t.csv"),
        (" a b/t.csv ", "a b/t.csv"),
        ("a%20b/*.csv", "a b/t.csv"),
        ("~/h.csv", "home/h.csv"),
        (f"file://localhost{tmp_path}/a%20b/t.csv", "a b/t.csv"),
    ]:
        assert files.matching_files(files.absolute(written)) == [str(tmp_path / there)], written
    assert files.matching_files(files.absolute("~/x.csv")) == []


@pytest.mark.parametrize(
    ("name", "there", "hint"),
    [
        ("case.WAV", ["Case.wav"], "there is Case.wav in its folder (upper and lower case differ)"),
        ("a.wav", ["A.wav", "a.WAV"], "there is A.wav and a.WAV in its folder"),
        ("a.wav", ["a.flac", "b.wav"], "there is a.flac in its folder"),
        ("x.wav", ["clips/x.wav", "t.tsv"], "has 1 file, and clips/ holds this one: --audio_root"),
        ("d/x.wav", ["in/d/x.wav", "d/y.wav"], "in/ holds this one: --audio_root ROOT/in"),
        ("Clips/x.wav", ["clips/y.wav"], "there is clips/ in ROOT, and no Clips/"),
        ("d/x.wav", ["x.wav"], "the table's paths begin with d/, and this machine has x.wav below"),
        ("D:\\d\\x.wav", ["d/x.wav"], "begin with D:/, and this machine has d/x.wav below ROOT"),
        ("D:\\x.wav", ["y.wav"], "it is a path of Windows"),
        ("d/e/x.wav", ["y.wav"], "there is no folder ROOT/d"),
        ("x.wav", ["y.wav", "z.wav"], "its folder has 2 files, and none of this name"),
    ],
)
def test_the_hint_of_an_absent_file_names_what_may_be_meant(
    tmp_path: Path, name: str, there: list[str], hint: str
) -> None:
    touch(tmp_path, *there)
    found = near_names.hint(f"{tmp_path}/{name}", name, str(tmp_path))
    assert hint.replace("ROOT", str(tmp_path)) in found


def test_a_folder_beside_the_one_of_the_table_may_hold_the_file(tmp_path: Path) -> None:
    touch(tmp_path, "wavs/x.wav", "tables/m.csv")
    found = near_names.hint(f"{tmp_path}/tables/x.wav", "x.wav", f"{tmp_path}/tables")
    assert found == f"wavs/ holds this one: --audio_root {tmp_path}/wavs"
    touch(tmp_path, "tables/y.wav")
    found = near_names.hint("/absent/y.wav", "y.wav", f"{tmp_path}/tables")
    assert found == f"{tmp_path}/tables has it: --audio_root {tmp_path}/tables"


def test_absolute_paths_of_another_machine_are_found_by_their_end(tmp_path: Path) -> None:
    touch(tmp_path, "audio/b/x.wav")
    found = near_names.hint("/corpus/b/x.wav", "corpus/b/x.wav", f"{tmp_path}/audio")
    assert found == "the table's paths begin with /corpus/, and this machine has b/x.wav below " + (
        f"{tmp_path}/audio"
    )


def test_a_folder_on_a_storage_is_listed_once_for_many_hints(
    bucket: Callable[..., _Store],
) -> None:
    store = bucket("d/Case.wav", "d/clips/x.wav")
    assert "there is Case.wav" in near_names.hint("gs://b/d/case.wav", "case.wav")
    assert "--audio_root gs://b/d/clips" in near_names.hint("gs://b/d/x.wav", "x.wav")
    before = store.num_requests
    for index in range(100):
        found = near_names.hint(f"gs://b/d/{index}.wav", f"{index}.wav")
        assert found == "its folder has 1 file, and none of this name"
    assert store.num_requests == before


def test_a_large_folder_gives_no_hint_from_a_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near_names, "_MAX_LOCAL_NAMES", 2)
    touch(tmp_path, "Case.wav", "a.wav", "b.wav")
    found = near_names.hint(f"{tmp_path}/case.wav", "case.wav")
    assert found == "its folder has more than 2 files, and none of this name"
