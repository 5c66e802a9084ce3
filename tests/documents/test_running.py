"""Every command and snippet of the documents is run as it stands there, on tiny corpora.

A block is in `RUN` or `RUN_SLOWLY`, or is listed below with the reason why it is not run; a new
one fails `test_every_block_is_known`. The model is a stand-in, also where a snippet names the
hub's, and so is the PCA.
"""

import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from pipeline import cli
from pipeline.options.settings import EmbedSettings
from tests import packing, reading
from tests.documents import pages
from tests.documents.pages import BLOCKS, Block
from tests.sounds import noise

RATE_HZ = 16_000
# Blocks that are run, in an order in which each finds what it needs, with those to run before.
RUN = {
    "README.md: Run, shell": (),
    "README.md: Read, python": ("README.md: Run, shell",),
    "docs/corpora.md: A folder, shell": (),
    "docs/corpora.md: A table, shell": (),
    "docs/corpora.md: AudioSet's segments, shell": (),
    "docs/scaling.md: The arithmetic, python": (),
}
# These as well, by `-m slow`.
RUN_SLOWLY = {
    "docs/corpora.md: Columns of any name, shell": (),
    "docs/corpora.md: Packed corpora, shell": (),
    "docs/index.md: beam-audio-embeddings, shell": (),
    "docs/corpora.md: Long recordings, shell": (),
    "docs/output.md: Reading, shell": (),
    "docs/output.md: Reading, python": ("docs/output.md: Reading, shell",),
    "docs/options.md: The ones that matter most, shell": (),
    "docs/models.md: What works, shell": (),
    "docs/models.md: VGGish without the hub, shell 2": (),
    "docs/runners.md: Processes on this machine, shell": (),
    "docs/library.md: From a corpus to a dataset, python": ("docs/output.md: Reading, shell",),
    "docs/library.md: Rows for your own transforms, python": (),
    "docs/library.md: Waveforms, python": (),
    "docs/library.md: Patches, in RunInference itself, python": (),
    "docs/library.md: Without Beam, python": (),
    "docs/before-a-large-run.md: `check`: will it work, shell": (),
    "docs/before-a-large-run.md: `plan`: what it will take and give, shell": (),
}
# What test_pages.py holds against the program's own parser and against files, and nothing more.
READ = {
    "CONTRIBUTING.md: Start, shell": ".ci/run does the same",
    "README.md: Install, shell": "installs everything: .ci/run does it in a clone of its own",
    "docs/layouts.md: Known layouts, shell": "test_run_layouts.py runs a command of each layout",
    "docs/models.md: VGGish without the hub, shell": "test_vggish.py makes such a checkpoint",
    "docs/runners.md: A job server, shell": "test_run_on_engines.py starts these programs",
    "docs/storages.md: Storages, shell": "tests/transforms/storage has stand-ins of both storages",
    "deploy/flink/README.md: On Flink, in Kubernetes, yaml": "test_deploy.py has its cluster",
    "deploy/dataflow/README.md: The project, once, shell": "wants Google's service",
    "deploy/dataflow/README.md: The image of the workers, shell": "test_image.py does its steps",
    "deploy/dataflow/README.md: Corpus and model, shell": "wants Google's service",
    "deploy/dataflow/README.md: The job, shell": "test_dataflow_submission.py submits it",
    "deploy/dataflow/README.md: The dataset, shell": "wants Google's service",
    "deploy/dataflow/README.md: What a million clips cost, python": "test_dataflow_page.py runs it",
    "deploy/dataflow/README.md: As a Flex Template, shell": "wants Docker and a registry",
    "deploy/dataflow/README.md: As a Flex Template, shell 2": "wants Google's service",
    "deploy/dataflow/README.md: As a Flex Template, shell 3": "wants Google's service",
    "benchmarks/README.md: Benchmarks, shell": "takes minutes, and is not for tests",
}
# What is no command: tables that a command reads, and what it prints.
SHOWN = {
    "CONTRIBUTING.md: How data flows, text": "the verbs are files, held below by test_pages.py",
    "README.md: beam-audio-embeddings, text": "the run of the README compares its keys",
    "docs/corpora.md: A table, csv": "the command below it reads it",
    "docs/runners.md: Progress and logs, text": "test_progress.py has such lines",
    "docs/runners.md: Progress and logs, text 2": "test_progress.py, test_job.py have such lines",
    "docs/before-a-large-run.md: `plan`: what it will take and give, text": "of `SAMPLES`",
    "docs/speed-and-cost.md: What a run is bound by, text": "of `SAMPLES`",
}
# Samples of what a command prints, by the command: other figures, the same lines.
SAMPLES = {
    "README.md: Run, shell": "docs/speed-and-cost.md: What a run is bound by, text",
    "docs/before-a-large-run.md: `plan`: what it will take and give, shell": (
        "docs/before-a-large-run.md: `plan`: what it will take and give, text"
    ),
}


