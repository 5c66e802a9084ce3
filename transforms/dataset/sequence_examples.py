"""Records: `tf.train.SequenceExample`s in the layout of a profile.

TensorFlow, which takes seconds to import, is imported when the first record is made.
"""

from collections.abc import Sequence

import numpy as np

from transforms.corpus.runs import DecodedClip
from transforms.dataset.profiles import Profile
from transforms.model import onednn

# Of a row of 128 bytes to 16 kB: three messages inside each other, each with a tag and a length of
# two bytes (`Feature`, its list, the list's value).
FEATURE_OVERHEAD_BYTES = 9


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
    tf = onednn.tensorflow()

    clip = decoded.clip
    example = tf.train.SequenceExample()
    context = example.context.feature
    context[profile.id_key].bytes_list.value.append(clip.id.encode())
    if profile.start_key is not None and profile.end_key is not None:
        context[profile.start_key].float_list.value.append(float(clip.start_seconds))
        context[profile.end_key].float_list.value.append(decoded.end_seconds)
    if profile.damaged_key is not None:
        context[profile.damaged_key].float_list.value.append(decoded.damaged_seconds)
    context[profile.labels_key].int64_list.SetInParent()  # present even if empty
    context[profile.labels_key].int64_list.value.extend(labels)
    columns = dict(clip.columns)
    for column in profile.columns:
        context[column].bytes_list.SetInParent()
        if column in columns:
            context[column].bytes_list.value.append(columns[column].encode())
    features = example.feature_lists.feature_list[profile.rows_key].feature
    for row in rows:
        if profile.quantised:
            features.add().bytes_list.value.append(row.tobytes())
        else:
            features.add().float_list.value.extend(row)
    return bytes(example.SerializeToString(deterministic=True))
