"""What a storage does for the program, and what it raises."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from transforms.storage.ranges import WHOLE_BYTES


class NoBucketError(FileNotFoundError):
    """There is no such bucket."""


@dataclasses.dataclass(frozen=True)
class Listed:
    """An object in a listing.

    Attributes:
      uri: Of the object.
      num_bytes: Its size.
    """

    uri: str
    num_bytes: int


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a storage says of an object without giving it.

    Attributes:
      num_bytes: Its size.
      version: Another one for other content; empty where the storage does not say.
      crc32c: Of the content, in base64 of its four bytes; empty where the storage has none.
    """

    num_bytes: int
    version: str = ""
    crc32c: str = ""


class Store(Protocol):
    """A storage.

    All may be repeated after a fault, and are, where that may help. All raise `OSError`, of which
    `FileNotFoundError` for what is not there, `NoBucketError` for a bucket, and `PermissionError`.
    """

    def open(self, uri: str, whole_bytes: int = WHOLE_BYTES) -> BinaryIO:
        """Opens an object to read, see `ranges.open_ranges`."""

    def size(self, uri: str) -> int:
        """Returns an object's size in bytes."""

    def look_up(self, uri: str) -> Facts:
        """Returns what the storage says of an object."""

    def list_below(self, prefix: str) -> Iterator[Listed]:
        """Yields all objects whose uri begins so, as the storage gives them."""

    def upload(self, uri: str, file: BinaryIO, num_bytes: int) -> None:
        """Makes an object of a file that can seek, or replaces it; at once or not at all."""

    def move(self, source: str, target: str) -> None:
        """Renames an object; a source that is gone while the target is there was renamed before."""

    def delete(self, uri: str) -> None:
        """Deletes an object; one that is not there is no error."""


def move_by_copy(store: Store, copy: Callable[[], None], source: str, target: str) -> None:
    """Renames an object on a storage that can only copy, see `Store.move`."""
    try:
        copy()
    except NoBucketError:
        raise
    except FileNotFoundError as gone:
        try:
            store.size(target)
        except FileNotFoundError:
            raise gone from None
    store.delete(source)


def split_uri(uri: str) -> tuple[str, str]:
    """Returns bucket and object of a uri; both may be empty.

    Raises:
      OSError: It is not valid Unicode, as the names of objects are.
    """
    try:
        uri.encode()
    except UnicodeEncodeError as error:
        raise FileNotFoundError(f"{uri!a} is not valid Unicode, as names of objects are") from error
    bucket, _, name = uri.partition("://")[2].partition("/")
    return bucket, name


_RANGE = re.compile(r"bytes (\d+)-(-?\d+)/(\d+)")


def parse_content_range(text: str) -> tuple[int, int, int] | None:
    """Returns first byte, end (exclusive) and total of a `Content-Range`; None for another."""
    match = _RANGE.fullmatch(text.strip())
    return None if match is None else (int(match[1]), int(match[2]) + 1, int(match[3]))
