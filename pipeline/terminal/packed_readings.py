"""How packed files are read, printed before a job that reads them starts."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

from transforms.corpus import packed
from transforms.corpus.clips import Clip, Failure, printable
from transforms.corpus.listing import Shard
from transforms.corpus.manifests import column_names
from transforms.corpus.packed import ReadAs

_MAX_SHOWN = 3
# Of a compressed archive all bytes up to there are decompressed.
_MAX_MEMBERS = 100
_MAX_CHARACTERS = 200
_NOT_READ = "not read: "


@dataclasses.dataclass(frozen=True)
class PackedReading:
    """The beginning of a packed file.

    Attributes:
      shard: The file.
      read_as: What was read as labels, and what was not read.
      first: The first recording; None if none can be read.
      failure: The first failure; None without one.
      is_whole: Whether the whole file was read.
    """

    shard: Shard
    read_as: tuple[str, ...]
    first: Clip | None
    failure: Failure | None
    is_whole: bool


def read_beginning(shard: Shard) -> PackedReading:
    """Reads the beginning of a packed file."""
    read_as: dict[str, None] = {}
    first, failure = None, None
    members = list(itertools.islice(packed.list_shard(shard, _MAX_MEMBERS), _MAX_MEMBERS))
    for found in members:
        if isinstance(found, ReadAs):
            read_as[found.what] = None
        elif isinstance(found, Clip):
            first = first or found
        elif isinstance(found, Failure):
            failure = failure or found
    return PackedReading(shard, tuple(read_as), first, failure, len(members) < _MAX_MEMBERS)


def lines(readings: Sequence[PackedReading]) -> Iterator[str]:
    """Yields what to print of the packed files of a run."""
    for reading in readings[:_MAX_SHOWN]:
        yield f"packed    {_shown(printable(reading.shard.uri))}"
        for what in reading.read_as or ("no labels",):
            is_read = not what.startswith(_NOT_READ)
            yield f"  {_shown(f'read      {what}' if is_read else what.replace(': ', '  ', 1))}"
        yield from _notes(reading.read_as)
        if reading.first is not None:
            labels = ", ".join(reading.first.labels)
            labels = f"labels {labels}" if labels else "no labels"
            yield f"  first     id {_shown(reading.first.id)}; {_shown(labels)}"
        if reading.failure is not None:
            yield f"  NOTE: {_shown(reading.failure.id)}: {_shown(reading.failure.message)}"


def _notes(read_as: Sequence[str]) -> Iterator[str]:
    """Yields notes about columns that seem to ask for something and are not read."""
    texts = [what.removeprefix(_NOT_READ) for what in read_as if what.startswith(_NOT_READ)]
    others = [name for text in texts for name in text.split(", ")]
    kinds = [
        ("a split", column_names.looks_like_split),
        ("times", column_names.looks_like_times),
    ]
    if not any(what.startswith("labels of") for what in read_as):
        kinds.insert(0, ("labels", column_names.looks_like_labels))
    for kind, looks_like in kinds:
        if found := [name for name in others if looks_like(name)]:
            yield (
                f"  NOTE: {_shown(', '.join(found))} may be meant as {kind}, and is not read: of"
                " packed files, whole recordings are read, with the labels of one column"
            )


def _shown(text: str) -> str:
    short = text if len(text) <= _MAX_CHARACTERS else text[:_MAX_CHARACTERS] + "…"
    return short if short.isprintable() else repr(short)
