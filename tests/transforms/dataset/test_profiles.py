"""Profiles: the keys that readers of the public releases look for."""

import dataclasses

import pytest

from transforms.dataset.profiles import DAMAGED_KEY, PROFILES


def test_profiles_are_found_by_their_own_names() -> None:
    assert {name: profile.name for name, profile in PROFILES.items()} == {
        "audioset": "audioset",
        "youtube8m": "youtube8m",
        "raw": "raw",
    }


def test_audioset_is_as_released() -> None:
    profile = PROFILES["audioset"]
    assert profile.id_key == "video_id"
    assert profile.start_key == "start_time_seconds"
    assert profile.end_key == "end_time_seconds"
    assert profile.labels_key == "labels"
    assert profile.rows_key == "audio_embedding"
    assert profile.hop_samples == 0.96 * 16_000
    assert profile.max_rows is None
    assert profile.quantised


def test_youtube8m_is_as_released() -> None:
    profile = PROFILES["youtube8m"]
    assert profile.id_key == "id"
    assert profile.start_key is None
    assert profile.end_key is None
    assert profile.labels_key == "labels"
    assert profile.rows_key == "audio"
    assert profile.hop_samples == 1.00 * 16_000
    assert profile.max_rows == 300
    assert profile.quantised


def test_raw_is_audioset_in_floats() -> None:
    raw, audioset = (dataclasses.asdict(PROFILES[name]) for name in ("raw", "audioset"))
    differing = {key for key in raw if raw[key] != audioset[key]}
    assert differing == {"name", "quantised"}
    assert not PROFILES["raw"].quantised


def test_start_and_end_are_both_there_or_both_not() -> None:
    for profile in PROFILES.values():
        assert (profile.start_key is None) == (profile.end_key is None)


def test_the_context_keys_are_those_that_every_record_has() -> None:
    assert PROFILES["audioset"].context_keys == (
        "video_id",
        "start_time_seconds",
        "end_time_seconds",
        "labels",
    )
    assert PROFILES["youtube8m"].context_keys == ("id", "labels")
    with_columns = dataclasses.replace(PROFILES["raw"], columns=("speaker",))
    assert with_columns.context_keys == PROFILES["audioset"].context_keys


def test_profiles_have_no_columns_of_manifests_by_default() -> None:
    for profile in PROFILES.values():
        assert profile.columns == ()


def test_damage_is_a_context_key_where_it_is_kept() -> None:
    for profile in PROFILES.values():
        assert profile.damaged_key is None
        keeping = dataclasses.replace(profile, damaged_key=DAMAGED_KEY)
        assert set(keeping.context_keys) - set(profile.context_keys) == {"damaged_seconds"}


@pytest.mark.parametrize("column", ["video_id", "labels", "audio_embedding", "damaged_seconds"])
def test_a_column_with_the_name_of_a_feature_is_refused(column: str) -> None:
    with pytest.raises(ValueError, match=f"columns='{column}': the records have a feature of this"):
        dataclasses.replace(PROFILES["raw"], columns=("x", column), damaged_key=DAMAGED_KEY)
    without = dataclasses.replace(PROFILES["raw"], columns=("damaged_seconds",))
    assert without.columns == ("damaged_seconds",)


def test_no_two_features_share_a_key() -> None:
    for profile in PROFILES.values():
        used = [*profile.context_keys, profile.rows_key]
        assert len(used) == len(set(used))
