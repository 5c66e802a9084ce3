"""The proof that the native engine computes a model: its rows of probes, beside TensorFlow's.

It is made in a process of its own, so that TensorFlow and its memory are gone when it is done.
"""

import ctypes
import dataclasses
import hashlib
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from transforms.model import loading, onednn, vggish
from transforms.model.errors import ModelError, in_one_line
from transforms.model.native import packed_weights, probes
from transforms.model.native.folding import NotVggishError
from transforms.model.native.library import ENGINE_VERSION, NativeUnavailableError
from transforms.model.native.recognising import recognise
from transforms.model.native.vggish import NativeVggish

PROOF_NAME = "proof.json"
WEIGHTS_NAME = "weights.packed"
# Allowed differences of rows, relative to the standard deviation of the row. The first is of two
# computations in float32 with equal log-mel spectra: 8e-6 at most with untrained weights. The
# second includes what a front end in float32 rounds off: 1e-4 for a tone of 100 Hz at full scale.
TOLERANCE = 1e-5
FLOAT32_FRONT_END_TOLERANCE = 5e-4
_REFUSED = "not VGGish: "
_FAILED = 3
# With the folders that this process imports from: `-m` and `-c` would search the current one first.
_PROGRAM = f"""
import sys
sys.path[:] = sys.argv.pop(1).split("\\n")
from {__name__} import main
sys.exit(main(sys.argv[1:]))
"""
_PR_SET_PDEATHSIG = 1


class ProofError(Exception):
    """A proof that is torn, of something else, or could not be made; the message says why."""


@dataclasses.dataclass(frozen=True)
class Proof:
    """What was measured.

    Attributes:
      fingerprint: That of the model's files.
      engine_version: Version of the native engine.
      num_probes: Number of rows compared.
      largest_error: Largest difference of a value, relative to its row's standard deviation.
      mean_error: Mean difference, likewise.
      front_end_error: Largest difference from TensorFlow's rows of the model itself, if its front
        end computes in float32: the other errors are those beside TensorFlow's rows of the same
        network with a front end in float64, as the native engine has it. None otherwise.
      rows_sha256: sha256 of the native engine's rows of the probes, equal on every machine.
      untrained_seed: Seed of a model with random weights; -1 for a trained model.
      tensorflow: Version of TensorFlow.
      instructions: The CPU's instructions that the native engine used.
    """

    fingerprint: str
    engine_version: str
    num_probes: int
    largest_error: float
    mean_error: float
    front_end_error: float | None
    rows_sha256: str
    untrained_seed: int
    tensorflow: str
    instructions: str

    def to_json(self) -> str:
        """Formats the proof in one line."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Proof":
        """Parses the result of `to_json`.

        Raises:
          ProofError: It is something else.
        """
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise ProofError(f"it is no proof: {error}") from error


def description(proof: Proof) -> str:
    """Returns what was measured, as half a sentence."""
    text = (
        f"proved with {proof.num_probes} probes: rows differ from TensorFlow's by"
        f" {proof.largest_error:.1g} of their standard deviation at most"
    )
    if proof.front_end_error is not None:
        text += f", and by {proof.front_end_error:.1g} with its front end in float32"
    return text


def write(path: Path, text: str) -> None:
    """Writes a proof, or why there is none, with a checksum."""
    path.write_text(f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}\n", encoding="utf-8")


def read(path: Path, fingerprint: str) -> Proof:
    """Reads a proof.

    Raises:
      NotVggishError: The file says that the model is not VGGish, and why.
      OSError: It cannot be read.
      ProofError: It is torn, or that of something else.
    """
    checksum, _, text = path.read_text(encoding="utf-8", errors="replace").partition("\n")
    text = text.removesuffix("\n")
    if hashlib.sha256(text.encode()).hexdigest() != checksum:
        raise ProofError(f"{path} is torn")
    if text.startswith(_REFUSED):
        raise NotVggishError(text.removeprefix(_REFUSED))
    proof = Proof.from_json(text)
    if (proof.fingerprint, proof.engine_version) != (fingerprint, ENGINE_VERSION):
        raise ProofError(f"{path} is that of another model or engine")
    return proof


def prove_in_process(model: str, folder: Path, fingerprint: str, target: Path) -> None:
    """Calls `prove` in another process.

    Raises:
      ProofError: It failed; the message says why.
    """
    command = [
        *(sys.executable, "-c", _PROGRAM, "\n".join(sys.path)),
        *(str(os.getpid()), model, str(folder), fingerprint, str(target)),
    ]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise ProofError(f"the native engine could not be compared with TensorFlow: {lines[-1]}")


def prove(model: str, folder: Path, fingerprint: str, target: Path) -> None:
    """Recognises a model, packs its weights, and compares the rows of both engines.

    Args:
      model: Name of the model, for messages.
      folder: The SavedModel.
      fingerprint: Its fingerprint.
      target: An empty folder, in which proof and weights are written. If the model is not VGGish,
        the proof says so and there are no weights.

    Raises:
      ModelError: TensorFlow cannot load the model.
      NativeUnavailableError: There is no native engine on this machine.
      OSError: The files cannot be written.
    """
    try:
        proof = _proof(model, folder, fingerprint, target / WEIGHTS_NAME).to_json()
    except NotVggishError as error:
        (target / WEIGHTS_NAME).unlink(missing_ok=True)
        proof = f"{_REFUSED}{in_one_line(error)}"
    write(target / PROOF_NAME, proof)


def _proof(model: str, folder: Path, fingerprint: str, weights: Path) -> Proof:
    recognised = recognise(model, folder)
    checked = loading.load(str(folder))
    if checked.facts.fingerprint != fingerprint:
        raise ModelError(f"{model} changed while it was read")
    variables = _variables(checked.saved_model, recognised.layers)
    packed_weights.pack(variables, weights, fingerprint)
    network = NativeVggish.open(weights, fingerprint)
    sounds = probes.patches()
    rows, expected = network.embed(sounds), checked.embed(sounds)
    front_end_error = None
    if not recognised.in_float64:
        front_end_error = _largest(rows, expected, FLOAT32_FRONT_END_TOLERANCE)
        exact = vggish.build(variables)
        expected = np.concatenate([np.asarray(exact(sound)) for sound in sounds])
    return Proof(
        fingerprint=fingerprint,
        engine_version=ENGINE_VERSION,
        num_probes=len(sounds),
        largest_error=_largest(rows, expected, TOLERANCE),
        mean_error=_rounded(_errors(rows, expected).mean()),
        front_end_error=front_end_error,
        rows_sha256=probes.digest(rows),
        untrained_seed=checked.facts.untrained_seed,
        tensorflow=onednn.tensorflow().__version__,
        instructions=network.instructions,
    )


def _variables(loaded: Any, layers: tuple[str, ...]) -> Mapping[str, np.ndarray]:
    """Returns the values of a loaded model's variables by layer."""
    tf = onednn.tensorflow()
    (function,) = loaded.__call__.concrete_functions
    handles = function.captured_inputs
    values = (tf.raw_ops.ReadVariableOp(resource=each, dtype=tf.float32) for each in handles)
    return {layer: np.asarray(value) for layer, value in zip(layers, values, strict=True)}


