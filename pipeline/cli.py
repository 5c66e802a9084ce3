"""The entry of the command line: commands and refusals. Imports nothing that takes long."""

import argparse
import dataclasses
import difflib
import importlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from pipeline import imports
from pipeline.errors import UsageError
from pipeline.options import declaration, values
from pipeline.options.settings import EmbedSettings
from pipeline.terminal import console, memory, streams, summary

_PROGRAM = "beam-audio-embeddings"
# Imports a module.
_Load = Callable[[str], Any]


@dataclasses.dataclass(frozen=True)
class _JobCommand:
    """A command that takes the options of `embed`.

    Attributes:
      module: The module of its function `run`, which is imported late: Beam takes seconds.
      help: A line of `--help`.
      description: The text above its own `--help`.
      status: The exit statuses.
    """

    module: str
    help: str
    description: str
    status: str


_JOBS = {
    "embed": _JobCommand(
        "pipeline.commands.embed",
        "embed a corpus into a dataset",
        """\
Turns a corpus of audio into a dataset: TFRecord SequenceExamples in the layout of the AudioSet
and YouTube-8M feature releases, one row for every 0.96 s of audio, computed by a TF-Hub
audio-embedding model.""",
        """\
exit status: 0 the dataset is complete; 1 the job failed, nothing is published; 2 wrong use;
3 the dataset is complete, but more clips failed than --max_failed_ratio allows;
130 interrupted, nothing is published.""",
    ),
    "check": _JobCommand(
        "pipeline.commands.check.command",
        "check that an embed would work, here and on the workers",
        """\
Checks, before the time for a corpus is spent, whether an embed with the same flags would work: on
this machine, and on the runner's workers through a small job. Checks versions, codecs, the model
and its rows, a few recordings, the output, disk and memory. Leaves nothing behind.""",
        """\
exit status: 0 all checks passed, perhaps with notes; 1 a check failed; 2 wrong use;
130 interrupted.""",
    ),
    "plan": _JobCommand(
        "pipeline.commands.plan.command",
        "estimate time, size and failures of an embed",
        """\
Estimates, before the time for a corpus is spent, the results of an embed with the same flags:
clips, hours and rows, formats, failures by reason, size, time and memory. Opens recordings and
embeds a few clips on the runner's workers. Writes no dataset and leaves nothing behind.""",
        """\
exit status: 0 the plan is complete; 1 a job of it failed; 2 wrong use; 3 more clips would fail
than --max_failed_ratio allows; 130 interrupted.""",
    ),
}


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=96)


class _Parser(argparse.ArgumentParser):
    """A parser that refuses in one line, and accepts no abbreviations."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(allow_abbrev=False, formatter_class=_Formatter, **kwargs)  # type: ignore[arg-type]

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(f"{message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit status.

    Args:
      arguments: The words after the program's name; None for those of this process.
    """
    with streams.kept_open():
        if arguments is None:
            return _refusing(sys.argv[1:], imports.for_this_process)
        return _refusing(arguments, importlib.import_module)


def _refusing(arguments: Sequence[str], load: _Load) -> int:
    """Runs a command, prints why it is refused or interrupted, and returns its exit status."""
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _main(arguments, load)
    except UsageError as error:
        print(f"{_PROGRAM}: error: {error}", file=sys.stderr)
        return summary.WRONG_USE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return summary.INTERRUPTED
    except (ImportError, MemoryError, OSError, RuntimeError) as error:
        # Libraries are imported before a job has its own explanations.
        if not (why := memory.explanation("".join(traceback.format_exception(error)))):
            raise
        print(f"error: {why}", file=sys.stderr)
        return summary.JOB_BROKE
    finally:
        signal.signal(signal.SIGTERM, previous)


def parse_job(arguments: Sequence[str]) -> tuple[str, EmbedSettings, list[str]]:
    """Parses a command line of `embed`, `check` or `plan`.

    Returns:
      The command, its options, and the other flags, for Beam.

    Raises:
      UsageError: The options are refused.
    """
    parsed, rest = _parser().parse_known_args(arguments)
    return parsed.command, EmbedSettings.from_arguments(parsed), rest


