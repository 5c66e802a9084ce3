"""Whole commands, as a user starts them: this program, and a plain Beam job."""

import contextlib
import dataclasses
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.measuring import ROOT, CaseError, Run, run
from transforms.model import vggish

_PROGRAM = (sys.executable, "-m", "pipeline")
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}


@dataclasses.dataclass(frozen=True)
class Commands:
    """Runs whole commands, one at a time.

    Attributes:
      work: Where models and, for as long as a command runs, outputs are.
      model: That they embed with.
    """

    work: Path
    model: str

    def embed(
        self,
        what: str,
        folder: Path,
        flags: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> tuple[Run, int]:
        """Embeds a corpus with this program; returns the measured run and the number of rows.

        Args:
          what: It is, for people who wait.
          folder: The corpus.
          flags: Besides those that have to be.
          environment: Variables besides those of this process.

        Raises:
          CaseError: It breaks, or a clip fails.
        """
        say(f"this program: {what}")
        with self._output() as output:
            command = [*_PROGRAM, "embed", "--model", self.model, *flags]
            paths = {"--input": folder, "--output": output, "--pca": _pca(self.work)}
            ran = run(command + [f"{flag}={path}" for flag, path in paths.items()], 0, environment)
            counts = json.loads((output / "dataset.json").read_text())["counts"]
        if counts["failures"]:
            raise CaseError(f"{counts['failures']} clips of {folder} failed")
        return ran, counts["rows"]

    def plain_beam(self, what: str, folder: Path, flags: Sequence[str] = ()) -> Run:
        """Embeds a corpus with the plain Beam job, as `embed` does."""
        say(f"plain Beam job: {what}")
        with self._output() as output:
            command = (sys.executable, "-m", "benchmarks.plain_beam", folder, output, self.model)
            return run((*command, *flags), 0, _QUIET)

    @contextlib.contextmanager
    def _output(self) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(prefix="output-", dir=self.work))
        try:
            yield folder / "dataset"
        finally:
            shutil.rmtree(folder)


def ask_for_help() -> Run:
    """Runs `--help`."""
    return run([*_PROGRAM, "--help"])


def misspell() -> Run:
    """Runs a command that has to be refused."""
    return run([*_PROGRAM, "embed", "--input", "a", "--outptu", "b"], status=2)


def untrained_model(work: Path) -> Path:
    """Returns VGGish with random weights, exported by the program if it is not there."""
    source = (ROOT / "transforms" / "model" / "vggish.py").read_bytes()
    folder = work / f"untrained-vggish-{hashlib.sha256(source).hexdigest()[:8]}"
    if not folder.exists():
        say("exporting an untrained VGGish")
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        run([*_PROGRAM, "export-model", "--untrained", "--output", unfinished])
        unfinished.rename(folder)
    return folder


def say(what: str) -> None:
    """Prints the case that is running."""
    print(f"  {what}", file=sys.stderr, flush=True)


def _pca(work: Path) -> Path:
    """Returns parameters that take the time of the released ones."""
    path = work / "pca.npz"
    if not path.exists():
        size = vggish.EMBEDDING_SIZE
        matrix = np.random.default_rng(0).normal(0, 1, (size, size))
        unfinished = path.with_name("unfinished-pca.npz")
        np.savez(unfinished, pca_eigen_vectors=matrix, pca_means=np.zeros((size, 1)))
        unfinished.rename(path)
    return path
