"""Choosing the engine: native where it is proved, and one engine for the whole job.

Library, proof and network are fakes; TensorFlow is not imported.
"""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transforms.model import choosing, loading
from transforms.model.choosing import EngineChoice
from transforms.model.embedding_model import ModelFacts
from transforms.model.errors import ModelError
from transforms.model.native import prepared
from transforms.model.native.folding import NotVggishError
from transforms.model.native.library import ENGINE_VERSION, NativeUnavailableError
from transforms.model.native.prepared import PreparedModel
from transforms.model.native.proving import Proof, ProofError

PROOF = Proof("", ENGINE_VERSION, 35, 5e-6, 1e-6, None, "ab" * 32, 7, "2.21.0", "avx2")


class Native:
    """A machine with the native engine.

    Attributes:
      refusal: What `prepare` and `open_model` raise.
      unavailable: Why there is no compiled engine.
      gpu: The machine's GPU.
      rows: The sha256 of this machine's rows.
    """

    def __init__(self) -> None:
        self.refusal: Exception | None = None
        self.unavailable = ""
        self.gpu = ""
        self.proof = PROOF
        self.num_prepared = 0

    def load_library(self) -> None:
        if self.unavailable:
            raise NativeUnavailableError(self.unavailable)

    def prepare(
        self, model: str, folder: Path, fingerprint: str, announce: object = None
    ) -> PreparedModel:
        self.num_prepared += 1
        if self.refusal:
            raise self.refusal
        return PreparedModel(folder, dataclasses.replace(self.proof, fingerprint=fingerprint))

    def open_model(
        self, model: str, folder: Path, fingerprint: str, known: Proof | None
    ) -> tuple[Any, Proof]:
        proof = self.prepare(model, folder, fingerprint).proof
        return self, proof

    def embed(self, patches: np.ndarray) -> np.ndarray:
        return np.zeros((len(patches), 128), np.float32)


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> Native:
    found = Native()
    monkeypatch.setattr(choosing, "load_library", found.load_library)
    monkeypatch.setattr(choosing, "find_gpu", lambda: found.gpu)
    monkeypatch.setattr(prepared, "prepare", found.prepare)
    monkeypatch.setattr(prepared, "open_model", found.open_model)
    return found


@pytest.fixture
def by_tensorflow(monkeypatch: pytest.MonkeyPatch) -> Any:
    loaded = loading.TensorFlowModel(None, None, ModelFacts("f", 128))
    monkeypatch.setattr(loading, "load", lambda *_: loaded)
    return loaded


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    return str(tmp_path)


def test_a_proved_model_is_native(native: Native, model: str) -> None:
    choice = choosing.choose("auto", model)
    assert (choice.engine, choice.why) == ("native", "")
    assert choice.proof is not None
    loaded = choosing.load(model, engine=choice)
    facts = loaded.facts
    assert (facts.engine, facts.engine_version, facts.untrained_seed) == ("native", "1", 7)
    assert not facts.rows_depend_on_position
    assert facts.onednn is None
    assert Proof.from_json(facts.proof) == choice.proof
    assert loaded.embed(np.zeros((65, 15_600), np.float32)).shape == (65, 128)
    loading_seconds, seconds, num_batches = loaded.take_times()
    assert loading_seconds > 0
    assert seconds > 0
    assert num_batches == 2
    assert loaded.deviation(np.zeros((1, 15_600), np.float32), np.zeros((1, 128))) is None


def test_tensorflow_is_not_asked_why(native: Native) -> None:
    assert choosing.choose("tensorflow", "/absent") == EngineChoice("tensorflow")
    assert native.num_prepared == 0