def _errors(rows: np.ndarray, expected: np.ndarray) -> np.ndarray:
    spread = expected.std(axis=1, keepdims=True)
    difference = np.abs(rows.astype(np.float64) - expected)
    return np.divide(difference, spread, out=np.where(difference, np.inf, 0.0), where=spread > 0)


def _largest(rows: np.ndarray, expected: np.ndarray, allowed: float) -> float:
    """Returns the largest error, if it is allowed."""
    largest = float(_errors(rows, expected).max())
    if not (np.isfinite(rows).all() and largest <= allowed):
        raise NotVggishError(
            f"its rows of the probes differ from the native engine's by {largest:.2g} of the row's"
            f" standard deviation (allowed: {allowed:g})"
        )
    return _rounded(largest)


def _rounded(error: Any) -> float:
    return float(f"{float(error):.3g}")


def main(arguments: list[str]) -> int:
    """Makes the proof that the arguments of `prove_in_process` describe."""
    parent, model, folder, fingerprint, target = arguments
    if not _ends_with(int(parent)):
        return _FAILED
    importlib.import_module("tensorflow_hub")  # warns about a package of its own: before the error
    try:
        prove(model, Path(folder), fingerprint, Path(target))
    except (ModelError, NativeUnavailableError, OSError, MemoryError) as error:
        print(in_one_line(error), file=sys.stderr)
        return _FAILED
    return 0


def _ends_with(parent: int) -> bool:
    """Has this process end with its parent, whose lock on the folder ends then, too.

    Returns:
      Whether the parent is still there.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent
