"""The schema: every feature of a record, with its type."""

import dataclasses

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from transforms.dataset.profiles import DAMAGED_KEY, PROFILES, Profile
from transforms.dataset.schema import schema

BYTES, INT, FLOAT = schema_pb2.BYTES, schema_pb2.INT, schema_pb2.FLOAT


def _parsed(profile: Profile) -> schema_pb2.Schema:
    return text_format.Parse(schema(profile), schema_pb2.Schema())


def test_the_schema_has_the_context_features_and_the_rows_of_each_profile() -> None:
    for name in PROFILES:
        profile = PROFILES[name]
        *context, sequence = _parsed(profile).feature
        assert tuple(feature.name for feature in context) == profile.context_keys
        times = {profile.start_key, profile.end_key} - {None}
        assert {feature.name for feature in context if feature.type == FLOAT} == times
        assert [feature.name for feature in context if feature.type == INT] == [profile.labels_key]
        assert [feature.name for feature in context if feature.type == BYTES] == [profile.id_key]
        (rows,) = sequence.struct_domain.feature
        assert sequence.name == "##SEQUENCE##"
        assert (rows.name, rows.value_count.min) == (profile.rows_key, 1)
        assert rows.type == (BYTES if profile.quantised else FLOAT)


def test_id_and_times_are_in_every_record_once_and_labels_in_any_number() -> None:
    by_name = {feature.name: feature for feature in _parsed(PROFILES["audioset"]).feature}
    for name in ("video_id", "start_time_seconds", "end_time_seconds"):
        feature = by_name[name]
        assert feature.presence.min_fraction == 1
        assert (feature.value_count.min, feature.value_count.max) == (1, 1)
    assert by_name["labels"].value_count.min == 0
    assert not by_name["labels"].value_count.HasField("max")


def test_damage_is_in_every_record_where_damaged_clips_are_kept() -> None:
    for profile in PROFILES.values():
        features = _parsed(dataclasses.replace(profile, damaged_key=DAMAGED_KEY)).feature
        (damage,) = (feature for feature in features if feature.name == "damaged_seconds")
        assert (damage.type, damage.presence.min_fraction) == (FLOAT, 1)
        assert (damage.value_count.min, damage.value_count.max) == (1, 1)
        assert "damaged_seconds" not in schema(profile).decode()


def test_columns_that_are_kept_are_bytes_and_none_where_a_clip_has_none() -> None:
    profile = dataclasses.replace(PROFILES["youtube8m"], columns=("speaker", 'a "b"'))
    features = _parsed(profile).feature
    assert [feature.name for feature in features] == [
        "id",
        "labels",
        "speaker",
        'a "b"',
        "##SEQUENCE##",
    ]
    for feature in features[2:4]:
        assert feature.type == BYTES
        assert (feature.value_count.min, feature.value_count.max) == (0, 1)
