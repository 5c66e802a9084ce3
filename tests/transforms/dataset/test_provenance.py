"""`dataset.json` and the sums: nothing that was lost is published."""

import copy
import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.dataset.profiles import PROFILES
from transforms.dataset.provenance import (
    IncompleteError,
    Origin,
    check_sums,
    dataset_info,
    is_dataset_file,
    own_files,
)
from transforms.dataset.shards import RecordSums, Shard
from transforms.model.loading import ModelFacts

EMPTY = RecordSums()
SUMS = RecordSums(2, 300, 0xDEADBEEF)


def shard(index: int, sums: RecordSums = EMPTY, crc32c: int = 0) -> Shard:
    return Shard(index, f"/tmp/{index}", sums, crc32c)


def balanced() -> dict[str, Any]:
    """Returns what a complete run of five clips, two of them failed, hands to `check_sums`."""
    other = RecordSums(1, 100, 7)
    return {
        "tallies": {"clips": 5, "records": 3, "rows": 30},
        "num_failures": 2,
        "due": {0: SUMS, 2: other},
        "shards": [shard(2, other), shard(0, SUMS), shard(1)],
        "num_shards": 3,
    }


def test_sums_that_agree_pass_in_whatever_order_the_shards_come() -> None:
    check_sums(**balanced())
    run = balanced()
    run["shards"].reverse()
    check_sums(**run)


def test_an_empty_shard_may_be_due_or_not() -> None:
    run = balanced()
    run["due"][1] = RecordSums()
    check_sums(**run)


def test_a_run_in_which_every_clip_failed_passes() -> None:
    check_sums({"clips": 4}, 4, {}, [shard(0)], 1)


@pytest.mark.parametrize(
    ("tallies", "num_failures"),
    [
        ({"clips": 6, "records": 3}, 2),
        ({"clips": 4, "records": 3}, 2),
        ({"clips": 5, "records": 3}, 1),
        ({"clips": 5, "records": 3}, 3),
        ({"clips": 5, "records": 4}, 2),
        ({"clips": 5}, 2),
        ({"records": 3}, 2),
        ({}, 2),
        # Two errors that outweigh each other.
        ({"clips": 6, "records": 4}, 2),
        ({"clips": 5, "records": 2}, 3),
    ],
)
def test_clips_that_are_neither_records_nor_failures_are_told(
    tallies: dict[str, int], num_failures: int
) -> None:
    with pytest.raises(IncompleteError):
        check_sums(**balanced() | {"tallies": tallies, "num_failures": num_failures})


@pytest.mark.parametrize(
    "sums",
    [
        RecordSums(1, 300, 0xDEADBEEF),
        RecordSums(3, 300, 0xDEADBEEF),
        RecordSums(2, 299, 0xDEADBEEF),
        RecordSums(2, 300, 0xDEADBEEE),
        RecordSums(),
    ],
    ids=["a record less", "a record more", "a byte less", "another bit", "nothing"],
)
def test_a_shard_that_holds_other_records_than_went_in_is_told(sums: RecordSums) -> None:
    run = balanced()
    run["shards"][1] = shard(0, sums)
    with pytest.raises(IncompleteError, match="shard 0"):
        check_sums(**run)


def test_records_in_a_shard_that_none_was_due_in_are_told() -> None:
    run = balanced()
    run["shards"][2] = shard(1, SUMS)
    with pytest.raises(IncompleteError, match="shard 1"):
        check_sums(**run)


def test_records_that_are_due_in_a_shard_nobody_wrote_are_told() -> None:
    run = balanced()
    run["due"][3] = run["due"].pop(2)
    run["shards"][0] = shard(2)
    with pytest.raises(IncompleteError):
        check_sums(**run)


