"""Embedding of waveforms without a pipeline, for example in a notebook."""

import numpy as np

from transforms.audio.errors import AudioError
from transforms.audio.waveforms import waveform_patches
from transforms.corpus.clips import Clip, Failure
from transforms.corpus.runs import PatchRun
from transforms.corpus.spans import SAMPLE_RATE_HZ, FramingConfig
from transforms.model import choosing
from transforms.model.embedding_model import EmbeddingModel
from transforms.model.engines import AUTO
from transforms.model.precision import FLOAT32
from transforms.model.sources.names import DEFAULT_MODEL
from transforms.model.sources.writing import MAX_BYTES


def load_model(
    model: str = DEFAULT_MODEL,
    precision: str = FLOAT32,
    trust_model: bool = False,
    max_model_bytes: int = MAX_BYTES,
    engine: choosing.Engine = AUTO,
) -> EmbeddingModel:
    """Loads an audio-embedding model, and checks its contract.

    Args:
      model: Hub URL, SavedModel folder, or archive of one; the last two may be on a storage
        backend, such as `gs://` or `s3://`.
      precision: Precision of the model's convolutions, `float32` or `bfloat16`.
      trust_model: Whether the model's operations may use files, the network and Python.
      max_model_bytes: Limit of what is downloaded, copied or unpacked.
      engine: What computes the rows: `native`; `tensorflow`; or `auto`, the native engine if it is
        proved for the model, and TensorFlow otherwise. The first time a model is loaded on a
        machine, the proof takes 10 to 20 s.

    Raises:
      ModelError: The model cannot be fetched or loaded, is not trusted, or is not an
        audio-embedding model; or `engine="native"` cannot compute it.
      ValueError: There is no such engine.

    Example:
      >>> from transforms import load_model
      >>> load_model(MODEL).facts.embedding_size
      128
    """
    choosing.check_engine(engine)
    return choosing.load(model, None, precision, trust_model, max_model_bytes, engine)


def embed_waveform(
    model: EmbeddingModel,
    waveform: np.ndarray,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    framing: FramingConfig | None = None,
) -> np.ndarray:
    """Returns the rows of a waveform, bit for bit those of `EmbedAudio` and `EmbedWaveforms`.

    Args:
      model: A model from `load_model`.
      waveform: float32 `[num_samples]`, mono, in [-1, 1].
      sample_rate_hz: Sample rate of the waveform, which is resampled to 16 kHz.
      framing: How the waveform is cut into patches; by default one row per 0.96 s, and a waveform
        shorter than 0.975 s is padded with zeros to one row.

    Returns:
      float32 `[num_rows, embedding_size]`.

    Raises:
      AudioError: The waveform is empty, contains NaN, or has another type or shape.
      ModelInputError: The model rejects the waveform.
      ValueError: `framing` cuts the waveform into several clips.

    Example:
      >>> import numpy as np
      >>> from transforms import embed_waveform, load_model
      >>> embed_waveform(load_model(MODEL), np.zeros(44_100 * 10, np.float32), 44_100).shape
      (10, 128)
    """
    framing = framing or FramingConfig()
    if framing.clip_seconds is not None:
        raise ValueError(f"clip_seconds={framing.clip_seconds} (allowed: None, one clip)")
    rows = [np.empty((0, model.facts.embedding_size), np.float32)]
    for found in waveform_patches(Clip("waveform", ""), waveform, sample_rate_hz, framing):
        if isinstance(found, Failure):
            raise AudioError(found.reason, found.message)
        if isinstance(found, PatchRun):
            rows.append(model.embed(found.patches))
    return np.concatenate(rows)
