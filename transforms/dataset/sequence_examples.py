"""Records: `tf.train.SequenceExample`s in the layout of a profile.

They are written without TensorFlow, whose import takes seconds and half a gigabyte. The bytes are
those of its own deterministic serialisation: fields in the order of their numbers, entries of maps
in that of their keys. The messages, from `example.proto` and `feature.proto` of TensorFlow:

  SequenceExample  context = 1: Features, feature_lists = 2: FeatureLists
  Features         feature = 1: map<string, Feature>
  FeatureLists     feature_list = 1: map<string, FeatureList>
  FeatureList      feature = 1: repeated Feature
  Feature          bytes_list = 1, float_list = 2, int64_list = 3
  the three lists  value = 1: bytes repeated; float and int64 packed
  a map's entry    key = 1, value = 2
"""

import functools
import struct
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from transforms.corpus.runs import DecodedClip
from transforms.dataset.profiles import Profile

# Of a row of 128 bytes to 16 kB: three messages inside each other, each with a tag and a length of
# two bytes (`Feature`, its list, the list's value).
FEATURE_OVERHEAD_BYTES = 9

_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3
# The low bits of a tag: the field's length follows.
_LENGTH_DELIMITED = 2


def sequence_example(
    profile: Profile, decoded: DecodedClip, labels: Sequence[int], rows: np.ndarray
) -> bytes:
    """Returns a serialised record; equal arguments give equal bytes.

    Args:
      profile: Layout of the record.
      decoded: The clip, with its actual end and its damage.
      labels: Indices of the labels, sorted.
      rows: uint8 `[num_rows, 128]` for a quantised profile, else float32
        `[num_rows, embedding_size]`.
    """
    clip = decoded.clip
    context = {profile.id_key: _bytes_feature(clip.id.encode())}
    if profile.start_key is not None and profile.end_key is not None:
        context[profile.start_key] = _float_feature(float(clip.start_seconds))
        context[profile.end_key] = _float_feature(decoded.end_seconds)
    if profile.damaged_key is not None:
        context[profile.damaged_key] = _float_feature(decoded.damaged_seconds)
    context[profile.labels_key] = _int64_feature(labels)  # present even if empty
    columns = dict(clip.columns)
    for column in profile.columns:
        value = (columns[column].encode(),) if column in columns else ()
        context[column] = _bytes_feature(*value)
    feature_lists = {profile.rows_key: _row_features(profile, rows)}
    return _field(1, _map(context)) + _field(2, _map(feature_lists))


def _row_features(profile: Profile, rows: np.ndarray) -> bytes:
    """Returns a `FeatureList` of rows: each has the same bytes in front of its values."""
    kind = _BYTES_LIST if profile.quantised else _FLOAT_LIST
    values = np.ascontiguousarray(rows, np.uint8 if profile.quantised else "<f4").view(np.uint8)
    front = _front_of_row(kind, values.shape[1])
    features = np.empty((len(rows), len(front) + values.shape[1]), np.uint8)
    features[:, : len(front)] = front
    features[:, len(front) :] = values
    return features.tobytes()


@functools.lru_cache
def _front_of_row(kind: int, num_bytes: int) -> np.ndarray:
    """Returns the tags and lengths of a feature with one value, or packed ones, of this size."""
    feature = _field(1, _field(kind, _field(1, bytes(num_bytes))))
    return np.frombuffer(feature[: len(feature) - num_bytes], np.uint8)


def _bytes_feature(*values: bytes) -> bytes:
    return _field(_BYTES_LIST, b"".join(_field(1, value) for value in values))


def _float_feature(value: float) -> bytes:
    return _field(_FLOAT_LIST, _field(1, struct.pack("<f", value)))


def _int64_feature(values: Iterable[int]) -> bytes:
    packed = b"".join(_varint(value % 2**64) for value in values)  # negative ones as 64 bits
    return _field(_INT64_LIST, _field(1, packed) if packed else b"")


def _map(entries: Mapping[str, bytes]) -> bytes:
    # Protobuf's implementation in C, which TensorFlow uses, puts `ab` before `a`: as if keys ended
    # in a byte that is not in UTF-8.
    ordered = sorted(entries, key=lambda key: key.encode() + b"\xff")
    return b"".join(_field(1, _field(1, key.encode()) + _field(2, entries[key])) for key in ordered)


def _field(number: int, content: bytes) -> bytes:
    """Returns a field of bytes, of a string, of a message, or of packed numbers."""
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(content)) + content


@functools.lru_cache(maxsize=4096)
def _varint(value: int) -> bytes:
    """Returns a number of 0 or more in base 128, the lowest digit first."""
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)
