"""TensorFlow, imported with oneDNN's kernels where they are faster.

TensorFlow decides once in a process, when it is imported. On CPUs with AVX-512's instructions for
neural networks it takes oneDNN by itself; on others with AVX2, as many of AMD's, it does not,
although VGGish is faster with it there, too. So nothing else in this program imports TensorFlow.
That takes seconds: ask for it where it is used, not at the top of a module.
"""

import importlib
import os
from pathlib import Path
from typing import Any

VARIABLE = "TF_ENABLE_ONEDNN_OPTS"


def tensorflow() -> Any:
    """Returns the module `tensorflow`."""
    prefer()
    return importlib.import_module("tensorflow")


def prefer(cpuinfo: str | os.PathLike[str] = "/proc/cpuinfo") -> None:
    """Has TensorFlow take oneDNN if the CPU has AVX2, unless the user has decided.

    To be called before TensorFlow is imported; after that it changes nothing. Processes that this
    one starts inherit the choice.
    """
    if VARIABLE in os.environ:
        return
    try:
        words = Path(cpuinfo).read_text(encoding="utf-8", errors="replace").split()
    except OSError:  # not Linux: TensorFlow knows better
        return
    if "avx2" in words:
        os.environ[VARIABLE] = "1"


def is_on() -> bool | None:
    """Tells whether TensorFlow computes with oneDNN in this process; None if it does not say.

    The environment may say something else: it may have been changed after TensorFlow's import.
    """
    tensorflow()
    try:
        port = importlib.import_module("tensorflow.python.util._pywrap_util_port")
        return bool(port.IsMklEnabled())
    except (ImportError, AttributeError):  # it is none of TensorFlow's public names
        return None
