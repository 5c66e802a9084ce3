"""SavedModels copied from a storage to a folder on this machine."""

import base64
from collections.abc import Mapping
from pathlib import Path

import google_crc32c

from transforms.model.errors import ModelError
from transforms.model.sources.caching import require_disk_space
from transforms.model.sources.writing import MAX_BYTES, MAX_FILES, Writer
from transforms.storage import files
from transforms.storage.store import FileInfo


def list_model(folder: str) -> dict[str, FileInfo]:
    """Returns the files of a SavedModel on a storage, by name.

    Raises:
      ModelError: There is no SavedModel, or it has too many files.
      OSError: The storage cannot be read.
    """
    # Object storages keep empty objects in the place of folders.
    names = [name for name in files.list_names(folder) if name and not name.endswith("/")]
    if "saved_model.pb" not in names:
        raise ModelError(f"the folder {folder!r} holds no saved_model.pb")
    if len(names) > MAX_FILES:
        raise ModelError(f"{folder} holds more than {MAX_FILES} files")
    infos = {name: files.info(f"{folder}/{name}") for name in sorted(names)}
    return infos


def check_size(source: str, infos: Mapping[str, FileInfo], max_bytes: int) -> None:
    """Refuses files that are larger together than a limit.

    Raises:
      ModelError: They are.
    """
    num_bytes = sum(info.num_bytes for info in infos.values())
    if num_bytes > max_bytes:
        raise ModelError(
            f"{source} holds {num_bytes} bytes (allowed: {max_bytes}; --max_model_bytes allows"
            " more)"
        )


def copy_files(
    source: str, infos: Mapping[str, FileInfo], folder: Path, max_bytes: int = MAX_BYTES
) -> None:
    """Copies files from a storage, and checks that they arrived unchanged.

    Args:
      source: Folder on the storage.
      infos: The files to copy, by name below it.
      folder: A new one.
      max_bytes: Limit of their size together.

    Raises:
      ModelError: A file arrived incomplete, it changed meanwhile, or the disk is full.
      OSError: The storage cannot be read, or the disk cannot be written.
    """
    num_bytes = sum(info.num_bytes for info in infos.values())
    with require_disk_space(num_bytes, folder.parent, source):
        writer = Writer(folder, source, max_bytes)
        for name, expected in infos.items():
            path = f"{source}/{name}"
            checksum = google_crc32c.Checksum()
            with files.open_to_read(path) as file:
                num_copied = writer.write(name, file, checksum.update)
            if num_copied != expected.num_bytes:
                raise ModelError(
                    f"{path} came as {num_copied} bytes, its storage says {expected.num_bytes}"
                )
            found = base64.b64encode(checksum.digest()).decode()
            if expected.crc32c not in ("", found):
                raise ModelError(
                    f"{path} came with the CRC32C {found}, its storage says {expected.crc32c}"
                )
            if files.info(path) != expected:
                raise ModelError(f"{path} changed while it was read")
