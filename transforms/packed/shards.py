"""Packed files of any kind: the places of their members, and the opening of these."""

from collections.abc import Iterator, Sequence

from transforms.packed import members
from transforms.packed.address import Place
from transforms.packed.members import Member, Open


def list_places(kind: str, shard: str) -> Iterator[tuple[str, Place, str]]:
    """Yields name, place and problem of each member that can be reached.

    Raises:
      OSError: The file cannot be opened.
    """
    for found in members.list_archive(kind, shard):
        if isinstance(found, Member):
            yield normal_name(found.name), found.place, found.problem


def open_members(kind: str, shard: str, places: Sequence[Place]) -> Iterator[Open]:
    """Yields what opens each of some members, see `members.open_members`."""
    yield from members.open_members(kind, shard, places)


def is_seekable(kind: str, shard: str) -> bool:
    """Tells whether members can be read from the middle, and several at the same time."""
    return members.is_seekable(kind, shard)


def normal_name(name: str) -> str:
    """Returns the name of a member without what does not tell it from others: `./` and `/`."""
    while name.startswith("./"):
        name = name[2:]
    return name.lstrip("/")
