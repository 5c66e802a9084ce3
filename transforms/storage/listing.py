"""Listings of storages: a file by its exact path, files by prefix, files by glob."""

import re
import warnings
from collections.abc import Iterator

from transforms.storage.choosing import store_of
from transforms.storage.globs import glob_prefix
from transforms.storage.store import FileInfo


def info_or_none(path: str) -> FileInfo | None:
    """Returns what the storage says of a file, or None where none has exactly this path."""
    try:
        return store_of(path).info(path)
    except FileNotFoundError:
        return None


def files_below(folder: str) -> Iterator[FileInfo]:
    """Yields all files below a folder, in the storage's order."""
    prefix = folder.rstrip("/") + "/"
    return store_of(prefix).list_prefix(prefix)


def files_matching(pattern: str) -> Iterator[FileInfo]:
    """Yields the files that match a glob, in the storage's order."""
    from apache_beam.io.filesystem import FileSystem  # takes a second

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # Python warns of "[[" in Beam's expression
        # Beam's `**/` stands for at least one folder, everybody else's also for none.
        matchers = [
            re.compile(FileSystem.translate_pattern(each))
            for each in {pattern, pattern.replace("**/", "")}
        ]
    prefix = glob_prefix(pattern)
    for info in store_of(prefix).list_prefix(prefix):
        if any(matcher.match(info.path) for matcher in matchers):
            yield info
