"""Proofs and packed weights in the cache, each made once on a machine."""

import contextlib
import dataclasses
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

from transforms.model.native import bundles, library, packed_weights, probes, proving
from transforms.model.native.bundles import BundleError
from transforms.model.native.folding import NotVggishError
from transforms.model.native.library import ENGINE_VERSION, NativeUnavailableError
from transforms.model.native.packed_weights import VARIABLES, PackedWeightsError
from transforms.model.native.proving import PROOF_NAME, WEIGHTS_NAME, Proof, ProofError
from transforms.model.native.vggish import NativeVggish
from transforms.model.sources import caching

# Changes with what recognition or the proof accepts.
_PROOF_VERSION = 1
_VERIFIED = "verified-"
# Of a SavedModel's variables besides VGGish's own: object graph, index, seed.
_FEW_BYTES = 2**20
# The weights are packed with padding, 1.2 times as large.
_PACKED_BYTES = 400 * 2**20


@dataclasses.dataclass(frozen=True)
class PreparedModel:
    """A model that is proved to be VGGish.

    Attributes:
      folder: Folder of the cache with proof and weights.
      proof: The proof.
    """

    folder: Path
    proof: Proof


def prepare(
    model: str, folder: Path, fingerprint: str, announce: Callable[[], None] | None = None
) -> PreparedModel:
    """Finds the proof of a model, or makes it with TensorFlow, which takes 10 to 20 s.

    Args:
      model: Name of the model, for messages.
      folder: The SavedModel.
      fingerprint: Its fingerprint.
      announce: Called before the proof is made.

    Raises:
      ModelError: The disk is full.
      NotVggishError: The model is another one.
      OSError: The cache cannot be written.
      ProofError: The proof could not be made.
    """
    return _prepare(model, folder, fingerprint, announce=announce)


def open_model(
    model: str, folder: Path, fingerprint: str, known: Proof | None = None
) -> tuple[NativeVggish, Proof]:
    """Opens a model that is proved, after it has made the rows of the proof on this kind of CPU.

    Torn weights are packed again.

    Args:
      model: Name of the model, for messages.
      folder: The SavedModel.
      fingerprint: Its fingerprint.
      known: A proof from another machine: if this one has none, the engine has to make the rows of
        that, and TensorFlow is not needed.

    Raises:
      NativeUnavailableError: There is no compiled engine, or its rows are others on this CPU.
      ModelError, NotVggishError, OSError, ProofError: As for `prepare`.
    """
    found = _prepare(model, folder, fingerprint, known)
    path = found.folder / WEIGHTS_NAME
    try:
        network = NativeVggish.open(path, fingerprint)
    except (PackedWeightsError, FileNotFoundError):  # other errors would come again
        found = _prepare(model, folder, fingerprint, found.proof, torn=_identity(path))
        try:
            network = NativeVggish.open(found.folder / WEIGHTS_NAME, fingerprint)
        except PackedWeightsError as error:
            raise ProofError(f"the packed weights are torn again: {error}") from error
    _verify(network, found)
    return network, found.proof


def _prepare(
    model: str,
    folder: Path,
    fingerprint: str,
    known: Proof | None = None,
    torn: tuple[int, int] | None = None,
    announce: Callable[[], None] | None = None,
) -> PreparedModel:
    _check_size(folder)

    def is_usable(target: Path) -> bool:
        try:
            proving.read(target / PROOF_NAME, fingerprint)
        except NotVggishError:
            return True
        except (OSError, ProofError):
            return False
        identity = _identity(target / WEIGHTS_NAME)
        return identity is not None and identity != torn

    def make(scratch: Path) -> Path:
        made = scratch / "made"
        made.mkdir()
        with caching.require_disk_space(_PACKED_BYTES, scratch, "packing the weights"):
            if not (known and _pack(folder, fingerprint, known, made)):
                if announce:
                    announce()
                proving.prove_in_process(model, folder, fingerprint, made)
        return made

    name = f"native-{_PROOF_VERSION}-{ENGINE_VERSION}-{fingerprint}"
    target = caching.build_cached(name, make, is_usable)
    return PreparedModel(target, proving.read(target / PROOF_NAME, fingerprint))


def _pack(folder: Path, fingerprint: str, known: Proof, made: Path) -> bool:
    """Packs the weights of a proof from another machine; returns whether their rows are its."""
    path = made / WEIGHTS_NAME
    try:
        variables = bundles.read_variables(folder)
    except (BundleError, OSError):  # another form, or several files
        return False
    packed_weights.pack(variables, path, fingerprint)
    network = NativeVggish.open(path, fingerprint)
    is_proved = _digest(network) == known.rows_sha256 and known.fingerprint == fingerprint
    if is_proved:
        proving.write(made / PROOF_NAME, known.to_json())
    return is_proved


def _digest(network: NativeVggish) -> str:
    return probes.digest(network.embed(probes.patches()))


def _check_size(folder: Path) -> None:
    """Refuses a model whose variables take too little or too much space, without TensorFlow."""
    expected = 4 * sum(_size(shape) for shape in VARIABLES.values())
    found = sum(each.stat().st_size for each in (folder / "variables").glob("variables.data-*"))
    if not expected <= found <= expected + _FEW_BYTES:
        raise NotVggishError(f"its variables have {found} bytes, VGGish's {expected}")


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for each in shape:
        size *= each
    return size


def _identity(path: Path) -> tuple[int, int] | None:
    """Returns what tells a file from one that replaces it; None if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


def _verify(network: NativeVggish, found: PreparedModel) -> None:
    """Checks the rows of the probes, once for each kind of CPU and compiled engine."""
    marker = found.folder / f"{_VERIFIED}{_cpu_digest(network.instructions)}"
    if marker.exists():
        return
    if _digest(network) != found.proof.rows_sha256:
        raise NativeUnavailableError(
            f"its rows on this CPU ({network.instructions}) are not those of the proof: install"
            " this program again"
        )
    with contextlib.suppress(OSError):  # of a cache that cannot be written
        marker.touch()


def _cpu_digest(instructions: str) -> str:
    """Identifies CPU and compiled engine."""
    digest = hashlib.sha256(instructions.encode())
    path = library.library_path(instructions)
    if path is not None:
        digest.update(path.read_bytes())
    digest.update(_cpu_name().encode())
    return digest.hexdigest()[:16]


def _cpu_name(cpuinfo: str | os.PathLike[str] = "/proc/cpuinfo") -> str:
    with contextlib.suppress(OSError), open(cpuinfo, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "CPU part"):
                return value.strip()
    return ""
