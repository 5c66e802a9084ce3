"""The precision of a model's convolutions: float32, or bfloat16 on CPUs that support it.

For bfloat16, a graph rewrite of TensorFlow (grappler's auto_mixed_precision_onednn_bfloat16) casts
the inputs of convolutions and the operations between them. Everything before the first convolution,
which is the log-mel front end, and after the last one stays in float32: matrix products are removed
from the operations that the rewrite casts, because the mel filter bank is one, too.
"""

import contextlib
import dataclasses
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
# Linux's names of the instructions, without which bfloat16 is emulated and slower than float32.
_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")
_REWRITE = "auto_mixed_precision_onednn_bfloat16"
# TensorFlow reads the operations of the rewrite from the environment whenever it optimises a graph.
_NEVER_CAST = {
    "TF_AUTO_MIXED_PRECISION_GRAPH_REWRITE_ALLOWLIST_REMOVE": (
        "MatMul,BatchMatMul,BatchMatMulV2,Einsum"
    )
}
# Allowed effect of bfloat16, relative to the largest value of the rows. VGGish's rows change by
# 0.004 to 0.007 (untrained weights, noise and tones of all levels).
TOLERANCE = 0.02
_CONVOLUTIONS = frozenset({"Conv2D", "Conv3D", "DepthwiseConv2dNative", "FusedPadConv2D"})
_LOGARITHMS = frozenset({"Log", "Log1p"})


@dataclasses.dataclass(frozen=True, eq=False)
class Deviation:
    """The deviation of bfloat16 rows from float32 rows of the same patches, as sums.

    Attributes:
      num_rows: Number of rows compared.
      sum_difference: Sum of |bfloat16 - float32| over all values of all rows.
      max_difference: Maximum of |bfloat16 - float32|.
      sums: Sums of the float32 rows, float64 `[embedding_size]`; None without rows.
      squares: Sums of their squares, float64 `[embedding_size]`; None without rows.
    """

    num_rows: int = 0
    sum_difference: float = 0.0
    max_difference: float = 0.0
    sums: np.ndarray | None = None
    squares: np.ndarray | None = None

    @classmethod
    def between(cls, rows: np.ndarray, exact: np.ndarray) -> "Deviation":
        """Compares rows with those in float32; rows that are not finite in both are skipped.

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
        """Standard deviation of the float32 rows, averaged over the dimensions."""
        if self.sums is None or self.squares is None:
            return 0.0
        variance = self.squares / self.num_rows - np.square(self.sums / self.num_rows)
        return float(np.sqrt(np.maximum(variance, 0)).mean())

    @property
    def mean(self) -> float | None:
        """Mean |bfloat16 - float32| relative to `spread`; None if all rows are equal."""
        if self.sums is None or not self.spread:
            return None
        return self.sum_difference / (self.num_rows * len(self.sums)) / self.spread

    @property
    def largest(self) -> float | None:
        """Largest |bfloat16 - float32| relative to `spread`; None if all rows are equal."""
        return self.max_difference / self.spread if self.spread else None


def check_cpu(cpuinfo: str | os.PathLike[str] = "/proc/cpuinfo") -> None:
    """Raises `ModelError` if this machine's CPU does not support bfloat16."""
    required = " or ".join(each.upper() for each in _INSTRUCTIONS)
    try:
        words = set(Path(cpuinfo).read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        raise ModelError(
            f"--precision={BFLOAT16} needs a CPU with {required}, which cannot be determined on"
            f" {sys.platform}; use --precision={FLOAT32}"
        ) from None
    if not words.intersection(_INSTRUCTIONS):
        raise ModelError(
            f"--precision={BFLOAT16} needs a CPU with {required}, and this machine's has neither;"
            f" use --precision={FLOAT32}, or other machines"
        )


def forbid_casts() -> None:
    """Keeps matrix products in float32. Call it before the first computation in bfloat16."""
    os.environ.update(_NEVER_CAST)


@contextlib.contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Sets the precision of the TensorFlow functions that are called in the context.

    The setting is global to the process: calls of other models must wait. A function keeps one
    optimised graph per setting.
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
    """Checks that bfloat16 changes a model's rows, and within `TOLERANCE`.

    Args:
      model: Name of the model, for messages.
      graph: `GraphDef` of the model.
      call: Returns the rows of patches in a precision.
      patches: Patches of varied audio, float32 `[num_rows, 15600]`.

    Raises:
      ModelError: The model does not support bfloat16.
    """
    _check_graph(model, graph)
    tf = onednn.tensorflow()

    exact = call(patches, FLOAT32)
    try:
        rows = call(patches, BFLOAT16)
    except tf.errors.OpError as error:
        raise _unsupported(model, f"TensorFlow failed: {error.message.splitlines()[0]}") from error
    if np.array_equal(rows, exact):
        raise _unsupported(
            model,
            "TensorFlow computes its convolutions in float32 nevertheless (does"
            " TF_ENABLE_ONEDNN_OPTS=0 disable oneDNN?)",
        )
    difference = float(np.abs(rows - exact).max()) / float(np.abs(exact).max())
    if not difference <= TOLERANCE:
        raise _unsupported(
            model,
            f"its rows differ from those in {FLOAT32} by {difference:.2g} of the largest value"
            f" (allowed: {TOLERANCE:g})",
        )


def _check_graph(model: str, graph: Any) -> None:
    functions = {function.signature.name: function for function in graph.library.function}
    has_convolutions, has_logarithm_after = _follow(graph.node, functions, False)
    if not has_convolutions:
        raise _unsupported(model, "it has no convolutions")
    if has_logarithm_after:
        raise _unsupported(
            model,
            "it has a logarithm after convolutions, as if they computed a spectrum, which would be"
            f" in {BFLOAT16}, too",
        )


def _follow(
    nodes: Iterable[Any], functions: Mapping[str, Any], is_after: bool
) -> tuple[bool, bool]:
    """Follows the outputs of convolutions through a graph and the functions that it calls.

    Args:
      nodes: `NodeDef`s of a graph or a function.
      functions: `FunctionDef`s by name.
      is_after: Whether the function's arguments depend on convolutions.

    Returns:
      Whether there are convolutions, and whether a logarithm depends on one.
    """
    after: set[str] = set()
    names = {node.name for node in nodes}
    has_convolutions = found = False
    previous = -1
    while len(after) != previous:  # the nodes of a function are in no order
        previous = len(after)
        for node in nodes:
            sources = {each.split(":")[0] for each in node.input if not each.startswith("^")}
            # Inputs that are not outputs of nodes are arguments.
            depends = bool(sources & after) or (is_after and not sources <= names)
            found |= depends and node.op in _LOGARITHMS
            inside = node.op in _CONVOLUTIONS
            for name in _called(node):
                if name in functions:
                    has, has_found = _follow(functions[name].node_def, functions, depends)
                    inside |= has
                    found |= has_found
            has_convolutions |= inside
            if depends or inside:
                after.add(node.name)
    return has_convolutions, found


def _called(node: Any) -> Iterator[str]:
    """Yields the names of the functions that a node may call, of which its type may be one."""
    yield node.op
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        yield from (function.name for function in value.list.func)


def _unsupported(model: str, reason: str) -> ModelError:
    return ModelError(
        f"{model} does not support --precision={BFLOAT16}: {reason}; use --precision={FLOAT32}"
    )
