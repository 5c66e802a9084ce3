"""The program from end to end: the command line in, the dataset out."""

import hashlib
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from pipeline.cli import main
from tests import reading
from tests.memory_filesystem import MemoryFileSystem
from tests.running import embed, run_program
from tests.sounds import noise, write_wav
from tests.stand_in import stand_in_rows
from transforms.model import precision

# Around the first rows: one sample too few, just enough, one too few for two, enough for two.
BOUNDARIES = (15_599, 15_600, 30_959, 30_960)
# 63, 64 and 65 rows, and twice 64, where batches of 64 begin and end.
BATCH_EDGES = tuple(num_rows * 15_360 + 240 for num_rows in (63, 64, 65, 128))


def padded(waveform: np.ndarray) -> np.ndarray:
    return np.pad(waveform, (0, max(0, 15_600 - len(waveform))))


@pytest.fixture(scope="module")
def boundary_corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """Clips of the lengths where rows and batches begin and end, and their waveforms."""
    folder = tmp_path_factory.mktemp("boundaries")
    lengths = [*BOUNDARIES, *BATCH_EDGES, 160_000, *BOUNDARIES]
    return folder, {
        f"{index:02d}.wav": write_wav(folder / f"{index:02d}.wav", noise(length, seed=index))
        for index, length in enumerate(lengths)
    }