@pytest.mark.parametrize(
    ("changes", "settings", "why"),
    [
        ({"refusal": NotVggishError("it has Relu6")}, {}, "the model is not VGGish: it has Relu6"),
        ({"refusal": ProofError("no memory")}, {}, "no memory"),
        ({"refusal": OSError(28, "No space left")}, {}, "No space left"),
        ({"unavailable": "no compiler"}, {}, "the native engine is not available: no compiler"),
        (
            {"gpu": "/dev/nvidia0"},
            {},
            r"this machine has a GPU \(/dev/nvidia0; CUDA\w+=-1 hides it\)",
        ),
        ({}, {"precision": "bfloat16"}, "--precision=bfloat16 is TensorFlow's"),
        ({}, {"trust_model": True}, "--trust_model"),
    ],
)
def test_what_the_engine_cannot_compute_is_tensorflows_and_says_why(
    native: Native,
    by_tensorflow: Any,
    model: str,
    changes: dict[str, Any],
    settings: dict[str, Any],
    why: str,
) -> None:
    for name, value in changes.items():
        setattr(native, name, value)
    choice = choosing.choose("auto", model, **settings)
    assert choice.engine == "tensorflow"
    with pytest.raises(ModelError, match=rf"--engine=native is not possible: .*{why}.*; use"):
        choosing.choose("native", model, **settings)
    assert choosing.load(model, engine=choice, **settings) is by_tensorflow
    assert choosing.load(model, **settings) is by_tensorflow
    with pytest.raises(ModelError, match="--engine=native is not possible"):
        choosing.load(model, engine="native", **settings)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"unavailable": "no compiler"}, "no compiler"),
        ({"refusal": NotVggishError("it has Relu6")}, "the model is not VGGish: it has Relu6"),
        ({"proof": dataclasses.replace(PROOF, rows_sha256="cd" * 32)}, "rows cdcdcdcdcdcd instead"),
    ],
)
def test_a_worker_that_cannot_follow_fails_with_its_name_and_a_hint(
    native: Native, by_tensorflow: Any, model: str, changes: dict[str, Any], why: str
) -> None:
    choice = choosing.choose("auto", model)
    for name, value in changes.items():
        setattr(native, name, value)
    with pytest.raises(ModelError, match=rf"the worker \S+ cannot .*{why}.*--engine=tensorflow"):
        choosing.load(model, engine=choice)


def test_a_weight_that_changes_after_the_choice_is_noticed(native: Native, model: str) -> None:
    choice = choosing.choose("auto", model)
    weights = Path(model) / "variables/variables.data-00000-of-00001"
    weights.parent.mkdir()
    weights.write_bytes(b"\0")
    with pytest.raises(ModelError, match="differs from the launcher's"):
        choosing.load(model, engine=choice)


def test_a_worker_with_a_gpu_follows(native: Native, model: str) -> None:
    choice = choosing.choose("auto", model)
    native.gpu = "/dev/nvidia0"
    assert choosing.load(model, engine=choice).facts.engine == "native"


def test_gpus_are_found_without_tensorflow(tmp_path: Path) -> None:
    assert choosing.find_gpu(tmp_path, {}) == ""
    (tmp_path / "nvidiactl").touch()
    assert choosing.find_gpu(tmp_path, {}) == ""
    (tmp_path / "nvidia1").touch()
    assert choosing.find_gpu(tmp_path, {}) == f"{tmp_path}/nvidia1"
    assert choosing.find_gpu(tmp_path, {"CUDA_VISIBLE_DEVICES": "1"}) == f"{tmp_path}/nvidia1"
    assert choosing.find_gpu(tmp_path, {"CUDA_VISIBLE_DEVICES": "-1"}) == ""
    assert choosing.find_gpu(tmp_path, {"CUDA_VISIBLE_DEVICES": ""}) == ""


def test_another_engine_is_refused() -> None:
    with pytest.raises(ValueError, match=r"engine='numpy' \(allowed: auto, native, tensorflow\)"):
        choosing.check_engine("numpy")


def test_nothing_here_imports_tensorflow(pytestconfig: pytest.Config) -> None:
    program = (
        "import sys; from transforms.model import choosing; sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=pytestconfig.rootpath, check=True)


def test_rows_of_another_size_than_wanted_are_refused(native: Native, model: str) -> None:
    choice = choosing.choose("auto", model)
    assert choosing.load(model, 128, engine=choice).facts.engine == "native"
    with pytest.raises(ModelError, match=r"returns rows of 128 values, .* needs 64"):
        choosing.load(model, 64, engine=choice)


def test_without_memory_for_the_native_engine_tensorflow_is_not_tried(
    native: Native, by_tensorflow: Any, model: str
) -> None:
    choice = choosing.choose("auto", model)
    native.refusal = MemoryError("no memory to map weights")
    for engine in ("auto", "native", choice):
        with pytest.raises(MemoryError, match="no memory to map weights"):
            choosing.load(model, engine=engine)
