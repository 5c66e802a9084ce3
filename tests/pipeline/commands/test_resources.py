"""Memory and disk: what a run needs, and what is free."""

from pathlib import Path

import pytest

from pipeline.commands.resources import memory_of_workers, notes
from pipeline.options.settings import EmbedSettings
from pipeline.runners.options import beam_options
from transforms.dataset.profiles import PROFILES
from transforms.metrics import host
from transforms.preflight.findings import NOTE, OK, Report

GB = 10**9


def test_notes_before_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = EmbedSettings(output=f"{tmp_path}/out", inputs=("/in",), profile=PROFILES["raw"])
    options = beam_options(["--direct_num_workers=3"])
    monkeypatch.setattr(host, "free_memory", lambda: 10**11)
    monkeypatch.setattr(host, "free_disk", lambda _: 10**11)
    assert notes(settings, options) == []
    monkeypatch.setattr(host, "free_memory", lambda: 10**9)
    monkeypatch.setattr(host, "free_disk", lambda _: 10**7)
    disk, memory = notes(settings, options)
    assert disk.startswith("disk: 0.0 GB are free for the output, rows of 5 hours of audio; free")
    assert (
        "VGGish in 1 worker process needs about 1.8 GB, 1 GB are free; the run may be killed"
        in memory
    )
    processes = ["--direct_num_workers=3", "--direct_running_mode=multi_processing"]
    _, memory = notes(settings, beam_options(processes))
    assert "VGGish in 3 worker processes needs about 4.8 GB" in memory
    _, memory = notes(settings, beam_options(processes), "native")
    assert "VGGish in 3 worker processes needs about 2.1 GB" in memory


def test_processes_of_one_machine_share_its_memory() -> None:
    def report(machine: str, pid: int, free: int | None) -> Report:
        return Report(machine, pid, {}, free, ())

    reports = [
        *(report("small", 1, 3 * GB), report("small", 2, 1 * GB)),
        *(report("large", 1, 9 * GB), report("unknown", 1, None)),
    ]
    found = memory_of_workers(reports)
    assert [(where, finding.result) for where, finding in found] == [
        *(("small:1", NOTE), ("small:2", NOTE), ("large:1", OK), ("unknown:1", OK)),
    ]
    assert found[0][1].figures == (("{} GB are free", 3.0),)
