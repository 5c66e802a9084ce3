"""Packed corpora: archives of recordings with files of labels."""

import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import soundfile
import zstandard

from tests.sounds import noise

RATE_HZ = 16_000


def flac(seconds: float, seed: int = 0) -> bytes:
    """Returns a FLAC file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, noise(int(seconds * RATE_HZ), seed=seed), RATE_HZ, format="FLAC")
    return buffer.getvalue()


def wav(seconds: float, seed: int = 0) -> bytes:
    """Returns a WAV file of 16 bits."""
    buffer = io.BytesIO()
    soundfile.write(buffer, noise(int(seconds * RATE_HZ), seed=seed), RATE_HZ, format="WAV")
    return buffer.getvalue()


def webdataset(number: int = 6, seconds: float = 2.0) -> dict[str, bytes]:
    """Returns the members of a shard as WebDataset writes them, of 2 classes in `.cls`."""
    found = {}
    for index in range(number):
        found[f"{index:04}.flac"] = flac(seconds, index)
        found[f"{index:04}.cls"] = str(index % 2).encode()
        found[f"{index:04}.txt"] = f"a caption of number {index}".encode()
    return found


def tar_bytes(members: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> bytes:
    """Returns an uncompressed tar archive."""
    buffer = io.BytesIO()
    items = members.items() if isinstance(members, Mapping) else members
    with tarfile.open(fileobj=buffer, mode="w:") as tar:
        for name, data in items:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def write_shard(path: Path, members: Mapping[str, bytes]) -> Path:
    """Writes an archive of the kind that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
            for index, (member, data) in enumerate(members.items()):
                method = zipfile.ZIP_STORED if index % 2 else zipfile.ZIP_DEFLATED
                bundle.writestr(member, data, method)
        return path
    data = tar_bytes(members)
    if name.endswith(("gz", "tgz")):
        import gzip

        data = gzip.compress(data)
    elif name.endswith("bz2"):
        import bz2

        data = bz2.compress(data)
    elif name.endswith("xz"):
        import lzma

        data = lzma.compress(data)
    elif name.endswith("zst"):
        data = zstandard.compress(data)
    path.write_bytes(data)
    return path


def unpack(folder: Path, members: Mapping[str, bytes]) -> Path:
    """Writes the members as files."""
    for name, data in members.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def equal_rows(found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> bool:
    """Tells whether two datasets have the same ids and rows."""
    return found.keys() == wanted.keys() and all(
        np.array_equal(found[name], wanted[name]) for name in found
    )
