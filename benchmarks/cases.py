"""What is measured, in rounds: each case once in each, so that all see the same machine."""

import contextlib
import dataclasses
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from benchmarks import corpora
from benchmarks.corpora import FLAC_2H, FLAC_10S, MP3_10S, OPUS_10S, WAV_1S, WAV_10S, Corpus
from benchmarks.measuring import CaseError, Run, Server, run
from benchmarks.report import Figure, Target
from transforms.model import vggish

LIMIT = "Share of the bare model's rate"
OTHERS = "Times as fast as other ways"
ENGINES = "Other workers, by the default ones' rate"
GROWTH = "A model that takes no time: all the rest, 1 s WAV"
COMMAND = "The command"
RATES = "Rates on this machine"

# Of the program's marginal rate: what reading and decoding may cost beside the model.
_LIMIT_TARGETS = {
    WAV_10S: 0.95,
    FLAC_10S: 0.9,
    MP3_10S: 0.85,
    OPUS_10S: 0.85,
    WAV_1S: 0.9,
    FLAC_2H: 0.9,
}
_CARD_TARGETS = {WAV_10S: 1.35, WAV_1S: 2.0}
_PLAIN_TARGETS = {WAV_1S: 2.0}
# Where batching itself pays less than a target, this much of what it pays will do.
_SHARE_OF_BATCHING = 0.95
_GROWTH_TARGET = 1_000.0
_LINEAR_TARGET = 1.15
_MB = 1e6
_BILLION = 1e9
# Positions that each layer of VGGish is computed at for a patch, by the start of its name.
_POSITIONS = {"conv1": 96 * 64, "conv2": 48 * 32, "conv3": 24 * 16, "conv4": 12 * 8, "fc": 1}
_ONE_CORE_EACH = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
      rounds: Values of each figure.
      seconds: That the model takes for the corpus of a command.
      call_seconds: Of a measurement in a process that stays.
      limits: Corpora of this program, beside the bare model and the card's way.
      plain: Those of the plain Beam job.
      torch: Those of torchvggish.
      engines: Measure other workers too.
      growth: Sizes of the corpora of the model that takes no time, growing.
    """

    rounds: int
    seconds: float
    call_seconds: float
    limits: tuple[Corpus, ...]
    plain: tuple[Corpus, ...]
    torch: tuple[Corpus, ...]
    engines: bool
    growth: tuple[int, ...]


FULL = Plan(
    rounds=3,
    seconds=30,
    call_seconds=5,
    limits=(WAV_10S, FLAC_10S, MP3_10S, OPUS_10S, WAV_1S, FLAC_2H),
    plain=(WAV_10S, WAV_1S),
    torch=(WAV_10S, FLAC_10S, WAV_1S),
    engines=True,
    growth=(100, 1_000, 10_000),
)
QUICK = Plan(
    rounds=2,
    seconds=4,
    call_seconds=1.5,
    limits=(WAV_10S, WAV_1S),
    plain=(WAV_1S,),
    torch=(WAV_10S, WAV_1S),
    engines=False,
    growth=(100, 1_000),
)


class Benchmark:
    """Measures, and keeps what it has measured."""

    def __init__(
        self, plan: Plan, work: Path, model: str | None, tensorflow: Server, torch: Server | None
    ) -> None:
        """Makes what is missing: the instant model, a PCA, and how large corpora are.

        Args:
          plan: How much.
          work: Where corpora and models are kept.
          model: What `--model` takes; None for VGGish untrained, in `work`.
          tensorflow: `benchmarks.tensorflow_side`.
          torch: `benchmarks.torch_side`, or None.
        """
        self._plan = plan
        self._work = work
        self._is_vggish = model is None
        self._model = model or str(untrained_model(work))
        self._tensorflow = tensorflow
        self._torch = torch
        self._figures: dict[tuple[str, str], Figure] = {}
        instant = work / "instant-model"
        if not (instant / "saved_model.pb").exists():
            tensorflow.call("export_instant_model", folder=str(instant))
        self._instant = str(instant)
        self._pca = _pca(work)
        self._batch, self._rate = tensorflow.call("best_batch", seconds=plan.call_seconds / 2)
        self.settings = {
            **{name: getattr(plan, name) for name in ("rounds", "seconds", "call_seconds")},
            "model": model or "VGGish, untrained",
            "best_batch_rows": self._batch,
        }

    @property
    def figures(self) -> list[Figure]:
        """All that has been measured so far, by section, with targets as batching allows."""
        sections = (LIMIT, OTHERS, ENGINES, GROWTH, COMMAND, RATES)
        found = [self._within_reach(figure) for figure in self._figures.values()]
        return sorted(found, key=lambda figure: sections.index(figure.section))

    def round(self) -> None:
        """Measures everything once, except for the growth."""
        self._commands()
        one_row = self._of_waveforms(WAV_1S)
        ten_rows = self._of_waveforms(WAV_10S)
        self._sgemm()
        one_clip, _ = self._embed("one clip", corpora.make(self._work, WAV_10S, 1))
        self._add(COMMAND, "start to end with one clip", "s", one_clip.seconds, Target(10, True))
        plain = self._plain_start() if self._plan.plain else None
        before = self._bare()
        marginal_rates = {}
        for corpus in self._plan.limits:
            marginal = self._this_program(corpus, one_clip)
            after = self._bare()
            limit, before = (before + after) / 2, after
            target = Target(_LIMIT_TARGETS[corpus])
            self._add(LIMIT, corpus.title, "", marginal / limit, target)
            for clip, singly in ((WAV_10S, ten_rows), (WAV_1S, one_row)):
                if corpus is clip:
                    title = f"bare model: batches by single calls, {corpus.seconds} s"
                    self._add(RATES, title, "", limit / singly)
            self._card(corpus, marginal)
            if corpus in self._plan.plain and plain:
                self._plain(corpus, marginal, plain)
            if corpus in self._plan.torch and self._torch:
                self._torchvggish(corpus, marginal)
            marginal_rates[corpus] = marginal
        if self._plan.engines:
            self._engines(marginal_rates[WAV_10S], one_clip)

    def growth(self) -> None:
        """Measures corpora of growing size once, with the model that takes no time."""
        first: tuple[int, Run] | None = None
        cost_before = None
        for size in self._plan.growth:
            folder = corpora.make(self._work, WAV_1S, size)
            grown, _ = self._embed(f"{size:,} clips", folder, self._instant)
            self._add(GROWTH, f"{size:,} clips: peak memory", "MB", grown.peak_bytes / _MB)
            if first:
                cost = (grown.seconds - first[1].seconds) / (size - first[0])
                title = f"{size:,} clips: clips a second beyond the first {first[0]}"
                self._add(GROWTH, title, "clips/s", 1 / cost, Target(_GROWTH_TARGET))
                if cost_before:
                    title = f"{size:,} clips: cost of a clip, by that at the size before"
                    self._add(GROWTH, title, "", cost / cost_before, Target(_LINEAR_TARGET, True))
                cost_before = cost
            first = first or (size, grown)

    def _commands(self) -> None:
        program = [sys.executable, "-m", "pipeline"]
        at_most = Target(1, True)
        shown = run([*program, "--help"])
        self._add(COMMAND, "--help", "s", shown.seconds, at_most)
        refused = run([*program, "embed", "--input", "a", "--outptu", "b"], status=2)
        self._add(COMMAND, "refusal of a misspelt flag", "s", refused.seconds, at_most)

    def _embed(
        self,
        what: str,
        folder: Path,
        model: str | None = None,
        flags: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> tuple[Run, int]:
        """Runs the command; returns what it took and the rows that it made."""
        _say(f"this program: {what}")
        with self._output() as output:
            command = [sys.executable, "-m", "pipeline", "embed", "--model", model or self._model]
            paths: list[str | Path] = ["--input", folder, "--output", output, "--pca", self._pca]
            ran = run([*command, *paths, *flags], environment=environment)
            counts = json.loads((output / "dataset.json").read_text())["counts"]
        if counts["failures"]:
            raise CaseError(f"{counts['failures']} clips of {folder} failed")
        return ran, counts["rows"]

    def _this_program(self, corpus: Corpus, one_clip: Run) -> float:
        folder = self._corpus(corpus, self._rate)
        ran, rows = self._embed(corpus.title, folder)
        marginal = _marginal(rows, ran, one_clip)
        self._add(RATES, f"this program, marginal: {corpus.title}", "rows/s", marginal)
        title = f"this program, whole command of {rows:,} rows: {corpus.title}"
        self._add(RATES, title, "rows/s", rows / ran.seconds)
        self._add(COMMAND, f"peak memory: {corpus.title}", "MB", ran.peak_bytes / _MB)
        busy = ran.cpu_seconds / ran.seconds
        self._add(COMMAND, f"cores kept busy, start-up included: {corpus.title}", "", busy)
        return marginal

    def _card(self, corpus: Corpus, marginal: float) -> None:
        if corpus is FLAC_2H:
            return  # one call with 7500 rows would take 75 GB
        _say(f"the card's way: {corpus.title}")
        folder = str(self._corpus(corpus, self._rate))
        card = self._tensorflow.call("card", folder=folder, seconds=self._plan.call_seconds)
        self._add(RATES, f"the card's way: {corpus.title}", "rows/s", card)
        target = Target(_CARD_TARGETS[corpus]) if corpus in _CARD_TARGETS else None
        self._add(OTHERS, f"the card's way: {corpus.title}", "", marginal / card, target)

    def _plain_start(self) -> Run:
        return self._run_plain("one clip", corpora.make(self._work, WAV_10S, 1))

    def _plain(self, corpus: Corpus, marginal: float, one_clip: Run) -> None:
        # It is slower: fewer rows take it as long.
        singly = self._figures[RATES, _singly(corpus)].median
        folder = self._corpus(corpus, singly)
        rows = corpus.rows_of_clip * sum(path.is_file() for path in folder.rglob("*"))
        plain = _marginal(rows, self._run_plain(corpus.title, folder), one_clip)
        self._add(RATES, f"plain Beam job, marginal: {corpus.title}", "rows/s", plain)
        target = Target(_PLAIN_TARGETS[corpus]) if corpus in _PLAIN_TARGETS else None
        self._add(OTHERS, f"plain Beam job: {corpus.title}", "", marginal / plain, target)

    def _run_plain(self, what: str, folder: Path) -> Run:
        _say(f"plain Beam job: {what}")
        with self._output() as output:
            return run(
                [sys.executable, "-m", "benchmarks.plain_beam", folder, output, self._model],
                environment={"TF_CPP_MIN_LOG_LEVEL": "3"},
            )

    def _torchvggish(self, corpus: Corpus, marginal: float) -> None:
        assert self._torch is not None
        for call, name in (("clip_by_clip", "clip by clip"), ("in_batches", "batches of 128")):
            _say(f"torchvggish, {name}: {corpus.title}")
            folder = str(self._corpus(corpus, self._rate))
            rate = self._torch.call(call, folder=folder, seconds=self._plan.call_seconds)
            title = f"torchvggish, {name}: {corpus.title}"
            self._add(RATES, title, "rows/s", rate)
            self._add(OTHERS, title, "", marginal / rate)
        if corpus is self._plan.torch[0]:
            bare = self._torch.call("bare", seconds=self._plan.call_seconds)
            self._add(RATES, "torch, its network alone, batches of 128", "rows/s", bare)

    def _engines(self, default: float, one_clip: Run) -> None:
        cores = os.cpu_count() or 1
        folder = self._corpus(WAV_10S, self._rate)
        for threads in (1, 2, 4):
            if threads != max(2, cores):  # which is the default
                flag = f"--direct_num_workers={threads}"
                name = f"one process, {threads} threads" if threads > 1 else "one process, 1 thread"
                ran, rows = self._embed(name, folder, flags=(flag,))
                self._add(ENGINES, name, "", _marginal(rows, ran, one_clip) / default)
        if cores > 1:
            name = f"{cores} processes, one core each in TensorFlow"
            flags = (
                "--direct_running_mode=multi_processing",
                f"--direct_num_workers={cores}",
            )
            alone = corpora.make(self._work, WAV_10S, 1)
            start, _ = self._embed(f"{name}, one clip", alone, None, flags, _ONE_CORE_EACH)
            ran, rows = self._embed(name, folder, None, flags, _ONE_CORE_EACH)
            self._add(ENGINES, name, "", _marginal(rows, ran, start) / default)
            self._add(COMMAND, f"peak memory: {name}", "MB", ran.peak_bytes / _MB)

    def _bare(self) -> float:
        _say("bare model")
        rate: float = self._tensorflow.call(
            "bare", batch_rows=self._batch, seconds=self._plan.call_seconds
        )
        self._add(RATES, f"bare model, batches of {self._batch}", "rows/s", rate)
        return rate

    def _of_waveforms(self, corpus: Corpus) -> float:
        num_samples = corpus.seconds * corpora.MODEL_RATE_HZ
        seconds = self._plan.call_seconds
        rate: float = self._tensorflow.call(
            "single_calls", num_samples=num_samples, seconds=seconds
        )
        self._add(RATES, _singly(corpus), "rows/s", rate)
        return rate

    def _sgemm(self) -> None:
        operations = self._tensorflow.call("sgemm", seconds=self._plan.call_seconds)
        self._add(RATES, "TensorFlow's sgemm, 4096 by 4096", "GFLOP/s", operations / _BILLION)
        if self._is_vggish:
            share = self._bare() * _operations_of_a_row() / operations
            self._add(RATES, "bare model's multiplications, by sgemm's rate", "", share)

    def _corpus(self, corpus: Corpus, rows_per_second: float) -> Path:
        """Returns one that takes about as long as is planned."""
        if corpus is FLAC_2H:
            return corpora.make(self._work, corpus, 1)
        wanted = rows_per_second * self._plan.seconds / corpus.rows_of_clip
        return corpora.make(self._work, corpus, _round_number(wanted))

    @contextlib.contextmanager
    def _output(self) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(prefix="output-", dir=self._work))
        try:
            yield folder / "dataset"
        finally:
            shutil.rmtree(folder)

    def _add(
        self, section: str, title: str, unit: str, value: float, target: Target | None = None
    ) -> None:
        before = self._figures.get((section, title))
        values = (*before.values, value) if before else (value,)
        self._figures[section, title] = Figure(section, title, unit, values, target)

    def _within_reach(self, figure: Figure) -> Figure:
        """Lowers a target beside single calls to what batching pays on this machine."""
        if figure.section != OTHERS or figure.target is None:
            return figure
        seconds = WAV_1S.seconds if figure.title.endswith(WAV_1S.title) else WAV_10S.seconds
        pays = self._figures[RATES, f"bare model: batches by single calls, {seconds} s"].median
        bound = min(figure.target.bound, _SHARE_OF_BATCHING * pays)
        return dataclasses.replace(figure, target=Target(bound))


def untrained_model(work: Path) -> Path:
    """Returns VGGish with random weights, exported by the program if it is not there."""
    folder = work / "untrained-vggish"
    if not (folder / "fingerprint.pb").exists():  # written last
        _say("exporting an untrained VGGish")
        shutil.rmtree(folder, ignore_errors=True)
        run([sys.executable, "-m", "pipeline", "export-model", "--untrained", "--output", folder])
    return folder


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


def _operations_of_a_row() -> float:
    """Returns the multiplications and additions of VGGish's layers for one patch."""
    return sum(
        2.0 * int(np.prod(shape)) * positions
        for name, shape in vggish.weight_shapes().items()
        for layer, positions in _POSITIONS.items()
        if name.endswith("weights") and name.removeprefix("vggish/").startswith(layer)
    )


def _marginal(rows: int, large: Run, one_clip: Run) -> float:
    """Returns the slope between a corpus and one clip of 10 s, in rows a second."""
    return (rows - WAV_10S.rows_of_clip) / (large.seconds - one_clip.seconds)


def _singly(corpus: Corpus) -> str:
    return f"bare model, single calls with {corpus.seconds} s"


def _round_number(wanted: float) -> int:
    """Returns the nearest of 8, 12, 16, 24, 32 …: so that few corpora are made and kept."""
    numbers = [base * 2**power for power in range(3, 20) for base in (1, 1.5)]
    return int(min(numbers, key=lambda number: abs(number - wanted)))


def _say(what: str) -> None:
    print(f"  {what}", file=sys.stderr, flush=True)
