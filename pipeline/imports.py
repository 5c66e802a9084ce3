"""Import of a command, and with it Beam, in about half the time that this takes by itself.

While modules are imported, the garbage collector goes over a growing heap in which nothing is
garbage. And Beam imports whatever it finds installed, whether a job uses it or not.
"""

import contextlib
import gc
import importlib
import sys
from collections.abc import Iterator
from typing import Any

# Optional for Beam, and unused by a job of this program on Beam's in-process runner. They take a
# third of the time that is left, and 70 MB.
_UNUSED = ("google.cloud.bigquery", "google.cloud.dataflow", "google.cloud.pubsub", "pandas")


def for_this_process(name: str) -> Any:
    """Imports and returns a module, in a process that runs the command in `sys.argv` only."""
    is_local = not any(word.split("=")[0] == "--runner" for word in sys.argv)
    gc.disable()
    try:
        with _absent(_UNUSED if is_local else ()):
            return importlib.import_module(name)
    finally:
        gc.freeze()  # modules stay: later collections need not go over them
        gc.enable()


@contextlib.contextmanager
def _absent(modules: tuple[str, ...]) -> Iterator[None]:
    """Makes imports of modules fail, as if they were not installed."""
    hidden = [module for module in modules if module not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for module in hidden:
            del sys.modules[module]
