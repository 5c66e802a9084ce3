"""Where a recording is that a manifest names, and what it is called wherever it is mounted."""

import dataclasses
import posixpath
import re

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_LOCAL_SCHEME = "file://"


@dataclasses.dataclass(frozen=True)
class RecordingFolder:
    """What relative names are below.

    Attributes:
      prefix: The folder with its `/`; empty for the working directory.
      is_root: The user says that all recordings are below it.
    """

    prefix: str
    is_root: bool

    def find(self, written: str) -> tuple[str, str]:
        """Returns uri and name of a recording.

        Args:
          written: As it stands in the manifest: absolute, or relative to the folder.

        Raises:
          ValueError: It names no file.
        """
        path = written.removeprefix(_LOCAL_SCHEME)
        if path.startswith("/") or _SCHEME.match(path):
            uri = _normal(path)
            is_below = self.is_root and uri.startswith(self.prefix) and uri != self.prefix
            return uri, uri.removeprefix(self.prefix) if is_below else uri.lstrip("/")
        name = posixpath.normpath(path)
        if name == ".":
            raise ValueError("names no file")
        while path.startswith("./"):
            path = path[2:].lstrip("/")
        return _normal(self.prefix + path), name


def recording_folder(manifest: str, audio_root: str | None) -> RecordingFolder:
    """Returns the audio root or, if there is none, the manifest's own folder."""
    if audio_root:
        root = _normal(audio_root.removeprefix(_LOCAL_SCHEME)).rstrip("/") + "/"
        return RecordingFolder(root, is_root=True)
    path = manifest.removeprefix(_LOCAL_SCHEME)
    return RecordingFolder(path[: path.rfind("/") + 1], is_root=False)


def _normal(path: str) -> str:
    """Goes up where a local path says `..`; in an object store that is a name like others."""
    if _SCHEME.match(path):
        return path
    normal = posixpath.normpath(path)
    # POSIX lets two slashes at the beginning stand.
    return "/" + normal.lstrip("/") if normal.startswith("/") else normal
