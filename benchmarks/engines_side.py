"""A process that measures VGGish in the native engine beside TensorFlow, in pairs.

Run as `python -m benchmarks.engines_side MODEL`, with TensorFlow's threads and use of oneDNN in the
environment; see `benchmarks.serving`.
"""

import functools
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from benchmarks.serving import serve
from transforms.model import embedding
from transforms.model.engines import NATIVE, TENSORFLOW
from transforms.model.loading import TensorFlowModel
from transforms.model.native.model import NativeModel

_PATCH_SAMPLES = 15_600


class Side:
    """A model that is loaded in both engines."""

    def __init__(self, model: str) -> None:
        """Loads the model.

        Args:
          model: Hub URL, SavedModel folder or archive of VGGish.
        """
        tensorflow, native = (
            embedding.load_model(model, engine=engine) for engine in (TENSORFLOW, NATIVE)
        )
        assert isinstance(tensorflow, TensorFlowModel)
        assert isinstance(native, NativeModel)
        self._tensorflow, self._native = tensorflow, native.network
        self._random = np.random.default_rng(0)

    def pairs(self, batch_rows: int, threads: int, num_pairs: int, calls: int) -> dict[str, float]:
        """Calls the engines in turn, after one uncounted call of each.

        Args:
          batch_rows: Number of random patches in a call.
          threads: Largest number of threads of the native engine.
          num_pairs: Number of measurements of each engine.
          calls: Number of calls in a measurement.

        Returns:
          CPU and wall milliseconds a row of each engine, `tensorflow_cpu` for example, and the
          medians of their ratios within a pair, `ratio_cpu` and `ratio_wall`.
        """
        shape = (batch_rows, _PATCH_SAMPLES)
        patches = self._random.normal(0, 0.1, shape).astype(np.float32)
        engines: dict[str, Callable[[], object]] = {
            "tensorflow": functools.partial(self._tensorflow.call, patches),
            "native": functools.partial(self._native.embed, patches, threads),
        }
        for call in engines.values():
            call()
        found: dict[str, list[float]] = {}
        for _ in range(num_pairs):
            for name, call in engines.items():
                cpu, wall = _measure(call, calls)
                rows = calls * batch_rows
                found.setdefault(f"{name}_cpu", []).append(1_000 * cpu / rows)
                found.setdefault(f"{name}_wall", []).append(1_000 * wall / rows)
        for kind in ("cpu", "wall"):
            pairs = zip(found[f"tensorflow_{kind}"], found[f"native_{kind}"], strict=True)
            found[f"ratio_{kind}"] = [slow / fast for slow, fast in pairs]
        return {name: statistics.median(values) for name, values in found.items()}


def _measure(call: Callable[[], object], calls: int) -> tuple[float, float]:
    """Returns the CPU and wall seconds of some calls."""
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(calls):
        call()
    return time.process_time() - cpu, time.perf_counter() - wall


if __name__ == "__main__":
    serve({"pairs": Side(sys.argv[1]).pairs})
