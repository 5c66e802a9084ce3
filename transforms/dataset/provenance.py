"""`dataset.json`: what a dataset is made of, and the proof that it is complete."""

import dataclasses
import importlib.metadata
import json
import platform
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from transforms.dataset import schema
from transforms.dataset.failure_table import failure_table_name
from transforms.dataset.profiles import Profile
from transforms.dataset.shards import RecordSums, Shard, shard_pattern

FILE_NAME = "dataset.json"
FORMAT = "beam-audio-embeddings"
FORMAT_VERSION = 1
_SAMPLE_RATE_HZ = 16_000
# Whose versions can change a row or a byte of a record.
_DISTRIBUTIONS = (
    "beam-audio-embeddings",
    "apache-beam",
    "tensorflow",
    "tensorflow-hub",
    "soundfile",
    "soxr",
    "numpy",
    "protobuf",
)


class IncompleteError(Exception):
    """The sums do not agree: something that was asked for was lost, and nothing is published."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """The settings of a run that decide what the records hold.

    Attributes:
      name: Stem of the file names.
      profile: Layout of the records.
      inputs: As given, made absolute.
      model: As given.
      patch_samples: Length of a patch at 16 kHz.
      short_clips: `pad` or `skip`.
      pca: Path or URL and sha256; None where rows are floats.
      resampler: In words.
      decoder: In words, with the version.
    """

    name: str
    profile: Profile
    inputs: tuple[str, ...]
    model: str
    patch_samples: int
    short_clips: str
    pca: tuple[str, str] | None
    resampler: str
    decoder: str


def check_sums(
    tallies: Mapping[str, int],
    num_failures: int,
    due: Mapping[int, RecordSums],
    shards: Collection[Shard],
    num_shards: int,
) -> None:
    """Proves that every clip asked for is in a shard or in the failure table.

    Args:
      tallies: `clips` asked for and `records` assembled.
      num_failures: Lines of the failure table.
      due: Sums of the assembled records by shard; empty shards may be absent.
      shards: What was written.
      num_shards: How many there must be.

    Raises:
      IncompleteError: They disagree.
    """
    clips, records = tallies.get("clips", 0), tallies.get("records", 0)
    if clips != records + num_failures:
        raise IncompleteError(
            f"{clips} clips were asked for, but {records} records and {num_failures} failures came"
        )
    if sorted(shard.index for shard in shards) != list(range(num_shards)):
        raise IncompleteError(f"{len(shards)} shards were written where {num_shards} are due")
    if not set(due) <= set(range(num_shards)):
        raise IncompleteError(f"records are due in the shards {sorted(due)} of {num_shards}")
    for shard in shards:
        expected = due.get(shard.index, RecordSums())
        if shard.sums != expected:
            raise IncompleteError(f"shard {shard.index} holds {shard.sums}, but {expected} went in")
    if sum(sums.num_records for sums in due.values()) != records:
        raise IncompleteError(f"{records} records were assembled, but {due} are in the shards")


def dataset_info(
    origin: Origin,
    models: Sequence[Any],
    tallies: Mapping[str, int],
    shards: Sequence[tuple[str, Shard]],
) -> bytes:
    """Returns the text of `dataset.json`.

    Args:
      origin: The settings.
      models: What the workers loaded, each once: none where no clip came as far as the model.
        Objects with `fingerprint`, `embedding_size`, `untrained_seed` and `in_batches`.
      tallies: Counts by name; those of failures begin with `failures/`.
      shards: Final names and what they hold.

    Raises:
      IncompleteError: Workers loaded different models.
    """
    if len(models) > 1:
        raise IncompleteError(f"the workers loaded different models: {models}")
    model = models[0] if models else None
    profile = origin.profile
    num_samples = tallies.get("samples", 0)
    info = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": origin.name,
        "profile": profile.name,
        "inputs": list(origin.inputs),
        "counts": {
            "clips": tallies.get("clips", 0),
            "records": tallies.get("records", 0),
            "failures": tallies.get("clips", 0) - tallies.get("records", 0),
            "rows": tallies.get("rows", 0),
            "hours": num_samples / _SAMPLE_RATE_HZ / 3_600,
            "padded_clips": tallies.get("padded_clips", 0),
            "rows_left_out": tallies.get("rows_left_out", 0),
        },
        "failures": _below(tallies, "failures/"),
        "left_out": _below(tallies, "left_out/"),
        "model": {
            "uri": origin.model,
            "fingerprint": model.fingerprint if model else None,
            "embedding_size": model.embedding_size if model else None,
            "trained": model.untrained_seed < 0 if model else None,
            "in_batches": model.in_batches if model else None,
        },
        "audio": {
            "sample_rate_hz": _SAMPLE_RATE_HZ,
            "patch_samples": origin.patch_samples,
            "hop_samples": profile.hop_samples,
            "hop_seconds": profile.hop_samples / _SAMPLE_RATE_HZ,
            "max_rows": profile.max_rows,
            "channels": "mean",
            "resampler": origin.resampler,
            "decoder": origin.decoder,
            "short_clips": origin.short_clips,
        },
        "rows": {
            "feature_list": profile.rows_key,
            "values": "uint8 in bytes" if profile.quantised else "float32",
        },
        "versions": _versions(),
        "shards": [
            {
                "name": name,
                "records": shard.sums.num_records,
                "bytes": shard.sums.num_bytes,
                "crc32c": f"{shard.crc32c:08x}",
            }
            for name, shard in shards
        ],
    }
    if model and model.untrained_seed >= 0:
        info["model"]["untrained_seed"] = model.untrained_seed  # type: ignore[index]
    if origin.pca is not None:
        uri, sha256 = origin.pca
        info["rows"]["pca"] = {"uri": uri, "sha256": sha256}  # type: ignore[index]
        info["rows"]["quantiser"] = "floor((clip(pca, -2, 2) + 2) * 255 / 4)"  # type: ignore[index]
        info["rows"]["dequantise"] = "q * 4 / 255 + 4 / 512 - 2"  # type: ignore[index]
    return (json.dumps(info, indent=2, ensure_ascii=False) + "\n").encode()


def is_dataset_file(file: str, name: str) -> bool:
    """Tells whether a file is named like one of the dataset with the stem `name`."""
    others = (failure_table_name(name), schema.FILE_NAME, FILE_NAME)
    return file in others or shard_pattern(name).fullmatch(file) is not None


def own_files(info: bytes) -> list[str]:
    """Returns the names of the files of the dataset that this `dataset.json` describes.

    Raises:
      ValueError: It is not one of ours.
    """
    parsed = json.loads(info)
    if not isinstance(parsed, dict) or parsed.get("format") != FORMAT:
        raise ValueError(f"{FILE_NAME} was not written by this program")
    try:
        names = [str(shard["name"]) for shard in parsed["shards"]]
        name = str(parsed["name"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{FILE_NAME} lacks {error}") from error
    if any("/" in each or "\\" in each for each in (*names, name)):
        raise ValueError(f"{FILE_NAME} names files of other folders")
    return [*names, failure_table_name(name), schema.FILE_NAME, FILE_NAME]


def _below(tallies: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): count
        for name, count in sorted(tallies.items())
        if name.startswith(prefix)
    }


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for distribution in _DISTRIBUTIONS:
        try:
            versions[distribution] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            versions[distribution] = "not installed"
    return versions
