"""Packed files of any kind: the places of their members, and the opening of these."""

from collections.abc import Iterator, Sequence

from transforms.packed import members, parquet, tfrecord
from transforms.packed.address import PARQUET, TFRECORD, Place
from transforms.packed.columns import Layout, NoAudioError, Row
from transforms.packed.members import Member, Open
from transforms.packed.sources import DamagedShardError, Flaw

_OF_ROWS = {PARQUET: parquet, TFRECORD: tfrecord}


def list_rows(kind: str, shard: str) -> Iterator[Layout | Row | Flaw]:
    """Yields what is read of a Parquet or TFRecord file, its rows, and its damage.

    Raises:
      NoAudioError: The file holds no audio.
      OSError: It cannot be opened.
    """
    yield from _OF_ROWS[kind].list_rows(shard)


def list_places(kind: str, shard: str) -> Iterator[tuple[str, Place, str]]:
    """Yields name, place and problem of each member that can be reached.

    Raises:
      OSError: The file cannot be opened, or holds no audio.
    """
    if kind not in _OF_ROWS:
        for found in members.list_archive(kind, shard):
            if isinstance(found, Member):
                yield normal_name(found.name), found.place, found.problem
        return
    try:
        for row in list_rows(kind, shard):
            if isinstance(row, Row):
                yield row.name, row.place, row.problem
    except NoAudioError as error:
        raise DamagedShardError(str(error)) from error


def open_members(kind: str, shard: str, places: Sequence[Place]) -> Iterator[Open]:
    """Yields what opens each of some members, before the next one is requested.

    Args:
      kind: The kind of the packed file.
      shard: Its path or URL.
      places: Places of the members, ascending.
    """
    if kind in _OF_ROWS:
        yield from _OF_ROWS[kind].open_rows(shard, places)
    else:
        yield from members.open_members(kind, shard, places)


def is_seekable(kind: str, shard: str) -> bool:
    """Tells whether members can be read from the middle, and several at the same time."""
    return members.is_seekable(kind, shard)


def normal_name(name: str) -> str:
    """Returns the name of a member without what does not tell it from others: `./` and `/`."""
    while name.startswith("./"):
        name = name[2:]
    return name.lstrip("/")