def test_every_block_is_known() -> None:
    known = [*RUN, *RUN_SLOWLY, *READ, *SHOWN]
    assert len(known) == len({*known})
    assert {*known} == {*BLOCKS}


class Desk:
    """A folder with tiny corpora under the names that the documents use."""

    def __init__(self, folder: Path, model: str, pca: str) -> None:
        self.folder, self.model, self.pca = folder, model, pca
        self.ran: set[str] = set()
        for name, seconds in {"recordings/a.wav": 3, "recordings/b/c.flac": 3}.items():
            self.write(name, seconds)
        with tarfile.open(folder / "vggish_1.tar.gz", "w:gz") as archive:
            archive.add(model, arcname=".")

    def write(self, name: str, seconds: float) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noise(int(seconds * RATE_HZ)), RATE_HZ)

    def run(self, block: Block) -> None:
        """Runs a block once, in the current folder, which is this one."""
        if block.text in self.ran:
            return
        self.ran.add(block.text)
        if block.language == "python":
            text = block.text.replace(EmbedSettings.model, self.model)
            exec(compile(text, block.key, "exec"), {"__name__": "__main__"})
        for words in block.commands if block.language == "shell" else ():
            self._run_command(words)

    def _run_command(self, words: list[str]) -> None:
        program, *arguments = words
        assert program in pages.PROGRAMS
        if arguments[0] in pages.JOBS:
            shutil.rmtree(arguments[arguments.index("--output") + 1], ignore_errors=True)
            if "--model" not in arguments:
                arguments += ["--model", self.model]
            if "raw" not in arguments:
                arguments += ["--pca", self.pca]
            arguments.append("--quiet")
        assert cli.main(arguments) == 0


@pytest.fixture(scope="session")
def pca_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("pca") / "pca.npz"
    np.savez(path, pca_eigen_vectors=np.eye(128), pca_means=np.zeros((128, 1)))
    return str(path)


@pytest.fixture(scope="session")
def session_desk(
    tmp_path_factory: pytest.TempPathFactory, stand_in_model: str, pca_of_the_session: str
) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"), stand_in_model, pca_of_the_session)


