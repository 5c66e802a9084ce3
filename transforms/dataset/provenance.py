"""`dataset.json`: how a dataset was made, and what it contains."""

import dataclasses
import importlib.metadata
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from transforms.corpus.manifests.manifest import ManifestFacts
from transforms.corpus.spans import SAMPLE_RATE_HZ, FramingConfig
from transforms.dataset.completeness import IncompleteError, Tallies, count_all_splits
from transforms.dataset.file_names import FORMAT
from transforms.dataset.profiles import Profile
from transforms.dataset.shards import Shard

if TYPE_CHECKING:  # saves the launcher the time to import them
    from transforms.model.embedding_model import ModelFacts
    from transforms.model.precision import Deviation

FORMAT_VERSION = 1
# Distributions whose version can change a row or a byte of a record.
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
# Attributes of a loaded model that must agree between workers, or the rows are of different models.
_IDENTITY = (
    "fingerprint",
    "embedding_size",
    "untrained_seed",
    "in_batches",
    "precision",
    "engine",
    "engine_version",
)


@dataclasses.dataclass(frozen=True)
class Origin:
    """The settings of a run that determine the records.

    Attributes:
      name: Stem of the file names.
      profile: Layout of the records.
      corpus: Options that select the corpus, by name: text, numbers or lists of text.
      model: Path or URL of the model, as given by the user.
      precision: Precision of the model's convolutions.
      framing: How clips become patches.
      pca: Path or URL and sha256 of the PCA parameters; None if rows are floats.
      resampler: Description of the resampler.
      decoder: Description of the decoders, with versions.
    """

    name: str
    profile: Profile
    corpus: tuple[tuple[str, Any], ...]
    model: str
    precision: str
    framing: FramingConfig
    pca: tuple[str, str] | None
    resampler: str
    decoder: str


@dataclasses.dataclass(frozen=True)
class Part:
    """A dataset, or one of its splits.

    Attributes:
      split: Name of the split; empty in a dataset without splits, and for clips without a split.
      folder: Folder relative to the dataset's; empty in a dataset without splits.
      shards: Final names of the shards, and the shards.
      num_failures: Number of lines in the failure table.
    """

    split: str
    folder: str
    shards: tuple[tuple[str, Shard], ...]
    num_failures: int


def dataset_info(
    origin: Origin,
    models: "Sequence[ModelFacts]",
    tallies: Tallies,
    part: Part,
    manifests: Sequence[ManifestFacts] = (),
    class_map: str | None = None,
    deviation: "Deviation | None" = None,
) -> dict[str, Any]:
    """Returns the content of `dataset.json`.

    Args:
      origin: Settings of the run.
      models: The distinct models that workers loaded; empty if no clip reached the model. Workers
        with different CPUs may differ in `batch_rows`, `rows_depend_on_position` and `onednn`, but
        in nothing else.
      tallies: Counts by split and name; those of failures are named `failures/REASON`.
      part: The dataset or split.
      manifests: Properties of the manifests.
      class_map: File name of the class map; None without labels.
      deviation: Deviation of bfloat16 rows from float32 rows, of all workers; None in float32.

    Raises:
      IncompleteError: Workers loaded different models.
    """
    if len({tuple(getattr(each, name) for name in _IDENTITY) for each in models}) > 1:
        raise IncompleteError(
            f"the workers loaded different models, or computed rows with different engines:"
            f" {models}"
        )
    own = {name: count for (split, name), count in tallies.items() if split == part.split}
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": origin.name,
        "profile": origin.profile.name,
        **({"split": part.folder} if part.folder else {}),
        "corpus": dict(origin.corpus),
        "counts": _counts(own, part.num_failures),
        "failures": _below(own, "failures/"),
        "skipped": _below(own, "skipped/"),
        **_packed(own),
        "manifests": [dataclasses.asdict(each) for each in sorted(manifests)],
        "model": _model_info(origin, models, deviation),
        "audio": _audio_info(origin, _below(own, "decoders/")),
        "rows": _rows_info(origin),
        "labels": {"class_map": class_map},
        "versions": versions(),
        "shards": [_shard_info(name, shard) for name, shard in part.shards],
    }


