"""An environment with torchvggish in it, beside that of the project."""

import subprocess
import sys
from pathlib import Path

# On Linux PyPI's torch brings the libraries of GPUs, 6 GB with them; pip's own settings
# (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL) may name an index of smaller builds.
_REQUIREMENTS = ("torchvggish==0.2", "soundfile", "torch")
_TIMEOUT_SECONDS = 1_800


def python(work: Path, may_make: bool) -> tuple[Path | None, str]:
    """Returns its interpreter, or None and the reason.

    Args:
      work: Where it is kept.
      may_make: Make it, which takes minutes, if it is not there.
    """
    folder = work / "torch"
    interpreter = folder / "bin" / "python"
    stamp = folder / "complete"
    if stamp.exists():
        return interpreter, ""
    if not may_make:
        return None, f"{folder} is not there; a run without --quick makes it"
    try:
        for program, *arguments in (
            (sys.executable, "-m", "venv", "--clear", str(folder)),
            (str(interpreter), "-m", "pip", "--quiet", "install", *_REQUIREMENTS),
            (str(interpreter), "-c", "import torch, torchvggish"),
        ):
            subprocess.run(
                [program, *arguments],
                check=True,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_SECONDS,
            )
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if line.strip()]
        return None, f"{folder} cannot be made: {lines[-1] if lines else error}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"{folder} cannot be made: {error}"
    stamp.touch()
    return interpreter, ""
