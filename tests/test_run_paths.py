"""Paths as people have them: read where one reading is right, else told what may be meant."""

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import reading
from tests.memory_filesystem import MemoryFileSystem
from tests.running import embed
from tests.sounds import noise, write_wav
from transforms.storage import choosing
from transforms.storage.retries import RetryPolicy

_NFC = "naïve_é.wav"
_FILES = [
    "sub dir/x y#1 50%, ok.wav",
    "sub dir/a%20b.wav",
    unicodedata.normalize("NFD", _NFC),
    "case.wav",
    "audio/fold1/z.wav",
    "a.wav",
    "back\\slash.wav",
]


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "corpus"
    for index, name in enumerate(_FILES):
        write_wav(folder / name, noise(16_000, seed=index))
    write_wav(tmp_path / "home/a.wav", noise(16_000))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    impatient = RetryPolicy(total_seconds=0.2)  # of the host that does not answer
    monkeypatch.setattr(choosing.store_of, "__defaults__", (impatient,))
    return folder


def test_every_row_of_a_table_with_the_paths_of_other_machines_has_its_right_outcome(
    raw: list[str], shared: Path, corpus: Path
) -> None:
    text = (shared / "data/field/12-windows-and-uri-paths/m6_names.csv").read_text()
    (corpus / "m6.csv").write_text(text.replace("/corpus/", f"{corpus}/"))
    assert embed(corpus / "out", *raw, f"--manifest={corpus / 'm6.csv'}") == 3
    read = {"n1", "n2", "n3", "n5", "n6", "n7", "n8", "n9", "n14", "n15"}
    assert set(reading.float_rows(corpus / "out")) == read
    lines = (corpus / "out/audio-failures.jsonl").read_text().splitlines()
    failures = {line["id"]: line for line in map(json.loads, lines)}
    assert {id: line["reason"] for id, line in failures.items()} == {
        "n4": "not_found",
        "n10": "unreadable",
        "n11": "unreadable",
        "n12": "unreadable",
        "n13": "not_found",
        "n16": "unreadable",
        "n17": "not_found",
    }
    for id, hint in [
        ("n4", "there is case.wav in its folder (upper and lower case differ)"),
        ("n11", "name too long"),
        ("n12", "directory"),
        ("n13", "there is a.wav in its folder"),
        ("n16", "no storage is known for hf://"),
        ("n17", f"begin with C:/data/, and this machine has a.wav below {corpus}"),
    ]:
        assert hint in failures[id]["message"], id


@pytest.mark.slow
def test_spellings_of_one_recording_are_one_recording_and_a_name_keeps_its_id(
    raw: list[str], corpus: Path
) -> None:
    written = ["a.wav", " a.wav", "a.wav ", f"file://{corpus}/a.wav", ".\\a.wav"]
    with (corpus / "m.csv").open("w") as file:
        file.write("\n".join(["uri", *written, "sub%20dir/a%2520b.wav", ""]))
    flags = [*raw, f"--manifest={corpus / 'm.csv'}", "--split=one=0.5,two=0.5"]
    for name in ("out", "again"):
        assert embed(corpus / name, *flags) == 0
    folders = {path.name: reading.float_rows(path) for path in (corpus / "out").glob("*/")}
    (spelled,) = (rows for rows in folders.values() if "a.wav" in rows)
    assert set(written[:3] + written[4:]) | {str(corpus / "a.wav")[1:]} <= set(spelled)
    assert sum(map(len, folders.values())) == 6
    for split in folders:
        file_name = f"{split}/audio-00000-of-00001.tfrecord"
        assert (corpus / "out" / file_name).read_bytes() == (
            corpus / "again" / file_name
        ).read_bytes()


