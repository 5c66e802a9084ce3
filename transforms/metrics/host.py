"""Facts about this process and its machine: code, cores, memory and disk."""

import contextlib
import hashlib
import math
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

_PACKAGES = ("pipeline", "transforms")
# Cgroups of version 1 state "no limit" as a number larger than any memory.
_NO_LIMIT = 2**60


def code_digest() -> str:
    """Returns the sha256 of the source files of this program.

    It differs between two states of a checkout, and in an outdated image, whose version is equal.
    """
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def python_version() -> str:
    """Returns the version of Python without the patch, such as `3.11`: pickles are compatible."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def process_name() -> str:
    """Returns a name of this process that is unique across machines."""
    return f"{socket.gethostname()}:{os.getpid()}"


def free_memory(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Returns the bytes of memory available to this process on its machine and in its container.

    Args:
      proc: Mount point of procfs.
      cgroups: Mount point of cgroups.

    Returns:
      None if the system has no such files.
    """
    free = []
    try:
        for line in (proc / "meminfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                free.append(int(value.split()[0]) * 1_024)
        groups = (proc / "self/cgroup").read_text().splitlines()
    except (OSError, ValueError):
        groups = []
    for folder, is_first_version in _groups(groups, "memory", cgroups):
        names = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes")
            if is_first_version
            else ("memory.max", "memory.current")
        )
        free.append(_free_in_group(folder, *names))
    known = [each for each in free if each < _NO_LIMIT]
    return min(known) if known else None


def available_cores(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Returns how many cores this process may keep busy, on its machine and in its container.

    Args:
      proc: Mount point of procfs.
      cgroups: Mount point of cgroups.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = float(len(os.sched_getaffinity(0)))
    else:  # macOS
        cores = float(os.cpu_count() or 1)
    try:
        groups = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        groups = []
    for folder, is_first_version in _groups(groups, "cpu", cgroups):
        with contextlib.suppress(OSError, ValueError):  # no such level, or "max"
            if is_first_version:
                quota = int((folder / "cpu.cfs_quota_us").read_text())
                period = int((folder / "cpu.cfs_period_us").read_text())
            else:
                quota, period = map(int, (folder / "cpu.max").read_text().split())
            if quota > 0 and period > 0:  # -1: no limit
                cores = min(cores, quota / period)
    return max(1, math.ceil(cores))


def _groups(lines: list[str], controller: str, cgroups: Path) -> Iterator[tuple[Path, bool]]:
    """Yields the folders of this process's groups, and whether they are of version 1.

    Any level may have a limit; inside a container the group's own folder may be hidden.
    """
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            folder = cgroups / group.lstrip("/")
        elif controller in controllers.split(","):
            folder = cgroups / controller / group.lstrip("/")
        else:
            continue
        while folder.is_relative_to(cgroups):
            yield folder, controllers != ""
            folder = folder.parent


def _free_in_group(folder: Path, limit_name: str, usage_name: str) -> int:
    try:
        limit = int((folder / limit_name).read_text())
        usage = int((folder / usage_name).read_text())
        for line in (folder / "memory.stat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name in ("inactive_file", "total_inactive_file"):
                usage -= int(value)  # the cache of files, which gives way
                break
        return max(0, limit - max(0, usage))
    except (OSError, ValueError):  # no such level, or "max"
        return _NO_LIMIT


def peak_memory() -> int | None:
    """Returns the peak memory of this process in bytes; None if it is unknown."""
    # On Linux `ru_maxrss` is at least the memory of the process that started this one.
    with contextlib.suppress(OSError, IndexError, ValueError):
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(status.split("VmHWM:")[1].split()[0]) * 1_024
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1_024


def free_disk(path: str) -> int:
    """Returns the free bytes on the disk of a path, which need not exist.

    Raises:
      OSError: The disk does not respond.
    """
    while not os.path.exists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return shutil.disk_usage(path).free
