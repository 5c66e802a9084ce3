"""The program from end to end: the command line in, the dataset out."""

import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.cli import main
from tests import reading
from tests.conftest import MadeOnce
from tests.memory_filesystem import MemoryFileSystem
from tests.running import embed, run_program
from tests.sounds import noise, write_wav
from tests.stand_in import stand_in_rows
from transforms.model.batching import BATCH_ROWS
from transforms.model.sources.pca import load_pca

# Around the first rows: one sample too few, just enough, one too few for two, enough for two.
BOUNDARIES = (15_599, 15_600, 30_959, 30_960)
# Where batches begin and end.
BATCH_EDGES = tuple(
    num_rows * 15_360 + 240
    for num_rows in (BATCH_ROWS - 1, BATCH_ROWS, BATCH_ROWS + 1, 2 * BATCH_ROWS)
)
# Longer than the 300 rows that the profile youtube8m keeps.
LONG = 305 * 16_000
LENGTHS = (*BOUNDARIES, *BATCH_EDGES, 16_000, 48_000, 160_000, LONG, *BOUNDARIES)
# Profile: (id, rows, hop in samples, most rows).
PROFILES = {
    "audioset": ("video_id", "audio_embedding", 15_360, None),
    "youtube8m": ("id", "audio", 16_000, 300),
}


def padded(waveform: np.ndarray) -> np.ndarray:
    return np.pad(waveform, (0, max(0, 15_600 - len(waveform))))


@functools.cache
def waveform(num_samples: int, seed: int) -> np.ndarray:
    return noise(num_samples, seed, scale=0.3)


def waveforms() -> Iterator[tuple[str, np.ndarray]]:
    """Yields the id and the waveform of each clip of the shared corpus."""
    for index, num_samples in enumerate(LENGTHS):
        folder = "b [1]/" if index % 2 else ""
        yield f"{folder}{index:02d}.wav", waveform(num_samples, index)


@pytest.fixture(scope="session")
def corpus(made_once: MadeOnce) -> Path:
    """Clips of the lengths where rows, batches and profiles begin and end; and a broken one."""

    def make(folder: Path) -> None:
        for clip_id, samples in waveforms():
            write_wav(folder / clip_id, samples)
        whole = (folder / clip_id).read_bytes()
        (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])

    return made_once("corpus", make)


@pytest.fixture(scope="session")
def eight_bit(stand_in_model: str, pca_file: str) -> list[str]:
    """The flags of a run of an 8-bit profile."""
    return [f"--model={stand_in_model}", f"--pca={pca_file}"]


@pytest.fixture(scope="session")
def audioset(made_once: MadeOnce, corpus: Path, eight_bit: list[str]) -> Path:
    """The dataset of the shared corpus in the profile audioset, made in one thread."""

    def make(folder: Path) -> None:
        flags = [*eight_bit, "--num_shards=5", "--direct_num_workers=1"]
        assert embed(folder / "out", "--input", corpus, *flags) == 3

    return made_once("audioset", make) / "out"


@pytest.fixture(scope="session")
def youtube8m(made_once: MadeOnce, corpus: Path, eight_bit: list[str]) -> Path:
    """The dataset of the shared corpus in the profile youtube8m."""

    def make(folder: Path) -> None:
        assert embed(folder / "out", "--input", corpus, *eight_bit, "--profile=youtube8m") == 3

    return made_once("youtube8m", make) / "out"


@pytest.fixture(params=PROFILES)
def profile(request: pytest.FixtureRequest) -> tuple[Path, str, str, int, int | None]:
    """A dataset of the shared corpus, and what its profile says."""
    return (request.getfixturevalue(request.param), *PROFILES[request.param])


def test_rows_of_every_profile_hold_what_their_samples_determine(
    profile: tuple[Path, str, str, int, int | None], pca_file: str
) -> None:
    output, id_key, rows_key, hop, max_rows = profile
    pca = load_pca(pca_file)
    records = reading.records_by_id(output, id_key)
    assert sorted(records) == sorted(clip_id for clip_id, _ in waveforms())
    skipped = 0
    for clip_id, samples in waveforms():
        rows = stand_in_rows(padded(samples), hop)
        expected = [row.tobytes() for row in pca.quantise(rows[:max_rows])]
        assert reading.byte_rows(records[clip_id], rows_key) == expected, clip_id
        skipped += len(rows) - len(expected)
    counts = reading.info(output)["counts"]
    assert counts["rows_skipped"] == skipped == (5 if max_rows else 0)
    assert counts["padded_clips"] == 2
    assert reading.failures(output) == {"cut.wav": "decode_error"}


