"""The file of a lease, which is written only if it is in a known state."""

import contextlib
import dataclasses
import fcntl
import hashlib
import io
import os
import uuid
from collections.abc import Iterator
from typing import Protocol

from transforms.storage.choosing import store_of
from transforms.storage.retries import PREFLIGHT_RETRY
from transforms.storage.schemes import scheme_of
from transforms.storage.store import ConflictError


@dataclasses.dataclass(frozen=True)
class FoundLease:
    """The file as it was read.

    Attributes:
      data: Its contents.
      version: Differs between writes.
      modified_seconds: When it was written, by the storage's clock; 0 if unknown.
    """

    data: bytes
    version: str
    modified_seconds: float


class LeaseFile(Protocol):
    """A file that is read, written under a condition, and deleted; all raise `OSError`."""

    path: str

    def read(self) -> FoundLease | None:
        """Returns the file, or None where there is none."""

    def write(self, data: bytes, replaces: str) -> str:
        """Writes the file and returns its new version.

        Args:
          data: The contents.
          replaces: The version that it must have, empty for an absent file.

        Raises:
          ConflictError: It has another one.
        """

    def delete(self) -> None:
        """Deletes the file; an absent one is no error."""


class LocalLeaseFile:
    """A `LeaseFile` of this machine, or of a file system that machines share."""

    def __init__(self, path: str) -> None:
        self.path = path

    def read(self) -> FoundLease | None:
        try:
            with open(self.path, "rb") as file:
                status = os.fstat(file.fileno())
                return FoundLease(file.read(), _version(status), status.st_mtime)
        except FileNotFoundError:
            return None

    def write(self, data: bytes, replaces: str) -> str:
        written = f"{self.path}.{uuid.uuid4().hex}"
        version = self._create(written, data)
        try:
            if not replaces:
                return self._linked(written, data) or version
            with self._locked(replaces):
                # The lock goes with the replaced file: who waits for it finds that out.
                os.replace(written, self.path)
            return version
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(written)

    def delete(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def _linked(self, written: str, data: bytes) -> str | None:
        """Gives a written file its name if no other has it; the version, if it had to be copied."""
        try:
            os.link(written, self.path)
            return None
        except FileExistsError as error:
            raise ConflictError(f"{self.path} is there already") from error
        except OSError:  # not every file system has links
            pass
        try:
            return self._create(self.path, data)
        except FileExistsError as error:
            raise ConflictError(f"{self.path} is there already") from error

    def _create(self, path: str, data: bytes) -> str:
        with open(path, "xb") as file:
            file.write(data)
            file.flush()
            return _version(os.fstat(file.fileno()))

    @contextlib.contextmanager
    def _locked(self, version: str) -> Iterator[None]:
        """Keeps other processes from replacing the file of this version meanwhile."""
        try:
            file = open(self.path, "rb")  # noqa: SIM115 - it is closed below
        except FileNotFoundError as error:
            raise ConflictError(f"{self.path} is gone") from error
        with file:
            with contextlib.suppress(OSError):  # not every file system has locks
                fcntl.flock(file, fcntl.LOCK_EX)
            found = self.read()
            if found is None or found.version != version:
                raise ConflictError(f"{self.path} was written by another process")
            yield


class StoredLeaseFile:
    """A `LeaseFile` on an object storage."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._store = store_of(path, PREFLIGHT_RETRY)
        # Beam's interface has no conditions, and not every storage behind it has versions.
        self._has_conditions = scheme_of(path) in ("gs", "s3")

    def read(self) -> FoundLease | None:
        try:
            info = self._store.info(self.path)
            with self._store.open(self.path) as file:
                data = file.read()
            version = info.version if self._has_conditions else hashlib.sha256(data).hexdigest()
            return FoundLease(data, version, info.modified_seconds)
        except FileNotFoundError:
            return None

    def write(self, data: bytes, replaces: str) -> str:
        try:
            if self._has_conditions:
                self._store.upload(self.path, io.BytesIO(data), len(data), replaces)
            else:
                self._write_anyway(data, replaces)
        except (ConflictError, PermissionError):
            raise
        except OSError:
            # A storage without conditional requests refuses them, each in its own way.
            self._write_anyway(data, replaces)
        return self._written(data)

    def delete(self) -> None:
        self._store.delete(self.path)

    def _write_anyway(self, data: bytes, replaces: str) -> None:
        found = self.read()
        if (found.version if found else "") != replaces:
            raise ConflictError(f"{self.path} was written by another program")
        self._store.upload(self.path, io.BytesIO(data), len(data))

    def _written(self, data: bytes) -> str:
        """Returns the version; checks it, as some storages ignore what a request requires."""
        found = self.read()
        if found is None or found.data != data:
            raise ConflictError(f"{self.path} was written by another program")
        return found.version


def _version(status: os.stat_result) -> str:
    return f"{status.st_ino}-{status.st_mtime_ns}"
