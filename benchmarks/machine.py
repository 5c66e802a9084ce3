"""Facts about a measurement: machine, versions and the state of the checkout."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measuring import ROOT

_PACKAGES = ("apache-beam", "av", "numpy", "soundfile", "soxr", "tensorflow", "tensorflow-hub")
# Those that libraries of linear algebra choose their code by.
_INSTRUCTIONS = ("avx", "avx2", "fma", "avx512", "avx_vnni", "amx", "neon", "asimd", "sve")


def facts() -> dict[str, Any]:
    """Returns machine, versions and commit, for the table and the JSON."""
    cpu, flags = _cpu()
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "instructions": sorted(flag for flag in flags if flag.startswith(_INSTRUCTIONS)),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "changed_files": len(_git("status", "--porcelain", "--untracked-files=no").splitlines()),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
    }


def load_average() -> float:
    """Returns how many processes wanted a core in the last minute, others' included."""
    return os.getloadavg()[0]


def _cpu() -> tuple[str, list[str]]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine(), []
    fields = {
        name.strip(): value.strip()
        for name, _, value in (line.partition(":") for line in text.splitlines())
    }
    flags = fields.get("flags", fields.get("Features", "")).split()
    return fields.get("model name", platform.machine()), flags


def _git(*arguments: str) -> str:
    try:
        finished = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return finished.stdout.strip()
