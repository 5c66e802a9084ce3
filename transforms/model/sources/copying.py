"""From a storage that is not this machine's to a folder on it."""

import base64
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from transforms.model.errors import ModelError
from transforms.model.sources.caching import require_disk_space
from transforms.model.sources.writing import MAX_BYTES, MAX_FILES, Writer


@dataclasses.dataclass(frozen=True, order=True)
class StoredFile:
    """What a storage says of a file without giving it.

    Attributes:
      size: In bytes.
      version: Changes with the contents: a checksum, an ETag, a generation.
      crc32c: Of the contents, in base64 of its four bytes; empty where the storage has none.
    """

    size: int
    version: str = ""
    crc32c: str = ""


@dataclasses.dataclass(frozen=True)
class RemoteFiles:
    """How files on storages are read. Each raises OSError where it cannot.

    Attributes:
      names_below: From a folder's path to the names of the files in it and below, as `a`, `b/c`.
      look_up: From a file's path to what the storage says of it.
      open_to_read: From a file's path to its contents.
    """

    names_below: Callable[[str], Sequence[str]]
    look_up: Callable[[str], StoredFile]
    open_to_read: Callable[[str], BinaryIO]


def stored_files(folder: str, remote: RemoteFiles) -> dict[str, StoredFile]:
    """Returns the files of a SavedModel on a storage, by name.

    Raises:
      ModelError: There is no SavedModel, or too much.
      OSError: The storage cannot be read.
    """
    # Object storages keep empty objects in the place of folders.
    names = [name for name in remote.names_below(folder) if name and not name.endswith("/")]
    if "saved_model.pb" not in names:
        raise ModelError(f"the folder {folder!r} holds no saved_model.pb")
    if len(names) > MAX_FILES:
        raise ModelError(f"{folder} holds more than {MAX_FILES} files")
    files = {name: remote.look_up(f"{folder}/{name}") for name in sorted(names)}
    if sum(file.size for file in files.values()) > MAX_BYTES:
        raise ModelError(f"{folder} holds more than {MAX_BYTES} bytes")
    return files


def copy_files(
    source: str, files: Mapping[str, StoredFile], folder: Path, remote: RemoteFiles
) -> None:
    """Copies files of a storage, and checks that they arrived as they are.

    Args:
      source: Folder on the storage.
      files: What to copy, by name.
      folder: A new one.
      remote: Reads the storage.

    Raises:
      ModelError: A file did not arrive whole, it changed meanwhile, or the disk is full.
      OSError: The storage cannot be read, or the disk cannot be written.
    """
    with require_disk_space(sum(file.size for file in files.values()), folder.parent, source):
        writer = Writer(folder, source)
        for name, expected in files.items():
            path = f"{source}/{name}"
            checksum = google_crc32c.Checksum()
            with remote.open_to_read(path) as file:
                size = writer.write(name, file, checksum.update)
            if size != expected.size:
                raise ModelError(f"{path} came as {size} bytes, its storage says {expected.size}")
            found = base64.b64encode(checksum.digest()).decode()
            if expected.crc32c not in ("", found):
                raise ModelError(
                    f"{path} came with the CRC32C {found}, its storage says {expected.crc32c}"
                )
            if remote.look_up(path) != expected:
                raise ModelError(f"{path} changed while it was read")
