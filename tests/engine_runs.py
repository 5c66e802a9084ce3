"""What runs on every engine: a small corpus, the command line, and what comes of it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from tests.running import run_program
from transforms.dataset import provenance


def make_corpus(folder: Path) -> Path:
    """Fills a folder with recordings of all sorts, a manifest with labels, and a file that is none.

    The manifest, `clips.csv`, also names a recording that is absent.
    """
    random = np.random.default_rng(5)
    lines = ["path,start_seconds,end_seconds,labels,split"]
    for number in range(24):
        rate = (16_000, 44_100, 8_000)[number % 3]
        suffix = ("wav", "flac", "ogg")[number % 3]
        sound = random.uniform(-0.5, 0.5, (int(rate * (0.3 + number)), 1 + number % 2))
        soundfile.write(folder / f"{number:02}.{suffix}", sound, rate)
        split = "test" if number % 4 == 0 else "train"
        lines += [
            f"{number:02}.{suffix},,,music|noise {number % 5},{split}",
            f"{number:02}.{suffix},{number / 3:.2f},{number / 2 + 1:.2f},speech,{split}",
        ]
    (folder / "broken.wav").write_bytes(b"RIFF0000")
    lines += ["broken.wav,,,,train", "absent.wav,,,,test"]
    (folder / "clips.csv").write_text("\n".join(lines) + "\n")
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    """Returns everything in a folder, but not how long the run took."""
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    info = json.loads(found["dataset.json"])
    del info["run"]
    return found | {"dataset.json": provenance.to_json(info)}


def arguments(corpus: Path, model: str, output: str | Path) -> list[str | Path]:
    return [
        "embed",
        *("--manifest", corpus / "clips.csv", "--model", model, "--profile", "raw"),
        *("--output", output, "--num_shards", "3"),
    ]


def embed_on_threads(corpus: Path, model: str, output: Path) -> Path:
    """Embeds the corpus with threads of this machine; returns the output."""
    finished = run_program(*arguments(corpus, model, output))
    assert finished.returncode == 3, finished.stderr
    return output


def importable() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}


def start(arguments: list[str | Path], output: Path) -> subprocess.Popen[str]:
    with (output.parent / "stderr").open("w") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline", *map(str, arguments)],
            stdout=subprocess.DEVNULL,
            stderr=said,
            text=True,
        )


def until(found: Callable[[], object], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.02)
