"""Tables from the field, run as they are: records, labels and counts."""

import json
import shutil
from pathlib import Path

from tests import reading
from tests.running import embed
from tests.test_run_corpora import class_map, labels_of, lines_of


def test_rows_of_one_clip_are_one_record_with_all_labels_and_repeats_are_named(
    raw: list[str], shared: Path, tmp_path: Path
) -> None:
    corpus = shared / "data" / "field" / "16-rows-of-one-clip"
    output = tmp_path / "out"
    assert embed(output, *raw, f"--manifest={corpus / 'm7_dup.csv'}") == 0
    assert class_map(output)[1:] == [["0", "x1", "x1"], ["1", "x2", "x2"]]
    assert labels_of(output) == {"a.wav#0-1": [0, 1], "b.wav#0-1": [0]}
    counts = reading.info(output)["counts"]
    assert (counts["clips"], counts["records"], counts["failures"]) == (2, 2, 0)
    assert (counts["repeats"], counts["merged_rows"], counts["notes"]) == (2, 1, 1)
    (note,) = map(json.loads, (output / "audio-notes.jsonl").read_text().splitlines())
    assert note["id"] == "b.wav#0-1"
    assert note["message"].startswith("line 5 of ")
    assert note["message"].endswith("m7_dup.csv, word for word")
    assert embed(output, *raw, "--overwrite", "--input", str(corpus / "a.wav")) == 0
    assert not (output / "audio-notes.jsonl").exists()
    flags = [f"--manifest={corpus / 'm7_dup.csv'}", "--same_clip=fail", "--overwrite"]
    assert embed(output, *raw, *flags) == 3
    (failure,) = lines_of(output)
    assert (failure["id"], failure["reason"]) == ("a.wav#0-1", "duplicate_id")
    assert "with labels 'x1' instead of 'x2'" in failure["message"]
    assert reading.info(output)["counts"]["repeats"] == 1


def test_files_that_two_inputs_hold_are_read_once_and_named(
    raw: list[str], shared: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.wav", "b.wav"):
        shutil.copy(shared / "data" / "field" / "16-rows-of-one-clip" / name, folder)
    output = tmp_path / "out"
    split = "--split=train=0.5,test=0.5"
    assert embed(output, *raw, split, "--input", str(folder), f"{folder}/*.wav") == 0
    counts = reading.info(output)["counts"]
    assert (counts["records"], counts["repeats"], counts["notes"]) == (2, 2, 2)
    tables = [path.read_text() for path in output.glob("*/audio-notes.jsonl")]
    assert sum(text.count("word for word") for text in tables) == 2
