"""The cases, measured in rounds: each case once a round, so that all see the same machine."""

import dataclasses
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks import commands, corpora
from benchmarks.commands import Commands, say, untrained_model
from benchmarks.corpora import FLAC_2H, FLAC_10S, MP3_10S, OPUS_10S, WAV_1S, WAV_10S, Corpus
from benchmarks.measuring import Run, Server
from benchmarks.plans import Plan
from benchmarks.report import Figure, Target
from transforms.model import vggish

ENGINE = "The native engine: times as fast as the model in TensorFlow"
LIMIT = "The whole program: times as fast as the bare model in TensorFlow"
OTHERS = "Times as fast as other ways"
WORKERS = "Other workers, by the default ones' rate"
GROWTH = "A model that takes no time: all the rest, 1 s WAV"
COMMAND = "The command"
RATES = "Rates on this machine"

# Bounds on the marginal rate, with reading and decoding.
_LIMIT_TARGETS = {WAV_10S: 2.5, FLAC_10S: 2.0, MP3_10S: 2.0, OPUS_10S: 1.4}
# Rows of a call, calls of a measurement, and bounds beside the faster of TensorFlow's settings.
_ENGINE_CASES = {128: (1, 2.5), 1: (16, 1.8)}
_CARD_TARGETS = {WAV_10S: 1.35, WAV_1S: 2.0}
_PLAIN_TARGETS = {WAV_1S: 2.0}
# Where batching itself pays less than a target, this much of what it pays will do.
_SHARE_OF_BATCHING = 0.95
_GROWTH_TARGET = 2_500.0
_PEAK_TARGET_MB = 1_000.0
_LINEAR_TARGET = 1.15
# Smaller corpora are too short to be compared with.
_LINEAR_FROM = 10_000
# Smaller differences cannot be separated from the start-up, which varies by tenths of a second.
_MIN_SLOPE_SECONDS = 1.0
_MIN_GROWTH_SECONDS = 0.3
_MB = 1e6
_BILLION = 1e9
# Positions that each layer of VGGish is computed at for a patch, by the start of its name.
_POSITIONS = {"conv1": 96 * 64, "conv2": 48 * 32, "conv3": 24 * 16, "conv4": 12 * 8, "fc": 1}
_WORKER_EACH = "a worker for each core"
# How the plain Beam job is started: by name, with which flags.
_PLAIN_WAYS = {
    "as it comes": (),
    _WORKER_EACH: (
        "--direct_running_mode=multi_threading",
        f"--direct_num_workers={os.cpu_count() or 1}",
    ),
}


