"""What is where on storages: by its exact path, by how paths begin, by a glob."""

import re
import warnings
from collections.abc import Iterator

from apache_beam.io.filesystem import FileSystem

from transforms.corpus import listing
from transforms.corpus.listing import Found
from transforms.storage.choosing import store_of


def size_or_none(path: str) -> int | None:
    """Returns the size of an object, or None where none has exactly this path."""
    try:
        return store_of(path).size(path)
    except FileNotFoundError:
        return None


def below(prefix: str) -> Iterator[Found]:
    """Yields the objects whose path begins so, as the storage gives them."""
    for each in store_of(prefix).list_below(prefix):
        yield Found(each.uri, each.num_bytes)


def matches(pattern: str) -> Iterator[Found]:
    """Yields the objects that match a glob, as the storage gives them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # Python warns of "[[" in Beam's expression
        # Beam's `**/` wants a folder in its place, everybody else's may stand for none.
        matchers = [
            re.compile(FileSystem.translate_pattern(each))
            for each in {pattern, pattern.replace("**/", "")}
        ]
    for found in below(listing.GLOB_CHARACTERS.split(pattern, maxsplit=1)[0]):
        if any(matcher.match(found.path) for matcher in matchers):
            yield found