@pytest.fixture
def desk(session_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(session_desk.folder)
    return session_desk


def _section(title: str) -> str:
    return pages.sections("docs/corpora.md")[title]


def _table(desk: Desk) -> None:
    Path("clips.csv").write_text(BLOCKS["docs/corpora.md: A table, csv"].text)
    desk.write("talks/monday.flac", 25)
    desk.write("music/song.mp3", 5)


def _urban_sounds(desk: Desk) -> None:
    # The times are those of the recording that the file was cut from.
    header = "slice_file_name,fsID,start,end,salience,fold,classID,class"
    rows = ["1-3-0-0.wav,1,1.5,2.5,1,5,3,dog_bark", "2-1-0-0.wav,2,0,3,1,9,1,car_horn"]
    Path("UrbanSound8K.csv").write_text("\n".join([header, *rows]) + "\n")
    desk.write("audio/fold5/1-3-0-0.wav", 3)
    desk.write("audio/fold9/2-1-0-0.wav", 3)


def _segments(desk: Desk) -> None:
    Path("class_labels_indices.csv").write_text(
        'index,mid,display_name\n0,/m/09x0r,"Speech"\n1,/t/dd00088,"Gurgling"\n'
    )
    rows = []
    for index, name in enumerate(_segment_names()):
        video = f"-video_{index:04d}"
        # libsndfile writes no MP4; the content tells what it is.
        name = re.sub(r"\.(mp4|m4a)$", ".flac", name)
        # A name with times is that of a segment, any other that of the video.
        desk.write(f"audio/{name.replace('ID', video)}", 10 if "ID_" in name else 40)
        rows.append(f'{video}, 30.000, 40.000, "/m/09x0r,/t/dd00088"')
    rows.append('gone, 0.000, 10.000, "/m/09x0r"')
    Path("eval_segments.csv").write_text("# YTID, ...\n" + "\n".join(rows) + "\n")


def _segment_names() -> list[str]:
    names = re.findall(r"`((?:Title[- ]\[?)?Y?ID\S*\.\w+)`", _section("AudioSet's segments"))
    assert len(names) >= 8
    return names


def _meetings(desk: Desk) -> None:
    for name in "abcdefghijkl":
        desk.write(f"meetings/{name}.flac", 35)


def _packed_files(desk: Desk) -> None:
    members = packing.webdataset(2)
    for name in ("shards/x.tar", "shards/y.tar.gz", "recordings.zip"):
        packing.write_shard(desk.folder / name, members)
    sounds = [members["0000.flac"], members["0001.flac"]]
    packing.write_parquet(
        desk.folder / "train.parquet",
        {"audio": packing.audio_structs(sounds, [None, None]), "label": ["a", "b"]},
    )
    (desk.folder / "tfds").mkdir()
    records = [packing.example(audio=sound, label=b"a") for sound in sounds]
    packing.write_tfrecord(desk.folder / "tfds/x.tfrecord-00000-of-00001", records)


# What a block finds before it runs.
BEFORE: dict[str, Callable[[Desk], None]] = {
    "docs/corpora.md: Packed corpora, shell": _packed_files,
    "docs/corpora.md: A table, shell": _table,
    "docs/corpora.md: Columns of any name, shell": _urban_sounds,
    "docs/corpora.md: AudioSet's segments, shell": _segments,
    "docs/corpora.md: Long recordings, shell": _meetings,
}


def _rows(folder: str) -> dict[str, int]:
    """The number of rows by id."""
    found = {}
    for record in reading.records(Path(folder)):
        (clip_id,) = record.context.feature["video_id"].bytes_list.value
        lists = record.feature_lists.feature_list["audio_embedding"].feature
        found[clip_id.decode()] = len(lists)
    return found


def _folder_is_embedded() -> None:
    assert _rows("dataset") == {"a.wav": 3, "b/c.flac": 3}
    shown = BLOCKS["README.md: beam-audio-embeddings, text"].text
    (record, _) = reading.records(Path("dataset"))
    assert set(re.findall(r'feature \{ key: "(\w+)"', shown)) == set(record.context.feature)
    assert re.findall(r'^ +key: "(\w+)"', shown, re.M) == [*record.feature_lists.feature_list]


def _table_is_embedded() -> None:
    for split, ids in (
        ("train", ["talks/monday.flac#0-10", "talks/monday.flac#10-20"]),
        ("eval", ["music/song.mp3"]),
    ):
        assert all(f"`{each}`" in _section("A table") for each in ids)
        assert sorted(_rows(f"dataset/{split}")) == ids
    contexts = [record.context.feature for record in reading.records(Path("dataset/train"))]
    labels = [list(each["labels"].int64_list.value) for each in contexts]
    assert sorted(labels) == [[0, 2], [2]]  # laughter, music, speech
    speakers = [list(each["speaker"].bytes_list.value) for each in contexts]
    assert speakers == [[b"ann"], [b"ann"]]


def _urban_sounds_are_embedded() -> None:
    assert _rows("dataset") == {"audio/fold5/1-3-0-0.wav": 3, "audio/fold9/2-1-0-0.wav": 3}
    labels = [
        list(each.context.feature["labels"].int64_list.value)
        for each in reading.records(Path("dataset"))
    ]
    assert sorted(labels) == [[0], [1]]


def _segments_are_embedded() -> None:
    assert _rows("dataset") == {f"-video_{i:04d}": 10 for i in range(len(_segment_names()))}
    assert reading.failures(Path("dataset")) == {"gone": "not_found"}


def _packed_files_are_embedded() -> None:
    assert _rows("dataset") == {f"x.tfrecord-00000-of-00001/{row}": 2 for row in (0, 1)}


def _meetings_are_cut() -> None:
    ids = [set(_rows(f"dataset/{split}")) for split in ("train", "validation", "test")]
    assert set.union(*ids) == {f"{n}.flac#{at}" for n in "abcdefghijkl" for at in (0, 10, 20, 30)}
    recordings = [{each.partition("#")[0] for each in part} for part in ids]
    assert sum(map(len, recordings)) == 12
    assert len(recordings[0]) > 6


def _options_have_their_effect() -> None:
    assert len([*Path("halves").glob("audio-*-of-00004.tfrecord")]) == 4
    assert _rows("halves") == {"a.wav": 5, "b/c.flac": 5}


def _own_pipeline_writes_what_the_command_writes() -> None:
    own, commands = (
        {path.name: path.read_bytes() for path in Path(folder).iterdir()}
        for folder in ("own", "raw")
    )
    about = [json.loads(files.pop("dataset.json")) for files in (own, commands)]
    assert own == commands
    assert about[0] | {"run": None} == about[1] | {"run": None}


# What a block leaves behind.
AFTER: dict[str, Callable[[], None]] = {
    "docs/corpora.md: Packed corpora, shell": _packed_files_are_embedded,
    "README.md: Run, shell": _folder_is_embedded,
    "docs/corpora.md: A table, shell": _table_is_embedded,
    "docs/corpora.md: Columns of any name, shell": _urban_sounds_are_embedded,
    "docs/corpora.md: AudioSet's segments, shell": _segments_are_embedded,
    "docs/corpora.md: Long recordings, shell": _meetings_are_cut,
    "docs/options.md: The ones that matter most, shell": _options_have_their_effect,
    "docs/library.md: From a corpus to a dataset, python": (
        _own_pipeline_writes_what_the_command_writes
    ),
}
PRINTED = {
    "README.md: Read, python": "b'a.wav' (3, 128)\n",
    "docs/output.md: Reading, python": "a.wav (3, 128)\nb/c.flac (3, 128)\n",
    "docs/library.md: Rows for your own transforms, python": "a (128,)\ngone not_found\n",
    "docs/library.md: Waveforms, python": "tone (3, 128)\n",
    "docs/library.md: Patches, in RunInference itself, python": "(3, 128)\n",
    "docs/library.md: Without Beam, python": "(10, 128)\n",
}


@pytest.mark.parametrize(
    "key", [*RUN, *(pytest.param(key, marks=pytest.mark.slow) for key in RUN_SLOWLY)]
)
def test_a_block_does_what_it_says(
    key: str, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    needed: Any = (RUN | RUN_SLOWLY)[key]
    for each in needed:
        desk.run(BLOCKS[each])
    if key in BEFORE:
        BEFORE[key](desk)
    capsys.readouterr()
    desk.run(BLOCKS[key])
    printed = capsys.readouterr().out
    if key in PRINTED:  # of a pipeline, in any order
        assert sorted(printed.splitlines()) == PRINTED[key].splitlines()
    if key in SAMPLES:
        assert _labels(BLOCKS[SAMPLES[key]].text) <= _labels(printed)
    if key in AFTER:
        AFTER[key]()


def _labels(text: str) -> set[str]:
    """What stands in front of the lines, and how they end where that is no figure."""
    labels = set(re.findall(r"^(\w[\w ]*?)  ", text, re.MULTILINE))
    return labels | set(re.findall(r"[a-z][a-z' -]+start-up[a-z -]*$", text, re.MULTILINE))


def test_a_file_of_a_user_that_is_named_as_our_package_is(tmp_path: Path) -> None:
    (tmp_path / "transforms.py").write_text("")
    script = tmp_path / "script.py"
    script.write_text("from transforms import Clip\nprint(Clip.__name__)\n")

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *options, str(script)],
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
            env={"PYTHONPATH": str(pages.ROOT)},
        )

    assert "ImportError: cannot import name 'Clip' from 'transforms'" in run().stderr
    if sys.version_info >= (3, 11):
        assert run("-P").stdout == "Clip\n"