class Benchmark:
    """Measures the cases and collects their figures.

    Attributes:
      is_vggish: Whether the model is VGGish, which both engines compute.
    """

    def __init__(
        self, plan: Plan, work: Path, model: str | None, tensorflow: Server, torch: Server | None
    ) -> None:
        """Chooses the sizes of the corpora and makes those that are missing.

        Args:
          plan: How much.
          work: Where corpora and models are kept.
          model: What `--model` takes; None for VGGish untrained, in `work`.
          tensorflow: `benchmarks.tensorflow_side`.
          torch: `benchmarks.torch_side`, or None.
        """
        self._plan = plan
        self._work = work
        self.is_vggish = model is None
        self._commands = Commands(work, model or str(untrained_model(work)))
        self._tensorflow = tensorflow
        self._torch = torch
        self._figures: dict[tuple[str, str], Figure] = {}
        self.num_without_slope = 0
        instant = work / "instant-model"
        if not (instant / "saved_model.pb").exists():
            tensorflow.call("export_instant_model", folder=str(instant))
        self._instant = str(instant)
        self._batch, self._rate = tensorflow.call("best_batch", seconds=plan.call_seconds / 3)
        # All of them before anything is measured: the disk is busy with them for a while.
        for corpus in plan.limits:
            self._corpus(corpus, self._rate)
        for size in plan.growth:
            corpora.make(work, WAV_1S, size)
        self.settings = {
            **{name: getattr(plan, name) for name in ("rounds", "seconds", "call_seconds")},
            "model": model or "VGGish, untrained",
            "best_batch_rows": self._batch,
        }

    @property
    def figures(self) -> list[Figure]:
        """All figures so far, by section, with targets lowered to what batching allows."""
        sections = (ENGINE, LIMIT, OTHERS, WORKERS, GROWTH, COMMAND, RATES)
        found = [self._within_reach(figure) for figure in self._figures.values()]
        return sorted(
            found,
            key=lambda each: (sections.index(each.section), each.section == RATES and each.title),
        )

    def round(self) -> None:
        """Measures every case but the growth once."""
        self._answers()
        one_row = self._of_waveforms(WAV_1S)
        ten_rows = self._of_waveforms(WAV_10S)
        self._sgemm()
        one_clip, _ = self._commands.embed("one clip", corpora.make(self._work, WAV_10S, 1))
        self._add(COMMAND, "start to end with one clip", "s", one_clip.seconds, Target(3.5, True))
        plain = self._plain_starts()
        before = self._bare()
        marginal_rates = {}
        for corpus in self._plan.limits:
            marginal = self._this_program(corpus, one_clip)
            after = self._bare()
            limit, before = (before + after) / 2, after
            target = Target(_LIMIT_TARGETS[corpus]) if corpus in _LIMIT_TARGETS else None
            self._add(LIMIT, corpus.title, "", marginal / limit, target)
            for clip, singly in ((WAV_10S, ten_rows), (WAV_1S, one_row)):
                if corpus is clip:
                    title = f"bare model: batches by single calls, {corpus.seconds} s"
                    self._add(RATES, title, "", limit / singly)
            self._card(corpus, marginal)
            if corpus in self._plan.plain:
                self._plain(corpus, marginal, plain)
            if corpus in self._plan.torch and self._torch:
                self._torchvggish(corpus, marginal)
            marginal_rates[corpus] = marginal
        if self._plan.workers:
            self._workers(marginal_rates[WAV_10S], one_clip)

    def growth(self) -> None:
        """Measures corpora of growing size once, with the model that takes no time."""
        first: tuple[int, Run] | None = None
        rate_before = None
        instant = Commands(self._work, self._instant)
        for size in self._plan.growth:
            folder = corpora.make(self._work, WAV_1S, size)
            grown, _ = instant.embed(f"{size:,} clips", folder)
            self._add(GROWTH, f"{size:,} clips: peak memory", "MB", grown.peak_bytes / _MB)
            if first:
                rate = _slope(size - first[0], grown, first[1], _MIN_GROWTH_SECONDS)
                title = f"{size:,} clips: clips a second beyond the first {first[0]}"
                self._add(GROWTH, title, "clips/s", rate, Target(_GROWTH_TARGET))
                if rate_before:
                    title = f"{size:,} clips: cost of a clip, by that at {_LINEAR_FROM:,}"
                    self._add(GROWTH, title, "", rate_before / rate, Target(_LINEAR_TARGET, True))
                if size == _LINEAR_FROM:
                    rate_before = rate
            first = first or (size, grown)

    def engines(self) -> None:
        """Measures both engines in pairs, with one thread and with one for each core."""
        for threads in sorted({1, os.cpu_count() or 1}):
            of_settings = {setting: self._pairs(threads, setting) for setting in ("0", "1")}
            for batch_rows, (_, bound) in _ENGINE_CASES.items():
                found = {setting: pairs[batch_rows] for setting, pairs in of_settings.items()}
                faster = min(found.values(), key=lambda pair: pair["tensorflow_cpu"])
                case = f"batches of {batch_rows}" if batch_rows > 1 else "rows one at a time"
                case += f", {threads} thread{'s' if threads > 1 else ''}"
                for kind in ("cpu", "wall"):
                    title = f"{case}: {kind if kind == 'wall' else 'CPU'} time"
                    self._add(ENGINE, title, "", faster[f"ratio_{kind}"], Target(bound))
                    for engine, name in (("native", "native engine"), ("tensorflow", "TensorFlow")):
                        value = faster[f"{engine}_{kind}"]
                        self._add(RATES, f"{name}, {title}", "ms a row", value)

    def _pairs(self, threads: int, onednn: str) -> dict[int, dict[str, float]]:
        """Returns the measurements of a setting of TensorFlow by rows of a call."""
        say(f"engines: {threads} threads, TF_ENABLE_ONEDNN_OPTS={onednn}")
        environment = {"TF_ENABLE_ONEDNN_OPTS": onednn, "TF_NUM_INTRAOP_THREADS": str(threads)}
        module, model = "benchmarks.engines_side", self._commands.model
        with Server(sys.executable, module, model, environment=environment) as engines:
            return {
                batch_rows: engines.call(
                    "pairs",
                    batch_rows=batch_rows,
                    threads=threads,
                    num_pairs=self._plan.engine_pairs,
                    calls=calls,
                )
                for batch_rows, (calls, _) in _ENGINE_CASES.items()
            }

    def _answers(self) -> None:
        at_most = Target(1, True)
        self._add(COMMAND, "--help", "s", commands.ask_for_help().seconds, at_most)
        title = "refusal of a misspelt flag"
        self._add(COMMAND, title, "s", commands.misspell().seconds, at_most)

    def _this_program(self, corpus: Corpus, one_clip: Run) -> float:
        folder = self._corpus(corpus, self._rate)
        ran, rows = self._commands.embed(corpus.title, folder)
        marginal = _marginal(rows, ran, one_clip)
        self._add(RATES, f"this program, marginal: {corpus.title}", "rows/s", marginal)
        title = f"this program, whole command of {rows:,} rows: {corpus.title}"
        self._add(RATES, title, "rows/s", rows / ran.seconds)
        peak, target = ran.peak_bytes / _MB, Target(_PEAK_TARGET_MB, True)
        self._add(COMMAND, f"peak memory: {corpus.title}", "MB", peak, target)
        busy = ran.cpu_seconds / ran.seconds
        self._add(COMMAND, f"cores kept busy, start-up included: {corpus.title}", "", busy)
        return marginal

    def _card(self, corpus: Corpus, marginal: float) -> None:
        if corpus is FLAC_2H:
            return  # one call with 7500 rows would take 75 GB
        say(f"the card's way: {corpus.title}")
        folder = str(self._corpus(corpus, self._rate))
        card = self._tensorflow.call("card", folder=folder, seconds=self._plan.call_seconds)
        self._add(RATES, f"the card's way: {corpus.title}", "rows/s", card)
        target = Target(_CARD_TARGETS[corpus]) if corpus in _CARD_TARGETS else None
        self._add(OTHERS, f"the card's way: {corpus.title}", "", marginal / card, target)

    def _plain_starts(self) -> dict[str, Run]:
        """Runs the plain job with one clip in each of its ways."""
        alone = corpora.make(self._work, WAV_10S, 1)
        ways = _PLAIN_WAYS if self._plan.plain_as_it_comes else [_WORKER_EACH]
        return {
            way: self._commands.plain_beam(f"{way}, one clip", alone, _PLAIN_WAYS[way])
            for way in ways
        }

    def _plain(self, corpus: Corpus, marginal: float, one_clip: Mapping[str, Run]) -> None:
        # It is slower: fewer rows take it as long.
        singly = self._figures[RATES, _singly(corpus)].median
        folder = self._corpus(corpus, singly)
        rows = corpus.rows_of_clip * sum(path.is_file() for path in folder.rglob("*"))
        target = Target(_PLAIN_TARGETS[corpus]) if corpus in _PLAIN_TARGETS else None
        for way, start in one_clip.items():
            ran = self._commands.plain_beam(f"{way}, {corpus.title}", folder, _PLAIN_WAYS[way])
            plain = _marginal(rows, ran, start)
            title = f"plain Beam job, {way}: {corpus.title}"
            self._add(RATES, title, "rows/s", plain)
            self._add(OTHERS, title, "", marginal / plain, target)

    def _torchvggish(self, corpus: Corpus, marginal: float) -> None:
        assert self._torch is not None
        for call, name in (("clip_by_clip", "clip by clip"), ("in_batches", "batches of 128")):
            say(f"torchvggish, {name}: {corpus.title}")
            folder = str(self._corpus(corpus, self._rate))
            rate = self._torch.call(call, folder=folder, seconds=self._plan.call_seconds)
            title = f"torchvggish, {name}: {corpus.title}"
            self._add(RATES, title, "rows/s", rate)
            self._add(OTHERS, title, "", marginal / rate)
        if corpus is self._plan.torch[0]:
            bare = self._torch.call("bare", seconds=self._plan.call_seconds)
            self._add(RATES, "torch, its network alone, batches of 128", "rows/s", bare)

    def _workers(self, default: float, one_clip: Run) -> None:
        cores = os.cpu_count() or 1
        folder = self._corpus(WAV_10S, self._rate)
        for threads in (1, 2, 4):
            if threads != max(2, cores):  # which is the default
                flag = f"--direct_num_workers={threads}"
                name = f"one process, {threads} threads" if threads > 1 else "one process, 1 thread"
                ran, rows = self._commands.embed(name, folder, (flag,))
                self._add(WORKERS, name, "", _marginal(rows, ran, one_clip) / default)
        if cores > 1:
            name = f"{cores} processes"
            flags = (
                "--direct_running_mode=multi_processing",
                f"--direct_num_workers={cores}",
            )
            alone = corpora.make(self._work, WAV_10S, 1)
            start, _ = self._commands.embed(f"{name}, one clip", alone, flags)
            ran, rows = self._commands.embed(name, folder, flags)
            self._add(WORKERS, name, "", _marginal(rows, ran, start) / default)
            self._add(COMMAND, f"peak memory: {name}", "MB", ran.peak_bytes / _MB)

    def _bare(self) -> float:
        say("bare model")
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
        if self.is_vggish:
            share = self._bare() * _operations_of_a_row() / operations
            self._add(RATES, "bare model's multiplications, by sgemm's rate", "", share)

    def _corpus(self, corpus: Corpus, rows_per_second: float) -> Path:
        """Returns a corpus that takes about as long as the plan says."""
        if corpus is FLAC_2H:
            return corpora.make(self._work, corpus, 1)
        wanted = rows_per_second * self._plan.seconds / corpus.rows_of_clip
        return corpora.make(self._work, corpus, _round_number(wanted))

    def _add(
        self, section: str, title: str, unit: str, value: float, target: Target | None = None
    ) -> None:
        if math.isnan(value):
            self.num_without_slope += 1
            return
        before = self._figures.get((section, title))
        values = (*before.values, value) if before else (value,)
        self._figures[section, title] = Figure(section, title, unit, values, target)

    def _within_reach(self, figure: Figure) -> Figure:
        """Lowers a target relative to single calls to what batching gains on this machine."""
        if figure.section != OTHERS or figure.target is None:
            return figure
        seconds = WAV_1S.seconds if figure.title.endswith(WAV_1S.title) else WAV_10S.seconds
        pays = self._figures[RATES, f"bare model: batches by single calls, {seconds} s"].median
        bound = min(figure.target.bound, _SHARE_OF_BATCHING * pays)
        return dataclasses.replace(figure, target=Target(bound))