def _shard_info(name: str, shard: Shard) -> dict[str, str | int]:
    return {
        "name": name,
        "records": shard.sums.num_records,
        "bytes": shard.sums.num_bytes,
        "crc32c": f"{shard.crc32c:08x}",
    }


def collection_info(infos: Mapping[str, dict[str, Any]], tallies: Tallies) -> dict[str, Any]:
    """Returns the content of the `dataset.json` of a dataset with splits.

    Args:
      infos: Content of the `dataset.json` of each split, by folder: at least one.
      tallies: Counts by split and name.
    """
    first = next(iter(infos.values()))
    shared = ("format", "format_version", "name", "profile", "corpus", "manifests", "model", "rows")
    own = {name: count for (split, name), count in tallies.items() if not split}
    decoders: dict[str, int] = {}
    for info in infos.values():
        for decoder, count in info["audio"]["decoders"].items():
            decoders[decoder] = decoders.get(decoder, 0) + count
    failures = sorted({reason for info in infos.values() for reason in info["failures"]})
    return {
        **{key: first[key] for key in shared},
        "audio": first["audio"] | {"decoders": decoders},
        "counts": {
            name: sum(info["counts"][name] for info in infos.values()) for name in first["counts"]
        }
        | {
            # Labels were dropped before clips were assigned to splits.
            "labels_dropped": count_all_splits(tallies, "labels_dropped"),
            # A sum of floats would be a little off.
            "damaged_seconds": count_all_splits(tallies, "damaged_microseconds") / 1_000_000,
        },
        "failures": {
            reason: sum(info["failures"].get(reason, 0) for info in infos.values())
            for reason in failures
        },
        "skipped": _below(own, "skipped/"),
        **_packed(own),
        "labels": first["labels"],
        "versions": first["versions"],
        "splits": [
            {"folder": folder, "counts": info["counts"], "shards": info["shards"]}
            for folder, info in infos.items()
        ],
    }


def _packed(tallies: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Returns what packed files were read as, if there were any."""
    found = _below(tallies, "packed/")
    return {"packed": found} if found else {}


def to_json(info: dict[str, Any]) -> bytes:
    """Formats the content of a `dataset.json`."""
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
        "repeats": own.get("repeats", 0),
        "merged_rows": own.get("merged_rows", 0),
        "notes": own.get("notes", 0),
        "rows": own.get("rows", 0),
        "hours": own.get("samples", 0) / SAMPLE_RATE_HZ / 3_600,
        "padded_clips": own.get("padded_clips", 0),
        "truncated_clips": own.get("truncated_clips", 0),
        "rows_skipped": own.get("rows_skipped", 0),
        "damaged_clips": own.get("damaged_clips", 0),
        "damaged_seconds": own.get("damaged_microseconds", 0) / 1_000_000,
        "labels_dropped": own.get("labels_dropped", 0),
    }


def _model_info(
    origin: Origin, models: "Sequence[ModelFacts]", deviation: "Deviation | None"
) -> dict[str, Any]:
    model = models[0] if models else None
    info: dict[str, Any] = {
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
        **_engine_info(models),
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


def _engine_info(models: "Sequence[ModelFacts]") -> dict[str, Any]:
    """Returns the engine, and what was measured to prove the native one.

    Machines may have made proofs of their own, which differ in what TensorFlow computed.
    """
    if not models:
        return {"engine": None}
    info: dict[str, Any] = {"engine": models[0].engine}
    if models[0].engine_version:
        info["engine_version"] = models[0].engine_version
        info["proof"] = json.loads(min(each.proof for each in models))
    return info


def _common(values: Iterable[Any]) -> Any:
    """Returns the value of all workers, or a list if they differ; None without workers."""
    found = set(values)
    if len(found) < 2:
        return next(iter(found), None)
    return sorted(found, key=lambda each: (each is not None, each))  # None, unknown, comes first


def _rounded(share: float | None) -> float | None:
    """Rounds to three digits: further ones depend on the order of summation over workers."""
    return None if share is None else float(f"{share:.3g}")


def _audio_info(origin: Origin, decoders: dict[str, int]) -> dict[str, Any]:
    return {
        "sample_rate_hz": SAMPLE_RATE_HZ,
        **origin.framing.describe(),
        "resampler": origin.resampler,
        "decoder": origin.decoder,
        "decoders": decoders,
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
