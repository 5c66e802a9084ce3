"""Locations of the recordings named in a manifest, and names that do not depend on them."""

import dataclasses
import posixpath
import re

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_LOCAL_SCHEME = "file://"


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
          written: Absolute path, URL, or path relative to the folder, as written in the manifest.

        Raises:
          ValueError: The path does not name a file.
        """
        path = written.removeprefix(_LOCAL_SCHEME)
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
        root = _normal(audio_root.removeprefix(_LOCAL_SCHEME)).rstrip("/") + "/"
        return RecordingFolder(root, is_root=True)
    path = manifest.removeprefix(_LOCAL_SCHEME)
    return RecordingFolder(path[: path.rfind("/") + 1], is_root=False)


def _normal(path: str) -> str:
    """Resolves `..` in a local path. In object stores `..` is an ordinary name."""
    if _SCHEME.match(path):
        return path
    normal = posixpath.normpath(path)
    # normpath keeps two leading slashes, as POSIX allows.
    return "/" + normal.lstrip("/") if normal.startswith("/") else normal
