"""Corpora as people have them: manifests, segments, labels, splits, long recordings to be cut."""

import csv
import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests import reading
from tests.reading import times_of
from tests.running import embed, embed_measured
from tests.sounds import noise, write_wav
from tests.stand_in import stand_in_rows

RATE_HZ = 16_000


def _contexts(folder: Path) -> dict[str, Any]:
    return {name: each.context.feature for name, each in reading.records_by_id(folder).items()}


def labels_of(folder: Path) -> dict[str, list[int]]:
    return {
        clip_id: list(context["labels"].int64_list.value)
        for clip_id, context in _contexts(folder).items()
    }


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "audio-failures.jsonl").read_text().splitlines()]


def class_map(folder: Path) -> list[list[str]]:
    with (folder / "class_map.csv").open(newline="") as file:
        return list(csv.reader(file))


def _hostile_manifests(folder: Path) -> dict[str, str]:
    """Writes manifests of all that goes wrong, and returns the reasons by id."""
    write_wav(folder / "good.wav", noise(5 * RATE_HZ))
    header = "id,uri,start_seconds,end_seconds,labels\n"
    rows = [
        ("good", "good.wav,1,4,x", None),
        ("truncated", "good.wav,3,9,x", None),
        ("negative", "good.wav,-1,4,x", "invalid_time"),
        ("reversed", "good.wav,4,1,x", "invalid_time"),
        ("nothing", "good.wav,2,2,x", "invalid_time"),
        ("not_a_number", "good.wav,nan,2,x", "invalid_time"),
        ("inf", "good.wav,0,inf,x", "invalid_time"),
        ("words", "good.wav,soon,later,x", "invalid_time"),
        ("behind", "good.wav,5,6,x", "out_of_range"),
        ("absent", "absent.wav,0,1,x", "not_found"),
        ("nowhere", "foo://bar/x.wav,0,1,x", "unreadable"),
        ("label", "good.wav,0,1,unheard of", "unknown_label"),
        ("good", "good.wav,0,1,x", "duplicate_id"),
        ("no uri", ",0,1,x", "invalid_row"),
        ("hostile.csv:17", "good.wav,0,1", "invalid_row"),
        ("hostile.csv:18", "good.wav,0,1,x,more", "invalid_row"),
        ("hostile.csv:19", '"good.wav,0,1,x', "invalid_row"),
    ]
    reasons = {}
    lines: list[str] = []
    for clip_id, row, reason in rows:
        given = "" if clip_id.startswith("hostile") else clip_id
        line = f"{given},{row}" if given else f"x{len(lines)},{row}"
        lines.append(line)
        if reason == "duplicate_id":
            continue
        if reason:
            reasons[clip_id] = reason
    lines.insert(1, "")  # blank lines are nothing
    text = header + "\r\n".join(lines) + "\r\n"
    (folder / "hostile.csv").write_bytes(text.encode())
    (folder / "latin.csv").write_bytes("id,uri\ncafé,caf\xe9.wav\n".encode("latin-1"))
    reasons["café"] = "not_found"
    for encoding in ("utf-8-sig", "utf-16"):
        rows_text = f"id\turi\n{encoding}\tgood.wav\n"
        (folder / f"{encoding}.tsv").write_bytes(rows_text.encode(encoding))
    json_lines = [
        '{"id": "json", "audio_filepath": "good.wav", "offset": 1.5, "duration": 2, "text": "hi"}',
        '{"id": "json_nan", "audio_filepath": "good.wav", "offset": NaN}',
        '{"id": "json_cut", "audio_filepath": "goo',
        "[1, 2]",
    ]
    (folder / "nemo.json").write_text("\n".join(json_lines))
    reasons |= dict.fromkeys(("nemo.json:3", "nemo.json:4"), "invalid_row")
    reasons["json_nan"] = "invalid_time"
    return reasons


