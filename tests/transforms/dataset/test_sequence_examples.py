"""Records: what a reader of the public releases finds in one."""

import dataclasses
from decimal import Decimal
from typing import Any

import hypothesis
import numpy as np
from hypothesis import strategies as st

from transforms.corpus.clips import Clip
from transforms.corpus.runs import DamagedAudio, DecodedClip
from transforms.dataset.profiles import DAMAGED_KEY, PROFILES, Profile
from transforms.dataset.sequence_examples import sequence_example

CLIP = Clip(
    "Übung/--PJHxphWEs",
    "/in/a.wav",
    start_seconds=Decimal("30.25"),
    end_seconds=Decimal(40),
    recording_offset_seconds=Decimal(30),
    labels=("b", "a"),
    columns=(("speaker", "änn"), ("note", "x, y")),
)
DECODED = DecodedClip(CLIP, 2, 46_320, 33.145, "libsndfile")
ROWS = np.arange(256, dtype=np.uint8).reshape(2, 128)
RAW_ROWS = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)


def _parsed(tf: Any, *arguments: Any) -> Any:
    return tf.train.SequenceExample.FromString(sequence_example(*arguments))


def test_an_audioset_record_has_id_times_labels_and_rows_of_bytes(tf: Any) -> None:
    example = _parsed(tf, PROFILES["audioset"], DECODED, [3, 7], ROWS)
    context = example.context.feature
    assert set(context) == {"video_id", "start_time_seconds", "end_time_seconds", "labels"}
    assert context["video_id"].bytes_list.value == ["Übung/--PJHxphWEs".encode()]
    assert context["start_time_seconds"].float_list.value == [np.float32(30.25)]
    assert context["end_time_seconds"].float_list.value == [np.float32(33.145)]
    assert context["labels"].int64_list.value == [3, 7]
    assert set(example.feature_lists.feature_list) == {"audio_embedding"}
    features = example.feature_lists.feature_list["audio_embedding"].feature
    assert [list(row.bytes_list.value) for row in features] == [[row.tobytes()] for row in ROWS]


def test_a_youtube8m_record_has_no_times(tf: Any) -> None:
    example = _parsed(tf, PROFILES["youtube8m"], DECODED, [2**63 - 1], ROWS)
    context = example.context.feature
    assert set(context) == {"id", "labels"}
    assert context["labels"].int64_list.value == [2**63 - 1]
    assert len(example.feature_lists.feature_list["audio"].feature) == 2


def test_a_record_has_the_length_of_its_damage_where_damaged_clips_are_kept(tf: Any) -> None:
    damages = (DamagedAudio("a", 1, 1.25, "hole"), DamagedAudio("a", 3, 3, "cut"))
    damaged = dataclasses.replace(DECODED, damages=damages)
    for name, profile in PROFILES.items():
        rows = RAW_ROWS if name == "raw" else ROWS
        keeping = dataclasses.replace(profile, damaged_key=DAMAGED_KEY)
        for decoded, seconds in ((DECODED, 0), (damaged, 0.25)):
            context = _parsed(tf, keeping, decoded, [], rows).context.feature
            assert set(context) == set(keeping.context_keys)
            assert context["damaged_seconds"].float_list.value == [seconds]


def test_rows_of_floats_are_kept_bit_by_bit(tf: Any) -> None:
    example = _parsed(tf, PROFILES["raw"], DECODED, [], RAW_ROWS)
    features = example.feature_lists.feature_list["audio_embedding"].feature
    found = np.array([row.float_list.value for row in features], np.float32)
    np.testing.assert_array_equal(found, RAW_ROWS)


def test_labels_are_there_also_where_there_are_none(tf: Any) -> None:
    for profile in PROFILES:
        rows = RAW_ROWS if profile == "raw" else ROWS
        labels = _parsed(tf, PROFILES[profile], DECODED, [], rows).context.feature["labels"]
        assert labels.WhichOneof("kind") == "int64_list"
        assert list(labels.int64_list.value) == []


