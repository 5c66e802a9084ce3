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
from transforms.storage.guarding import outside_errors
from transforms.storage.ranges import WHOLE_BYTES
from transforms.storage.store import FileInfo

_BUFFER_BYTES = 2**20


class BeamStore:
    """A `store.Store` over Beam's FileSystems."""

    def open(self, uri: str, whole_bytes: int = WHOLE_BYTES) -> BinaryIO:
        file = _open(uri)
        if not whole_bytes:
            return _guarded(file, uri)
        with file:
            data = file.read(whole_bytes + 1)
        return io.BytesIO(data) if len(data) <= whole_bytes else _guarded(_open(uri), uri)

    def info(self, uri: str) -> FileInfo:
        if not FileSystems.exists(uri):
            raise FileNotFoundError(f"{uri} does not exist")
        version, modified = "", 0.0
        # Not every storage has these; a checksum may be no more than the size.
        with contextlib.suppress(OSError):
            modified = float(FileSystems.last_updated(uri))
            version = f"{FileSystems.checksum(uri)} {modified}"
        size = int(FileSystems.get_filesystem(uri).size(uri))
        return FileInfo(uri, size, version, modified_seconds=modified)

    def list_prefix(self, prefix: str) -> Iterator[FileInfo]:
        (result,) = FileSystems.match([loosen_glob(prefix) + "**"])
        for metadata in result.metadata_list:
            if metadata.path.startswith(prefix):
                yield FileInfo(metadata.path, metadata.size_in_bytes)

    def upload(self, uri: str, file: BinaryIO, num_bytes: int, replaces: str | None = None) -> None:
        if replaces is not None:
            raise io.UnsupportedOperation("Beam's storages have no conditional requests")
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


class _GuardedFile(io.RawIOBase):
    """A file of Beam's, whose reads raise nothing but `OSError`."""

    def __init__(self, file: BinaryIO, uri: str) -> None:
        self._file = file
        self._uri = uri

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        with outside_errors(self._uri):
            return self._file.seekable()

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        with outside_errors(self._uri):
            data = self._file.read(len(view))
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with outside_errors(self._uri):
            self._file.seek(offset, whence)
            return self._file.tell()

    def tell(self) -> int:
        with outside_errors(self._uri):
            return self._file.tell()

    def close(self) -> None:
        if not self.closed:
            with outside_errors(self._uri):
                self._file.close()
        super().close()


def _guarded(file: BinaryIO, uri: str) -> BinaryIO:
    return io.BufferedReader(_GuardedFile(file, uri), _BUFFER_BYTES)


def _open(uri: str) -> BinaryIO:
    return FileSystems.open(uri, compression_type=CompressionTypes.UNCOMPRESSED)