def test_each_wrong_row_is_one_line_with_its_manifest_and_every_good_one_a_record(
    raw: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "corpus"
    reasons = _hostile_manifests(folder)
    (tmp_path / "classes.csv").write_text("index,mid,display_name\n7,x,X\n")
    for index in range(25):  # the launcher looks at the first ones only
        (folder / f"a{index:02d}.csv").write_text(f"id,uri\na{index},good.wav\n")
    (folder / "z_binary.csv").write_bytes(b"\0\1\2" * 100)
    (folder / "z_headless.csv").write_text("good.wav,1,2\n")
    output = tmp_path / "out"
    manifests = [folder / "*.csv", folder / "*.tsv", folder / "nemo.json"]
    flags = [f"--class_map={tmp_path / 'classes.csv'}", "--manifest", *map(str, manifests)]
    assert embed(output, *raw, *flags) == 3
    lines = lines_of(output)
    whole = {str(folder / name): "invalid_manifest" for name in ("z_binary.csv", "z_headless.csv")}
    found = [(line["id"], line["reason"]) for line in lines]
    assert sorted(found) == sorted([*(reasons | whole).items(), ("good", "duplicate_id")])
    good = {"good", "truncated", "utf-8-sig", "utf-16", "json", *(f"a{i}" for i in range(25))}
    assert set(reading.float_rows(output)) == good
    assert times_of(output)["truncated"] == (3, 5)
    assert times_of(output)["json"] == (1.5, 3.5)
    places = {line["id"]: (Path(line["manifest"]).name, line["line"]) for line in lines}
    assert places["negative"] == ("hostile.csv", 5)
    assert places["behind"] == ("hostile.csv", 11)
    facts = {Path(each["uri"]).name: each for each in reading.info(output)["manifests"]}
    assert facts["latin.csv"]["encoding"] == "latin-1"
    assert facts["utf-16.tsv"]["encoding"] == "utf-16-le"
    assert facts["nemo.json"]["other_columns"] == ["text"]


def test_times_are_exact_and_become_frames_of_the_recording_once(
    raw: list[str], tmp_path: Path
) -> None:
    rate_hz = 44_100
    sound = noise(20 * rate_hz)
    write_wav(tmp_path / "a.wav", sound, rate_hz)
    # In binary, 0.1 + 0.2 is not 0.3, and frame 13,230 of 0.3 s would be 13,229 if it were cut off.
    rows = ["id,uri,offset,duration"] + [
        f"{i},a.wav,{Decimal(i) / 10},{Decimal('1.1')}" for i in range(20)
    ]
    (tmp_path / "m.csv").write_text("\n".join(rows))
    alone = tmp_path / "alone"
    for i in range(20):
        start, end = (round(Fraction(t) * rate_hz / 10) for t in (i, i + 11))
        write_wav(alone / f"{i}.wav", sound[start:end], rate_hz)
    flags = [f"--manifest={tmp_path / 'm.csv'}", f"--input={alone}"]
    assert embed(tmp_path / "out", *raw, *flags) == 0
    found = reading.float_rows(tmp_path / "out")
    assert len(found) == 40
    for i in range(20):
        np.testing.assert_array_equal(found[f"{i}"], found[f"{i}.wav"])
    times = times_of(tmp_path / "out")
    assert times["3"] == (np.float32("0.3"), np.float32("1.4"))


def test_labels_without_a_class_map_are_numbered_and_the_map_is_kept(
    raw: list[str], tmp_path: Path
) -> None:
    for name in "abcd":
        write_wav(tmp_path / f"{name}.wav", noise(RATE_HZ))
    (tmp_path / "m.csv").write_text(
        "uri,labels,score,note\na.wav,dog|cat,1,first\nb.wav,,2,\nc.wav,cat,3,third\n"
    )
    flags = [f"--manifest={tmp_path / 'm.csv'}", f"--input={tmp_path / 'd.wav'}"]
    output = tmp_path / "out"
    assert embed(output, *raw, *flags, "--keep_columns", "note") == 0
    assert labels_of(output) == {"a.wav": [0, 1], "b.wav": [], "c.wav": [0], "d.wav": []}
    assert class_map(output) == [
        ["index", "mid", "display_name"],
        ["0", "cat", "cat"],
        ["1", "dog", "dog"],
    ]
    notes = {name: list(each["note"].bytes_list.value) for name, each in _contexts(output).items()}
    assert notes == {"a.wav": [b"first"], "b.wav": [], "c.wav": [b"third"], "d.wav": []}
    (facts,) = reading.info(output)["manifests"]
    assert facts["label_separator"] == "|"
    # The map of one dataset is the class map of the next.
    (tmp_path / "n.csv").write_text("uri,labels\na.wav,dog\nb.wav,dog|wolf\n")
    flags = [f"--manifest={tmp_path / 'n.csv'}", f"--class_map={output / 'class_map.csv'}"]
    assert embed(tmp_path / "drop", *raw, *flags, "--unknown_labels=drop") == 0
    assert labels_of(tmp_path / "drop") == {"a.wav": [1], "b.wav": [1]}
    assert reading.info(tmp_path / "drop")["counts"]["labels_dropped"] == 1
    assert class_map(tmp_path / "drop") == class_map(output)


def test_each_split_of_a_manifest_is_a_complete_dataset(raw: list[str], tmp_path: Path) -> None:
    sound = write_wav(tmp_path / "a.wav", noise(3 * RATE_HZ))
    write_wav(tmp_path / "tree/t.wav", noise(RATE_HZ))
    rows = [f"{i},a.wav,{i % 2},{'train' if i % 3 else 'eval'},l{i % 3}" for i in range(9)]
    rows += ["x,absent.wav,0,only_failures,l0"]
    (tmp_path / "m.csv").write_text("id,uri,start_seconds,split,labels\n" + "\n".join(rows))
    output = tmp_path / "out"
    flags = [f"--manifest={tmp_path / 'm.csv'}", f"--input={tmp_path / 'tree'}"]
    assert embed(output, *raw, *flags) == 3
    parts = {"train": "124578", "eval": "036", "only_failures": ""}
    for split, ids in parts.items():
        folder = output / split
        assert sorted(reading.float_rows(folder)) == sorted(ids)
        info = reading.info(folder)
        assert info["counts"]["records"] == len(ids)
        assert info["counts"]["clips"] == len(ids) + (split == "only_failures")
        assert {path.name for path in folder.iterdir()} == {
            "audio-00000-of-00001.tfrecord",
            "audio-failures.jsonl",
            "class_map.csv",
            "dataset.json",
            "schema.pbtxt",
        }
    assert reading.failures(output / "only_failures") == {"x": "not_found"}
    assert sorted(reading.float_rows(output / "unsplit")) == ["t.wav"]
    assert sorted(path.name for path in output.iterdir()) == [
        "dataset.json", "eval", "only_failures", "train", "unsplit"
    ]  # fmt: skip
    whole = reading.info(output)
    assert whole["counts"]["clips"] == 11
    assert [part["folder"] for part in whole["splits"]] == [
        "unsplit", "eval", "only_failures", "train"
    ]  # fmt: skip
    np.testing.assert_array_equal(
        reading.float_rows(output / "train")["1"], stand_in_rows(sound[RATE_HZ:])
    )


@pytest.mark.slow
def test_a_dataset_without_splits_takes_the_place_of_one_with_them(
    raw: list[str], tmp_path: Path
) -> None:
    write_wav(tmp_path / "a.wav", noise(3 * RATE_HZ))
    (tmp_path / "m.csv").write_text("id,uri,split\n0,a.wav,train\n1,a.wav,eval\n")
    output = tmp_path / "out"
    assert embed(output, *raw, f"--manifest={tmp_path / 'm.csv'}") == 0
    assert sorted(path.name for path in output.iterdir()) == ["dataset.json", "eval", "train"]
    assert embed(output, *raw, f"--input={tmp_path / 'a.wav'}", "--overwrite") == 0
    assert sorted(path.name for path in output.iterdir()) == [
        "audio-00000-of-00001.tfrecord", "audio-failures.jsonl", "dataset.json", "schema.pbtxt"
    ]  # fmt: skip


def test_shares_of_the_recordings_never_part_clips_of_one(raw: list[str], tmp_path: Path) -> None:
    for index in range(30):
        write_wav(tmp_path / f"tree/{index}.wav", noise(2 * RATE_HZ, seed=index))
    rows = [f"{i}.wav#{start},tree/{i}.wav,{start}" for i in range(30) for start in (0, 1)]
    (tmp_path / "m.csv").write_text("id,uri,start_seconds\n" + "\n".join(rows))
    flags = [
        f"--manifest={tmp_path / 'm.csv'}",
        f"--input={tmp_path / 'tree'}",
        "--split=train=0.5,validation=0.3,test=0.2",
    ]
    assert embed(tmp_path / "out", *raw, *flags) == 0
    in_split = {
        split: set(reading.float_rows(tmp_path / "out" / split))
        for split in ("train", "validation", "test")
    }
    assert sum(map(len, in_split.values())) == 90
    assert len(in_split["train"]) > len(in_split["test"]) > 0
    for ids in in_split.values():
        recordings = {clip_id.partition("#")[0] for clip_id in ids}
        assert ids == {f"{name}{part}" for name in recordings for part in ("", "#0", "#1")}


def test_long_recordings_are_cut_into_clips(raw: list[str], tmp_path: Path) -> None:
    sound = noise(int(32.5 * RATE_HZ))
    (tmp_path / "in").mkdir()
    for kind in ("wav", "mp3"):
        soundfile.write(tmp_path / f"in/talk.{kind}", sound, RATE_HZ)
    write_wav(tmp_path / "in/short.wav", noise(1_000))
    (tmp_path / "in/broken.wav").write_bytes(b"")
    output = tmp_path / "out"
    assert embed(output, *raw, f"--input={tmp_path / 'in'}", "--clip_seconds=10") == 3
    times = {"#0": (0, 10), "#10": (10, 20), "#20": (20, 30), "#30": (30, 32.5)}
    assert times_of(output) == {
        **{f"talk.wav{part}": each for part, each in times.items()},
        **{f"talk.mp3{part}": each for part, each in times.items()},
        "short.wav#0": (0, 1_000 / RATE_HZ),
    }
    assert reading.failures(output) == {"broken.wav#0": "empty"}
    rows = reading.float_rows(output)
    for kind in ("wav", "mp3"):
        decoded, _ = soundfile.read(tmp_path / f"in/talk.{kind}", dtype="float32")
        for start in (0, 10, 20, 30):
            expected = stand_in_rows(decoded[start * RATE_HZ : (start + 10) * RATE_HZ])
            np.testing.assert_allclose(rows[f"talk.{kind}#{start}"], expected, rtol=0, atol=5e-6)
    assert reading.info(output)["counts"]["clips"] == 10


def test_one_channel_can_be_asked_for(raw: list[str], tmp_path: Path) -> None:
    left, right = noise(RATE_HZ, seed=1), noise(RATE_HZ, seed=2)
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in/stereo.wav", np.stack([left, right], axis=1), RATE_HZ)
    write_wav(tmp_path / "in/mono.wav", left)
    for channel, expected in (("left", left), ("2", right)):  # their mean is the default
        output = tmp_path / channel
        status = embed(output, *raw, f"--input={tmp_path / 'in'}", f"--channel={channel}")
        assert status == (3 if channel == "2" else 0)
        rows = reading.float_rows(output)["stereo.wav"]
        np.testing.assert_allclose(rows, stand_in_rows(expected), rtol=0, atol=1e-7)
    assert reading.failures(tmp_path / "2") == {"mono.wav": "no_channel"}


def test_sound_without_a_header_is_read_as_its_manifest_says(
    raw: list[str], shared: Path, tmp_path: Path
) -> None:
    sound = noise(2 * RATE_HZ)
    (tmp_path / "a.raw").write_bytes((sound * 2**15).astype("<i2").tobytes())
    (tmp_path / "m.csv").write_text(
        "id,uri,format,sample_rate\n"
        "pcm,a.raw,s16le,16000\n"
        f"gsm,{shared / 'data/audio/prompt.gsm'},gsm,8000\n"
        "info,a.raw,wav,16000\n"
    )
    output = tmp_path / "out"
    assert embed(output, *raw, f"--manifest={tmp_path / 'm.csv'}") == 3
    assert reading.failures(output) == {"info": "unsupported_format"}
    rows = reading.float_rows(output)
    np.testing.assert_array_equal(rows["pcm"], stand_in_rows(sound))
    assert len(rows["gsm"]) >= 1


@pytest.mark.slow
def test_a_long_table_of_absent_files_is_as_many_failures_in_bounded_memory(
    raw: list[str], tmp_path: Path
) -> None:
    peaks = []
    for num_rows in (1_000, 100_000):
        table = tmp_path / f"{num_rows}.csv"
        with table.open("w") as file:
            file.write("uri,start_seconds,end_seconds,labels\n")
            for row in range(num_rows):
                file.write(f"absent/{row:08d}.wav,{row % 300},{row % 300 + 10},a|b{row % 500}\n")
        output = tmp_path / f"out_{num_rows}"
        flags = [*raw, f"--manifest={table}", "--max_failed_ratio=1"]
        status, peak = embed_measured(output, *flags)
        assert status == 0
        peaks.append(peak)
        lines = lines_of(output)
        assert [line["id"] for line in lines] == sorted({line["id"] for line in lines})
        assert {(line["line"], line["reason"]) for line in lines} == {
            (row, "not_found") for row in range(2, num_rows + 2)
        }
    assert (peaks[1] - peaks[0]) * 2**20 / 99_000 < 8_000, peaks  # bytes a clip
