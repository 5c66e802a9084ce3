"""The TensorFlow Metadata schema of a dataset, with which tfx-bsl reads shards into Arrow."""

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from transforms.dataset.profiles import Profile

FILE_NAME = "schema.pbtxt"
# Name under which tfx-bsl expects the feature lists of a SequenceExample.
_SEQUENCE_FEATURES = "##SEQUENCE##"


def schema(profile: Profile) -> bytes:
    """Returns the schema of a profile's records as a text proto."""
    proto = schema_pb2.Schema()
    _add(proto.feature, profile.id_key, schema_pb2.BYTES)
    for key in (profile.start_key, profile.end_key, profile.damaged_key):
        if key is not None:
            _add(proto.feature, key, schema_pb2.FLOAT)
    labels = proto.feature.add(name=profile.labels_key, type=schema_pb2.INT)
    labels.value_count.min = 0
    for column in profile.columns:
        feature = proto.feature.add(name=column, type=schema_pb2.BYTES)
        feature.value_count.min, feature.value_count.max = 0, 1
    sequence = proto.feature.add(name=_SEQUENCE_FEATURES, type=schema_pb2.STRUCT)
    row_type = schema_pb2.BYTES if profile.quantised else schema_pb2.FLOAT
    rows = sequence.struct_domain.feature.add(name=profile.rows_key, type=row_type)
    rows.value_count.min = 1
    return text_format.MessageToString(proto).encode()


def _add(features: object, name: str, kind: int) -> None:
    feature = features.add(name=name, type=kind)  # type: ignore[attr-defined]
    feature.presence.min_fraction = 1.0
    feature.value_count.min = feature.value_count.max = 1
