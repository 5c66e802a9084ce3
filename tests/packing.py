"""Packed corpora: archives of recordings with files of labels."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import zstandard

from tests.sounds import noise
from transforms.corpus import recordings
from transforms.corpus.clips import Clip
from transforms.dataset.tfrecord import frame_record

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
        data = gzip.compress(data)
    elif name.endswith("bz2"):
        data = bz2.compress(data)
    elif name.endswith("xz"):
        data = lzma.compress(data)
    elif name.endswith("zst"):
        data = zstandard.compress(data)
    path.write_bytes(data)
    return path


def contents(clips: list[Clip]) -> list[bytes]:
    """Returns the recordings of clips, which are read in one pass."""
    found = []
    for _, open_file in recordings.open_all(clips):
        with open_file() as file:
            found.append(file.read())
    return found


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


def write_parquet(
    path: Path,
    columns: Mapping[str, Any],
    features: Mapping[str, Any] | None = None,
    row_group_size: int = 4,
) -> Path:
    """Writes a Parquet file, with the features that Hugging Face writes into it."""
    table = pa.table(dict(columns))
    if features is not None:
        text = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": text})
    pq.write_table(table, path, row_group_size=row_group_size)
    return path


def audio_structs(data: Iterable[bytes | None], paths: Iterable[str | None]) -> pa.Array:
    """Returns a column as Hugging Face writes recordings."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [{"bytes": each, "path": path} for each, path in zip(data, paths, strict=True)]
    return pa.array(rows, kind)


def example(**features: Any) -> bytes:
    """Returns a serialized `tf.train.Example`; in names, `__` stands for `/`."""
    import tensorflow as tf

    message = tf.train.Example()
    for name, value in features.items():
        feature = message.features.feature[name.replace("__", "/")]
        values = value if isinstance(value, list | np.ndarray) else [value]
        if isinstance(values[0], bytes):
            feature.bytes_list.value.extend(values)
        elif isinstance(values[0], float | np.floating):
            feature.float_list.value.extend(values)
        else:
            feature.int64_list.value.extend(map(int, values))
    return message.SerializeToString()


def write_tfrecord(path: Path, records: Iterable[bytes]) -> Path:
    """Writes a TFRecord file, compressed if its name says so."""
    data = b"".join(map(frame_record, records))
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path