def _main(arguments: Sequence[str], load: _Load) -> int:
    parser = _parser()
    try:
        parsed, rest = parser.parse_known_args(arguments)
        if parsed.command is None:
            parser.print_help()
            return summary.SUCCESS
        _configure_logging(parsed.verbose)
        settings = EmbedSettings.from_arguments(parsed) if parsed.command in _JOBS else None
    except UsageError as error:
        # A flag that is missing may only be misspelt.
        raise UsageError("; ".join([*_misspelt(arguments), str(error)])) from error
    with console.redirect_native_output(parsed.verbose):
        if settings is not None:
            return int(load(_JOBS[parsed.command].module).run(settings, rest))
        if rest:
            raise UsageError(f"{rest[0]} is unknown to {parsed.command}")
        if parsed.command == "layouts":
            from pipeline.commands import layouts

            return layouts.run()
        if parsed.command == "export-model":
            from pipeline.commands import export_model

            return export_model.run(parsed.output, parsed.checkpoint, parsed.untrained, parsed.seed)
        from pipeline.commands import demo

        return demo.run(parsed.output, parsed.model, parsed.verbose, parsed.quiet)


def _interrupt(_signal: int, _frame: object) -> None:
    """Handles SIGTERM as Ctrl-C: nothing half done stays behind."""
    raise KeyboardInterrupt


def _misspelt(words: Sequence[str]) -> list[str]:
    """Returns a hint for each flag that is nearly one of ours."""
    flags = declaration.flags(EmbedSettings)
    hints = []
    for flag in (word.split("=")[0] for word in words if word.startswith("--")):
        nearest = difflib.get_close_matches(flag, flags, n=1, cutoff=0.75)
        if nearest and nearest[0] != flag:
            hints.append(f"{flag} is unknown; did you mean {nearest[0]}?")
    return hints


def _configure_logging(verbose: bool) -> None:
    """Hides the logs of libraries, in this process and those it starts, unless `verbose`."""
    if verbose:
        logging.basicConfig(level=logging.INFO)
        return
    # Warnings and worse; those that matter to the user are printed when the run ends.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    # Errors reach the user through exceptions, without the tracebacks of Beam's threads.
    logging.basicConfig(level=logging.CRITICAL)


def _parser() -> argparse.ArgumentParser:
    embed = _JOBS["embed"]
    parser = _Parser(prog=_PROGRAM, description=embed.description, epilog=embed.status)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name, command in _JOBS.items():
        job = commands.add_parser(
            name,
            help=command.help,
            description=command.description,
            usage=f"{_PROGRAM} {name} --input PATH ... --output DIR [options] [Beam options]\n"
            f"       {_PROGRAM} {name} --manifest FILE ... --output DIR [options] [Beam options]",
            epilog=(
                "Beam options are passed on, as --direct_num_workers=4 (threads) or"
                f" --direct_running_mode=multi_processing.\n\n{command.status}"
            ),
        )
        declaration.add_arguments(job, EmbedSettings)
    _add_layouts(commands)
    _add_export_model(commands)
    _add_demo(commands)
    return parser


def _add_layouts(commands: "argparse._SubParsersAction[_Parser]") -> None:
    layouts = commands.add_parser(
        "layouts",
        help="list the layouts of public data sets that are known",
        description="Lists the layouts of public data sets and annotation tools that embed knows:"
        " name, whether --manifest or --input takes it, a line of description, and the source.",
    )
    _add_verbose(layouts)


def _add_export_model(commands: "argparse._SubParsersAction[_Parser]") -> None:
    export = commands.add_parser(
        "export-model",
        help="export VGGish as a SavedModel with the hub's signature",
        description="Exports VGGish as a TF2 SavedModel, which computes from a waveform, float32"
        " [num_samples], mono, 16 kHz, of any length, float32 [num_rows, 128].",
    )
    export.add_argument(
        "--output", required=True, metavar="DIR", help="new folder of the SavedModel"
    )
    weights = export.add_mutually_exclusive_group(required=True)
    weights.add_argument(
        "--checkpoint", metavar="FILE", help="the released TF1 checkpoint, vggish_model.ckpt"
    )
    weights.add_argument(
        "--untrained",
        action="store_true",
        help="random weights, for trials; every later run of the model says so",
    )
    export.add_argument(
        "--seed",
        type=values.WHOLE.parse,
        default=0,
        help="seed of the random weights, 0 or more (default: 0)",
    )
    _add_verbose(export)


def _add_demo(commands: "argparse._SubParsersAction[_Parser]") -> None:
    demo = commands.add_parser(
        "demo",
        help="create and embed a small corpus, to see it work",
        description="Synthesises a corpus with one broken file, embeds it, and shows how to read"
        " the records. Without access to the model's hub it uses untrained weights.",
    )
    demo.add_argument(
        "--output", default="demo-output", metavar="DIR", help="folder (default: demo-output)"
    )
    demo.add_argument(
        "--model", default=EmbedSettings.model, help="as for embed (default: %(default)s)"
    )
    demo.add_argument("--quiet", action="store_true", help="do not show the progress of the job")
    _add_verbose(demo)


def _add_verbose(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--verbose", action="store_true", help="show the logs of Beam and TensorFlow, too"
    )
