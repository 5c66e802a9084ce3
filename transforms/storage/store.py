"""The interface of a storage backend, and what backends share."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from transforms.storage.ranges import WHOLE_BYTES


class NoBucketError(FileNotFoundError):
    """There is no such bucket."""


class ConflictError(OSError):
    """A file is not in the state that an upload requires: another program has written it."""


@dataclasses.dataclass(frozen=True, order=True)
class FileInfo:
    """What a storage says of a file without sending it.

    Attributes:
      path: Path of the file, with its scheme.
      num_bytes: Its size.
      version: Differs between contents (a generation, an ETag); empty where the storage has none,
        and in listings.
      crc32c: Checksum of the content, base64 of its four bytes; empty where the storage has none,
        and in listings.
      modified_seconds: When it was written, by the storage's own clock, in seconds since 1970; 0
        where the storage does not say, and in listings.
    """

    path: str
    num_bytes: int
    version: str = ""
    crc32c: str = ""
    modified_seconds: float = dataclasses.field(default=0.0, compare=False)


class Store(Protocol):
    """A storage backend.

    Every method is safe to repeat, and retries what may pass. Each raises `OSError`, of which
    `FileNotFoundError` for an absent file, `NoBucketError` for an absent bucket, and
    `PermissionError`.
    """

    def open(self, uri: str, whole_bytes: int = WHOLE_BYTES) -> BinaryIO:
        """Opens a file for reading, see `ranges.open_ranges`."""

    def info(self, uri: str) -> FileInfo:
        """Returns what the storage says of a file."""

    def list_prefix(self, prefix: str) -> Iterator[FileInfo]:
        """Yields all files whose uri begins with a prefix, in the storage's order."""

    def upload(self, uri: str, file: BinaryIO, num_bytes: int, replaces: str | None = None) -> None:
        """Creates or replaces a file from a seekable one, completely or not at all.

        Args:
          uri: The file to write.
          file: What to write.
          num_bytes: Size of `file`.
          replaces: The version that the file must have, empty for an absent one; None for any.

        Raises:
          ConflictError: The file has another version. A repeated request may find its own.
        """

    def move(self, source: str, target: str) -> None:
        """Renames a file; an absent source whose target exists counts as renamed before."""

    def delete(self, uri: str) -> None:
        """Deletes a file; an absent one is no error."""


def move_by_copy(store: Store, copy: Callable[[], None], source: str, target: str) -> None:
    """Renames a file on a storage that can only copy, see `Store.move`."""
    try:
        copy()
    except NoBucketError:
        raise
    except FileNotFoundError as absent:
        try:
            store.info(target)
        except FileNotFoundError:
            raise absent from None
    store.delete(source)


def split_uri(uri: str) -> tuple[str, str]:
    """Returns bucket and object name of a uri; both may be empty.

    Raises:
      FileNotFoundError: The uri is not valid Unicode, so no object has this name.
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