@pytest.mark.parametrize(
    "engine",
    [
        ["--direct_num_workers=1"],
        ["--direct_num_workers=4"],
        pytest.param(
            ["--direct_num_workers=2", "--direct_running_mode=multi_processing"],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["1 thread", "4 threads", "2 processes"],
)
def test_rows_equal_one_call_of_the_model_on_the_whole_waveform(
    tf: Any,
    vggish_model: str,
    boundary_corpus: tuple[Path, dict[str, np.ndarray]],
    tmp_path: Path,
    engine: list[str],
) -> None:
    folder, waveforms = boundary_corpus
    arguments = ["--profile=raw", "--model", vggish_model, "--input", folder, *engine]
    if "multi" in engine[-1]:
        finished = run_program("embed", "--output", tmp_path / "out", *arguments)
        assert finished.returncode == 0, finished.stderr
    else:
        assert embed(tmp_path / "out", *arguments) == 0
    model = tf.saved_model.load(vggish_model)
    found = reading.float_rows(tmp_path / "out")
    assert sorted(found) == sorted(waveforms)
    for clip_id, waveform in waveforms.items():
        expected = model(padded(waveform)).numpy()
        assert found[clip_id].shape == expected.shape
        np.testing.assert_allclose(
            found[clip_id], expected, atol=1e-5 * np.abs(expected).max(), err_msg=clip_id
        )


def test_shards_are_the_same_bytes_at_every_parallelism_and_place(
    stand_in_model: str,
    boundary_corpus: tuple[Path, dict[str, np.ndarray]],
    tmp_path: Path,
    pca_file: str,
) -> None:
    folder, waveforms = boundary_corpus
    mounted_elsewhere = tmp_path / "elsewhere"
    for clip_id in sorted(waveforms, reverse=True):
        write_wav(mounted_elsewhere / clip_id, waveforms[clip_id])
    sums = []
    for index, (corpus, threads) in enumerate([(folder, 1), (folder, 4), (mounted_elsewhere, 3)]):
        output = tmp_path / str(index)
        status = embed(
            output,
            f"--input={corpus}",
            f"--model={stand_in_model}",
            f"--pca={pca_file}",
            "--num_shards=5",
            f"--direct_num_workers={threads}",
        )
        assert status == 0
        sums.append(
            {
                path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in output.glob("*.tfrecord")
            }
        )
    assert sums[0] == sums[1] == sums[2]
    assert sorted(sums[0]) == [f"audio-{index:05d}-of-00005.tfrecord" for index in range(5)]


def test_rows_of_every_profile_hold_what_their_samples_determine(
    stand_in_model: str, tmp_path: Path, pca_file: str
) -> None:
    from transforms.model.postprocessing import load_pca

    pca = load_pca(pca_file)
    waveform = write_wav(tmp_path / "in/clip.wav", noise(305 * 16_000, scale=0.3))
    for profile, id_key, rows_key, hop, max_rows in [
        ("audioset", "video_id", "audio_embedding", 15_360, None),
        ("youtube8m", "id", "audio", 16_000, 300),
    ]:
        output = tmp_path / profile
        status = embed(
            output,
            f"--input={tmp_path / 'in'}",
            f"--model={stand_in_model}",
            f"--pca={pca_file}",
            f"--profile={profile}",
        )
        assert status == 0
        (record,) = reading.records(output)
        assert record.context.feature[id_key].bytes_list.value == [b"clip.wav"]
        rows = [row.bytes_list.value for row in record.feature_lists.feature_list[rows_key].feature]
        expected = pca.quantise(stand_in_rows(waveform, hop)[:max_rows])
        assert rows == [[row.tobytes()] for row in expected]
        dropped = len(stand_in_rows(waveform, hop)) - len(expected)
        assert reading.info(output)["counts"]["rows_skipped"] == dropped
    assert dropped == 5


@pytest.mark.parametrize(
    ("hop", "hop_samples"), [("0.1", 1_600), ("0.96", 15_360), ("2.5", 40_000)]
)
def test_rows_begin_at_every_hop_that_is_asked_for(
    stand_in_model: str, tmp_path: Path, hop: str, hop_samples: int
) -> None:
    waveform = write_wav(tmp_path / "clip.wav", noise(200_000))
    arguments = ["--profile=raw", f"--model={stand_in_model}", f"--input={tmp_path / 'clip.wav'}"]
    assert embed(tmp_path / "all", *arguments, f"--hop_seconds={hop}") == 0
    expected = stand_in_rows(waveform, hop_samples)
    np.testing.assert_array_equal(reading.float_rows(tmp_path / "all")["clip.wav"], expected)
    assert reading.info(tmp_path / "all")["audio"]["hop_samples"] == hop_samples
    assert embed(tmp_path / "two", *arguments, f"--hop_seconds={hop}", "--max_rows=2") == 0
    np.testing.assert_array_equal(reading.float_rows(tmp_path / "two")["clip.wav"], expected[:2])
    assert reading.info(tmp_path / "two")["counts"]["rows_skipped"] == len(expected) - 2


@pytest.fixture
def hostile_corpus(tmp_path: Path) -> tuple[Path, dict[str, str], list[str]]:
    """A folder of all that goes wrong; with the reasons due by id, and the ids that are good."""
    folder = tmp_path / "hostile"
    sound = noise(48_000)
    good = [
        "good.wav",
        "with space.wav",
        "quote'\".wav",
        "new\nline.wav",
        "[live] *?.wav",
        "ü/é.WAV",
    ]
    for name in good:
        write_wav(folder / name, sound)
    raw_name = os.fsdecode(b"latin-\xe9.wav")
    write_wav(folder / "x.wav", sound).tofile(folder / "raw.gsm")
    (folder / "x.wav").rename(folder / raw_name)
    good.append("latin-\\xe9.wav")
    wav = (folder / "good.wav").read_bytes()
    reasons: dict[str, str] = {"raw.gsm": "unsupported_format"}

    def bad(name: str, data: bytes, reason: str) -> None:
        (folder / name).write_bytes(data)
        reasons[name] = reason

    bad("empty.wav", b"", "empty")
    bad("no_samples.wav", wav[:40] + struct.pack("<I", 0), "empty")
    bad("text.wav", b"this is not sound\n" * 100, "unsupported_format")
    bad("cut.wav", wav[: len(wav) // 2], "decode_error")
    bad("rate_0.wav", wav[:24] + struct.pack("<I", 0) + wav[28:], "decode_error")
    bad("rate_4G.wav", wav[:24] + struct.pack("<I", 2**32 - 1) + wav[28:], "decode_error")
    bad("channels_60000.wav", wav[:22] + struct.pack("<H", 60_000) + wav[24:], "decode_error")
    for name, kind, subtype in [
        ("cut.flac", "FLAC", "PCM_16"),
        ("cut.ogg", "OGG", "VORBIS"),
        ("cut.mp3", "MP3", "MPEG_LAYER_III"),
    ]:
        soundfile.write(folder / name, sound, 16_000, format=kind, subtype=subtype)
        bad(name, (folder / name).read_bytes()[:-3_000], "decode_error")
    for name, value, reason in [
        ("nan.wav", np.nan, "non_finite"),
        ("inf.wav", -np.inf, "non_finite"),
        ("integers.wav", 32_000.0, "over_full_scale"),
    ]:
        samples = sound.astype(np.float32)
        samples[40_000] = value
        soundfile.write(folder / name, samples, 16_000, subtype="FLOAT")
        reasons[name] = reason
    write_wav(folder / "folder.wav/inside.wav", sound)
    good.append("folder.wav/inside.wav")
    reasons["folder.wav"] = "unreadable"
    (folder / "dangling.wav").symlink_to(folder / "nowhere.wav")
    reasons["dangling.wav"] = "not_found"
    (folder / "self.wav").symlink_to(folder / "self.wav")
    reasons["self.wav"] = "unreadable"
    (folder / "deep").mkdir()
    (folder / "deep/loop").symlink_to(folder)
    reasons["deep/loop"] = "unreadable"
    os.mkfifo(folder / "pipe.wav")
    reasons["pipe.wav"] = "unreadable"
    (folder / ".hidden.wav").write_bytes(wav)
    (folder / "notes.txt").write_text("left out")
    return folder, reasons, good


def test_each_bad_file_is_one_line_and_every_good_one_a_record(
    hostile_corpus: tuple[Path, dict[str, str], list[str]],
    stand_in_model: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, reasons, good = hostile_corpus
    output = tmp_path / "out"
    assert embed(output, "--profile=raw", f"--model={stand_in_model}", "--input", folder) == 3
    assert reading.failures(output) == reasons
    found = reading.float_rows(output)
    assert sorted(found) == sorted(good)
    for rows in found.values():
        np.testing.assert_array_equal(rows, stand_in_rows(noise(48_000)))
    info = reading.info(output)
    assert info["counts"]["clips"] == len(reasons) + len(good)
    assert info["counts"]["records"] == len(good)
    assert info["counts"]["failures"] == len(reasons) == sum(info["failures"].values())
    assert info["skipped"] == {"hidden": 1, "other": 1}
    printed = capsys.readouterr()
    assert f"clips     {len(reasons) + len(good)}" in printed.out
    assert "more than --max_failed_ratio=0 allows" in printed.err


def test_two_inputs_with_one_id_keep_the_first_and_name_the_other(
    stand_in_model: str, tmp_path: Path
) -> None:
    first = write_wav(tmp_path / "a/clip.wav", noise(16_000, seed=1))
    write_wav(tmp_path / "b/clip.wav", noise(16_000, seed=2))
    write_wav(tmp_path / "b/other.wav", noise(16_000, seed=3))
    output = tmp_path / "out"
    inputs = [tmp_path / "b", tmp_path / "a", tmp_path / "a/clip.wav"]
    arguments = ["--profile=raw", f"--model={stand_in_model}", "--max_failed_ratio=0.34"]
    assert embed(output, *arguments, "--input", *inputs) == 0
    assert reading.failures(output) == {"clip.wav": "duplicate_id"}
    assert str(tmp_path / "a/clip.wav") in (output / "audio-failures.jsonl").read_text()
    found = reading.float_rows(output)
    assert sorted(found) == ["clip.wav", "other.wav"]
    np.testing.assert_array_equal(found["clip.wav"], stand_in_rows(first))


def test_short_clips_can_be_skipped(stand_in_model: str, tmp_path: Path) -> None:
    write_wav(tmp_path / "in/short.wav", noise(15_599))
    write_wav(tmp_path / "in/enough.wav", noise(15_600))
    arguments = ["--profile=raw", f"--model={stand_in_model}", "--input", tmp_path / "in"]
    assert embed(tmp_path / "skip", *arguments, "--short_clips=skip") == 3
    assert reading.failures(tmp_path / "skip") == {"short.wav": "too_short"}
    assert embed(tmp_path / "pad", *arguments) == 0
    assert len(reading.float_rows(tmp_path / "pad")["short.wav"]) == 1
    assert reading.info(tmp_path / "pad")["counts"]["padded_clips"] == 1


def test_a_corpus_where_every_clip_fails_is_a_complete_dataset_without_records(
    stand_in_model: str, tmp_path: Path
) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    output = tmp_path / "out"
    arguments = ["--profile=raw", f"--model={stand_in_model}", "--input", tmp_path / "a.wav"]
    assert embed(output, *arguments) == 3
    assert reading.records(output) == []
    assert reading.failures(output) == {"a.wav": "empty"}
    assert reading.info(output)["model"]["fingerprint"] is None


def test_paths_that_are_not_utf_8(stand_in_model: str, tmp_path: Path) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    write_wav(Path(odd, "in/a.wav"), noise(16_000))
    output = Path(odd, "out")
    assert embed(output, "--profile=raw", f"--model={stand_in_model}", "--input", f"{odd}/in") == 0
    assert (output / "dataset.json").exists()
    assert (output / "audio-00000-of-00001.tfrecord").stat().st_size > 512
    assert reading.info(output)["corpus"]["inputs"] == [f"{tmp_path}/caf\\xe9/in"]


def test_globs_and_files_whose_names_have_glob_characters(
    stand_in_model: str, tmp_path: Path
) -> None:
    for name in ("a [live].wav", "b/c.wav", "b/d.flac.wav", "b/deep/e.wav", "b/f.sound"):
        write_wav(tmp_path / "in" / name, noise(16_000))
    arguments = ["--profile=raw", f"--model={stand_in_model}", "--input"]
    for index, (inputs, ids) in enumerate(
        [
            ([tmp_path / "in/a [live].wav"], ["a [live].wav"]),
            ([tmp_path / "in/b/*.wav"], ["c.wav", "d.flac.wav"]),
            (
                [tmp_path / "in/**/*.wav"],
                ["a [live].wav", "b/c.wav", "b/d.flac.wav", "b/deep/e.wav"],
            ),
            ([tmp_path / "in/b/f.sound", tmp_path / "in/b/[c]*"], ["c.wav", "f.sound"]),
        ]
    ):
        output = tmp_path / str(index)
        assert embed(output, *arguments, *inputs) == 0
        assert sorted(reading.float_rows(output)) == ids


def test_all_real_recordings_in_one_run(vggish_model: str, shared: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    status = embed(
        output,
        f"--input={shared / 'data/audio'}",
        f"--model={vggish_model}",
        f"--pca={shared / 'data/vggish/vggish_pca_params.npz'}",
    )
    assert status == 3
    assert reading.failures(output) == {
        "empty.wav": "empty",
        "prompt.gsm": "unsupported_format",
    }
    found = {
        record.context.feature["video_id"].bytes_list.value[0].decode(): record
        for record in reading.records(output)
    }
    for name, num_seconds in (
        ("video_with_sound.mp4", 800_768 / 44_100),
        ("prompt.g722", 90_470 / 16_000),
    ):
        seconds = found[name].context.feature["end_time_seconds"].float_list.value[0]
        assert seconds == pytest.approx(num_seconds)
    recordings = {path.name for path in (shared / "data/audio").iterdir()}
    assert set(found) == recordings - set(reading.failures(output))
    seconds = found["sample.mp3"].context.feature["end_time_seconds"].float_list.value[0]
    assert seconds == pytest.approx(870_191 / 32_000)
    rows = found["sample.mp3"].feature_lists.feature_list["audio_embedding"].feature
    assert len(rows) == (435_096 - 240) // 15_360
    info = reading.info(output)
    assert info["model"]["trained"] is False
    assert info["model"]["untrained_seed"] == 0


def _real_context_keys(tf: Any, shard: Path) -> set[str]:
    data = next(iter(tf.data.TFRecordDataset(str(shard))))
    return set(tf.train.SequenceExample.FromString(data.numpy()).context.feature)


def test_context_keys_are_those_of_the_released_features(
    tf: Any, shared: Path, stand_in_model: str, tmp_path: Path, pca_file: str
) -> None:
    write_wav(tmp_path / "in/a.wav", noise(16_000))
    embed(
        tmp_path / "out",
        f"--input={tmp_path / 'in'}",
        f"--model={stand_in_model}",
        f"--pca={pca_file}",
    )
    (record,) = reading.records(tmp_path / "out")
    released = shared / "data/audioset/features/unbal_train_rm.tfrecord"
    assert set(record.context.feature) == _real_context_keys(tf, released)
    assert set(record.feature_lists.feature_list) == {"audio_embedding"}


@pytest.mark.parametrize(
    ("profile", "id_key", "rows_key"),
    [("audioset", "video_id", "audio_embedding"), ("youtube8m", "id", "audio")],
)
def test_the_public_feature_specs_and_tfx_bsl_read_the_shards(
    tf: Any,
    stand_in_model: str,
    tmp_path: Path,
    pca_file: str,
    profile: str,
    id_key: str,
    rows_key: str,
) -> None:
    for index, seconds in enumerate((1, 3, 10)):
        write_wav(tmp_path / f"in/{index}.wav", noise(seconds * 16_000, seed=index))
    output = tmp_path / "out"
    embed(
        output,
        f"--input={tmp_path / 'in'}",
        f"--model={stand_in_model}",
        f"--pca={pca_file}",
        f"--profile={profile}",
    )
    (shard,) = map(str, output.glob("*.tfrecord"))
    # As the YouTube-8M starter code and MediaPipe's AudioSet reader parse them.
    rows = {}
    for data in tf.data.TFRecordDataset(shard):
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
    # (n - 240) // 15360 rows, or one a second as long as 15600 samples are left: both give these.
    assert {clip: matrix.shape for clip, matrix in rows.items()} == {
        f"{index}.wav": (count, 128) for index, count in enumerate((1, 3, 10))
    }
    assert _arrow_rows(output, shard, id_key, rows_key) == {
        clip: [row.tobytes() for row in matrix] for clip, matrix in rows.items()
    }


def _arrow_rows(output: Path, shard: str, id_key: str, rows_key: str) -> dict[str, list[bytes]]:
    """Reads a shard by the dataset's own schema into Arrow, as tfx-bsl does in a pipeline."""
    import apache_beam as beam
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tfx_bsl.public.tfxio import TFSequenceExampleRecord

    schema = text_format.Parse((output / "schema.pbtxt").read_text(), schema_pb2.Schema())
    tables: list[Any] = []
    source = TFSequenceExampleRecord(shard, schema=schema, telemetry_descriptors=["test"])
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        _ = pipeline | source.BeamSource() | beam.Map(_keep, str(output / "batches"))
    import pyarrow as pa

    for path in sorted(output.glob("batches-*")):
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


def test_the_same_shards_from_and_to_an_object_storage(
    stand_in_model: str, tmp_path: Path, pca_file: str
) -> None:
    objects = MemoryFileSystem.objects
    objects.clear()
    for index, name in enumerate(("a.wav", "b/c [1].wav", "b/short.wav")):
        write_wav(tmp_path / "in" / name, noise([50_000, 160_000, 5][index], seed=index))
        objects[f"mem://bucket/in/{name}"] = (tmp_path / "in" / name).read_bytes()
    (tmp_path / "in/cut.wav").write_bytes(objects["mem://bucket/in/a.wav"][:60_000])
    objects["mem://bucket/in/cut.wav"] = objects["mem://bucket/in/a.wav"][:60_000]
    arguments = [f"--model={stand_in_model}", f"--pca={pca_file}", "--num_shards=2"]
    assert embed(tmp_path / "out", *arguments, "--input", tmp_path / "in") == 3
    assert main(["embed", "--output=mem://bucket/out", *arguments, "--input=mem://bucket/in"]) == 3
    local = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.tfrecord")}
    prefix = "mem://bucket/out/"
    remote = {
        path.removeprefix(prefix): data for path, data in objects.items() if path.startswith(prefix)
    }
    assert len(local) == 2
    assert {name: data for name, data in remote.items() if name.endswith(".tfrecord")} == local
    others = {"audio-failures.jsonl", "dataset.json", "schema.pbtxt"}
    assert set(remote) - set(local) == others, "and nothing temporary"
    assert main(["embed", "--output=mem://bucket/out", *arguments, "--input=mem://bucket/in"]) == 2
    objects.clear()


def _read_as_told(printed: str) -> str:
    """Runs the lines by which the demo says that a record is read; returns what they print."""
    shown = subprocess.run(
        ["bash", "-c", printed.split("Read one record:")[1].strip()],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return shown.stdout


@pytest.mark.parametrize("times", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_demo_without_a_hub_says_so_shows_its_failure_and_how_to_read(
    times: int, tmp_path: Path
) -> None:
    arguments = ("demo", f"--output={tmp_path / 'demo it'}", "--model=http://127.0.0.1:9/vggish")
    for _ in range(times):  # the second time over the first
        finished = run_program(*arguments, env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)})
        assert finished.returncode == 0, finished.stderr
        assert "cannot be reached" in finished.stdout
        assert "*UNTRAINED* WEIGHTS AND PROFILE raw" in finished.stdout
    dataset = tmp_path / "demo it/dataset"
    assert reading.failures(dataset) == {"broken.flac": "decode_error"}
    assert '"reason": "decode_error"' in finished.stdout
    found = reading.float_rows(dataset)
    assert len(found) == 8
    assert reading.info(dataset)["counts"]["padded_clips"] == 1
    shown = _read_as_told(finished.stdout)
    assert any(shown.startswith(clip_id) for clip_id in found)


def test_the_demo_with_a_model_and_the_pca_shows_the_profile_audioset(
    stand_in_model: str, shared: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache/beam-audio-embeddings"
    cache.mkdir(parents=True)
    shutil.copy(shared / "data/vggish/vggish_pca_params.npz", cache)
    finished = run_program(
        *("demo", f"--output={tmp_path / 'demo'}", f"--model={stand_in_model}"),
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )
    assert finished.returncode == 0, finished.stderr
    assert "UNTRAINED" not in finished.stdout
    assert reading.info(tmp_path / "demo/dataset")["profile"] == "audioset"
    assert "dtype=uint8" in _read_as_told(finished.stdout)


def test_a_model_that_is_not_one_ends_the_job_with_the_reason(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wav(tmp_path / "a.wav", noise(16_000))
    yamnet = shared / "models/yamnet"
    arguments = ["--profile=raw", f"--model={yamnet}", f"--input={tmp_path / 'a.wav'}"]
    assert embed(tmp_path / "out", *arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {yamnet} is not an audio-embedding model")
    assert "a dict of outputs" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_run_in_bfloat16_says_so_and_how_far_off_it_is(
    bfloat16_cpu: None,
    tf: Any,
    convolutions: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    waveform = write_wav(tmp_path / "a.wav", noise(160_000))
    arguments = ["--profile=raw", f"--model={convolutions}", f"--input={tmp_path / 'a.wav'}"]
    assert embed(tmp_path / "out", *arguments, "--precision=bfloat16") == 0
    assert "NOTE: rows were computed in bfloat16: their values are off" in capsys.readouterr().out
    model = reading.info(tmp_path / "out")["model"]
    assert model["precision"] == "bfloat16"
    assert model["bfloat16_error"]["rows_compared"] == 10
    exact = tf.saved_model.load(convolutions)(waveform).numpy()
    rows = reading.float_rows(tmp_path / "out")["a.wav"]
    error = np.abs(rows - exact).mean() / exact.std(axis=0).mean()
    assert model["bfloat16_error"]["mean"] == pytest.approx(error, rel=0.01)
    assert 0 < error < 0.05


def test_bfloat16_on_a_cpu_without_it_ends_the_job_with_the_reason(
    stand_in_model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    check_cpu = precision.check_cpu
    monkeypatch.setattr(precision, "check_cpu", lambda: check_cpu("/dev/null"))
    write_wav(tmp_path / "a.wav", noise(16_000))
    arguments = [f"--model={stand_in_model}", f"--input={tmp_path / 'a.wav'}", "--profile=raw"]
    assert embed(tmp_path / "out", *arguments, "--precision=bfloat16") == 1
    error = capsys.readouterr().err
    assert error.startswith("error: --precision=bfloat16 needs a CPU with AVX512_BF16 or AMX_BF16")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_full_disk_ends_the_job_and_leaves_nothing(stand_in_model: str, tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", noise(600 * 16_000))
    finished = run_program(
        "embed",
        "--profile=raw",
        f"--model={stand_in_model}",
        f"--input={tmp_path / 'a.wav'}",
        f"--output={tmp_path / 'out'}",
        # The largest file that this process may write; the shard needs 320 KB.
        preexec_fn=_small_files,
    )
    assert finished.returncode == 1
    assert "error: [Errno 27] File too large" in finished.stderr
    assert str(tmp_path / "out") in finished.stderr, "it says where"
    assert "Traceback" not in finished.stderr
    assert not (tmp_path / "out").exists()


def _small_files() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_overwriting_replaces_our_own_files_only_and_not_before_the_new_ones_are_complete(
    stand_in_model: str, tmp_path: Path, shared: Path
) -> None:
    write_wav(tmp_path / "a.wav", noise(16_000))
    output = tmp_path / "out"
    arguments = ["--profile=raw", f"--input={tmp_path / 'a.wav'}"]
    good = [*arguments, f"--model={stand_in_model}"]
    assert embed(output, *good, "--num_shards=3", "--name=first") == 0
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    (output / "notes.txt").write_text("mine")
    assert embed(output, *good) == 2, "refused without --overwrite"
    assert embed(output, *arguments, f"--model={shared / 'models/yamnet'}", "--overwrite") == 1
    assert {path.name: path.read_bytes() for path in output.iterdir()} == {
        **before,
        "notes.txt": b"mine",
    }
    assert embed(output, *good, "--overwrite") == 0
    assert sorted(path.name for path in output.iterdir()) == [
        "audio-00000-of-00001.tfrecord",
        "audio-failures.jsonl",
        "dataset.json",
        "notes.txt",
        "schema.pbtxt",
    ]


@pytest.mark.parametrize("delay", [1.5, 4.0])
def test_ctrl_c_leaves_no_half_written_dataset(
    vggish_model: str, tmp_path: Path, delay: float
) -> None:
    write_wav(tmp_path / "a.wav", noise(3_000 * 16_000))  # 15 s of work
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "pipeline", "embed", "--profile=raw"),
            *(f"--model={vggish_model}", f"--input={tmp_path / 'a.wav'}"),
            f"--output={tmp_path / 'out'}",
        ],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 300
    while not (tmp_path / "out").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=300)
    assert process.returncode == 130
    assert error.strip().splitlines()[-1] == "interrupted: no dataset was written"
    assert "Traceback" not in error
    assert out == ""
    assert not (tmp_path / "out").exists()


def test_what_a_killed_run_has_left_does_not_stop_the_next(
    stand_in_model: str, tmp_path: Path
) -> None:
    write_wav(tmp_path / "a.wav", noise(16_000))
    output = tmp_path / "out"
    (output / ".audio.incomplete").mkdir(parents=True)
    (output / ".audio.incomplete/00000.1234.tmp").write_bytes(b"half a shard")
    (output / "audio-00000-of-00007.tfrecord").write_bytes(b"renamed, and then killed")
    arguments = ["--profile=raw", f"--model={stand_in_model}", f"--input={tmp_path / 'a.wav'}"]
    assert embed(output, *arguments) == 0
    assert sorted(path.name for path in output.iterdir()) == [
        "audio-00000-of-00001.tfrecord",
        "audio-failures.jsonl",
        "dataset.json",
        "schema.pbtxt",
    ]


@pytest.mark.slow
def test_500_clips_load_one_model_and_fill_its_batches(vggish_model: str, tmp_path: Path) -> None:
    for index in range(500):
        write_wav(tmp_path / f"in/{index:03d}.wav", noise(160_000, seed=index))
    script = f"""
import resource, sys
from pipeline.cli import main
from transforms.model import loading
loads, sizes, load, embed = [], [], loading.load, loading.EmbeddingModel.embed
def counted_load(*arguments):
    loaded = load(*arguments)
    loads.append(arguments)
    return loaded
def counted_embed(self, patches):
    if loads:  # not the probes of the contract
        sizes.append(len(patches))
    return embed(self, patches)
loading.load = counted_load
loading.EmbeddingModel.embed = counted_embed
status = main(["embed", "--profile=raw", "--model={vggish_model}",
               "--input={tmp_path / "in"}", "--output={tmp_path / "out"}"])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(status, len(loads), sum(sizes), sum(size != 64 for size in sizes), peak)
"""
    finished = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=1_800, check=True
    )
    status, loads, rows, not_full, peak = map(int, finished.stdout.splitlines()[-1].split())
    assert (status, loads, rows) == (0, 1, 5_000)
    assert not_full <= max(2, os.cpu_count() or 1), "one that is not full a thread: its last"
    assert peak < 3e9
    assert reading.info(tmp_path / "out")["counts"]["rows"] == 5_000
