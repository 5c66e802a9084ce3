"""The serving side of `measuring.Server`. Needs nothing but the standard library."""

import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def serve(calls: Mapping[str, Callable[..., Any]]) -> None:
    """Answers requests, one JSON line each, until the input ends."""
    # Libraries print as they like: only answers go where the other end reads.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(calls[request.pop("call")](**request)), file=answers, flush=True)


def rate(step: Callable[[], int], seconds: float) -> float:
    """Returns the units that steps produce a second, after one uncounted step.

    Args:
      step: Returns how much it has done.
      seconds: After that no further one begins.
    """
    step()
    done = 0
    started = time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds:
        done += step()
    return done / passed


def files_for_ever(folder: str) -> Callable[[], Path]:
    """Returns a function that returns the files below a folder in turn, endlessly."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return itertools.cycle(files).__next__
