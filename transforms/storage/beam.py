"""The backend for storages that only Beam knows: Hadoop, Azure, and those registered with Beam."""

import contextlib
import io
import shutil
import warnings
from collections.abc import Iterator
from typing import BinaryIO

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from transforms.storage.globs import loosen_glob, quote_glob
from transforms.storage.ranges import WHOLE_BYTES
from transforms.storage.store import FileInfo


class BeamStore:
    """A `store.Store` over Beam's FileSystems."""

    def open(self, uri: str, whole_bytes: int = WHOLE_BYTES) -> BinaryIO:
        file = _open(uri)
        if not whole_bytes:
            return file
        with file:
            data = file.read(whole_bytes + 1)
        return io.BytesIO(data) if len(data) <= whole_bytes else _open(uri)

    def info(self, uri: str) -> FileInfo:
        if not FileSystems.exists(uri):
            raise FileNotFoundError(f"{uri} does not exist")
        version = ""
        # Not every storage has these; a checksum may be no more than the size.
        with contextlib.suppress(OSError):
            version = f"{FileSystems.checksum(uri)} {FileSystems.last_updated(uri)}"
        return FileInfo(uri, int(FileSystems.get_filesystem(uri).size(uri)), version)

    def list_prefix(self, prefix: str) -> Iterator[FileInfo]:
        (result,) = FileSystems.match([loosen_glob(prefix) + "**"])
        for metadata in result.metadata_list:
            if metadata.path.startswith(prefix):
                yield FileInfo(metadata.path, metadata.size_in_bytes)

    def upload(self, uri: str, file: BinaryIO, num_bytes: int) -> None:
        file.seek(0)
        with FileSystems.create(uri, compression_type=CompressionTypes.UNCOMPRESSED) as target:
            shutil.copyfileobj(file, target)

    def move(self, source: str, target: str) -> None:
        if FileSystems.exists(source) or not FileSystems.exists(target):
            FileSystems.rename([source], [target])

    def delete(self, uri: str) -> None:
        if not FileSystems.exists(uri):
            return
        with warnings.catch_warnings(), contextlib.suppress(FileNotFoundError):
            # Beam matches before it deletes, so special characters must be quoted, and Python warns
            # of the regular expression that Beam makes of them.
            warnings.simplefilter("ignore", FutureWarning)
            FileSystems.delete([quote_glob(uri)])


def _open(uri: str) -> BinaryIO:
    return FileSystems.open(uri, compression_type=CompressionTypes.UNCOMPRESSED)