def _operations_of_a_row() -> float:
    """Returns the multiplications and additions of VGGish's layers for one patch."""
    return sum(
        2.0 * int(np.prod(shape)) * positions
        for name, shape in vggish.weight_shapes().items()
        for layer, positions in _POSITIONS.items()
        if name.endswith("weights") and name.removeprefix("vggish/").startswith(layer)
    )


def _marginal(rows: int, large: Run, one_clip: Run) -> float:
    """Returns the slope between a corpus and one clip of 10 s, in rows a second, or NaN."""
    return _slope(rows - WAV_10S.rows_of_clip, large, one_clip, _MIN_SLOPE_SECONDS)


def _slope(more: int, large: Run, small: Run, min_seconds: float) -> float:
    """Returns the additional units a second; NaN where start-up may have varied by as much."""
    seconds = large.seconds - small.seconds
    return more / seconds if seconds > min_seconds else math.nan


def _singly(corpus: Corpus) -> str:
    return f"bare model, single calls with {corpus.seconds} s"


def _round_number(wanted: float) -> int:
    """Returns the nearest of 8, 12, 16, 24, 32 …: so that few corpora are made and kept."""
    numbers = [base * 2**power for power in range(3, 20) for base in (1, 1.5)]
    return int(min(numbers, key=lambda number: abs(number - wanted)))