def test_shards_are_the_same_bytes_at_every_parallelism_and_place(
    audioset: Path, corpus: Path, eight_bit: list[str]
) -> None:
    """From and to an object storage in four threads, and on a disk in one."""
    objects = MemoryFileSystem.objects
    objects.clear()
    for path in sorted(corpus.rglob("*.wav"), reverse=True):
        objects[f"mem://bucket/in/{path.relative_to(corpus)}"] = path.read_bytes()
    arguments = ["--output=mem://bucket/out", "--input=mem://bucket/in", *eight_bit]
    arguments += ["--num_shards=5", "--direct_num_workers=4"]
    assert main(["embed", *arguments]) == 3
    local = {path.name: path.read_bytes() for path in audioset.glob("*.tfrecord")}
    assert sorted(local) == [f"audio-{index:05d}-of-00005.tfrecord" for index in range(5)]
    prefix = "mem://bucket/out/"
    remote = {
        path.removeprefix(prefix): data for path, data in objects.items() if path.startswith(prefix)
    }
    assert {name: data for name, data in remote.items() if name.endswith(".tfrecord")} == local
    others = {"audio-failures.jsonl", "dataset.json", "schema.pbtxt"}
    assert set(remote) - set(local) == others, "and nothing temporary"
    assert main(["embed", *arguments]) == 2, "refused without --overwrite"
    objects.clear()


FEW = (*BOUNDARIES, 160_000)
MANY = (*BOUNDARIES, *BATCH_EDGES, 160_000, *BOUNDARIES)


