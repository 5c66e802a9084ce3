"""What goes for a SavedModel where nothing loads it, and archives of it."""

import io
import tarfile
import zipfile
from pathlib import Path

FILES = {"saved_model.pb": b"graph", "variables/variables.index": b"index", "assets/a.txt": b"a"}


def make_tar(
    path: Path, files: dict[str, bytes], *first: tarfile.TarInfo, compression: str = "gz"
) -> Path:
    """Writes a tar archive: the members of `first`, which have no contents, then the files."""
    with tarfile.open(path, f"w:{compression}") as tar:  # type: ignore[call-overload]
        for member in first:
            tar.addfile(member)
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def make_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as bundle:
        for name, data in files.items():
            bundle.writestr(name, data)
    return path


def make_archive(path: Path, files: dict[str, bytes]) -> Path:
    """Writes an archive of the format that its name says."""
    if path.suffix == ".zip":
        return make_zip(path, files)
    return make_tar(path, files, compression="" if path.suffix == ".tar" else "gz")


def archive_bytes(files: dict[str, bytes]) -> bytes:
    """Returns a .tar.gz."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def contents(folder: Path) -> dict[str, bytes]:
    """Returns the files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
