"""Records: `tf.train.SequenceExample`s in the layout of a profile.

Importing TensorFlow takes seconds: only writing a record does it.
"""

import numpy as np

from transforms.corpus.clips import Clip
from transforms.dataset.profiles import Profile


def sequence_example(profile: Profile, clip: Clip, end_seconds: float, rows: np.ndarray) -> bytes:
    """Returns a serialised record; equal arguments give equal bytes.

    Args:
      profile: The layout.
      clip: Whose record it is.
      end_seconds: Where the clip ends in its recording.
      rows: uint8 `[num_rows, 128]` for a quantised profile, else float32
        `[num_rows, embedding_size]`.
    """
    import tensorflow as tf

    example = tf.train.SequenceExample()
    context = example.context.feature
    context[profile.id_key].bytes_list.value.append(clip.id.encode())
    if profile.start_key is not None and profile.end_key is not None:
        context[profile.start_key].float_list.value.append(0.0)
        context[profile.end_key].float_list.value.append(end_seconds)
    context[profile.labels_key].int64_list.SetInParent()  # there, and empty: nothing is known
    features = example.feature_lists.feature_list[profile.rows_key].feature
    for row in rows:
        if profile.quantised:
            features.add().bytes_list.value.append(row.tobytes())
        else:
            features.add().float_list.value.extend(row)
    return bytes(example.SerializeToString(deterministic=True))