@pytest.mark.parametrize(
    ("lengths", "flags"),
    [
        pytest.param(FEW, ["--direct_num_workers=2"], id="few clips, 2 threads"),
        pytest.param(MANY, ["--direct_num_workers=1"], id="1 thread", marks=pytest.mark.slow),
        pytest.param(MANY, ["--direct_num_workers=4"], id="4 threads", marks=pytest.mark.slow),
        pytest.param(
            MANY,
            ["--direct_num_workers=2", "--direct_running_mode=multi_processing"],
            id="2 processes",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_rows_equal_one_call_of_the_model_on_the_whole_waveform(
    tf: Any, vggish_model: str, tmp_path: Path, lengths: tuple[int, ...], flags: list[str]
) -> None:
    clips = {
        f"{index:02d}.wav": write_wav(tmp_path / f"in/{index:02d}.wav", waveform(length, index))
        for index, length in enumerate(lengths)
    }
    flags = ["--profile=raw", f"--model={vggish_model}", f"--input={tmp_path / 'in'}", *flags]
    if "multi" in flags[-1]:
        finished = run_program("embed", "--output", tmp_path / "out", *flags)
        assert finished.returncode == 0, finished.stderr
    else:
        assert embed(tmp_path / "out", *flags) == 0
    model = tf.saved_model.load(vggish_model)
    found = reading.float_rows(tmp_path / "out")
    assert sorted(found) == sorted(clips)
    for clip_id, samples in clips.items():
        expected = model(padded(samples)).numpy()
        assert found[clip_id].shape == expected.shape
        np.testing.assert_allclose(
            found[clip_id], expected, atol=1e-5 * np.abs(expected).max(), err_msg=clip_id
        )


@pytest.mark.parametrize(
    ("hop", "hop_samples", "max_rows"),
    [
        ("0.1", 1_600, None),
        ("2.5", 40_000, 2),
        *(
            pytest.param(*hop, max_rows, marks=pytest.mark.slow)
            for hop, max_rows in [
                (("0.1", 1_600), 2),
                (("0.96", 15_360), None),
                (("0.96", 15_360), 2),
                (("2.5", 40_000), None),
            ]
        ),
    ],
)
def test_rows_begin_at_every_hop(
    stand_in_model: str, tmp_path: Path, hop: str, hop_samples: int, max_rows: int | None
) -> None:
    samples = write_wav(tmp_path / "clip.wav", noise(200_000))
    flags = ["--profile=raw", f"--model={stand_in_model}", f"--hop_seconds={hop}"]
    flags += [f"--max_rows={max_rows}"] if max_rows else []
    assert embed(tmp_path / "out", "--input", tmp_path / "clip.wav", *flags) == 0
    expected = stand_in_rows(samples, hop_samples)
    found = reading.float_rows(tmp_path / "out")["clip.wav"]
    np.testing.assert_array_equal(found, expected[:max_rows])
    info = reading.info(tmp_path / "out")
    assert info["audio"]["hop_samples"] == hop_samples
    assert info["counts"]["rows_skipped"] == len(expected) - len(found)


@pytest.mark.slow
def test_three_runs_give_the_same_bytes_with_any_number_of_threads(
    corpus: Path, vggish_model: str, tmp_path: Path
) -> None:
    written = []
    for threads in ("1", "2", "4"):
        output = tmp_path / threads
        arguments = [f"--input={corpus}", f"--model={vggish_model}", "--profile=raw"]
        assert embed(output, *arguments, f"--direct_num_workers={threads}") == 3
        names = sorted(path.name for path in output.iterdir() if path.name != "dataset.json")
        written.append({name: (output / name).read_bytes() for name in names})
    assert any(name.endswith(".tfrecord") for name in written[0])
    assert written[0] == written[1] == written[2]


@pytest.mark.parametrize("model", ["stand_in", pytest.param("vggish", marks=pytest.mark.slow)])
def test_all_real_recordings_in_one_run(
    request: pytest.FixtureRequest, shared: Path, tmp_path: Path, model: str
) -> None:
    output = tmp_path / "out"
    status = embed(
        output,
        f"--input={shared / 'data/audio'}",
        f"--model={request.getfixturevalue(f'{model}_model')}",
        f"--pca={shared / 'data/vggish/vggish_pca_params.npz'}",
    )
    assert status == 3
    assert reading.failures(output) == {
        "empty.wav": "empty",
    }
    found = reading.records_by_id(output)
    for name, num_seconds in (
        ("video_with_sound.mp4", 800_768 / 44_100),
        ("prompt.g722", 90_470 / 16_000),
        ("sample.mp3", 870_191 / 32_000),
    ):
        seconds = found[name].context.feature["end_time_seconds"].float_list.value[0]
        assert seconds == pytest.approx(num_seconds)
    recordings = {path.name for path in (shared / "data/audio").iterdir()}
    assert set(found) == recordings - set(reading.failures(output))
    assert len(reading.byte_rows(found["sample.mp3"])) == (435_096 - 240) // 15_360
    if model == "vggish":
        assert reading.info(output)["model"]["trained"] is False
        assert reading.info(output)["model"]["untrained_seed"] == 0


def test_context_keys_are_those_of_the_released_features(
    tf: Any, shared: Path, audioset: Path
) -> None:
    record = reading.records(audioset)[0]
    released = shared / "data/audioset/features/unbal_train_rm.tfrecord"
    assert set(record.context.feature) == _context_keys(tf, released)
    assert set(record.feature_lists.feature_list) == {"audio_embedding"}


def _context_keys(tf: Any, shard: Path) -> set[str]:
    data = next(iter(tf.data.TFRecordDataset(str(shard)))).numpy()
    return set(tf.train.SequenceExample.FromString(data).context.feature)


def test_the_public_feature_specs_and_tfx_bsl_read_the_shards(
    tf: Any, tmp_path: Path, profile: tuple[Path, str, str, int, int | None]
) -> None:
    output, id_key, rows_key, hop, max_rows = profile
    shards = sorted(map(str, output.glob("*.tfrecord")))
    # As the YouTube-8M starter code and MediaPipe's AudioSet reader parse them.
    rows = {}
    for data in tf.data.TFRecordDataset(shards):
        context, lists = tf.io.parse_single_sequence_example(
            data,
            context_features={
                id_key: tf.io.FixedLenFeature([], tf.string),
                "labels": tf.io.VarLenFeature(tf.int64),
            },
            sequence_features={rows_key: tf.io.FixedLenSequenceFeature([], tf.string)},
        )
        assert context["labels"].shape == (0,)
        matrix = tf.io.decode_raw(lists[rows_key], tf.uint8)
        rows[context[id_key].numpy().decode()] = matrix.numpy()
    assert {clip: matrix.shape for clip, matrix in rows.items()} == {
        clip: (len(range(0, max(1, len(samples) - 15_599), hop)[:max_rows]), 128)
        for clip, samples in waveforms()
    }
    assert _arrow_rows(output, tmp_path, shards, id_key, rows_key) == {
        clip: [row.tobytes() for row in matrix] for clip, matrix in rows.items()
    }


def _arrow_rows(
    output: Path, folder: Path, shards: list[str], id_key: str, rows_key: str
) -> dict[str, list[bytes]]:
    """Reads shards by the dataset's own schema into Arrow, as tfx-bsl does in a pipeline."""
    import apache_beam as beam
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tfx_bsl.public.tfxio import TFSequenceExampleRecord

    schema = text_format.Parse((output / "schema.pbtxt").read_text(), schema_pb2.Schema())
    tables: list[Any] = []
    source = TFSequenceExampleRecord(shards, schema=schema, telemetry_descriptors=["test"])
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        _ = pipeline | source.BeamSource() | beam.Map(_keep, str(folder / "batches"))
    import pyarrow as pa

    for path in sorted(folder.glob("batches-*")):
        with pa.ipc.open_file(path) as reader:
            tables.extend(reader.get_batch(i) for i in range(reader.num_record_batches))
    found = {}
    for table in tables:
        columns = table.to_pydict()
        for index, (clip,) in enumerate(columns[id_key]):
            rows = columns["##SEQUENCE##"][index][rows_key]
            found[clip.decode()] = [row for (row,) in rows]
    return found


def _keep(batch: Any, prefix: str) -> None:
    import uuid

    import pyarrow as pa

    with pa.ipc.new_file(f"{prefix}-{uuid.uuid4().hex}", batch.schema) as writer:
        writer.write_batch(batch)


def test_a_run_in_bfloat16_says_so_and_how_far_off_it_is(
    bfloat16_cpu: None,
    tf: Any,
    convolutions: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    samples = write_wav(tmp_path / "a.wav", noise(160_000))
    arguments = ["--profile=raw", f"--model={convolutions}", f"--input={tmp_path / 'a.wav'}"]
    assert embed(tmp_path / "out", *arguments, "--precision=bfloat16") == 0
    assert "NOTE: rows were computed in bfloat16: their values are off" in capsys.readouterr().out
    model = reading.info(tmp_path / "out")["model"]
    assert model["precision"] == "bfloat16"
    assert model["bfloat16_error"]["rows_compared"] == 10
    exact = tf.saved_model.load(convolutions)(samples).numpy()
    rows = reading.float_rows(tmp_path / "out")["a.wav"]
    error = np.abs(rows - exact).mean() / exact.std(axis=0).mean()
    assert model["bfloat16_error"]["mean"] == pytest.approx(error, rel=0.01)
    assert 0 < error < 0.05


@pytest.mark.slow
def test_500_clips_load_one_model_and_fill_its_batches(vggish_model: str, tmp_path: Path) -> None:
    for index in range(500):
        write_wav(tmp_path / f"in/{index:03d}.wav", noise(160_000, seed=index))
    script = f"""
import sys
from pipeline.cli import main
from transforms.metrics import host
from transforms.model import choosing
from transforms.model.native.model import NativeModel
loads, sizes, load, embed = [], [], choosing.load, NativeModel.embed
def counted_load(*arguments):
    loaded = load(*arguments)
    loads.append(arguments)
    return loaded
def counted_embed(self, patches):
    sizes.append(len(patches))
    return embed(self, patches)
choosing.load = counted_load
NativeModel.embed = counted_embed
status = main(["embed", "--profile=raw", "--model={vggish_model}",
               "--input={tmp_path / "in"}", "--output={tmp_path / "out"}"])
print(status, len(loads), sum(sizes), sum(size != 64 for size in sizes), host.peak_memory())
"""
    finished = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=1_800, check=True
    )
    status, loads, rows, not_full, peak = map(int, finished.stdout.splitlines()[-1].split())
    assert (status, loads, rows) == (0, 1, 5_000)
    assert not_full <= max(2, os.cpu_count() or 1), "one that is not full a thread: its last"
    assert peak < 3e9
    assert reading.info(tmp_path / "out")["counts"]["rows"] == 5_000
