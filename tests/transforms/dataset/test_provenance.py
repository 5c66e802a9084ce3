"""`dataset.json`: how a dataset was made, and what it contains."""

import copy
import dataclasses
import json
import types
from typing import Any

import pytest

from tests.descriptions import (
    MODEL,
    OF_TRAIN,
    ORIGIN,
    SHARDS,
    TALLIES,
    WHOLE,
    info,
    splits,
)
from transforms.corpus.manifests.manifest import ManifestFacts
from transforms.dataset.completeness import IncompleteError
from transforms.dataset.profiles import PROFILES
from transforms.dataset.provenance import (
    Part,
    collection_info,
    dataset_info,
    to_json,
)

FACTS = ManifestFacts(
    "/ü.csv",
    "csv",
    "utf-8",
    ",",
    ";",
    ("uri", "labels"),
    ("note",),
    5,
    (("uri", "{uri}"), ("labels", "{class}")),
    ("9 nan are no label",),
)


def test_equal_arguments_give_equal_bytes_for_any_order_of_tallies_and_manifests() -> None:
    manifests = [dataclasses.replace(FACTS, uri=uri) for uri in ("/b", "/a", "/c")]
    first = to_json(dataset_info(ORIGIN, [MODEL], TALLIES, WHOLE, manifests))
    backwards = dict(reversed(TALLIES.items()))
    again = dataset_info(copy.deepcopy(ORIGIN), (MODEL,), backwards, WHOLE, manifests[::-1])
    assert to_json(again) == first
    assert first.endswith(b"}\n")
    assert "/data/ü" in first.decode()


def test_counts_and_hours_are_those_of_the_run() -> None:
    assert info()["counts"] == {
        "clips": 5,
        "records": 3,
        "failures": 2,
        "repeats": 4,
        "merged_rows": 4,
        "notes": 0,
        "rows": 30,
        "hours": 1.5,
        "padded_clips": 1,
        "truncated_clips": 2,
        "rows_skipped": 4,
        "damaged_clips": 2,
        "damaged_seconds": 1.25,
        "labels_dropped": 6,
    }
    assert info()["failures"] == {"decode_error": 1, "empty": 1}
    assert info()["skipped"] == {"hidden": 2}


def test_counts_are_those_of_the_own_split_only() -> None:
    assert info(tallies=TALLIES | OF_TRAIN) == info()
    train = info(tallies=TALLIES | OF_TRAIN, part=Part("train", "train", SHARDS, 20))
    assert train["split"] == "train"
    assert train["counts"] == {name: 10 * count for name, count in info()["counts"].items()}
    assert train["failures"] == {"decode_error": 10, "empty": 10}
    assert train["audio"]["decoders"] == {"libsndfile 1.2.2": 30}


def test_clips_without_a_split_have_a_folder_and_a_whole_dataset_has_none() -> None:
    assert info(part=Part("", "unsplit", SHARDS, 2)) == info() | {"split": "unsplit"}
    assert "split" not in info()


def test_a_run_without_any_tally_counts_nothing() -> None:
    part = Part("", "", SHARDS, 0)
    assert set(info(tallies={}, part=part)["counts"].values()) == {0}
    assert info(tallies={})["failures"] == {}


def test_the_settings_are_recorded() -> None:
    found = info()
    assert found["profile"] == "audioset"
    assert found["corpus"] == {"inputs": ["/data/ü", "gs://bucket/*.wav"], "clip_seconds": 10.5}
    assert found["audio"] == {
        "sample_rate_hz": 16_000,
        "patch_samples": 15_600,
        "hop_samples": 15_360,
        "hop_seconds": 0.96,
        "max_rows": None,
        "channels": "mean",
        "resampler": "soxr HQ",
        "decoder": "libsndfile 1.2.2",
        "decoders": {"libsndfile 1.2.2": 3},
        "short_clips": "pad",
        "damaged": "fail",
    }
    assert found["rows"]["pca"] == {"uri": "pca.npz", "sha256": "ab" * 32}
    assert {"python", "numpy", "soxr", "soundfile", "tensorflow"} <= set(found["versions"])


def test_properties_of_manifests_and_the_class_map_are_recorded() -> None:
    assert info()["manifests"] == []
    assert info()["labels"] == {"class_map": None}
    found = info(manifests=[FACTS], class_map="class_map.csv")
    assert found["manifests"] == [
        {
            "uri": "/ü.csv",
            "format": "csv",
            "encoding": "utf-8",
            "delimiter": ",",
            "label_separator": ";",
            "columns": ["uri", "labels"],
            "other_columns": ["note"],
            "num_rows": 5,
            "meaning": [["uri", "{uri}"], ["labels", "{class}"]],
            "notes": ["9 nan are no label"],
            "layout": "",
        }
    ]
    assert found["labels"] == {"class_map": "class_map.csv"}


def test_rows_of_floats_have_no_pca_and_no_quantiser() -> None:
    raw = dataclasses.replace(ORIGIN, profile=PROFILES["raw"], pca=None)
    assert info(raw)["rows"] == {"feature_list": "audio_embedding", "values": "float32"}


def test_shards_are_listed_with_their_checksums() -> None:
    assert info()["shards"] == [
        {
            "name": "clips-00000-of-00002.tfrecord",
            "records": 2,
            "bytes": 300,
            "crc32c": "00000abc",
        },
        {
            "name": "clips-00001-of-00002.tfrecord",
            "records": 1,
            "bytes": 100,
            "crc32c": "ffffffff",
        },
    ]


