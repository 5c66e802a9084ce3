"""The choice of the engine: the native one where it is proved for the model, or TensorFlow.

The launcher chooses for a whole job, because the two differ in the last bits of rows.
"""

import dataclasses
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from transforms.model import loading
from transforms.model.embedding_model import EmbeddingModel
from transforms.model.engines import AUTO, ENGINES, NATIVE, TENSORFLOW
from transforms.model.errors import ModelError, in_one_line
from transforms.model.native import model as native_model
from transforms.model.native import prepared
from transforms.model.native.folding import NotVggishError
from transforms.model.native.library import NativeUnavailableError, load_library
from transforms.model.native.proving import Proof, ProofError
from transforms.model.precision import FLOAT32
from transforms.model.sources import resolving
from transforms.model.sources.writing import MAX_BYTES

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class EngineChoice:
    """The engine of a job.

    Attributes:
      engine: `native` or `tensorflow`.
      why: Why it is not the native one, half a sentence; empty for the native one, and for
        TensorFlow if the user has chosen it.
      proof: The proof that the launcher has found; None for TensorFlow.
    """

    engine: str
    why: str = ""
    proof: Proof | None = None


# As given by the user, or as chosen by the launcher.
Engine = str | EngineChoice


class _UnfitError(Exception):
    """The native engine cannot compute the rows; the message says why, in half a sentence."""


def check_engine(engine: Engine) -> None:
    """Raises `ValueError` if there is no such engine."""
    if not isinstance(engine, EngineChoice) and engine not in ENGINES:
        raise ValueError(f"engine={engine!r} (allowed: {', '.join(ENGINES)})")


def choose(
    engine: str,
    model: str,
    precision: str = FLOAT32,
    trust_model: bool = False,
    max_model_bytes: int = MAX_BYTES,
    announce: Callable[[], None] | None = None,
) -> EngineChoice:
    """Chooses the engine; fetches the model and proves the native engine if it is not proved yet.

    Args:
      engine: One of `engines.ENGINES`.
      model: Model as for `resolving.resolve`.
      precision: Precision of the convolutions.
      trust_model: Whether the model's operations may use files, the network and Python.
      max_model_bytes: Limit of what is downloaded, copied or unpacked.
      announce: Called before the proof is made, which takes 10 to 20 s.

    Raises:
      ModelError: The model cannot be fetched, or the native engine is required and cannot compute
        its rows.
    """
    if engine == TENSORFLOW:
        return EngineChoice(TENSORFLOW)
    try:
        _check_settings(precision, trust_model)
        folder = resolving.resolve(model, max_model_bytes)
        return EngineChoice(NATIVE, proof=_proof(model, folder, announce))
    except _UnfitError as error:
        return _fallback(engine, str(error))


def load(
    model: str,
    wanted_size: int | None = None,
    precision: str = FLOAT32,
    trust_model: bool = False,
    max_model_bytes: int = MAX_BYTES,
    engine: Engine = AUTO,
) -> EmbeddingModel:
    """Loads a model into the engine that is chosen for it.

    Args:
      model: Model as for `resolving.resolve`.
      wanted_size: Required number of values in a row; None for any.
      precision: Precision of the convolutions, one of `precision.PRECISIONS`.
      trust_model: Whether its operations may use files, the network and Python.
      max_model_bytes: Limit of what is downloaded, copied or unpacked.
      engine: One of `engines.ENGINES`, or the launcher's choice.

    Raises:
      ModelError: The model cannot be fetched or loaded, is not trusted, breaks the contract, or
        does not support the precision, or this machine's CPU does not; or the native engine is
        required and cannot compute its rows.
    """
    started = time.perf_counter()
    loaded: EmbeddingModel | None = None
    if isinstance(engine, EngineChoice):
        if engine.engine == NATIVE:
            loaded = _follow(engine, model, max_model_bytes)
    elif engine != TENSORFLOW:
        try:
            _check_settings(precision, trust_model)
            loaded = _load_native(model, resolving.resolve(model, max_model_bytes))
        except _UnfitError as error:
            _logger.info("TensorFlow computes the rows: %s", _fallback(engine, str(error)).why)
    if loaded is not None:
        loading.check_embedding_size(model, loaded.facts.embedding_size, wanted_size)
        loaded.set_loading_seconds(time.perf_counter() - started)
        return loaded
    return loading.load(model, wanted_size, precision, trust_model, max_model_bytes)


