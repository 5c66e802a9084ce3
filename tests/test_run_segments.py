"""The segments of AudioSet: found, cut, and written as the release has them."""

import csv
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests import reading
from tests.reading import times_of
from tests.running import embed
from tests.sounds import noise, write_wav
from tests.stand_in import stand_in_rows

RATE_HZ = 16_000
NUM_OTHERS = 100


def segments_of(path: Path) -> list[tuple[str, Decimal, Decimal, str]]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return [
        (row[0], Decimal(row[1]), Decimal(row[2]), row[3])
        for row in csv.reader(lines, skipinitialspace=True)
    ]


def write_segment(folder: Path, index: int, name: str, start: Decimal, end: Decimal) -> None:
    """Writes a segment's audio as one of the downloaders does, or the whole video."""
    milliseconds = f"{int(start * 1000)}_{int(end * 1000)}"
    file, seconds = (
        (f"{name}_{milliseconds}.flac", end - start),
        (f"label, one/{name}_{float(start)}-{float(end)}.wav", end - start),
        (f"{name}.wav", end + 3),
        (f"Y{name}.wav", end),
    )[index % 4]
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise(int(seconds * 8_000), seed=index), 8_000)


def test_segments_of_audioset_become_the_records_of_the_release(
    shared: Path, stand_in_model: str, tmp_path: Path, pca_file: str
) -> None:
    audioset = shared / "data/audioset"
    segments = segments_of(audioset / "balanced_train_segments.csv")
    short = [each for each in segments if each[2] - each[1] < 10]
    assert len(short) == 345
    released = reading.records_by_id(audioset / "features/bal_train")
    others = [each for each in segments if each[2] - each[1] == 10 and each[0] in released]
    others = others[:NUM_OTHERS]
    wanted = [*short, *others]
    assert len(others) == NUM_OTHERS
    table = tmp_path / "segments.csv"
    rows = [f'{name}, {start}, {end}, "{labels}"' for name, start, end, labels in wanted]
    table.write_text(
        "# Segments csv\n# num_ytids=445\n# YTID, start_seconds, end_seconds, positive"
        "_labels\n" + "\n".join(rows) + "\n"
    )
    absent = {name for name, *_ in wanted[3::7]}
    for index, (name, start, end, _) in enumerate(wanted):
        if name not in absent:
            write_segment(tmp_path / "audio", index, name, start, end)
    output = tmp_path / "out"
    status = embed(
        output,
        f"--audioset_segments={table}",
        f"--audio_root={tmp_path / 'audio'}",
        f"--class_map={audioset / 'class_labels_indices.csv'}",
        f"--model={stand_in_model}",
        f"--pca={pca_file}",
    )
    assert status == 3
    assert reading.failures(output) == dict.fromkeys(absent, "not_found")
    found = reading.records_by_id(output)
    assert sorted(found) == sorted(name for name, *_ in wanted if name not in absent)
    for name, start, end, _ in wanted:
        if name in found:
            num_rows = len(found[name].feature_lists.feature_list["audio_embedding"].feature)
            assert num_rows == int(end - start), name
    in_both = set(found) & set(released)
    assert len(in_both) >= NUM_OTHERS * 6 // 7
    for name in in_both:
        ours, theirs = found[name], released[name]
        assert set(ours.context.feature) == set(theirs.context.feature)
        for key in ("labels", "start_time_seconds", "end_time_seconds"):
            if name == "_bNWx6FLpu0" and key == "end_time_seconds":
                continue  # the release's video ended before its segment
            assert ours.context.feature[key] == theirs.context.feature[key], (name, key)
        lists = [each.feature_lists.feature_list["audio_embedding"] for each in (ours, theirs)]
        assert name == "_bNWx6FLpu0" or len(lists[0].feature) == len(lists[1].feature), name


@pytest.mark.parametrize(
    "template", [["--audio_name={id}.wav"], pytest.param([], marks=pytest.mark.slow)]
)
def test_segments_of_recordings_that_end_too_early_or_are_cut_already(
    raw: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], template: list[str]
) -> None:
    audio = tmp_path / "audio"
    cut = write_wav(audio / "-a_1.wav", noise(10 * RATE_HZ, seed=1))
    early = write_wav(audio / "_bNWx6FLpu0.wav", noise(29 * RATE_HZ))
    table = tmp_path / "segments.csv"
    table.write_text('-a_1, 30.000, 40.000, "/m/1"\n_bNWx6FLpu0, 20.000, 30.000, "/m/07ppn3j"\n')
    flags = [*raw, f"--audioset_segments={table}", f"--audio_root={audio}"]
    assert embed(tmp_path / "whole", *flags) == 3
    assert reading.failures(tmp_path / "whole") == {"-a_1": "out_of_range"}
    assert "--segments_are_cut" in capsys.readouterr().out
    assert times_of(tmp_path / "whole") == {"_bNWx6FLpu0": (20, 29)}
    rows = reading.float_rows(tmp_path / "whole")["_bNWx6FLpu0"]
    np.testing.assert_array_equal(rows, stand_in_rows(early[20 * RATE_HZ :]))
    assert len(rows) == 9
    assert reading.info(tmp_path / "whole")["counts"]["truncated_clips"] == 1

    table.write_text('-a_1, 30.000, 40.000, "/m/1"\n')
    flags += ["--segments_are_cut", *template]
    assert embed(tmp_path / "cut", *flags) == 0
    assert times_of(tmp_path / "cut") == {"-a_1": (30, 40)}
    np.testing.assert_array_equal(reading.float_rows(tmp_path / "cut")["-a_1"], stand_in_rows(cut))


@pytest.mark.parametrize("template", [[], ["--audio_name={id}.wav"]])
def test_two_segments_of_one_video_are_two_records(
    raw: list[str], tmp_path: Path, shared: Path, template: list[str]
) -> None:
    table = shared / "data/field/15-segments-repeated-id/seg.csv"
    sound = write_wav(tmp_path / "audio/DDDDDDDDDDD.wav", noise(31 * RATE_HZ))
    flags = [*raw, f"--audioset_segments={table}", f"--audio_root={tmp_path / 'audio'}", *template]
    assert embed(tmp_path / "out", *flags) == 0
    ids = {"DDDDDDDDDDD_0": (0, 10), "DDDDDDDDDDD_20000": (20, 30)}
    assert times_of(tmp_path / "out") == ids
    rows = reading.float_rows(tmp_path / "out")
    for id, (start, end) in ids.items():
        expected = stand_in_rows(sound[start * RATE_HZ : end * RATE_HZ])
        np.testing.assert_array_equal(rows[id], expected)
