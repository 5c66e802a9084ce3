"""What goes wrong in runs of the program: files, inputs, models, machines, and the user."""

import contextlib
import os
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests import reading
from tests.running import embed
from tests.sounds import noise, write_wav
from tests.stand_in import stand_in_rows
from transforms.model import precision

HOSTILE_STEREO = np.stack([noise(48_000, seed=1), noise(48_000, seed=2)], axis=1)


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
    write_wav(folder / "x.wav", sound).tofile(folder / "raw.vox")
    (folder / "x.wav").rename(folder / raw_name)
    soundfile.write(folder / "stereo.wav", HOSTILE_STEREO, 16_000)
    good += ["latin-\\xe9.wav", "stereo.wav"]
    wav = (folder / "good.wav").read_bytes()
    reasons: dict[str, str] = {"raw.vox": "unsupported_format"}

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
    raw: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, reasons, good = hostile_corpus
    output = tmp_path / "out"
    assert embed(output, *raw, "--input", folder) == 3
    assert reading.failures(output) == reasons
    found = reading.float_rows(output)
    assert sorted(found) == sorted(good)
    mixed = found.pop("stereo.wav")
    np.testing.assert_allclose(mixed, stand_in_rows(HOSTILE_STEREO.mean(axis=1)), rtol=0, atol=1e-7)
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


def test_many_inputs_in_one_run(raw: list[str], tmp_path: Path) -> None:
    """Globs, names with glob characters, two files with one id, and a clip too short for a row."""
    root = tmp_path / "in"
    inputs = {
        "a [live].wav": ["a [live].wav"],
        "b/*.wav": ["c.wav", "d.flac.wav"],
        "**/*.aiff": ["low.aiff", "deep/er/lower.aiff"],
        "f/[g]*": ["g.wav"],
        "f/h.sound": ["h.sound"],
        # The same id in two folders: the first path's stays. A file that is named twice is one.
        "two": ["clip.wav", "other.wav"],
        "one": ["clip.wav"],
        "one/clip.wav": ["clip.wav"],
        "short": [],
    }
    for name in ("a [live].wav", "b/c.wav", "b/d.flac.wav", "f/g.wav", "two/other.wav"):
        write_wav(root / name, noise(16_000))
    for name in ("b/deep/e.wav", "b/f.sound", "f/i.wav"):
        write_wav(root / name, noise(16_000))  # by no input
    for name in ("low.aiff", "deep/er/lower.aiff", "f/h.sound"):
        write_wav(root / name, noise(16_000))
    first = write_wav(root / "one/clip.wav", noise(16_000, seed=1))
    write_wav(root / "two/clip.wav", noise(16_000, seed=2))
    write_wav(root / "short/short.wav", noise(15_599))
    write_wav(root / "short/enough.wav", noise(15_600))
    inputs["short"] = ["enough.wav"]
    output = tmp_path / "out"
    flags = ["--short_clips=skip", "--max_failed_ratio=0.2", "--input"]
    assert embed(output, *raw, *flags, *(root / each for each in inputs)) == 0
    assert reading.failures(output) == {"clip.wav": "duplicate_id", "short.wav": "too_short"}
    assert str(root / "one/clip.wav") in (output / "audio-failures.jsonl").read_text()
    found = reading.float_rows(output)
    assert set(found) == {clip_id for ids in inputs.values() for clip_id in ids}
    np.testing.assert_array_equal(found["clip.wav"], stand_in_rows(first))
    assert reading.info(output)["counts"]["clips"] == len(found) + 2


def test_a_corpus_where_every_clip_fails_is_a_complete_dataset_without_records(
    raw: list[str], tmp_path: Path
) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    output = tmp_path / "out"
    assert embed(output, *raw, "--input", tmp_path / "a.wav") == 3
    assert reading.records(output) == []
    assert reading.failures(output) == {"a.wav": "empty"}
    assert reading.info(output)["model"]["fingerprint"] is None


def test_paths_that_are_not_utf_8(raw: list[str], tmp_path: Path) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    write_wav(Path(odd, "in/a.wav"), noise(16_000))
    output = Path(odd, "out")
    assert embed(output, *raw, "--input", f"{odd}/in") == 0
    assert (output / "dataset.json").exists()
    assert (output / "audio-00000-of-00001.tfrecord").stat().st_size > 512
    assert reading.info(output)["corpus"]["inputs"] == [f"{tmp_path}/caf\\xe9/in"]