def _fallback(engine: str, why: str) -> EngineChoice:
    if engine == NATIVE:
        raise ModelError(
            f"--engine=native is not possible: {why}; use --engine=tensorflow, or --engine=auto,"
            " which falls back to it"
        )
    return EngineChoice(TENSORFLOW, why)


def _check_settings(precision: str, trust_model: bool) -> None:
    """Refuses what can be refused without the model."""
    if precision != FLOAT32:
        raise _UnfitError(f"--precision={precision} is TensorFlow's")
    if trust_model:
        raise _UnfitError("--trust_model lets the model's own operations run")
    try:
        load_library()
    except NativeUnavailableError as error:
        raise _UnfitError(f"the native engine is not available: {error}") from error
    if gpu := find_gpu():
        raise _UnfitError(f"this machine has a GPU ({gpu}; CUDA_VISIBLE_DEVICES=-1 hides it)")


def find_gpu(devices: Path = Path("/dev"), environment: Mapping[str, str] = os.environ) -> str:
    """Returns the name of a GPU that TensorFlow may use, without TensorFlow; empty if none."""
    if environment.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1"):
        return ""
    found = sorted(devices.glob("nvidia[0-9]*")) or sorted(devices.glob("kfd"))  # AMD's
    return str(found[0]) if found else ""


def _proof(model: str, folder: Path, announce: Callable[[], None] | None) -> Proof:
    try:
        return prepared.prepare(model, folder, resolving.fingerprint(folder), announce).proof
    except _UNFIT as error:
        raise _unfit(model, error) from error


def _load_native(model: str, folder: Path, known: Proof | None = None) -> EmbeddingModel:
    try:
        return native_model.load(model, folder, resolving.fingerprint(folder), known)
    except _UNFIT as error:
        raise _unfit(model, error) from error


# Without memory for the native engine there is none for TensorFlow.
_UNFIT = (NotVggishError, NativeUnavailableError, ProofError, ModelError, OSError)


def _unfit(model: str, error: BaseException) -> _UnfitError:
    if isinstance(error, NotVggishError):
        return _UnfitError(f"the model is not VGGish: {error}")
    if isinstance(error, NativeUnavailableError):
        return _UnfitError(f"the native engine is not available: {error}")
    return _UnfitError(in_one_line(error))


def _follow(choice: EngineChoice, model: str, max_model_bytes: int) -> EmbeddingModel:
    """Loads a model into the native engine, as the launcher has chosen.

    Raises:
      ModelError: This machine cannot; the message names it, and what to do.
    """
    try:
        load_library()
        loaded = _load_native(model, resolving.resolve(model, max_model_bytes), choice.proof)
        proof = Proof.from_json(loaded.facts.proof)
        own, chosen = _identity(proof), _identity(choice.proof or proof)
        if own != chosen:
            raise _UnfitError(
                f"its model or engine differs from the launcher's: {own} instead of {chosen}"
            )
        return loaded
    except (_UnfitError, NativeUnavailableError) as error:
        raise ModelError(
            f"the worker {socket.gethostname()} cannot compute rows with the native engine, which"
            f" the launcher has chosen for the whole job: {error}. Rows of different engines do"
            " not mix: mend that, or run the job again with --engine=tensorflow (in Python"
            " engine='tensorflow')"
        ) from error


def _identity(proof: Proof) -> str:
    return (
        f"engine {proof.engine_version}, model {proof.fingerprint[:12]}, rows"
        f" {proof.rows_sha256[:12]}"
    )
