"""What the user is told at the end, and the exit status."""

import re
import traceback
from typing import Any

from transforms.corpus.clips import printable
from transforms.dataset.failure_table import failure_table_name

SUCCESS = 0
JOB_BROKE = 1
WRONG_USE = 2
TOO_MANY_FAILED = 3
INTERRUPTED = 130

# Errors of the outside world, whose text is all that a user needs; any other is a bug.
_EXPECTED = (
    "BeamIOError",
    "BlockingIOError",
    "FileExistsError",
    "FileNotFoundError",
    "IncompleteError",
    "IsADirectoryError",
    "JobError",
    "ModelError",
    "NotADirectoryError",
    "OSError",
    "PermissionError",
)
_ERROR_LINE = re.compile(
    r"^(?:RuntimeError: )?(?:\w+\.)*(?P<type>\w*(?:Error|Exception)): (?P<text>.*)$"
)
_STEP = re.compile(r"(?P<text>.*?)(?: \[while running '(?P<step>[^']*)'\])?", re.DOTALL)


def summary(info: dict[str, Any], folder: str, seconds: float) -> str:
    """Returns the text at the end of a run that made a dataset.

    Args:
      info: The parsed `dataset.json`.
      folder: Of the dataset.
      seconds: That the run took.
    """
    counts = info["counts"]
    model = info["model"]
    num_bytes = sum(shard["bytes"] for shard in info["shards"])
    lines = [
        f"clips     {counts['clips']}",
        f"records   {counts['records']}  ({counts['rows']} rows"
        f", {counts['hours']:.3f} h of audio"
        f"{_also(counts['padded_clips'], 'clips padded to one row')}"
        f"{_also(counts['rows_left_out'], 'rows beyond the profile left out')})",
        f"failures  {counts['failures']}{_by_reason(info['failures'])}",
        f"left out  {sum(info['left_out'].values())} files of the folders"
        f"{_by_reason(info['left_out'])}",
        f"speed     {counts['rows'] / seconds:.1f} rows/s over {seconds:.1f} s, start-up included",
        f"dataset   {printable(folder)}/{info['name']}-*.tfrecord"
        f"  ({len(info['shards'])} shards, {num_bytes} bytes)",
        f"failed    {printable(folder)}/{failure_table_name(info['name'])}",
        f"about it  {printable(folder)}/dataset.json",
    ]
    if model["trained"] is False:
        lines.append(
            f"NOTE: the model {printable(model['uri'])} is UNTRAINED (random weights, seed"
            f" {model['untrained_seed']}): these rows mean nothing"
        )
    if model["in_batches"] is False:
        lines.append("NOTE: TensorFlow cannot batch this model's operations: patches go one by one")
    return "\n".join(lines)


def exit_status(info: dict[str, Any], max_failed_ratio: float) -> int:
    """Returns 0, or 3 where more clips failed than is allowed."""
    counts = info["counts"]
    allowed = counts["failures"] <= max_failed_ratio * counts["clips"]
    return SUCCESS if allowed else TOO_MANY_FAILED


def explanation(error: BaseException) -> str:
    """Returns what a user should read of an error that ended the job.

    Engines pass a worker's error on as the text of its traceback, inside an error of their own.
    Where it is one of the outside world, its own words and the step are enough; a bug is given
    whole.
    """
    text = "".join(traceback.format_exception(error))
    for line in reversed(text.splitlines()):
        match = _ERROR_LINE.match(line.strip())
        if match and match["type"] in _EXPECTED:
            step = _STEP.fullmatch(match["text"])
            assert step is not None  # every part of it is optional
            where = f" (in the step {step['step']})" if step["step"] else ""
            return f"{step['text']}{where}"
    return f"this is a bug of the program or of the engine:\n{text.rstrip()}"


def _also(count: int, what: str) -> str:
    return f", {count} {what}" if count else ""


def _by_reason(counts: dict[str, int]) -> str:
    return f"  ({', '.join(f'{count} {why}' for why, count in counts.items())})" if counts else ""
