"""The summary at the end of a run, explanations of errors, and the exit status."""

import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.errors import JobError, JobGoesOnError, RunnerLostError
from pipeline.terminal import console, memory
from transforms.corpus.clips import printable
from transforms.dataset.failure_table import failure_table_name
from transforms.dataset.note_table import note_table_name
from transforms.metrics import run_times

SUCCESS = 0
JOB_BROKE = 1
WRONG_USE = 2
TOO_MANY_FAILED = 3
INTERRUPTED = 130

_MAX_MANIFESTS = 5
# Errors of the outside world, whose message is all that a user needs; any other is a bug.
_EXPECTED = (
    "BeamIOError",
    "BlockingIOError",
    "FileExistsError",
    "FileNotFoundError",
    "IncompleteError",
    "IsADirectoryError",
    "ModelError",
    "NotADirectoryError",
    "OSError",
    "PermissionError",
)
_ERROR_LINE = re.compile(
    r"^(?:RuntimeError: )?(?:\w+\.)*(?P<type>\w*(?:Error|Exception)): (?P<text>.*)$"
)
_BUG = "this is a bug of the program or of the runner"
_TRACEBACK = "Traceback (most recent call last)"
_STEP = re.compile(r"(?P<text>.*?)(?: \[while running '(?P<step>[^']*)'\])?", re.DOTALL)


def summary(info: dict[str, Any], folder: str, seconds: float) -> str:
    """Returns the summary of a run that wrote a dataset.

    Args:
      info: The parsed `dataset.json`.
      folder: The folder of the dataset.
      seconds: The time the run took.
    """
    lines = [*_counts(info), _speed(info, seconds), *_engine(info["model"])]
    lines += [*_times(info["run"]), *_files(info, folder)]
    return "\n".join([*lines, *_manifests(info["manifests"]), *_notes(info)])


def exit_status(info: dict[str, Any], max_failed_ratio: float) -> int:
    """Returns 0, or 3 if more clips failed than allowed."""
    counts = info["counts"]
    allowed = counts["failures"] <= max_failed_ratio * counts["clips"]
    return SUCCESS if allowed else TOO_MANY_FAILED


def explanation(error: BaseException) -> str:
    """Returns the part of an error that a user should read.

    Runners pass on a worker's error as the text of its traceback, inside an error of their own. Of
    an error of the outside world its message and the step are enough; a bug is shown whole.
    """
    text = "".join(traceback.format_exception(error))
    if isinstance(error, JobError):  # the traceback in this process tells nothing
        if _TRACEBACK not in str(error):
            return str(error)
        text = str(error)
    if out_of_memory := memory.explanation(text):
        return out_of_memory
    for line in reversed(text.splitlines()):
        match = _ERROR_LINE.match(line.strip())
        if match and match["type"] in _EXPECTED:
            step = _STEP.fullmatch(match["text"])
            assert step is not None  # every part of it is optional
            where = f" (in the step {step['step']})" if step["step"] else ""
            return f"{step['text']}{where}"
    return f"{_BUG}:\n{text.rstrip()}"


def broke(error: BaseException) -> int:
    """Prints why a job has failed, and returns the exit status."""
    why = explanation(error)
    print(f"error: {why}", file=sys.stderr)
    recent_output = console.recent_output()
    is_here = isinstance(error, RunnerLostError) and not isinstance(error, JobGoesOnError)
    if recent_output and (is_here or is_bug(why)):
        print(f"the last output of libraries:\n{recent_output}", file=sys.stderr)
    return JOB_BROKE


def is_bug(explanation: str) -> bool:
    """Returns whether an `explanation` is that of a bug."""
    return explanation.startswith(_BUG)


def _counts(info: dict[str, Any]) -> list[str]:
    counts = info["counts"]
    damaged = f"damaged clips, {counts['damaged_seconds']:.3f} s of damage"
    return [
        f"clips     {counts['clips']}",
        *_repeats(counts),
        f"records   {counts['records']}  ({counts['rows']} rows"
        f", {counts['hours']:.3f} h of audio"
        f"{_also(counts['padded_clips'], 'clips padded to one row')}"
        f"{_also(counts['truncated_clips'], 'clips truncated by the end of their recording')}"
        f"{_also(counts['rows_skipped'], 'rows beyond --max_rows skipped')}"
        f"{_also(counts['damaged_clips'], damaged)})",
        f"failures  {counts['failures']}{_by_reason(info['failures'])}",
        f"skipped   {sum(info['skipped'].values())} files of the folders"
        f"{_by_reason(info['skipped'])}",
        *(f"packed    {what}: {number}" for what, number in info.get("packed", {}).items()),
    ]


def _repeats(counts: dict[str, int]) -> Iterator[str]:
    """Returns the number of rows that are no clips of their own."""
    if merged := counts["merged_rows"]:
        yield (
            f"merged    {merged} rows with the clip of another row: it has the labels of all"
            " (--same_clip merge_labels)"
        )
    if repeated := counts["repeats"] - merged:
        yield f"repeated  {repeated} rows or files that repeat another one word for word"


def _speed(info: dict[str, Any], seconds: float) -> str:
    rate = info["counts"]["rows"] / seconds
    return f"speed     {rate:.1f} rows/s over {seconds:.1f} s, start-up included"