def test_trained_and_untrained_models_are_distinguished() -> None:
    trained = info()["model"]
    assert trained["uri"] == "https://tfhub.dev/google/vggish/1"
    assert trained["fingerprint"] == "cd" * 32
    assert trained["embedding_size"] == 128
    assert trained["trained"] is True
    assert "untrained_seed" not in trained
    untrained = info(models=(dataclasses.replace(MODEL, untrained_seed=0),))["model"]
    assert untrained["trained"] is False
    assert untrained["untrained_seed"] == 0


def test_a_model_that_was_never_loaded_has_no_fingerprint() -> None:
    model = info(models=())["model"]
    assert model["uri"] == "https://tfhub.dev/google/vggish/1"
    assert model["fingerprint"] is None
    assert model["trained"] is None
    origin = dataclasses.replace(ORIGIN, precision="bfloat16")  # what was asked for is known
    assert info(origin, models=())["model"]["precision"] == "bfloat16"


def test_the_deviation_of_bfloat16_is_recorded_with_the_model() -> None:
    assert info()["model"]["precision"] == "float32"
    assert "bfloat16_error" not in info()["model"]
    deviation = types.SimpleNamespace(mean=0.012345, largest=0.1, num_rows=512)
    facts = dataclasses.replace(MODEL, precision="bfloat16")
    model = info(models=(facts,), deviation=deviation)["model"]
    assert model["precision"] == "bfloat16"
    assert model["bfloat16_error"] == {"mean": 0.0123, "largest": 0.1, "rows_compared": 512}
    deviation.mean = deviation.largest = None
    assert info(models=(facts,), deviation=deviation)["model"]["bfloat16_error"]["mean"] is None


def test_workers_of_different_cpus_may_compute_in_different_ways() -> None:
    model = info()["model"]
    assert (model["batch_rows"], model["rows_depend_on_position"]) == (64, False)
    assert model["onednn"] is True
    others = (
        dataclasses.replace(MODEL, batch_rows=16),
        dataclasses.replace(MODEL, rows_depend_on_position=True, onednn=False),
        dataclasses.replace(MODEL, onednn=None),
    )
    for models in ((MODEL, *others), (*others[::-1], MODEL)):
        model = info(models=models)["model"]
        assert model["batch_rows"] == [16, 64]
        assert model["rows_depend_on_position"] is True
        assert model["onednn"] == [None, False, True]
    none = info(models=())["model"]
    assert none["batch_rows"] is none["rows_depend_on_position"] is none["onednn"] is None


def test_the_native_engine_is_recorded_with_what_proves_it() -> None:
    model = info()["model"]
    assert model["engine"] == "tensorflow"
    assert "engine_version" not in model
    assert "proof" not in model
    facts = (
        dataclasses.replace(MODEL, engine="native", engine_version="1", proof='{"largest": 2}'),
        dataclasses.replace(MODEL, engine="native", engine_version="1", proof='{"largest": 1}'),
    )
    for models in (facts, facts[::-1]):
        model = info(models=models)["model"]
        assert (model["engine"], model["engine_version"]) == ("native", "1")
        assert model["proof"] == {"largest": 1}, "the same, in whichever order they report"
    assert info(models=())["model"]["engine"] is None


@pytest.mark.parametrize("other", [{"engine": "tensorflow"}, {"engine_version": "2"}])
def test_rows_of_two_engines_are_not_published(other: dict[str, Any]) -> None:
    native = dataclasses.replace(MODEL, engine="native", engine_version="1")
    with pytest.raises(IncompleteError, match="different engines"):
        dataset_info(ORIGIN, [native, dataclasses.replace(native, **other)], TALLIES, WHOLE)


def test_workers_with_different_models_publish_nothing() -> None:
    other = dataclasses.replace(MODEL, fingerprint="ef" * 32)
    with pytest.raises(IncompleteError, match=r"different models.*efefef"):
        dataset_info(ORIGIN, [MODEL, other], TALLIES, WHOLE)


def test_a_collection_of_splits_tells_what_they_have_in_common_and_the_sums() -> None:
    infos, tallies = splits()
    found = json.loads(to_json(collection_info(infos, tallies)))
    whole = info()
    for key in ("format", "format_version", "name", "profile", "corpus", "manifests", "model"):
        assert found[key] == whole[key]
    assert (found["rows"], found["labels"]) == (whole["rows"], whole["labels"])
    assert found["versions"] == whole["versions"]
    assert found["counts"] == {name: 11 * count for name, count in whole["counts"].items()}
    assert found["failures"] == {"decode_error": 11, "empty": 11}
    assert found["skipped"] == {"other": 8}
    assert found["audio"] == whole["audio"] | {"decoders": {"libsndfile 1.2.2": 33}}
    assert "shards" not in found
    assert "split" not in found
    assert found["splits"] == [
        {
            "folder": folder,
            "counts": {name: times * count for name, count in whole["counts"].items()},
            "shards": whole["shards"],
        }
        for folder, times in (("train", 10), ("test", 1))
    ]


def test_a_collection_counts_labels_that_were_dropped_before_clips_were_in_splits() -> None:
    infos, tallies = splits(labels_dropped=100)
    assert collection_info(infos, tallies)["counts"]["labels_dropped"] == 60 + 6 + 100
