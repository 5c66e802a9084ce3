"""The command line: commands, flags, refusals. Imports nothing that takes long."""

import argparse
import difflib
import importlib
import logging
import os
import signal
import sys
from collections.abc import Sequence

from pipeline.errors import UsageError
from pipeline.options import settings
from pipeline.options.flags import add_embed_flags, natural
from pipeline.options.settings import EmbedSettings
from pipeline.terminal import console, summary

_PROGRAM = "beam-audio-embeddings"
_DESCRIPTION = """\
Turns a corpus of audio into a dataset: TFRecord SequenceExamples in the layout of the AudioSet
and YouTube-8M feature releases, one row for every 0.96 s of sound, computed by a TF-Hub
audio-embedding model."""
_STATUS = """\
exit status: 0 the dataset is there; 1 the job broke, nothing is published; 2 wrong use;
3 the dataset is complete, but more clips failed than --max_failed_ratio allows;
130 interrupted, nothing is published."""

_CHECKING = """\
Finds out, before a corpus is spent, whether an embed with these very flags would work: on this
machine, and on the workers of the engine through a small job. Looks at versions, codecs, the
model and its numbers, a few recordings, the output, disk and memory. Leaves nothing behind."""
_CHECKED = """\
exit status: 0 all checks passed, perhaps with notes; 1 one has failed; 2 wrong use;
130 interrupted."""
_PLANNING = """\
Says, before a corpus is spent, what an embed with these very flags would take and give: clips,
hours and rows, formats, what would fail and why, size, time and memory. Opens recordings and
embeds a few clips on the workers of the engine. Writes no dataset and leaves nothing behind."""
_PLANNED = """\
exit status: 0 the plan is made; 1 a job of it broke; 2 wrong use; 3 more clips would fail than
--max_failed_ratio allows; 130 interrupted."""
# Commands that take the flags of `embed`: help, description, exit status.
_JOBS = {
    "embed": ("a corpus into a dataset", _DESCRIPTION, _STATUS),
    "check": ("whether that will work, here and on the workers", _CHECKING, _CHECKED),
    "plan": ("what it will take and give, and what would fail", _PLANNING, _PLANNED),
}
# Where they are, each with a function `run`: the modules import Beam, which takes seconds.
_MODULES = {
    "embed": "pipeline.commands.embed",
    "check": "pipeline.commands.check.command",
    "plan": "pipeline.commands.plan.command",
}


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=96)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and does not guess at abbreviations."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(allow_abbrev=False, formatter_class=_Formatter, **kwargs)  # type: ignore[arg-type]

    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(f"{message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit status."""
    parser, own_flags = _parser()
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        try:
            parsed, rest = parser.parse_known_args(arguments)
            wanted = None
            if parsed.command is not None:
                _quiet(parsed.verbose)
            if parsed.command in _JOBS:
                wanted = EmbedSettings.from_arguments(parsed)
        except UsageError as error:
            # A flag that is missing may only be misspelt.
            words = sys.argv[1:] if arguments is None else arguments
            raise UsageError("; ".join([*_misspelt(words, own_flags), str(error)])) from error
        if parsed.command is None:
            parser.print_help()
            return summary.SUCCESS
        with console.redirect_native_output(parsed.verbose):
            return _run(parsed, wanted, rest)
    except UsageError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return summary.WRONG_USE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return summary.INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, previous)


def _run(
    parsed: argparse.Namespace,
    wanted: EmbedSettings | None,
    rest: Sequence[str],
) -> int:
    """Runs the command that was asked for; the modules are imported here."""
    if wanted is not None:
        command = importlib.import_module(_MODULES[parsed.command])
        return int(command.run(wanted, rest))
    if rest:
        raise UsageError(f"{rest[0]} is unknown to {parsed.command}")
    if parsed.command == "export-model":
        from pipeline.commands import export_model

        return export_model.run(parsed.output, parsed.checkpoint, parsed.untrained, parsed.seed)
    from pipeline.commands import demo

    return demo.run(parsed.output, parsed.model, parsed.verbose, parsed.quiet)


def _interrupt(_signal: int, _frame: object) -> None:
    """Has a request to end be treated as Ctrl-C is: nothing half done stays behind."""
    raise KeyboardInterrupt


def _misspelt(words: Sequence[str], own_flags: Sequence[str]) -> list[str]:
    """Returns a hint for each flag that is nearly one of ours."""
    hints = []
    for flag in (word.split("=")[0] for word in words if word.startswith("--")):
        nearest = difflib.get_close_matches(flag, own_flags, n=1, cutoff=0.75)
        if nearest and nearest[0] != flag:
            hints.append(f"{flag} is unknown; did you mean {nearest[0]}?")
    return hints


def _quiet(verbose: bool) -> None:
    """Keeps the libraries' own log from the user, in this process and those it starts."""
    if verbose:
        logging.basicConfig(level=logging.INFO)
        return
    # Warnings and worse; what of it is worth reading is told when the run ends.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    # Errors reach the user through exceptions, without the tracebacks of Beam's threads.
    logging.basicConfig(level=logging.CRITICAL)


def _add_job(
    commands: "argparse._SubParsersAction[_Parser]",
    name: str,
    help_text: str,
    description: str,
    status: str,
) -> argparse.ArgumentParser:
    """Adds a command that takes the flags of `embed`, and Beam's."""
    parser = commands.add_parser(
        name,
        help=help_text,
        description=description,
        usage=f"{_PROGRAM} {name} --input PATH ... --output DIR [options] [Beam options]\n"
        f"       {_PROGRAM} {name} --manifest FILE ... --output DIR [options] [Beam options]",
        epilog=(
            "Beam options are passed on, as --direct_num_workers=4 (threads) or"
            f" --direct_running_mode=multi_processing.\n\n{status}"
        ),
    )
    add_embed_flags(parser)
    return parser


def _parser() -> tuple[argparse.ArgumentParser, list[str]]:
    """Returns the parser and the flags of the commands in `_JOBS`."""
    parser = _Parser(prog=_PROGRAM, description=_DESCRIPTION, epilog=_STATUS)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    jobs = [_add_job(commands, name, *texts) for name, texts in _JOBS.items()]
    own_flags = [flag for action in jobs[0]._actions for flag in action.option_strings]
    export = commands.add_parser(
        "export-model",
        help="VGGish as a SavedModel with the hub's signature",
        description="Writes VGGish as a TF2 SavedModel: a waveform, float32 [num_samples], mono,"
        " 16 kHz, of any length, gives float32 [num_rows, 128].",
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
        "--seed", type=natural, default=0, help="of the random weights, 0 or more (default: 0)"
    )
    demo = commands.add_parser(
        "demo",
        help="a small corpus made and embedded, to see it work",
        description="Synthesises a corpus with one broken file, embeds it, and shows how to read"
        " the records. Where the model's hub cannot be reached it uses untrained weights.",
    )
    demo.add_argument(
        "--output", default="demo-output", metavar="DIR", help="folder (default: demo-output)"
    )
    demo.add_argument(
        "--model", default=settings.DEFAULT_MODEL, help="as for embed (default: %(default)s)"
    )
    demo.add_argument(
        "--quiet", action="store_true", help="do not show how far the job is while it runs"
    )
    for command in (export, demo):
        command.add_argument(
            "--verbose", action="store_true", help="show the log of Beam and TensorFlow as well"
        )
    return parser, own_flags
