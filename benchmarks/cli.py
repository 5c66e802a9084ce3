"""The command line of the benchmarks."""

import argparse
import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import corpora, machine, report, torch_environment
from benchmarks.cases import Benchmark
from benchmarks.commands import untrained_model
from benchmarks.measuring import CaseError, Server, run
from benchmarks.plans import FULL, QUICK, Plan

_DESCRIPTION = """\
Measures this program beside the bare model and beside other ways to the same rows, on corpora of
synthetic sound, and prints tables. Ratios are the result: rates differ between machines."""
_LARGEST_GROWTH = 100_000
_QUIET_LOAD = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints the tables and writes them down; returns the exit status."""
    parsed = _parser().parse_args(arguments)
    plan = QUICK if parsed.quick else FULL
    if parsed.rounds:
        plan = dataclasses.replace(plan, rounds=parsed.rounds, growth_rounds=parsed.rounds)
    if parsed.large:
        plan = dataclasses.replace(plan, growth=(*plan.growth, _LARGEST_GROWTH))
    if parsed.model and os.path.exists(parsed.model):
        parsed.model = os.path.abspath(parsed.model)  # processes start in the checkout
    try:
        _measure(plan, parsed)
    except CaseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _measure(plan: Plan, parsed: argparse.Namespace) -> None:
    started = time.monotonic()
    work: Path = parsed.work.expanduser().resolve()
    work.mkdir(parents=True, exist_ok=True)
    facts = machine.facts()
    notes = _notes(plan, machine.load_average())
    # What a first start has to read from the disk, and corpora that have to be made.
    run([sys.executable, "-c", "import pipeline.commands.embed"])
    model = parsed.model or untrained_model(work)
    torch_python, reason = None, "--no_torch was given"
    if not parsed.no_torch:
        torch_python, reason = torch_environment.python(work, may_make=not parsed.quick)
    if torch_python is None:
        notes.append(f"torchvggish is skipped: {reason}.")
    with contextlib.ExitStack() as stack:
        tensorflow = stack.enter_context(
            Server(sys.executable, "benchmarks.tensorflow_side", model)
        )
        torch = None
        if torch_python:
            torch = stack.enter_context(Server(torch_python, "benchmarks.torch_side"))
            facts["versions"]["torch"] = torch.call("version")
        benchmark = Benchmark(plan, work, parsed.model, tensorflow, torch)
        broken = _rounds(benchmark, plan)
    if broken:
        notes.append("**The run broke off**; what was measured before is above.")
    if benchmark.num_without_slope:
        notes.append(
            f"{benchmark.num_without_slope} values are missing: start-up varied by more than the"
            " corpora took."
        )
    settings = {**benchmark.settings, "quick": parsed.quick}
    kind = "a quick run" if parsed.quick else "a run"
    minutes = (time.monotonic() - started) / 60
    notes.insert(0, f"From {kind}; rounds: {plan.rounds}; {minutes:.1f} minutes.")
    # A page is not replaced by a part of one.
    page = None if broken else parsed.write
    _write_down(page or work, facts, settings, benchmark.figures, notes, bool(page))
    if broken:
        raise broken


def _notes(plan: Plan, load: float) -> list[str]:
    """Returns the notes that are known before anything is measured."""
    notes = [f"Load of the machine before: {load:.2f}."]
    if load > _QUIET_LOAD:
        notes.append("Something else was running: measure again on a quiet machine.")
    if corpora.FLAC_2H in plan.limits:
        notes.append(
            "The card's way with the 2 h FLAC is skipped: one call would take about 75 GB."
        )
    return notes


def _rounds(benchmark: Benchmark, plan: Plan) -> CaseError | None:
    """Measures; returns the error that ended it early, since the figures before it are kept."""
    try:
        for number in range(plan.rounds):
            print(f"round {number + 1} of {plan.rounds}", file=sys.stderr)
            if benchmark.is_vggish:
                benchmark.engines()
            benchmark.round()
        for number in range(plan.growth_rounds):
            print(f"growth, round {number + 1} of {plan.growth_rounds}", file=sys.stderr)
            benchmark.growth()
    except CaseError as error:
        return error
    return None


def _write_down(
    folder: Path,
    facts: dict[str, object],
    settings: dict[str, object],
    figures: Sequence[report.Figure],
    notes: Sequence[str],
    into_readme: bool,
) -> None:
    text = report.table(facts, figures, notes)
    print(text)
    (folder / "results.json").write_text(
        report.to_json(facts, settings, figures, notes), encoding="utf-8"
    )
    if into_readme:
        report.write_between_marks(folder / "README.md", text)
    else:
        (folder / "results.md").write_text(text, encoding="utf-8")
    print(f"written to {folder}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=_DESCRIPTION)
    parser.add_argument("--quick", action="store_true", help="less of everything, 3 minutes")
    parser.add_argument(
        "--rounds", type=int, metavar="N", help="how often each case (default: 3, quick: 2)"
    )
    parser.add_argument("--large", action="store_true", help="growth up to 100,000 clips")
    parser.add_argument("--no_torch", action="store_true", help="skip torchvggish")
    parser.add_argument(
        "--model", help="as for embed, a VGGish (default: one with untrained weights)"
    )
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(cache) / "beam-audio-embeddings" / "benchmarks",
        metavar="DIR",
        help="where corpora, models and torch are kept (default: %(default)s)",
    )
    parser.add_argument(
        "--write",
        type=Path,
        metavar="DIR",
        help="write results.json there and the tables into its README.md (default: both into the"
        " folder of --work)",
    )
    return parser
