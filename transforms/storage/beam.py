"""Storages that only Beam knows: Hadoop's, Azure's, and what is registered with Beam."""

import contextlib
import io
import shutil
import warnings
from collections.abc import Iterator
from typing import BinaryIO

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from transforms.corpus import listing
from transforms.storage.ranges import WHOLE_BYTES
from transforms.storage.store import Facts, Listed


class BeamStore:
    """What Beam's FileSystems can do, as a `remote.store.Store`."""

    def open(self, uri: str, whole_bytes: int = WHOLE_BYTES) -> BinaryIO:
        file = _open(uri)
        if not whole_bytes:
            return file
        with file:
            data = file.read(whole_bytes + 1)
        return io.BytesIO(data) if len(data) <= whole_bytes else _open(uri)

    def size(self, uri: str) -> int:
        if not FileSystems.exists(uri):
            raise FileNotFoundError(f"{uri} does not exist")
        return int(FileSystems.get_filesystem(uri).size(uri))

    def look_up(self, uri: str) -> Facts:
        version = ""
        # Not every storage can say it; a checksum may be no more than the size.
        with contextlib.suppress(OSError):
            version = f"{FileSystems.checksum(uri)} {FileSystems.last_updated(uri)}"
        return Facts(self.size(uri), version)

    def list_below(self, prefix: str) -> Iterator[Listed]:
        pattern = listing.GLOB_CHARACTERS.sub("?", prefix) + "**"
        (result,) = FileSystems.match([pattern])
        for metadata in result.metadata_list:
            if metadata.path.startswith(prefix):
                yield Listed(metadata.path, metadata.size_in_bytes)

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
            # Beam matches before it deletes, so glob characters have to be quoted, and then makes
            # a regular expression of which Python warns.
            warnings.simplefilter("ignore", FutureWarning)
            FileSystems.delete([listing.quote_glob(uri)])


def _open(uri: str) -> BinaryIO:
    return FileSystems.open(uri, compression_type=CompressionTypes.UNCOMPRESSED)
