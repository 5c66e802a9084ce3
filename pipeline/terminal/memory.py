"""Errors that mean that the memory ran out, in the words of those who raise them."""

import re

ADVICE = (
    "use fewer threads or processes (--direct_num_workers=1), a machine or container with more"
    " memory, or a higher limit (ulimit -v)"
)
# Unindented lines of a traceback, so no source code: the types of Python, numpy and TensorFlow, and
# the words of C++, the operating system and its loader.
_ERROR = re.compile(
    r"^(?:RuntimeError: )?(?:[\w.]+\.)?(?:_Array)?(?:MemoryError|ResourceExhaustedError)(?::|$| \[)"
    r"|^[\w.]+(?:Error|Exception|Errors?Impl): .*(?:\[Errno 12\]|OOM when allocating|std::bad_alloc"
    r"|failed to map segment from shared object|can't start new thread"
    r"|[Cc]annot allocate memory|Unable to allocate [\d.]+ \wiB)"
    r"|^terminate called after throwing an instance of 'std::bad_alloc'"
)
_MAX_SHOWN = 300


def explanation(text: str) -> str | None:
    """Returns that memory ran out and what to do, if the text of an error says so."""
    for line in reversed(text.splitlines()):
        if _ERROR.search(line):
            return f"out of memory ({line.strip()[:_MAX_SHOWN]}): {ADVICE}"
    return None
