"""Glob patterns: `*`, `?` and `[`, with `**` for any number of folders."""

import re

_SPECIAL = re.compile(r"[*?\[]")


def is_glob(path: str) -> bool:
    """Tells whether a path has characters that are special in a glob."""
    return _SPECIAL.search(path) is not None


def quote_glob(path: str) -> str:
    """Returns the glob that matches exactly this path."""
    return _SPECIAL.sub(lambda character: f"[{character[0]}]", path)


def loosen_glob(path: str) -> str:
    """Returns a path with `?` for each special character: a glob that matches it, for Beam."""
    return _SPECIAL.sub("?", path)


def glob_prefix(pattern: str) -> str:
    """Returns the part of a glob before its first special character."""
    return _SPECIAL.split(pattern, maxsplit=1)[0]


def glob_root(pattern: str) -> str:
    """Returns the folder of a glob: all before the segment with its first special character."""
    before = glob_prefix(pattern)
    return before[: before.rfind("/") + 1]
