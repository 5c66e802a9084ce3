"""Proofs and packed weights in the cache: made once, and again where they are torn.

The proof and the network are fakes; TensorFlow is not imported.
"""

import dataclasses
import errno
import json
import threading
from pathlib import Path

import numpy as np
import pytest

from transforms.model.errors import ModelError
from transforms.model.native import bundles, packed_weights, prepared, probes, proving
from transforms.model.native.folding import NotVggishError
from transforms.model.native.library import ENGINE_VERSION, NativeUnavailableError
from transforms.model.native.packed_weights import PackedWeightsError
from transforms.model.native.proving import PROOF_NAME, WEIGHTS_NAME, Proof, ProofError

ROWS = np.arange(3, dtype=np.float32)
FINGERPRINT = "f" * 64
PROOF = Proof(
    FINGERPRINT, ENGINE_VERSION, 35, 5e-6, 1e-6, None, probes.digest(ROWS), -1, "2.21.0", "avx2"
)


class Network:
    """A network whose rows are always the same."""

    instructions = "avx2"
    rows = ROWS

    @classmethod
    def open(cls, path: Path, fingerprint: str) -> "Network":
        if path.read_bytes() != fingerprint.encode():
            raise PackedWeightsError(f"{path} has another checksum")
        return cls()

    def embed(self, patches: np.ndarray) -> np.ndarray:
        return self.rows


class Prover:
    """Makes proofs, and counts them.

    Attributes:
      text: What it writes.
      num_proofs: How many it has made.
    """

    def __init__(self) -> None:
        self.text = PROOF.to_json()
        self.num_proofs = 0

    def __call__(self, model: str, folder: Path, fingerprint: str, target: Path) -> None:
        self.num_proofs += 1
        if not self.text:
            raise ProofError("killed")
        proving.write(target / PROOF_NAME, self.text)
        if not self.text.startswith("not VGGish"):
            (target / WEIGHTS_NAME).write_text(fingerprint)


