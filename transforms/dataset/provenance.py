"""`dataset.json`: what a dataset is made of, and the proof that it is complete."""

import dataclasses
import importlib.metadata
import json
import platform
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from transforms.corpus.spans import SAMPLE_RATE_HZ
from transforms.dataset.file_names import FORMAT
from transforms.dataset.profiles import Profile
from transforms.dataset.shards import RecordSums, Shard

FORMAT_VERSION = 1
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
# Of a model: what all workers must have loaded, or the rows are of different models.
_IDENTITY = ("fingerprint", "embedding_size", "untrained_seed", "in_batches", "precision")


class IncompleteError(Exception):
    """The sums do not agree: something that was asked for was lost, and nothing is published."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """The settings of a run that decide what the records hold.

    Attributes:
      name: Stem of the file names.
      profile: Layout of the records.
      corpus: What was asked for, by option: text, numbers or lists of text.
      model: As given.
      precision: What the model's convolutions compute in.
      patch_samples: Length of a patch at 16 kHz.
      short_clips: `pad` or `skip`.
      channel: In words.
      pca: Path or URL and sha256; None where rows are floats.
      resampler: In words.
      decoder: In words, with the version.
    """

    name: str
    profile: Profile
    corpus: tuple[tuple[str, Any], ...]
    model: str
    precision: str
    patch_samples: int
    short_clips: str
    channel: str
    pca: tuple[str, str] | None
    resampler: str
    decoder: str


@dataclasses.dataclass(frozen=True)
class Part:
    """A dataset, or one of its splits.

    Attributes:
      split: Its name; empty where there are none, and for what is in none.
      folder: Its folder below the dataset's; empty where there are no splits.
      shards: Final names and what they hold.
      num_failures: Lines of its failure table.
    """

    split: str
    folder: str
    shards: tuple[tuple[str, Shard], ...]
    num_failures: int


Tallies = Mapping[tuple[str, str], int]  # by split and name


def check_sums(
    tallies: Tallies,
    failures: Mapping[str, int],
    due: Mapping[tuple[str, int], RecordSums],
    shards: Collection[Shard],
    num_shards: Mapping[str, int],
) -> None:
    """Proves that every clip asked for is in a shard or in a failure table.

    Args:
      tallies: `clips` asked for, `decode_tasks` planned and `decode_tasks_done`, in the split that
        has no name; `records` assembled, by split.
      failures: Lines of the failure tables by split.
      due: Sums of the assembled records by split and shard; empty shards may be absent.
      shards: What was written.
      num_shards: How many there must be, by split.

    Raises:
      IncompleteError: They disagree.
    """
    planned, done = tallies.get(("", "decode_tasks"), 0), tallies.get(("", "decode_tasks_done"), 0)
    if planned != done:
        raise IncompleteError(
            f"{planned} readings of recordings were planned, and {done} were done"
        )
    clips = tallies.get(("", "clips"), 0)
    records = sum(_of_any_split(tallies, "records"))
    num_failures = sum(failures.values())
    if clips != records + num_failures:
        raise IncompleteError(
            f"{clips} clips were asked for, but {records} records and {num_failures} failures came"
        )
    wanted = {(split, index) for split, number in num_shards.items() for index in range(number)}
    if sorted((shard.split, shard.index) for shard in shards) != sorted(wanted):
        raise IncompleteError(f"{len(shards)} shards were written where {len(wanted)} are due")
    if not set(due) <= wanted:
        raise IncompleteError(f"records are due in the shards {sorted(due)} of {num_shards}")
    for shard in shards:
        expected = due.get((shard.split, shard.index), RecordSums())
        if shard.sums != expected:
            raise IncompleteError(
                f"shard {shard.index} {shard.split} holds {shard.sums}, but {expected} went in"
            )
    if sum(sums.num_records for sums in due.values()) != records:
        raise IncompleteError(f"{records} records were assembled, but {due} are in the shards")


def dataset_info(
    origin: Origin,
    models: Sequence[Any],
    tallies: Tallies,
    part: Part,
    manifests: Sequence[Any] = (),
    class_map: str | None = None,
    deviation: Any | None = None,
) -> dict[str, Any]:
    """Returns what `dataset.json` says.

    Args:
      origin: The settings.
      models: What the workers loaded, each once: none where no clip came as far as the model.
        Objects with `fingerprint`, `embedding_size`, `untrained_seed`, `in_batches` and
        `precision`, in which they must be alike; and with `batch_rows`, `rows_depend_on_position`
        and `onednn`, in which workers of different CPUs may differ.
      tallies: Counts; of the names, those of failures begin with `failures/`.
      part: The dataset or split.
      manifests: Dataclasses that say how manifests were read.
      class_map: Name of the file that numbers the labels.
      deviation: Of rows in bfloat16 from float32, over all that workers have compared. An object
        with `mean`, `largest` and `num_rows`.

    Raises:
      IncompleteError: Workers loaded different models.
    """
    if len({tuple(getattr(each, name) for name in _IDENTITY) for each in models}) > 1:
        raise IncompleteError(f"the workers loaded different models: {models}")
    own = {name: count for (split, name), count in tallies.items() if split == part.split}
    info: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": origin.name,
        "profile": origin.profile.name,
        **({"split": part.folder} if part.folder else {}),
        "corpus": dict(origin.corpus),
        "counts": _counts(own, part.num_failures),
        "failures": _below(own, "failures/"),
        "skipped": _below(own, "skipped/"),
        "manifests": [dataclasses.asdict(each) for each in sorted(manifests)],
        "model": _model_info(origin, models, deviation),
        "audio": _audio_info(origin, _below(own, "decoders/")),
        "rows": _rows_info(origin),
        "labels": {"class_map": class_map},
        "versions": versions(),
        "shards": [
            {
                "name": name,
                "records": shard.sums.num_records,
                "bytes": shard.sums.num_bytes,
                "crc32c": f"{shard.crc32c:08x}",
            }
            for name, shard in part.shards
        ],
    }
    return info


def collection_info(infos: Mapping[str, dict[str, Any]], tallies: Tallies) -> dict[str, Any]:
    """Returns what the `dataset.json` above the folders of splits says.

    Args:
      infos: Of each split, by the name of its folder: at least one.
      tallies: Counts; those without a split belong to none.
    """
    first = next(iter(infos.values()))
    alike = ("format", "format_version", "name", "profile", "corpus", "manifests", "model", "rows")
    own = {name: count for (split, name), count in tallies.items() if not split}
    decoders: dict[str, int] = {}
    for info in infos.values():
        for decoder, count in info["audio"]["decoders"].items():
            decoders[decoder] = decoders.get(decoder, 0) + count
    failures = sorted({reason for info in infos.values() for reason in info["failures"]})
    return {
        **{key: first[key] for key in alike},
        "audio": first["audio"] | {"decoders": decoders},
        "counts": {
            name: sum(info["counts"][name] for info in infos.values()) for name in first["counts"]
        }
        # Dropped before the clips were in splits, and perhaps nothing has stayed without one.
        | {"labels_dropped": sum(_of_any_split(tallies, "labels_dropped"))},
        "failures": {
            reason: sum(info["failures"].get(reason, 0) for info in infos.values())
            for reason in failures
        },
        "skipped": _below(own, "skipped/"),
        "labels": first["labels"],
        "versions": first["versions"],
        "splits": [
            {"folder": folder, "counts": info["counts"], "shards": info["shards"]}
            for folder, info in infos.items()
        ],
    }


def _of_any_split(tallies: Tallies, name: str) -> Iterator[int]:
    return (count for (_, each), count in tallies.items() if each == name)


def to_json(info: dict[str, Any]) -> bytes:
    """Returns an info as the text of its file."""
    return (json.dumps(info, indent=2, ensure_ascii=False) + "\n").encode()


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the distributions that can change a record."""
    found = {"python": platform.python_version()}
    for distribution in _DISTRIBUTIONS:
        try:
            found[distribution] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            found[distribution] = "not installed"
    return found


