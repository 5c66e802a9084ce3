"""The command: `python -m tests.fuzz --minutes 5`."""

import argparse
import itertools
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz import cases, corpus, supervision
from tests.fuzz.corpus import Seed
from tests.fuzz.supervision import Limits, Report

TARGETS = {name: f"tests.fuzz.targets:{name}" for name in ("decode", "evidence")}
# Of faults that look alike, so many are named.
_MOST_ALIKE = 3
_PROGRESS_SECONDS = 30


def main() -> None:
    """Runs the command; its status is 1 after a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Mutated sound files")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument(
        "--seed", type=int, default=time.time_ns() % 10**9, help="default: by chance"
    )
    parser.add_argument("--file", type=int, help="run only this file of the seed")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--target", choices=TARGETS, default="decode")
    arguments = parser.parse_args()
    seeds = corpus.build()
    print(
        f"fuzzing {arguments.target} with --seed {arguments.seed}: mutations of {len(seeds)} files"
        f" ({corpus.fingerprint(seeds)})",
        flush=True,
    )
    numbers = _numbers(60 * arguments.minutes) if arguments.file is None else [arguments.file]
    target = TARGETS[arguments.target]
    summary = Summary(seeds, arguments.seed, f"--target {arguments.target} ")
    num_workers = arguments.workers if arguments.file is None else 1
    for report in supervision.run_cases(
        iter(numbers), seeds, arguments.seed, target, num_workers, Limits()
    ):
        summary.add(report)
        if arguments.file is not None:
            print(f"saved as {summary.save(report.number)}")
    print("\n".join(summary.lines()))
    sys.exit(1 if summary.num_faults else 0)


def _numbers(seconds: float) -> Iterator[int]:
    """Yields numbers of files until the time is up."""
    end = time.monotonic() + seconds
    return itertools.takewhile(lambda _: time.monotonic() < end, itertools.count())


class Summary:
    """The sums of a run, and its faults, which are printed as they come.

    Attributes:
      num_faults: Number of files with a fault.
    """

    def __init__(self, seeds: list[Seed], seed: int, options: str = "") -> None:
        self._seeds = seeds
        self._seed = seed
        self._options = options
        self._began = self._told = time.monotonic()
        self._num_files = 0
        self._outcomes: Counter[str] = Counter()
        self._slowest = self._largest = Report(0)
        self._alike: Counter[str] = Counter()

    @property
    def num_faults(self) -> int:
        return self._alike.total()

    def add(self, report: Report) -> None:
        """Adds the report of a file."""
        self._num_files += 1
        self._outcomes.update(report.outcomes)
        self._slowest = max(self._slowest, report, key=lambda each: each.seconds)
        self._largest = max(self._largest, report, key=lambda each: each.peak_mb)
        if report.kind:
            key = "\n".join([report.kind, *_frames(report.text)])
            self._alike[key] += 1
            if self._alike[key] <= _MOST_ALIKE:
                print(self._fault(report), flush=True)
        if time.monotonic() - self._told > _PROGRESS_SECONDS:
            self._told = time.monotonic()
            print(f"{self._num_files} files, {self.num_faults} faults", flush=True)

    def save(self, number: int) -> Path:
        """Writes a mutated file into the folder of temporary files."""
        case = cases.make(self._seeds, self._seed, number)
        path = Path(tempfile.gettempdir()) / f"fuzz-{self._seed}-{number}{case.suffix}"
        path.write_bytes(case.data)
        return path

    def lines(self) -> list[str]:
        """Returns the summary of the run."""
        minutes = (time.monotonic() - self._began) / 60
        outcomes = [f"  {name}: {number}" for name, number in self._outcomes.most_common()]
        return [
            f"{self._num_files} files in {minutes:.1f} minutes, {self._num_files / minutes:.0f} a"
            " minute; clips by outcome:",
            *outcomes,
            f"most memory: {self._largest.peak_mb:.0f} MB, file {self._largest.number}",
            f"slowest: {self._slowest.seconds:.2f} s, file {self._slowest.number}",
            f"{self.num_faults} faults of {len(self._alike)} kinds",
            *(f"  {number} x {_last_line(key)}" for key, number in self._alike.most_common()),
        ]

    def _fault(self, report: Report) -> str:
        case = cases.make(self._seeds, self._seed, report.number)
        return (
            f"== {report.kind}: {case.name} ({len(case.data)} bytes)\n{report.text.rstrip()}\n"
            f"saved as {self.save(report.number)}; reproduce with\n"
            f"python -m tests.fuzz {self._options}--seed {self._seed} --file {report.number}"
        )


def _frames(text: str) -> list[str]:
    """Returns where an error is, without what differs from file to file."""
    lines = [line.strip() for line in text.splitlines()]
    frames = [line for line in lines if line.startswith("File ")]
    if "most recent call first" in text:
        frames.reverse()
    return frames[-3:] or lines[:1]


def _last_line(key: str) -> str:
    kind, *frames = key.splitlines()
    return f"{kind}: {frames[-1] if frames else ''}"
