"""An object storage in memory, `mem://`, behind Beam's own FileSystem interface."""

import io
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

from apache_beam.io.filesystem import BeamIOError, FileMetadata, FileSystem


class MemoryFileSystem(FileSystem):
    """Objects by path; there are no folders, and a listing is by prefix."""

    objects: dict[str, bytes] = {}  # noqa: RUF012 - one storage for all instances is the point
    times: dict[str, float] = {}  # noqa: RUF012 - when an object was created

    @classmethod
    def scheme(cls) -> str:
        return "mem"

    def join(self, basepath: str, *paths: str) -> str:
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path: str) -> tuple[str, str]:
        head, _, tail = path.rpartition("/")
        return head, tail

    def mkdirs(self, path: str) -> None:
        raise AssertionError("an object storage has no folders")

    def has_dirs(self) -> bool:
        return False

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        for path in sorted(self.objects):
            if path.startswith(dir_or_prefix):
                yield self.metadata(path)

    def create(self, path: str, *_: Any, **__: Any) -> BinaryIO:
        objects, times = self.objects, self.times

        class Written(io.BytesIO):
            def close(self) -> None:
                if not self.closed:
                    objects[path] = self.getvalue()
                    times[path] = time.time()
                super().close()

        return Written()

    def open(self, path: str, *_: Any, **__: Any) -> BinaryIO:
        if path not in self.objects:
            raise FileNotFoundError(f"{path} does not exist")
        return io.BytesIO(self.objects[path])

    def copy(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        for source, target in zip(source_file_names, destination_file_names, strict=True):
            self.objects[target] = self.objects[source]

    def rename(self, source_file_names: list[str], destination_file_names: list[str]) -> None:
        self.copy(source_file_names, destination_file_names)
        for source in source_file_names:
            del self.objects[source]

    def exists(self, path: str) -> bool:
        return path in self.objects

    def size(self, path: str) -> int:
        if path not in self.objects:
            raise BeamIOError(f"nothing at {path}")
        return len(self.objects[path])

    def last_updated(self, path: str) -> float:
        return self.times.get(path, 0.0)

    def checksum(self, path: str) -> str:
        return str(self.size(path))

    def metadata(self, path: str) -> FileMetadata:
        return FileMetadata(path, self.size(path))

    def delete(self, paths: list[str]) -> None:
        for result in self.match(paths):
            if not result.metadata_list:
                raise BeamIOError(f"nothing at {result.pattern}")
            for metadata in result.metadata_list:
                del self.objects[metadata.path]