def _counts(own: Mapping[str, int], num_failures: int) -> dict[str, int | float]:
    records = own.get("records", 0)
    return {
        "clips": records + num_failures,
        "records": records,
        "failures": num_failures,
        "rows": own.get("rows", 0),
        "hours": own.get("samples", 0) / SAMPLE_RATE_HZ / 3_600,
        "padded_clips": own.get("padded_clips", 0),
        "truncated_clips": own.get("truncated_clips", 0),
        "rows_skipped": own.get("rows_skipped", 0),
        "labels_dropped": own.get("labels_dropped", 0),
    }


def _model_info(origin: Origin, models: Sequence[Any], deviation: Any | None) -> dict[str, Any]:
    model = models[0] if models else None
    info = {
        "uri": origin.model,
        "fingerprint": model.fingerprint if model else None,
        "embedding_size": model.embedding_size if model else None,
        "trained": model.untrained_seed < 0 if model else None,
        "in_batches": model.in_batches if model else None,
        "precision": (model or origin).precision,
        "batch_rows": _common(each.batch_rows for each in models),
        "rows_depend_on_position": (
            any(each.rows_depend_on_position for each in models) if models else None
        ),
        "onednn": _common(each.onednn for each in models),
    }
    if model and model.untrained_seed >= 0:
        info["untrained_seed"] = model.untrained_seed
    if deviation is not None:
        info["bfloat16_error"] = {
            "mean": _rounded(deviation.mean),
            "largest": _rounded(deviation.largest),
            "rows_compared": deviation.num_rows,
        }
    return info


def _common(values: Iterable[Any]) -> Any:
    """Returns what all workers have in common, None where there were none, or a list of all."""
    found = set(values)
    if len(found) < 2:
        return next(iter(found), None)
    return sorted(found, key=lambda each: (each is not None, each))  # None is not known


def _rounded(share: float | None) -> float | None:
    """Returns a share to three digits: the order of summing up over workers changes later ones."""
    return None if share is None else float(f"{share:.3g}")


def _audio_info(origin: Origin, decoders: dict[str, int]) -> dict[str, Any]:
    profile = origin.profile
    return {
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "patch_samples": origin.patch_samples,
        "hop_samples": profile.hop_samples,
        "hop_seconds": profile.hop_samples / SAMPLE_RATE_HZ,
        "max_rows": profile.max_rows,
        "channels": origin.channel,
        "resampler": origin.resampler,
        "decoder": origin.decoder,
        "decoders": decoders,
        "short_clips": origin.short_clips,
    }


def _rows_info(origin: Origin) -> dict[str, Any]:
    profile = origin.profile
    info: dict[str, Any] = {
        "feature_list": profile.rows_key,
        "values": "uint8 in bytes" if profile.quantised else "float32",
    }
    if origin.pca is not None:
        uri, sha256 = origin.pca
        info["pca"] = {"uri": uri, "sha256": sha256}
        info["quantiser"] = "floor((clip(pca, -2, 2) + 2) * 255 / 4)"
        info["dequantise"] = "q * 4 / 255 + 4 / 512 - 2"
    return info


def _below(tallies: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): count
        for name, count in sorted(tallies.items())
        if name.startswith(prefix)
    }
