"""Why a job failed, in words: from Java's stack traces, which runners give as the cause."""

import re

# An error of Python that Java has wrapped: up to Java's own frames.
_PYTHON = re.compile(
    r"Traceback \(most recent call last\):.*?(?=^\tat |^Caused by: |\Z)", re.M | re.S
)
_FRAME = re.compile(r"^[ \t]*(?:at \S+\(.*\)|\.\.\. \d+ more)[ \t\r]*$", re.M)
# `java.lang.Exception: text`, and the same text again for each exception around it.
_PACKAGE = re.compile(r"\b(?:[a-z]\w*\.){2,}(?=[A-Z])")
_MAX_SHOWN = 400
# Of texts that are given as they are. The beginning says what has failed, and the end says why.
_MAX_GIVEN = 8_000

_REMEDIES = (
    (
        re.compile(r"Insufficient number of network buffers: ([^.\n]*)"),
        "Flink has too few network buffers ({}): set taskmanager.network.sort-shuffle"
        ".min-parallelism: 1000 in the configuration of the task managers (Flink 2:"
        " taskmanager.network.sort-shuffle.min-buffers: 16), else each output of a step takes"
        " 16 MB; or raise taskmanager.memory.network.max",
    ),
    (
        re.compile(r'Cannot run program "([^"\n]*)"'),
        "a task manager cannot run {}, which starts workers: it has to be executable on the machine"
        " or in the image of every task manager; see --environment_type and --environment_config",
    ),
    (
        re.compile(r"Process died with exit code (\d+)"),
        "the program that starts workers ended with exit status {}: see the task manager's log",
    ),
    (
        re.compile(r"NoResourceAvailableException"),
        "Flink found no free slots for the job in time (slot.request.timeout, by default 5"
        " minutes): other jobs use them, or task managers were lost; lower --parallelism, or start"
        " more task managers",
    ),
)
_UNREACHABLE = re.compile(
    r"(?:Connection refused|No route to host|connection timed out)[^\n]*?: \S+$"
    r"|Unable to resolve host \S+",
    re.M,
)
_LOST = (
    re.compile(r"Heartbeat of TaskManager with id (\S+) timed out"),
    re.compile(r"TaskManager with id (\S+?)(?:\([^)]*\))? is no longer reachable"),
    re.compile(r"remote task manager '(?:[^'\[]*\[ ?)?([^\]\s']+)"),
    re.compile(r"Could not connect to rpc endpoint under address \S*?//\S*?@([^/\s]+)"),
)


def is_java(text: str) -> bool:
    """Returns whether the text of an error has frames of Java."""
    return _FRAME.search(text) is not None


def explanation(text: str, pool: str = "") -> str:
    """Returns what a user should read of the cause that a runner reports.

    Args:
      text: The runner's text, such as a stack trace of Java, with an error of Python inside where a
        worker has raised one.
      pool: The address of the worker pool, or an empty text.
    """
    if error := _PYTHON.search(text):
        return _given(error[0].rstrip())
    if words := _known(text, pool):
        return words
    if not is_java(text):
        return _given(text.strip())
    chain = re.split(r"^Caused by: ", _FRAME.sub("", text), flags=re.M)
    first, last = (_short(" ".join(each.split())) for each in (chain[0], chain[-1]))
    return first if last in first else f"{first}; the first cause: {last}"


def lost_task_manager(text: str) -> str:
    """Returns the name of the task manager whose loss an exception of Flink reports, or nothing."""
    for pattern in _LOST:
        if found := pattern.search(text):
            return _short(found[1].strip("'.,"))
    return ""


def _known(text: str, pool: str) -> str:
    """Returns the words for a cause that has a remedy."""
    for pattern, words in _REMEDIES:
        if found := pattern.search(text):
            return words.format(*map(_short, found.groups()))
    if "BeamFnExternalWorkerPool" in text and "UNAVAILABLE" in text:
        address = _UNREACHABLE.search(text)
        where = f" ({_short(address[0])})" if address else ""
        if not pool:
            return (
                f"a task manager cannot reach the workers in this process{where}: LOOPBACK is for"
                " task managers on this machine, use --environment_type=EXTERNAL or PROCESS"
            )
        return (
            f"a task manager cannot reach the worker pool --environment_config={pool}{where}: start"
            " a pool beside each task manager, or use the address at which task managers reach"
            " theirs"
        )
    if pool and text.endswith("Connection refused") and not is_java(text):
        # All that a job server may tell; this machine cannot know the address that was refused.
        return f"{_short(text)}; see whether task managers reach the worker pool {pool}"
    if "No client connected within timeout" in text:
        return (
            "a worker was started and has not connected within 3 minutes: it could not start (see"
            " the log of its pool), was killed, or another task manager that shares the pool"
            f"{f' {pool}' if pool else ''} has stopped it"
        )
    if name := lost_task_manager(text):
        return (
            f"the task manager {name} was lost, and Flink's restart-strategy allows no more tries"
        )
    return ""


def _short(text: str) -> str:
    """Returns a text without the packages of Java's classes, cut where it is too long."""
    text = _PACKAGE.sub("", text[: 10 * _MAX_SHOWN])
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _given(text: str) -> str:
    """Returns a text without its middle, where it is too long."""
    half = _MAX_GIVEN // 2
    if len(text) <= 2 * half:
        return text
    return f"{text[:half]}\n… {len(text) - 2 * half:,} more characters …\n{text[-half:]}"