def _engine(model: dict[str, Any]) -> list[str]:
    """Returns the engine that computed the rows; nothing if there are none."""
    if not model["engine"]:
        return []
    proof = model.get("proof")
    if proof is None:
        return ["engine    TensorFlow"]
    return [
        f"engine    native {model['engine_version']}, within {proof['largest_error']:.1g} of"
        f" TensorFlow's rows on {proof['num_probes']} probes"
    ]


def _files(info: dict[str, Any], folder: str) -> list[str]:
    """Returns the splits and the files of the dataset."""
    parts = info.get("splits", [{"folder": "", "shards": info.get("shards", [])}])
    shards = [shard for part in parts for shard in part["shards"]]
    num_bytes = sum(shard["bytes"] for shard in shards)
    folders = _either([f"{printable(folder)}/{part['folder']}".rstrip("/") for part in parts])
    return [
        *(
            f"split     {part['folder']}: {part['counts']['records']} records,"
            f" {part['counts']['failures']} failures"
            for part in info.get("splits", ())
        ),
        f"dataset   {folders}/{info['name']}-*.tfrecord"
        f"  ({len(shards)} shard{'s' * (len(shards) != 1)}, {num_bytes} bytes)",
        f"failed    {folders}/{failure_table_name(info['name'])}",
        *(
            [f"notes     {folders}/{note_table_name(info['name'])}"]
            if info["audio"]["damaged"] == "keep" or info["counts"]["notes"]
            else []
        ),
        f"metadata  {printable(folder)}/dataset.json",
    ]


def _manifests(manifests: Sequence[dict[str, Any]]) -> list[str]:
    lines = [
        f"manifest  {each['uri']}: {each['num_rows']} rows of {each['format']}, {each['encoding']};"
        f" read: {' '.join(each['columns'])}"
        f"{_listed('not read:', each['other_columns'])}"
        f"{_listed('labels separated by', list(filter(None, [each['label_separator']])))}"
        f"{''.join(f'; {note}' for note in each['notes'])}"
        for each in manifests[:_MAX_MANIFESTS]
    ]
    if more := manifests[_MAX_MANIFESTS:]:
        lines.append(f"          and {len(more)} more manifests: see dataset.json")
    return lines


def _notes(info: dict[str, Any]) -> Iterator[str]:
    model = info["model"]
    if number := info["counts"]["labels_dropped"]:
        yield f"NOTE: {number} labels are not in the class map: dropped"
    if model["trained"] is False:
        yield (
            f"NOTE: the model {printable(model['uri'])} is UNTRAINED (random weights, seed"
            f" {model['untrained_seed']}): these rows mean nothing"
        )
    if error := model.get("bfloat16_error"):
        yield f"NOTE: rows were computed in bfloat16: {_error_of_bfloat16(error)}"
    if model["in_batches"] is False:
        yield "NOTE: TensorFlow cannot batch this model's operations: patches go one by one"
    if why := _why_bits_differ(model):
        yield f"NOTE: {why}: the last bits of a row may differ where it is computed again"


def _times(run: dict[str, Any]) -> list[str]:
    """Returns the time of each step, and the step that bounded the run."""
    if not run["steps"]:
        return []
    labels = {run_times.STARTING: f"starting {run.get('worker_starts', 0)} workers"}
    steps = (
        f"{labels.get(step, step)} {each['seconds']:.1f} s" for step, each in run["steps"].items()
    )
    bound = run["bounded_by"]
    busy = ": busy" if bound == run_times.MODEL else ":"
    return [
        f"time      {', '.join(steps)}",
        f"bound by  {bound}{busy} {run['steps'][bound]['share']:.0%} of {run['seconds']:.1f} s,"
        " without the runner's start-up",
    ]


def _why_bits_differ(model: dict[str, Any]) -> str:
    """Returns what the bits of a row depend on besides its patch; nothing by default."""
    if model["rows_depend_on_position"]:
        return "on these CPUs rows depend on their place in the model's batch"
    if isinstance(model["batch_rows"], list) or isinstance(model["onednn"], list):
        return "the workers' CPUs differ, and compute rows differently"
    return ""


def _error_of_bfloat16(error: dict[str, Any]) -> str:
    if error["mean"] is None:
        return "how far they are from float32 could not be measured on so few rows"
    return (
        f"their values are off float32 by {error['mean']:.2%} of the spread between rows in the"
        f" mean, {error['largest']:.1%} at most ({error['rows_compared']} rows compared)"
    )


def _also(count: int, what: str) -> str:
    return f", {count} {what}" if count else ""


def _listed(what: str, items: Sequence[str]) -> str:
    return f"; {what} {' '.join(items)}" if items else ""


def _either(folders: Sequence[str]) -> str:
    """Returns one path, or a shell pattern of several."""
    if len(folders) == 1:
        return folders[0]
    above = folders[0].rpartition("/")[0]
    return f"{above}/{{{','.join(folder.rpartition('/')[2] for folder in folders)}}}"


def _by_reason(counts: dict[str, int]) -> str:
    return f"  ({', '.join(f'{count} {why}' for why, count in counts.items())})" if counts else ""