def test_hostile_names_fail_their_clips_and_no_other(raw: list[str], corpus: Path) -> None:
    names = [
        "a\0.wav",
        "\0",
        "~/\0",
        "\ud800.wav",
        "~\ud800/é.wav",
        "x" * 10_000,
        "é" * 3_000,
        "%20" * 1_000 + ".wav",
        "../" * 1_000 + "a.wav",
        "..",
        "/",
        "line\nend.wav",
        "\\\\server\\share\\a.wav",
        "C:",
        "file:",
        "file:/",
        "file:///",
        "file:///a%00.wav",
        "file:///%ff%fe.wav",
        "file:///\ud800%20.wav",
        "file://[::1/a.wav",
        "file://other/a.wav",
        " http://[::1/a.wav",
        "gs:///\ud800 ",
        "tar://a::b\0",
        "tar://%00::b.tar",
        "zip://~\\a%20::é\ud800.zip",
    ]
    lines = [{"id": f"{index:02}", "uri": name} for index, name in enumerate(names)]
    lines.append({"id": "good", "uri": "a.wav"})
    (corpus / "m.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert embed(corpus / "out", *raw, f"--manifest={corpus / 'm.jsonl'}") == 3
    assert list(reading.float_rows(corpus / "out")) == ["good"]
    failures = reading.failures(corpus / "out")
    assert len(failures) == len(names)
    assert set(failures.values()) <= {"not_found", "unreadable", "invalid_row"}


@pytest.mark.slow
def test_inputs_are_read_as_what_they_can_mean_and_else_refused_with_a_hint(
    raw: list[str],
    corpus: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(corpus)
    for index, (written, ids) in enumerate(
        [
            (["sub%20dir"], {"a%20b.wav", "x y#1 50%, ok.wav"}),
            ([f"file://localhost{corpus}/sub%20dir/"], {"a%20b.wav", "x y#1 50%, ok.wav"}),
            (["audio\\fold1\\*.wav", " case.wav", "~/a.wav"], {"z.wav", "case.wav", "a.wav"}),
            ([_NFC, "back\\slash.wav"], {unicodedata.normalize("NFD", _NFC), "back\\slash.wav"}),
        ]
    ):
        assert embed(corpus / f"out{index}", *raw, "--input", *written) == 0
        assert set(reading.float_rows(corpus / f"out{index}")) == ids
    for path, hint in [
        ("Case.wav", "matches nothing; there is case.wav in its folder"),
        ("Audio/fold1", "matches nothing; there is audio/ in"),
        ("file://other/a.wav", "names a file of the machine 'other' (allowed: file:///PATH)"),
    ]:
        assert embed(corpus / "refused", *raw, f"--input={path}") == 2
        assert hint in capsys.readouterr().err


@pytest.fixture
def objects() -> Iterator[dict[str, bytes]]:
    MemoryFileSystem.objects.clear()
    yield MemoryFileSystem.objects
    MemoryFileSystem.objects.clear()


@pytest.mark.slow
def test_paths_on_a_storage_are_read_when_opening_them_as_written_fails(
    raw: list[str], corpus: Path, objects: dict[str, bytes]
) -> None:
    sound = (corpus / "a.wav").read_bytes()
    objects.update(dict.fromkeys(("mem://b/s d/a.wav", "mem://b/s%20d/b.wav"), sound))
    names = ["s%20d/a.wav", "s d\\a.wav", " s d/a.wav ", "s%20d/b.wav", "s d/A.wav"]
    objects["mem://b/m.csv"] = "\n".join(["uri", *names, ""]).encode()
    assert embed(corpus / "out", *raw, "--manifest=mem://b/m.csv") == 3
    assert set(reading.float_rows(corpus / "out")) == set(names[:-1])
    assert reading.failures(corpus / "out") == {"s d/A.wav": "not_found"}


def test_a_table_of_absent_recordings_is_refused_before_the_job_unless_all_may_fail(
    raw: list[str], corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = corpus / "m.csv"
    table.write_text("\n".join(["uri", "z.wav", *(f"{index}.wav" for index in range(30)), ""]))
    assert embed(corpus / "out", *raw, f"--manifest={table}") == 2
    error = " ".join(capsys.readouterr().err.split())
    assert (
        f"--manifest={table}: the first 20 recordings are absent; line 2: {corpus}/z.wav" in error
    )
    assert not (corpus / "out").exists()
    assert embed(corpus / "out", *raw, f"--manifest={table}", "--max_failed_ratio=1") == 0
    assert set(reading.failures(corpus / "out").values()) == {"not_found"}
    assert embed(corpus / "more", *raw, f"--manifest={table}", f"--audio_root={corpus}/audio") == 2
    assert f"--audio_root {corpus}/audio/fold1" in " ".join(capsys.readouterr().err.split())
