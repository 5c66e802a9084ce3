"""The precision that a model's convolutions compute in: float32, or bfloat16 on CPUs that have it.

In bfloat16, TensorFlow's own rewrite of a graph (grappler's auto_mixed_precision_onednn_bfloat16)
casts what goes into convolutions, and what lies between two of them. All before the first one, the
log-mel front end that is, and all behind the last one stays in float32: matrix products are taken
off the list of what the rewrite casts, because the mel filter bank is one, too.
"""

import contextlib
import dataclasses
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from transforms.model import onednn
from transforms.model.errors import ModelError

FLOAT32 = "float32"
BFLOAT16 = "bfloat16"
PRECISIONS = (FLOAT32, BFLOAT16)
# Linux's names of the instructions. Without them bfloat16 is emulated, and slower than float32.
_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")
_REWRITE = "auto_mixed_precision_onednn_bfloat16"
# TensorFlow takes the lists of the rewrite from the environment, each time that it optimises.
_NEVER_CAST = {
    "TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_ALLOWLIST_REMOVE": (
        "MatMul,BatchMatMul,BatchMatMulV2,Einsum"
    )
}
# What bfloat16 may change, relative to the largest value of the rows: VGGish's change by 0.004 to
# 0.007 (network with untrained weights, rows of noise and tones of all loudnesses).
TOLERANCE = 0.02
_CONVOLUTIONS = frozenset({"Conv2D", "Conv3D", "DepthwiseConv2dNative", "FusedPadConv2D"})
_LOGARITHMS = frozenset({"Log", "Log1p"})


@dataclasses.dataclass(frozen=True, eq=False)
class Deviation:
    """How far rows in bfloat16 are from rows in float32 of the same patches, as sums.

    Attributes:
      num_rows: Rows compared.
      sum_difference: Of |bfloat16 - float32| over all values of all rows.
      max_difference: The largest of these.
      sums: Of the float32 rows, float64 `[embedding_size]`; None without rows.
      squares: Of their squares, likewise.
    """

    num_rows: int = 0
    sum_difference: float = 0.0
    max_difference: float = 0.0
    sums: np.ndarray | None = None
    squares: np.ndarray | None = None

    @classmethod
    def between(cls, rows: np.ndarray, exact: np.ndarray) -> "Deviation":
        """Compares rows with those in float32; what is not finite in either is left out.

        Args:
          rows: float32 `[num_rows, embedding_size]`, computed in bfloat16.
          exact: The same rows, computed in float32.
        """
        finite = np.isfinite(rows).all(axis=1) & np.isfinite(exact).all(axis=1)
        exact = exact[finite].astype(np.float64)
        if not exact.size:
            return cls()
        difference = np.abs(rows[finite] - exact)
        return cls(
            len(exact),
            float(difference.sum()),
            float(difference.max()),
            exact.sum(axis=0),
            np.square(exact).sum(axis=0),
        )

    def __add__(self, other: "Deviation") -> "Deviation":
        if self.sums is None or self.squares is None:
            return other
        if other.sums is None or other.squares is None:
            return self
        return Deviation(
            self.num_rows + other.num_rows,
            self.sum_difference + other.sum_difference,
            max(self.max_difference, other.max_difference),
            self.sums + other.sums,
            self.squares + other.squares,
        )

    @property
    def spread(self) -> float:
        """How much rows differ: the mean over the dimensions of their standard deviations."""
        if self.sums is None or self.squares is None:
            return 0.0
        variance = self.squares / self.num_rows - np.square(self.sums / self.num_rows)
        return float(np.sqrt(np.maximum(variance, 0)).mean())

    @property
    def mean(self) -> float | None:
        """The mean |bfloat16 - float32| as a share of `spread`; None if the rows are all alike."""
        if self.sums is None or not self.spread:
            return None
        return self.sum_difference / (self.num_rows * len(self.sums)) / self.spread

    @property
    def largest(self) -> float | None:
        """The largest |bfloat16 - float32| as a share of `spread`; None if rows are all alike."""
        return self.max_difference / self.spread if self.spread else None


def sum_deviations(deviations: Iterable[Deviation]) -> Deviation:
    """Returns the deviation of all rows together."""
    return functools.reduce(Deviation.__add__, deviations, Deviation())