@pytest.fixture
def prover(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Prover:
    found = Prover()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(proving, "prove_in_process", found)
    monkeypatch.setattr(prepared, "NativeVggish", Network)
    monkeypatch.setattr(prepared, "_PACKED_BYTES", 1)
    return found


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder whose files are as large as VGGish's."""
    (tmp_path / "model/variables").mkdir(parents=True)
    with (tmp_path / "model/variables/variables.data-00000-of-00001").open("wb") as file:
        file.truncate(4 * 72_141_184 + 10_000)
    return tmp_path / "model"


def _open(model: Path) -> None:
    _, proof = prepared.open_model("model", model, FINGERPRINT)
    assert proof == PROOF


def test_a_proof_is_made_once(prover: Prover, model: Path) -> None:
    announced: list[str] = []
    for _ in range(2):
        found = prepared.prepare("model", model, FINGERPRINT, lambda: announced.append("now"))
        assert found.proof == PROOF
    assert announced == ["now"]
    threads = [threading.Thread(target=_open, args=(model,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert prover.num_proofs == 1


def test_another_fingerprint_is_another_proof(prover: Prover, model: Path) -> None:
    prepared.prepare("model", model, FINGERPRINT)
    with pytest.raises(ProofError, match="another model"):  # the fake has the one proof only
        prepared.prepare("model", model, "e" * 64)
    assert prover.num_proofs == 2


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"0" * 64 + b"\n" + PROOF.to_json().encode() + b"\n",
        b"half a proof",
    ],
)
def test_a_torn_proof_is_made_again(prover: Prover, model: Path, text: bytes) -> None:
    folder = prepared.prepare("model", model, FINGERPRINT).folder
    (folder / PROOF_NAME).write_bytes(text)
    _open(model)
    assert prover.num_proofs == 2


def test_a_proof_of_another_engine_is_made_again(prover: Prover, model: Path) -> None:
    folder = prepared.prepare("model", model, FINGERPRINT).folder
    old = json.loads(PROOF.to_json()) | {"engine_version": "0"}
    proving.write(folder / PROOF_NAME, json.dumps(old))
    _open(model)
    assert prover.num_proofs == 2


@pytest.mark.parametrize("weights", [None, b"", b"other weights"])
def test_torn_weights_are_made_again(prover: Prover, model: Path, weights: bytes | None) -> None:
    path = prepared.prepare("model", model, FINGERPRINT).folder / WEIGHTS_NAME
    path.unlink()
    if weights is not None:
        path.write_bytes(weights)
    _open(model)
    _open(model)
    assert prover.num_proofs == 2


def test_that_a_model_is_no_vggish_is_found_out_once(prover: Prover, model: Path) -> None:
    prover.text = "not VGGish: it has Relu6"
    for _ in range(2):
        with pytest.raises(NotVggishError, match="it has Relu6"):
            prepared.prepare("model", model, FINGERPRINT)
    assert prover.num_proofs == 1


def test_a_proof_that_could_not_be_made_is_tried_again(prover: Prover, model: Path) -> None:
    prover.text = ""
    with pytest.raises(ProofError, match="killed"):
        prepared.prepare("model", model, FINGERPRINT)
    prover.text = PROOF.to_json()
    _open(model)


def test_a_model_of_another_size_is_not_tried(prover: Prover, tmp_path: Path) -> None:
    with pytest.raises(NotVggishError, match="0 bytes, VGGish's 288564736"):
        prepared.prepare("model", tmp_path, FINGERPRINT)
    assert prover.num_proofs == 0


def test_other_rows_on_this_cpu_are_refused_and_equal_ones_remembered(
    prover: Prover, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Network, "rows", ROWS + 1)
    with pytest.raises(NativeUnavailableError, match="not those of the proof"):
        _open(model)
    monkeypatch.setattr(Network, "rows", ROWS)
    _open(model)
    monkeypatch.setattr(Network, "rows", None)  # not asked again
    _open(model)
    monkeypatch.setattr(Network, "instructions", "avx512")
    monkeypatch.setattr(Network, "rows", ROWS + 1)
    with pytest.raises(NativeUnavailableError, match=r"on this CPU \(avx512\)"):
        _open(model)


def test_the_probes_are_the_same_to_the_bit_everywhere() -> None:
    patches = probes.patches()
    assert patches.shape == (35, 15_600)
    assert patches.dtype == np.float32
    assert np.abs(patches).max() == 1
    expected = "5b952b7bc051800b7fcb703d96d8c9219d2445ddf052b4dfa6276245f16ca4a5"
    assert probes.digest(patches) == expected


@pytest.fixture
def _readable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has variables that are read without TensorFlow."""

    def pack(variables: object, path: Path, fingerprint: str) -> None:
        path.write_text(fingerprint)

    monkeypatch.setattr(bundles, "read_variables", lambda folder: {})
    monkeypatch.setattr(packed_weights, "pack", pack)


@pytest.mark.usefixtures("_readable")
def test_a_proof_of_another_machine_needs_no_tensorflow(prover: Prover, model: Path) -> None:
    _, proof = prepared.open_model("model", model, FINGERPRINT, PROOF)
    assert proof == PROOF
    assert prover.num_proofs == 0
    _open(model)
    assert prover.num_proofs == 0, "it is kept like one of this machine"


@pytest.mark.usefixtures("_readable")
def test_a_proof_of_other_rows_is_no_proof_here(prover: Prover, model: Path) -> None:
    other = dataclasses.replace(PROOF, rows_sha256="0" * 64)
    _, proof = prepared.open_model("model", model, FINGERPRINT, other)
    assert proof == PROOF
    assert prover.num_proofs == 1


def test_variables_that_only_tensorflow_can_read_are_left_to_it(
    prover: Prover, model: Path
) -> None:
    _, proof = prepared.open_model("model", model, FINGERPRINT, PROOF)  # it has no index
    assert proof == PROOF
    assert prover.num_proofs == 1


def test_weights_that_cannot_be_opened_now_are_not_made_again(
    prover: Prover, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may use them, and it would fail again."""
    path = prepared.prepare("model", model, FINGERPRINT).folder / WEIGHTS_NAME
    before = path.stat()

    def fail(*_: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(Network, "open", fail)
    with pytest.raises(OSError, match="Cannot allocate memory"):
        _open(model)
    assert (path.stat().st_ino, prover.num_proofs) == (before.st_ino, 1)


def test_what_is_no_file_is_made_again(prover: Prover, model: Path) -> None:
    path = prepared.prepare("model", model, FINGERPRINT).folder / WEIGHTS_NAME
    path.unlink()
    path.mkdir()
    _open(model)
    assert prover.num_proofs == 2


@pytest.mark.usefixtures("_readable")
def test_a_full_disk_is_named_and_no_reason_for_a_proof(
    prover: Prover, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(packed_weights, "pack", fail)
    with pytest.raises(ModelError, match="is full: packing the weights needs"):
        prepared.open_model("model", model, FINGERPRINT, PROOF)
    assert prover.num_proofs == 0
