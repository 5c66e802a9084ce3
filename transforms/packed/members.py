"""The members of archives: their listing, and their opening one after the other."""

import contextlib
import functools
import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO, NamedTuple

from transforms.packed import tar, zip
from transforms.packed.address import TAR, Place, compression_of
from transforms.packed.sources import (
    MEMORY_BYTES,
    UNIT_BYTES,
    UNIT_MEMBERS,
    DamagedShardError,
    Flaw,
    Source,
    Window,
    buffered,
    fail,
    open_source,
)
from transforms.packed.zip import ZipMember
from transforms.storage import files

# Larger members of compressed archives are refused: they are kept on disk while they are decoded.
_MAX_SPOOLED_BYTES = 4 * 2**30
_COPY_BYTES = 2**20

Open = Callable[[], AbstractContextManager[BinaryIO]]
"""Opens a recording, seekable; raises `OSError`."""


class Member(NamedTuple):
    """A member of an archive.

    Attributes:
      name: Its name.
      place: Its place.
      problem: Why it cannot be read; empty if it can.
      read: Returns its first bytes, up to a number, before the next member is requested; raises
        `OSError`.
    """

    name: str
    place: Place
    problem: str
    read: Callable[[int], bytes]


def list_archive(kind: str, shard: str) -> Iterator[Member | Flaw]:
    """Yields the members of a tar or zip archive, and its flaws.

    Raises:
      OSError: It cannot be opened.
    """
    if kind == TAR:
        with open_source(shard) as source:
            yield from _list_tar(source)
        return
    with files.open_to_read(shard, in_parts=True) as file:
        try:
            for member in zip.read_members(file):
                place = Place(
                    member.start // UNIT_BYTES, member.start, member.packed_bytes, member.num_bytes
                )
                yield Member(
                    member.name, place, member.problem, functools.partial(_read_zip, file, member)
                )
        except DamagedShardError as error:
            yield Flaw(str(error))


def is_seekable(kind: str, shard: str) -> bool:
    """Returns whether a part of a member can be read without what comes before it."""
    return kind == TAR and compression_of(shard) is None


def open_members(kind: str, shard: str, places: Sequence[Place]) -> Iterator[Open]:
    """Yields what opens each of some members of an archive, before the next one is requested.

    Args:
      kind: The kind of the archive.
      shard: Its path or URL.
      places: Places of the members, ascending. All members of a compressed archive are read in one
        pass.
    """
    if kind == TAR and compression_of(shard) is not None:
        yield from _open_streamed(shard, places)
        return
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(files.open_to_read(shard, in_parts=True))
        except OSError as error:
            for _ in places:
                yield functools.partial(fail, error)
            return
        for place in places:
            if kind == TAR:
                yield functools.partial(_window, file, place)
            else:
                member = ZipMember("", place.start, place.packed_bytes, place.num_bytes)
                yield functools.partial(zip.open_member, file, member)


def _list_tar(source: Source) -> Iterator[Member | Flaw]:
    number = 0
    for found in tar.read_members(source):
        if isinstance(found, Flaw):
            yield found
            continue
        if source.num_bytes is None:
            place = Place(number // UNIT_MEMBERS, number, found.num_bytes, found.num_bytes)
        else:
            unit = found.start // UNIT_BYTES
            place = Place(unit, found.start, found.num_bytes, found.num_bytes)
        yield Member(found.name, place, found.problem, functools.partial(_read, source, found))
        number += 1


def _read(source: Source, member: tar.TarMember, num_bytes: int) -> bytes:
    return source.read(min(num_bytes, member.num_bytes))


def _read_zip(file: BinaryIO, member: ZipMember, num_bytes: int) -> bytes:
    with zip.open_member(file, member) as opened:
        return opened.read(num_bytes)


def _window(file: BinaryIO, place: Place) -> BinaryIO:
    if place.num_bytes <= UNIT_BYTES:  # decoders read in small pieces, forwards and backwards
        file.seek(place.start)
        data = file.read(place.num_bytes)
        if len(data) == place.num_bytes:
            return io.BytesIO(data)
    return buffered(Window(file, place.start, place.num_bytes))


def _open_streamed(shard: str, places: Sequence[Place]) -> Iterator[Open]:
    """Yields the members of a compressed tar archive, in one pass."""
    wanted = iter(places)
    place = next(wanted, None)
    error = OSError("the archive was replaced: it has no such member any more")
    with contextlib.ExitStack() as stack:
        try:
            source = stack.enter_context(open_source(shard))
            number = -1
            for found in tar.read_members(source) if place else ():
                if isinstance(found, Flaw):
                    error = OSError(found.message)
                    continue
                number += 1
                if place is None or number != place.start:
                    continue
                with _Spooled(source, found.num_bytes) as spooled:
                    while place is not None and place.start == number:
                        yield spooled.open
                        place = next(wanted, None)
                if place is None:
                    return
        except OSError as opening_error:
            error = opening_error
    while place is not None:
        yield functools.partial(fail, error)
        place = next(wanted, None)


class _Spooled:
    """The content of a member of a compressed archive, read when it is first opened."""

    def __init__(self, source: Source, num_bytes: int) -> None:
        self._source = source
        self._num_bytes = num_bytes
        self._data: bytes | None = None
        self._file: BinaryIO | None = None
        self._error: OSError | None = None

    def __enter__(self) -> "_Spooled":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def open(self) -> BinaryIO:
        if self._error is not None:
            raise self._error
        if self._data is None and self._file is None:
            try:
                self._spool()
            except OSError as error:
                self._error = error
                raise
        if self._data is not None:
            return io.BytesIO(self._data)
        assert self._file is not None
        return buffered(Window(self._file, 0, self._num_bytes))

    def _spool(self) -> None:
        if self._num_bytes > _MAX_SPOOLED_BYTES:
            raise OSError(
                f"a member of {self._num_bytes} bytes in a compressed archive (allowed: up to"
                f" {_MAX_SPOOLED_BYTES}; decompress the archive)"
            )
        if self._num_bytes <= MEMORY_BYTES:
            data = self._source.read(self._num_bytes)
            num_bytes = len(data)
            if num_bytes == self._num_bytes:
                self._data = data
        else:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `__exit__`
            num_bytes = 0
            while part := self._source.read(min(_COPY_BYTES, self._num_bytes - num_bytes)):
                self._file.write(part)
                num_bytes += len(part)
        if num_bytes < self._num_bytes:
            raise OSError(f"the archive is truncated: {num_bytes} of {self._num_bytes} bytes")