def test_a_model_that_is_not_one_ends_the_job_with_the_reason(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wav(tmp_path / "a.wav", noise(16_000))
    yamnet = shared / "models/yamnet"
    arguments = ["--profile=raw", f"--model={yamnet}", f"--input={tmp_path / 'a.wav'}"]
    assert embed(tmp_path / "out", *arguments) == 1
    engine, error = _without_notes(capsys.readouterr().err)
    assert engine.startswith("engine: TensorFlow, because the model is not VGGish")
    assert error.startswith(f"error: {yamnet} is not an audio-embedding model")
    assert "a dict of outputs" in error
    assert not (tmp_path / "out").exists()


def _without_notes(said: str) -> list[str]:
    """Returns the lines without those on the machine's free memory and disk."""
    return [
        line for line in said.splitlines() if not line.startswith(("NOTE: memory", "NOTE: disk"))
    ]


def test_bfloat16_on_a_cpu_without_it_ends_the_job_with_the_reason(
    raw: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    check_cpu = precision.check_cpu
    monkeypatch.setattr(precision, "check_cpu", lambda: check_cpu("/dev/null"))
    write_wav(tmp_path / "a.wav", noise(16_000))
    arguments = [*raw, f"--input={tmp_path / 'a.wav'}"]
    assert embed(tmp_path / "out", *arguments, "--precision=bfloat16") == 1
    engine, error = _without_notes(capsys.readouterr().err)
    assert engine == "engine: TensorFlow, because --precision=bfloat16 is TensorFlow's"
    assert error.startswith("error: --precision=bfloat16 needs a CPU with AVX512_BF16 or AMX_BF16")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_ends_the_job_and_leaves_nothing(
    raw: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wav(tmp_path / "a.wav", noise(600 * 16_000))
    with largest_file(100_000):  # the shard needs 320 KB
        assert embed(tmp_path / "out", *raw, f"--input={tmp_path / 'a.wav'}") == 1
    said = capsys.readouterr().err
    assert "error: [Errno 27] File too large" in said
    assert str(tmp_path / "out") in said, "it says where"
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


@contextlib.contextmanager
def largest_file(num_bytes: int) -> Iterator[None]:
    """Lets this process write no larger file while the block lasts."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.slow
def test_overwriting_replaces_our_own_files_only_and_not_before_the_new_ones_are_complete(
    raw: list[str], tmp_path: Path
) -> None:
    write_wav(tmp_path / "a.wav", noise(16_000))
    (tmp_path / "no_model").mkdir()
    (tmp_path / "no_model/saved_model.pb").write_bytes(b"none")
    output = tmp_path / "out"
    # What a killed run has left does not stop the next one.
    (output / ".audio.incomplete").mkdir(parents=True)
    (output / ".audio.incomplete/00000.1234.tmp").write_bytes(b"half a shard")
    (output / "audio-00000-of-00007.tfrecord").write_bytes(b"renamed, and then killed")
    arguments = [*raw, f"--input={tmp_path / 'a.wav'}"]
    assert embed(output, *arguments) == 0
    files = {
        "audio-00000-of-00001.tfrecord", "audio-failures.jsonl", "dataset.json", "schema.pbtxt"
    }  # fmt: skip
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    assert set(before) == files
    (output / "notes.txt").write_text("mine")
    assert embed(output, *arguments) == 2, "refused without --overwrite"
    other = [*arguments, "--overwrite", "--num_shards=3", "--name=second"]
    assert embed(output, *other, f"--model={tmp_path / 'no_model'}") == 1
    found = {path.name: path.read_bytes() for path in output.iterdir()}
    assert found == {**before, "notes.txt": b"mine"}
    assert embed(output, *other) == 0
    shards = {f"second-{index:05d}-of-00003.tfrecord" for index in range(3)}
    others = {"second-failures.jsonl", "dataset.json", "schema.pbtxt", "notes.txt"}
    assert {path.name for path in output.iterdir()} == shards | others


@pytest.mark.parametrize(
    "delay", [pytest.param(each, marks=pytest.mark.slow) for each in (1.5, 4.0)]
)
def test_ctrl_c_leaves_no_half_written_dataset(
    vggish_model: str, tmp_path: Path, delay: float
) -> None:
    write_wav(tmp_path / "a.wav", noise(3_000 * 16_000))  # 15 s of work
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "pipeline", "embed", "--profile=raw"),
            *(f"--model={vggish_model}", f"--input={tmp_path / 'a.wav'}"),
            *(f"--output={tmp_path / 'out'}", "--engine=tensorflow"),
        ],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=_take_signals,
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


def _take_signals() -> None:
    """A process that a shell has put into the background ignores Ctrl-C, and hands that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