@pytest.mark.parametrize(
    "indices",
    [[0, 1], [0, 1, 2, 3], [0, 1, 2, 2], [0, 0, 1], [1, 2, 3], []],
    ids=["missing", "too many", "twice", "twice for another", "shifted", "none"],
)
def test_a_shard_that_is_missing_or_there_twice_is_told(indices: list[int]) -> None:
    run = balanced()
    by_index = {each.index: each for each in run["shards"]}
    run["shards"] = [by_index.get(index, shard(index)) for index in indices]
    with pytest.raises(IncompleteError):
        check_sums(**run)


@given(data=st.data())
def test_any_one_number_that_is_off_is_told(data: st.DataObject) -> None:
    run = balanced()
    off = data.draw(st.integers(-3, 3).filter(bool))
    where = data.draw(st.sampled_from(["clips", "records", "num_failures", "num_shards", "due"]))
    if where in ("clips", "records"):
        run["tallies"][where] += off
    elif where == "due":
        field = data.draw(st.sampled_from([field.name for field in dataclasses.fields(RecordSums)]))
        index = data.draw(st.sampled_from([0, 2]))
        sums = run["due"][index]
        run["due"][index] = dataclasses.replace(sums, **{field: getattr(sums, field) + off})
    else:
        run[where] += off
    with pytest.raises(IncompleteError):
        check_sums(**run)


ORIGIN = Origin(
    name="clips",
    profile=PROFILES["audioset"],
    inputs=("/data/ü", "gs://bucket/*.wav"),
    model="https://tfhub.dev/google/vggish/1",
    patch_samples=15_600,
    short_clips="pad",
    pca=("pca.npz", "ab" * 32),
    resampler="soxr HQ",
    decoder="libsndfile 1.2.2",
)
MODEL = ModelFacts("cd" * 32, 128)
TALLIES = {
    "clips": 5,
    "records": 3,
    "rows": 30,
    "samples": 16_000 * 5_400,
    "padded_clips": 1,
    "rows_left_out": 4,
    "failures/empty": 1,
    "failures/decode_error": 1,
    "left_out/hidden": 2,
}
SHARDS = [
    ("clips-00000-of-00002.tfrecord", shard(0, SUMS, 0xABC)),
    ("clips-00001-of-00002.tfrecord", shard(1, RecordSums(1, 100, 7), 0xFFFFFFFF)),
]


def info(
    origin: Origin = ORIGIN,
    models: tuple[ModelFacts, ...] = (MODEL,),
    tallies: dict[str, int] = TALLIES,
) -> dict[str, Any]:
    return json.loads(dataset_info(origin, models, tallies, SHARDS))


def test_equal_arguments_give_equal_bytes_whatever_the_order_of_the_tallies() -> None:
    first = dataset_info(ORIGIN, [MODEL], TALLIES, SHARDS)
    backwards = dict(reversed(TALLIES.items()))
    assert dataset_info(copy.deepcopy(ORIGIN), (MODEL,), backwards, tuple(SHARDS)) == first
    assert first.endswith(b"}\n")
    assert "/data/ü" in first.decode()


def test_counts_and_hours_are_those_of_the_run() -> None:
    assert info()["counts"] == {
        "clips": 5,
        "records": 3,
        "failures": 2,
        "rows": 30,
        "hours": 1.5,
        "padded_clips": 1,
        "rows_left_out": 4,
    }
    assert info()["failures"] == {"decode_error": 1, "empty": 1}
    assert info()["left_out"] == {"hidden": 2}


def test_a_run_without_any_tally_counts_nothing() -> None:
    assert set(info(tallies={})["counts"].values()) == {0}
    assert info(tallies={})["failures"] == {}


def test_the_settings_are_told() -> None:
    found = info()
    assert found["profile"] == "audioset"
    assert found["inputs"] == ["/data/ü", "gs://bucket/*.wav"]
    assert found["audio"] == {
        "sample_rate_hz": 16_000,
        "patch_samples": 15_600,
        "hop_samples": 15_360,
        "hop_seconds": 0.96,
        "max_rows": None,
        "channels": "mean",
        "resampler": "soxr HQ",
        "decoder": "libsndfile 1.2.2",
        "short_clips": "pad",
    }
    assert found["rows"]["pca"] == {"uri": "pca.npz", "sha256": "ab" * 32}
    assert {"python", "numpy", "soxr", "soundfile", "tensorflow"} <= set(found["versions"])


