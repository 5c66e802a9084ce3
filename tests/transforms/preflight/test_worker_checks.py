"""The checks of a worker."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.sounds import noise, write_wav
from tests.stand_in import one_row, save_model
from transforms.audio import codecs
from transforms.corpus.clips import Clip
from transforms.metrics import host
from transforms.model import loading, precision, smoke_test
from transforms.preflight import worker_checks
from transforms.preflight.findings import FAILED, NOTE, OK
from transforms.preflight.worker_checks import WorkerCheckConfig
from transforms.storage import files

OWN = {"python": "3.11", "program": "code 1", "apache-beam": "2.77.0", "numpy": "2.0"}


def test_versions_name_all_that_can_change_a_row() -> None:
    names = {"python", "program", "apache-beam", "tensorflow", "tensorflow-hub", "numpy"}
    found = worker_checks.versions()
    assert {*names, "soundfile", "soxr", "libsoxr", "decoders"} <= set(found)
    assert "libsndfile" in found["decoders"]
    assert "libavcodec" in found["decoders"]
    assert worker_checks.compare_versions(found, found).result == OK


@pytest.mark.parametrize(
    ("change", "result", "text"),
    [
        ({"numpy": "1.26"}, NOTE, "differ from the launcher's: numpy 1.26 instead of 2.0"),
        ({"apache-beam": "2.76.0"}, FAILED, "apache-beam 2.76.0 instead of 2.77.0"),
        (
            {"program": "code 2", "numpy": "1"},
            FAILED,
            ": program code 2 instead of code 1; numpy 1",
        ),
        ({"python": "3.12"}, FAILED, "python 3.12 instead of 3.11"),
        ({"soxr": "1.0"}, NOTE, "soxr 1.0 instead of none"),
    ],
)
def test_versions_that_must_agree_and_those_that_should(
    change: dict[str, str], result: str, text: str
) -> None:
    finding = worker_checks.compare_versions(OWN | change, OWN)
    assert finding.result == result
    assert text in finding.text
    assert finding.hint


def test_codecs_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert worker_checks.check_codecs().result == OK
    monkeypatch.setattr(
        codecs, "undecodable_formats", lambda: {"WMA": "FFmpeg: no decoder", "AMR": "x"}
    )
    finding = worker_checks.check_codecs()
    assert (finding.result, finding.text) == (FAILED, "WMA: FFmpeg: no decoder; AMR: x")


def clips(*paths: Path) -> list[Clip]:
    return [Clip(path.name, str(path)) for path in paths]


def test_recordings_are_described_and_broken_ones_are_a_note_unless_all_are(tmp_path: Path) -> None:
    good, bad, absent = tmp_path / "good.wav", tmp_path / "bad.wav", tmp_path / "absent.wav"
    write_wav(good, np.stack([noise(8_000)] * 2, axis=1), 44_100)
    bad.write_bytes(b"not sound")
    finding = worker_checks.check_recordings(clips(good))
    assert (finding.result, finding.text) == (OK, f"{good}: WAV PCM_16, 44100 Hz, 2 channels")
    finding = worker_checks.check_recordings(clips(good, bad, absent))
    assert finding.result == NOTE
    assert f"{bad}: unsupported_format: " in finding.text
    assert f"{absent}: No such file or directory" in finding.text
    assert worker_checks.check_recordings(clips(bad, absent)).result == FAILED
    finding = worker_checks.check_recordings(clips(good), channel=3)
    assert "no_channel: --channel=3, and the recording has 2" in finding.text


def test_only_the_first_seconds_are_decoded(tmp_path: Path) -> None:
    samples = noise(160_000).astype(np.float32)
    samples[100_000] = 1.0
    write_wav(tmp_path / "long.wav", samples)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "long.wav").read_bytes()[:200_000])
    assert worker_checks.check_recordings(clips(tmp_path / "cut.wav")).result == OK


def test_a_storage_that_refuses_is_a_failure_though_others_are_read(tmp_path: Path) -> None:
    write_wav(tmp_path / "good.wav", noise(8_000))
    os.mkfifo(tmp_path / "pipe.wav")
    finding = worker_checks.check_recordings(clips(tmp_path / "good.wav", tmp_path / "pipe.wav"))
    assert finding.result == FAILED
    assert "is a device, a socket or a pipe" in finding.text


def test_the_probe_of_the_output_leaves_nothing(tmp_path: Path) -> None:
    assert worker_checks.check_output(str(tmp_path)).result == OK
    assert list(tmp_path.iterdir()) == []
    finding = worker_checks.check_output(str(tmp_path / "absent"))
    assert (finding.result, finding.text) == (FAILED, "writing fails: No such file or directory")


@pytest.mark.parametrize(
    ("step", "text"), [("rename", "renaming fails"), ("delete_files", "deleting fails")]
)
def test_the_step_that_fails_on_an_output_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, text: str
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files, step, refuse)
    finding = worker_checks.check_output(str(tmp_path))
    assert (finding.result, finding.text) == (FAILED, f"{text}: Permission denied")


@pytest.mark.parametrize(("free", "result"), [(10**12, OK), (10**6, NOTE)])
def test_a_downloaded_or_unpacked_model_needs_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, result: str
) -> None:
    monkeypatch.setattr(host, "free_disk", lambda _: free)
    finding = worker_checks.check_disk("https://tfhub.dev/google/vggish/1")
    assert finding.result == result
    assert "unpacking the model takes 1.0 GB" in finding.text
    (tmp_path / "model.zip").write_bytes(bytes(10**6))
    assert worker_checks.check_disk(str(tmp_path / "model.zip")).result == result
    assert worker_checks.check_disk(str(tmp_path)).result == OK


def test_the_numbers_of_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = save_model(tmp_path / "relu", one_row(np.maximum(smoke_test.golden()[0], 0)))
    found, numbers = worker_checks.check_model(model, None, 128)
    assert (found.check, found.result) == ("model", OK)
    assert f"{model}: rows of 128 values" in found.text
    assert [label for label, _ in found.figures] == [
        "loaded in {} s",
        "up to {} GB of memory with a batch",
    ]
    assert (numbers.check, numbers.result) == ("numbers", FAILED)
    assert "ReLU" in numbers.text
    # What claims to be the released model has to be it; any other may be itself.
    loaded = loading.load(model)
    another = smoke_test.compare(np.zeros((3, 64), np.float32))
    monkeypatch.setattr(smoke_test, "compare", lambda *_: another)
    for name, result in ((model, NOTE), ("https://tfhub.dev/google/vggish/1", FAILED)):
        monkeypatch.setattr(loading, "load", lambda *_: loaded)
        _, numbers = worker_checks.check_model(name, None, None, engine="tensorflow")
        assert numbers.result == result


def test_a_cpu_without_bfloat16_fails_the_model(
    stand_in_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_cpu = precision.check_cpu
    monkeypatch.setattr(precision, "check_cpu", lambda: check_cpu(os.devnull))
    (found,) = worker_checks.check_model(stand_in_model, None, None, "bfloat16")
    assert (found.check, found.result) == ("model", FAILED)
    assert "needs a CPU with AVX512_BF16 or AMX_BF16" in found.text


def test_a_model_in_bfloat16_is_described(bfloat16_cpu: None, convolutions: str) -> None:
    found, numbers = worker_checks.check_model(convolutions, None, None, "bfloat16")
    assert (found.check, found.result) == ("model", OK)
    assert "convolutions in bfloat16" in found.text
    assert (numbers.check, numbers.result) == ("numbers", NOTE)  # it is not VGGish


def test_a_model_that_does_not_load_hides_no_other_check(tmp_path: Path) -> None:
    findings = list(
        worker_checks.all_checks(
            WorkerCheckConfig(
                reports=str(tmp_path),
                model=str(tmp_path),
                clips=tuple(clips(tmp_path / "absent.wav")),
            )
        )
    )
    assert [(each.check, each.result) for each in findings] == [
        ("codecs", OK),
        ("recordings", FAILED),
        ("output", OK),
        ("disk", OK),
        ("model", FAILED),
    ]
    assert "saved_model.pb" in findings[-1].text