def test_columns_that_are_kept_become_context_features_and_others_do_not(tf: Any) -> None:
    profile = dataclasses.replace(PROFILES["youtube8m"], columns=("speaker", "absent"))
    context = _parsed(tf, profile, DECODED, [], ROWS).context.feature
    assert set(context) == {"id", "labels", "speaker", "absent"}
    assert context["speaker"].bytes_list.value == ["änn".encode()]
    assert context["absent"].WhichOneof("kind") == "bytes_list"
    assert list(context["absent"].bytes_list.value) == []


def test_equal_arguments_give_equal_bytes_for_any_order_of_columns(tf: Any) -> None:
    names = ("speaker", "note", "a", "z")
    profiles = [
        dataclasses.replace(PROFILES["audioset"], columns=columns)
        for columns in (names, names[::-1])
    ]
    first, second = (sequence_example(profile, DECODED, [1], ROWS) for profile in profiles)
    assert first == second
    assert sequence_example(profiles[0], DECODED, [2], ROWS) != first


# Of lengths that take one, two and three bytes; one begins others.
TEXTS = st.sampled_from(["", "a", "ab", "a b", "ä", "\U0001f600", "é" * 64, "x" * 16_384])
COLUMNS = st.lists(TEXTS.filter(bool), unique=True, max_size=6)


@hypothesis.given(st.sampled_from(sorted(PROFILES)), COLUMNS, st.data())
def test_the_bytes_are_those_of_tensorflow(
    tf: Any, name: str, columns: list[str], data: st.DataObject
) -> None:
    values = data.draw(st.dictionaries(st.sampled_from(columns), TEXTS) if columns else st.just({}))
    key = data.draw(st.sampled_from([None, DAMAGED_KEY]))
    profile = dataclasses.replace(PROFILES[name], columns=tuple(columns), damaged_key=key)
    clip_id = data.draw(TEXTS)
    clip = dataclasses.replace(CLIP, id=clip_id, columns=tuple(values.items()))
    end = data.draw(st.floats(0, 1e9))
    decoded = dataclasses.replace(DECODED, clip=clip, end_seconds=end)
    labels = data.draw(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=200))
    num_rows, size = data.draw(st.sampled_from([0, 1, 2, 300])), 128
    if not profile.quantised:
        size = data.draw(st.sampled_from([1, 31, 32, 128, 4_095, 5_000]))
    random = np.random.default_rng(num_rows)
    rows = random.integers(0, 256, (num_rows, 4 * size), np.uint8)
    floats = rows.view(np.float32)  # with any bits, but that Python has one NaN
    rows = rows[:, :size] if profile.quantised else np.where(np.isnan(floats), np.nan, floats)
    expected = _tensorflows_bytes(tf, profile, decoded, labels, rows)
    assert sequence_example(profile, decoded, labels, rows) == expected


def _tensorflows_bytes(
    tf: Any, profile: Profile, decoded: DecodedClip, labels: list[int], rows: np.ndarray
) -> bytes:
    clip = decoded.clip
    example = tf.train.SequenceExample()
    context = example.context.feature
    context[profile.id_key].bytes_list.value.append(clip.id.encode())
    if profile.start_key and profile.end_key:
        context[profile.start_key].float_list.value.append(float(clip.start_seconds))
        context[profile.end_key].float_list.value.append(decoded.end_seconds)
    if profile.damaged_key:
        context[profile.damaged_key].float_list.value.append(decoded.damaged_seconds)
    context[profile.labels_key].int64_list.SetInParent()
    context[profile.labels_key].int64_list.value.extend(labels)
    for column in profile.columns:
        context[column].bytes_list.SetInParent()
        given = (value.encode() for name, value in clip.columns if name == column)
        context[column].bytes_list.value.extend(given)
    features = example.feature_lists.feature_list[profile.rows_key].feature
    for row in rows:
        if profile.quantised:
            features.add().bytes_list.value.append(row.tobytes())
        else:
            features.add().float_list.value.extend(row)
    return bytes(example.SerializeToString(deterministic=True))