def test_rows_of_floats_have_no_pca_and_no_quantiser() -> None:
    raw = dataclasses.replace(ORIGIN, profile=PROFILES["raw"], pca=None)
    assert info(raw)["rows"] == {"feature_list": "audio_embedding", "values": "float32"}


def test_shards_are_told_with_their_checksums() -> None:
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


def test_a_trained_model_is_told_from_an_untrained_one() -> None:
    trained = info()["model"]
    assert trained["uri"] == "https://tfhub.dev/google/vggish/1"
    assert trained["fingerprint"] == "cd" * 32
    assert trained["embedding_size"] == 128
    assert trained["trained"] is True
    assert "untrained_seed" not in trained
    untrained = info(models=(dataclasses.replace(MODEL, untrained_seed=0),))["model"]
    assert untrained["trained"] is False
    assert untrained["untrained_seed"] == 0


def test_a_model_that_no_clip_came_to_is_not_made_up() -> None:
    model = info(models=())["model"]
    assert model["uri"] == "https://tfhub.dev/google/vggish/1"
    assert model["fingerprint"] is None
    assert model["trained"] is None


def test_workers_with_different_models_publish_nothing() -> None:
    other = dataclasses.replace(MODEL, fingerprint="ef" * 32)
    with pytest.raises(IncompleteError, match=r"different models.*efefef"):
        dataset_info(ORIGIN, [MODEL, other], TALLIES, SHARDS)


def test_own_files_are_all_that_the_dataset_is_made_of() -> None:
    assert sorted(own_files(dataset_info(ORIGIN, [MODEL], TALLIES, SHARDS))) == [
        "clips-00000-of-00002.tfrecord",
        "clips-00001-of-00002.tfrecord",
        "clips-failures.jsonl",
        "dataset.json",
        "schema.pbtxt",
    ]


def test_own_files_are_named_like_files_of_the_dataset() -> None:
    files = own_files(dataset_info(ORIGIN, [MODEL], TALLIES, SHARDS))
    assert all(is_dataset_file(file, "clips") for file in files)


@pytest.mark.parametrize(
    "file",
    [
        "notes.txt",
        "dataset.json.bak",
        "other-failures.jsonl",
        "other-00000-of-00001.tfrecord",
        "clips.tfrecord",
        "",
    ],
)
def test_other_files_are_not_named_like_files_of_the_dataset(file: str) -> None:
    assert not is_dataset_file(file, "clips")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not JSON",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"7",
        b"{}",
        b'{"format": "other", "name": "clips", "shards": []}',
        b'{"name": "clips", "shards": []}',
        b'{"format": "beam-audio-embeddings", "name": "clips"}',
        b'{"format": "beam-audio-embeddings", "shards": []}',
        b'{"format": "beam-audio-embeddings", "name": "clips", "shards": null}',
        b'{"format": "beam-audio-embeddings", "name": "clips", "shards": [{}]}',
        b'{"format": "beam-audio-embeddings", "name": "clips", "shards": ["a.tfrecord"]}',
    ],
)
def test_a_json_that_is_not_ours_has_no_own_files(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - some are the json module's
        own_files(text)


@pytest.mark.parametrize("bad", ["../a", "/etc/passwd", "a/b", "a\\b", "gs://bucket/a"])
def test_own_files_are_never_those_of_another_folder(bad: str) -> None:
    ours = info()
    for changed in (ours | {"name": bad}, ours | {"shards": [{"name": "a"}, {"name": bad}]}):
        with pytest.raises(ValueError, match="other folders"):
            own_files(json.dumps(changed).encode())
