"""The README's ways to name a corpus, run as they stand there."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import soundfile

from tests import reading
from tests.running import embed
from tests.sounds import noise

README = Path(__file__).parents[1] / "README.md"
RATE_HZ = 16_000


def section(title: str) -> str:
    """Returns the text from one bold word to the next one, in the chapter on corpora."""
    chapter = README.read_text().split("## Ways to name a corpus")[1].split("\n## ")[0]
    (text,) = (part for part in re.split(r"\n(?=\*\*)", chapter) if part.startswith(f"**{title}"))
    return text


def blocks(title: str) -> list[str]:
    return re.findall(r"```\n(.*?)```", section(title), re.DOTALL)


def run(command: str, *flags: str) -> int:
    """Runs a command of the README in this process, in the current folder."""
    program, name, *words = shlex.split(command.replace("\\\n", " "))
    assert (program, name) == ("./run_local.sh", "embed")
    return embed(Path(words.pop(words.index("--output") + 1)), *without_output(words), *flags)


def without_output(words: list[str]) -> list[str]:
    return [word for word in words if word != "--output"]


def write(name: str, seconds: float) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise(int(seconds * RATE_HZ)), RATE_HZ)


@pytest.fixture
def flags(stand_in_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What stands in for the hub; the current folder is an empty one."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return ["--profile=raw", f"--model={stand_in_model}"]


def test_a_folder(flags: list[str]) -> None:
    write("recordings/a.wav", 3)
    write("recordings/b/c.flac", 3)
    (command,) = blocks("A folder")
    assert run(command, *flags) == 0
    assert sorted(reading.float_rows(Path("dataset"))) == ["a.wav", "b/c.flac"]


def test_a_table(flags: list[str]) -> None:
    table, command = blocks("A table")
    Path("clips.csv").write_text(table)
    write("talks/monday.flac", 25)
    write("music/song.mp3", 5)
    assert run(command, *flags) == 0
    for split, ids in (
        ("train", ["talks/monday.flac#0-10", "talks/monday.flac#10-20"]),
        ("eval", ["music/song.mp3"]),
    ):
        assert all(f"`{each}`" in section("A table") for each in ids)
        assert sorted(reading.float_rows(Path("dataset") / split)) == ids
    labels = [
        list(record.context.feature["labels"].int64_list.value)
        for record in reading.records(Path("dataset/train"))
    ]
    assert sorted(labels) == [[0, 2], [2]]  # laughter, music, speech
    speakers = [
        list(record.context.feature["speaker"].bytes_list.value)
        for record in reading.records(Path("dataset/train"))
    ]
    assert speakers == [[b"ann"], [b"ann"]]


def test_segments_of_audioset(flags: list[str], shared: Path) -> None:
    (command,) = blocks("AudioSet's segments")
    shutil.copy(shared / "data/audioset/class_labels_indices.csv", ".")
    names = re.findall(r"`(Y?ID\S*\.\w+)`", section("AudioSet's segments"))
    assert len(names) >= 5
    rows = []
    for index, name in enumerate(names):
        video = f"-video_{index:04d}"
        if name.endswith(".mp4"):  # libsndfile writes none; the content tells what it is
            name = name.replace(".mp4", ".flac")
        write(f"audio/{name.replace('ID', video)}", 40 if name in ("ID.wav", "YID.wav") else 10)
        rows.append(f'{video}, 30.000, 40.000, "/m/09x0r,/t/dd00088"')
    rows.append('gone, 0.000, 10.000, "/m/09x0r"')
    Path("eval_segments.csv").write_text("# YTID, ...\n" + "\n".join(rows) + "\n")
    assert run(command, *flags) == 0
    found = reading.float_rows(Path("dataset"))
    assert sorted(found) == [f"-video_{index:04d}" for index in range(len(names))]
    assert {len(each) for each in found.values()} == {10}
    assert reading.failures(Path("dataset")) == {"gone": "not_found"}


def test_long_recordings(flags: list[str]) -> None:
    (command,) = blocks("Long recordings")
    for name in "abcdefghijkl":
        write(f"meetings/{name}.flac", 35)
    assert run(command, *flags) == 0
    ids = [
        set(reading.float_rows(Path("dataset") / split))
        for split in ("train", "validation", "test")
    ]
    assert set.union(*ids) == {f"{n}.flac#{at}" for n in "abcdefghijkl" for at in (0, 10, 20, 30)}
    recordings = [{each.partition("#")[0] for each in part} for part in ids]
    assert sum(map(len, recordings)) == 12
    assert len(recordings[0]) > 6
