"""Import of TensorFlow, with oneDNN's kernels if they are faster.

TensorFlow decides once per process, when it is imported. By default it uses oneDNN on CPUs with
AVX-512 VNNI, but not on others with AVX2, such as many of AMD's, although VGGish is faster with it
there, too. So no other module of this program imports TensorFlow. The import takes seconds: call
`tensorflow` in the function that needs it.
"""

import importlib
import os
from pathlib import Path
from typing import Any

VARIABLE = "TF_ENABLE_ONEDNN_OPTS"


def tensorflow() -> Any:
    """Imports and returns the module `tensorflow`."""
    prefer()
    return importlib.import_module("tensorflow")


def prefer(cpuinfo: str | os.PathLike[str] = "/proc/cpuinfo") -> None:
    """Enables oneDNN in TensorFlow if the CPU has AVX2, unless the user has set the variable.

    Has no effect after the import of TensorFlow. Child processes inherit the setting.
    """
    if VARIABLE in os.environ:
        return
    try:
        words = Path(cpuinfo).read_text(encoding="utf-8", errors="replace").split()
    except OSError:  # not Linux: keeps TensorFlow's default
        return
    if "avx2" in words:
        os.environ[VARIABLE] = "1"


def is_on() -> bool | None:
    """Returns whether TensorFlow uses oneDNN in this process; None if unknown.

    The environment variable may differ, if it was changed after the import.
    """
    tensorflow()
    try:
        port = importlib.import_module("tensorflow.python.util._pywrap_util_port")
        return bool(port.IsMklEnabled())
    except (ImportError, AttributeError):  # a private module of TensorFlow
        return None
