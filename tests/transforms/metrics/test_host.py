"""Facts of the machine, as its files tell them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from transforms.metrics import host

GIB = 2**30
ROOT = Path(__file__).resolve().parents[3]


def machine(folder: Path, groups: str, **files: str) -> dict[str, Path]:
    """Writes files as a kernel shows them; those of groups have `__` for `/` in their names."""
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/meminfo").write_text("MemTotal: 1 kB\nMemAvailable:   16777216 kB\n")
    (folder / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = folder / "cgroups" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / path.name.replace("_of_", ".")).write_text(text)
    return {"proc": folder / "proc", "cgroups": folder / "cgroups"}


def test_without_a_limit_it_is_what_the_machine_has(tmp_path: Path) -> None:
    files = {"a__memory_of_max": "max\n", "a__memory_of_current": "5\n"}
    assert host.free_memory(**machine(tmp_path, "0::/a\n", **files)) == 16 * GIB


@pytest.mark.parametrize("level", ["", "pod__", "pod__box__"])
def test_the_lowest_limit_of_a_container_counts_without_the_cache_of_files(
    tmp_path: Path, level: str
) -> None:
    files = {
        f"{level}memory_of_max": f"{4 * GIB}\n",
        f"{level}memory_of_current": f"{3 * GIB}\n",
        f"{level}memory_of_stat": f"anon 1\ninactive_file {GIB}\n",
    }
    assert host.free_memory(**machine(tmp_path, "0::/pod/box\n", **files)) == 2 * GIB


def test_limits_of_the_first_version_of_groups(tmp_path: Path) -> None:
    files = {
        "memory__memory_of_limit_in_bytes": f"{2 * GIB}\n",
        "memory__memory_of_usage_in_bytes": f"{GIB}\n",
        "memory__memory_of_stat": "total_inactive_file 0\n",
        "memory__box__memory_of_limit_in_bytes": f"{2**63 - 4096}\n",
    }
    groups = "5:cpu,cpuacct:/box\n4:memory:/box\n"
    assert host.free_memory(**machine(tmp_path, groups, **files)) == GIB


@pytest.mark.parametrize(
    ("files", "groups", "expected"),
    [
        ({}, "0::/a\n", 8),
        ({"a__cpu_of_max": "max 100000\n"}, "0::/a\n", 8),
        ({"a__cpu_of_max": "250000 100000\n"}, "0::/a/b\n", 3),
        ({"a__cpu_of_max": "5000 100000\n", "cpu_of_max": "400000 100000\n"}, "0::/a\n", 1),
        (
            {"cpu__a__cpu_of_cfs_quota_us": "200000\n", "cpu__a__cpu_of_cfs_period_us": "100000\n"},
            "4:memory:/a\n3:cpu,cpuacct:/a\n",
            2,
        ),
        (
            {"cpu__a__cpu_of_cfs_quota_us": "-1\n", "cpu__a__cpu_of_cfs_period_us": "100000\n"},
            "3:cpu,cpuacct:/a\n",
            8,
        ),
    ],
)
def test_cores_are_those_of_the_affinity_and_of_the_containers_quota(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str],
    groups: str,
    expected: int,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert host.available_cores(**machine(tmp_path, groups, **files)) == expected


def test_a_system_that_does_not_say_is_not_known(tmp_path: Path) -> None:
    assert host.free_memory(tmp_path, tmp_path) is None


def test_facts_of_this_machine() -> None:
    assert host.python_version() == f"3.{sys.version_info.minor}"
    assert len(host.code_digest()) == 64
    assert (host.peak_memory() or 0) > 10**7
    assert host.free_disk("/absent/folder") == pytest.approx(host.free_disk("/"), rel=0.1)


def test_peak_memory_is_that_of_the_process_and_not_of_the_one_that_started_it() -> None:
    child = "from transforms.metrics import host; print(host.peak_memory())"
    parent = (
        "import subprocess, sys\n"
        "held = b'.' * 1_000_000_000\n"
        f"subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", parent], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert 1_000_000 < int(done.stdout) < 500_000_000