def check_cpu(cpuinfo: str | os.PathLike[str] = "/proc/cpuinfo") -> None:
    """Raises `ModelError` on a machine whose CPU does not compute in bfloat16."""
    wanted = " or ".join(each.upper() for each in _INSTRUCTIONS)
    try:
        words = set(Path(cpuinfo).read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        raise ModelError(
            f"--precision={BFLOAT16} needs a CPU with {wanted}, and on this system"
            f" ({sys.platform}) that cannot be told; leave it away for {FLOAT32}"
        ) from None
    if not words.intersection(_INSTRUCTIONS):
        raise ModelError(
            f"--precision={BFLOAT16} needs a CPU with {wanted}, and this machine's has neither;"
            f" leave it away for {FLOAT32}, or use other machines"
        )


def forbid_casts() -> None:
    """Keeps matrix products in float32; to be called before anything is computed in bfloat16."""
    os.environ.update(_NEVER_CAST)


@contextlib.contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Has TensorFlow's functions compute in a precision, when called inside it.

    The setting is one of the process: calls of other models must wait meanwhile. A function keeps
    an optimised graph for each setting that it is called with.
    """
    if precision == FLOAT32:
        yield
        return
    tf = onednn.tensorflow()

    tf.config.optimizer.set_experimental_options({_REWRITE: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({_REWRITE: False})


def check_model(
    model: str, graph: Any, call: Callable[[np.ndarray, str], np.ndarray], patches: np.ndarray
) -> None:
    """Checks that bfloat16 changes a model's rows, and by no more than it should.

    Args:
      model: Its name.
      graph: `GraphDef` of what is called.
      call: Returns the rows of patches in a precision.
      patches: float32 `[num_rows, 15600]`, of different sounds.

    Raises:
      ModelError: The model is not for bfloat16.
    """
    tf = onednn.tensorflow()

    functions = {function.signature.name: function for function in graph.library.function}
    has_convolutions, logarithm_behind = _follow(graph.node, functions, False)
    if not has_convolutions:
        raise _refusal(model, "it has no convolutions")
    if logarithm_behind:
        raise _refusal(
            model,
            "a logarithm stands behind convolutions, as where these compute a spectrum, and that"
            f" would be in {BFLOAT16} as well",
        )
    exact = call(patches, FLOAT32)
    try:
        rows = call(patches, BFLOAT16)
    except tf.errors.OpError as error:
        raise _refusal(model, f"TensorFlow fails: {error.message.splitlines()[0]}") from error
    if np.array_equal(rows, exact):
        raise _refusal(
            model,
            "TensorFlow computes its convolutions in float32 all the same (does"
            " TF_ENABLE_ONEDNN_OPTS=0 switch oneDNN off?)",
        )
    difference = float(np.abs(rows - exact).max()) / float(np.abs(exact).max())
    if not difference <= TOLERANCE:
        raise _refusal(
            model,
            f"its rows differ from those in {FLOAT32} by {difference:.2g} of the largest value"
            f" (allowed: {TOLERANCE:g})",
        )


def _follow(
    nodes: Iterable[Any], functions: Mapping[str, Any], is_behind: bool
) -> tuple[bool, bool]:
    """Follows what convolutions give through a graph and through the functions that it calls.

    Args:
      nodes: `NodeDef`s of a graph or of a function.
      functions: `FunctionDef`s by name.
      is_behind: Whether the function's arguments are behind convolutions.

    Returns:
      Whether there are convolutions, and whether a logarithm is behind one.
    """
    behind: set[str] = set()
    names = {node.name for node in nodes}
    has_convolutions = found = False
    before = -1
    while len(behind) != before:  # nodes of a function are in any order
        before = len(behind)
        for node in nodes:
            sources = {each.split(":")[0] for each in node.input if not each.startswith("^")}
            # What no node gives is an argument.
            own = bool(sources & behind) or (is_behind and not sources <= names)
            found |= own and node.op in _LOGARITHMS
            inside = node.op in _CONVOLUTIONS
            for name in _called(node):
                if name in functions:
                    has, has_found = _follow(functions[name].node_def, functions, own)
                    inside |= has
                    found |= has_found
            has_convolutions |= inside
            if own or inside:
                behind.add(node.name)
    return has_convolutions, found


def _called(node: Any) -> Iterator[str]:
    """Yields the names of the functions that a node may call; its type may be such a name."""
    yield node.op
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        yield from (function.name for function in value.list.func)


def _refusal(model: str, why: str) -> ModelError:
    return ModelError(
        f"{model} is not for --precision={BFLOAT16}: {why}. Leave it away for {FLOAT32}"
    )
