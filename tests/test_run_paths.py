"""Paths as people have them: read where one reading is right, else told what may be meant."""

import json
import unicodedata
from pathlib import Path

import pytest

from tests import reading
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
