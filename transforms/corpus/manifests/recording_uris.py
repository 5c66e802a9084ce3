"""Locations of the recordings named in a manifest, and names that do not depend on them."""

import dataclasses
import posixpath
import re

from transforms.packed import address
from transforms.storage.schemes import file_url_host, without_file_url

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclasses.dataclass(frozen=True)
class RecordingFolder:
    """The folder to which relative names in a manifest refer.

    Attributes:
      prefix: Path of the folder with a trailing `/`; empty for the working directory.
      is_root: Whether it is the root of all recordings, as given by the user.
    """

    prefix: str
    is_root: bool

    def find(self, written: str) -> tuple[str, str]:
        """Returns uri and name of a recording.

        Args:
          written: Absolute path, URL, or path relative to the folder, as written in the manifest;
            or the address of a member of such a packed file.

        Raises:
          ValueError: The path does not name a file.
        """
        member = address.parse(written)
        if member is not None:
            shard, name = self.find(member.shard)
            return member._replace(shard=shard).uri, f"{name}/{member.member}"
        path = without_file_url(written)
        host = file_url_host(path)
        if host is not None:
            allowed = "allowed: file:///PATH, file://localhost/PATH, a path"
            raise ValueError(f"does not name a file of this machine but of {host!r} ({allowed})")
        if path.startswith("/") or _SCHEME.match(path):
            uri = _normal(path)
            is_below = self.is_root and uri.startswith(self.prefix) and uri != self.prefix
            return uri, uri.removeprefix(self.prefix) if is_below else uri.lstrip("/")
        name = posixpath.normpath(path)
        if name == ".":
            raise ValueError("does not name a file")
        while path.startswith("./"):
            path = path[2:].lstrip("/")
        return _normal(self.prefix + path), name


def recording_folder(manifest: str, audio_root: str | None) -> RecordingFolder:
    """Returns the audio root or, without one, the folder of the manifest."""
    if audio_root:
        root = _normal(without_file_url(audio_root)).rstrip("/") + "/"
        return RecordingFolder(root, is_root=True)
    path = without_file_url(manifest)
    return RecordingFolder(path[: path.rfind("/") + 1], is_root=False)


def _normal(path: str) -> str:
    """Resolves `..` in a local path. In object stores `..` is an ordinary name."""
    if _SCHEME.match(path):
        return path
    normal = posixpath.normpath(path)
    # normpath keeps two leading slashes, as POSIX allows.
    return "/" + normal.lstrip("/") if normal.startswith("/") else normal
