"""Audio corpora to embeddings, as transforms of Apache Beam.

`ReadCorpus` lists clips, `EmbedAudio` turns them into rows, and `WriteDataset` writes a dataset of
TFRecord files; `EmbedWaveforms` and `HubModelHandler` begin later, with decoded sound and with
patches. `load_model` and `embed_waveform` give the same rows without a pipeline.

Importing this package imports neither Beam nor TensorFlow: each name is imported on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transforms.audio.errors import AudioError
    from transforms.corpus.clips import AudioNote, Clip, Failure
    from transforms.corpus.labels import ClassMap, read_class_map
    from transforms.corpus.spans import FramingConfig
    from transforms.corpus.splits import Splits, parse_splits
    from transforms.dataset.profiles import PROFILES, Profile
    from transforms.embed_audio import EmbedAudio, EmbeddedClips
    from transforms.embed_waveforms import EmbedWaveforms
    from transforms.model.embedding import embed_waveform, load_model
    from transforms.model.embedding_model import EmbeddingModel
    from transforms.model.errors import ModelError, ModelInputError
    from transforms.model.handler import HubModelHandler
    from transforms.read_corpus import CorpusOutputs, ReadCorpus
    from transforms.write_dataset import WriteDataset

__all__ = [
    "PROFILES",
    "AudioError",
    "AudioNote",
    "ClassMap",
    "Clip",
    "CorpusOutputs",
    "EmbedAudio",
    "EmbedWaveforms",
    "EmbeddedClips",
    "EmbeddingModel",
    "Failure",
    "FramingConfig",
    "HubModelHandler",
    "ModelError",
    "ModelInputError",
    "Profile",
    "ReadCorpus",
    "Splits",
    "WriteDataset",
    "embed_waveform",
    "load_model",
    "parse_splits",
    "read_class_map",
]

_MODULES = {
    "AudioError": "audio.errors",
    "ClassMap": "corpus.labels",
    "Clip": "corpus.clips",
    "CorpusOutputs": "read_corpus",
    "EmbedAudio": "embed_audio",
    "EmbedWaveforms": "embed_waveforms",
    "EmbeddedClips": "embed_audio",
    "EmbeddingModel": "model.embedding_model",
    "AudioNote": "corpus.clips",
    "Failure": "corpus.clips",
    "FramingConfig": "corpus.spans",
    "HubModelHandler": "model.handler",
    "ModelError": "model.errors",
    "ModelInputError": "model.errors",
    "PROFILES": "dataset.profiles",
    "Profile": "dataset.profiles",
    "ReadCorpus": "read_corpus",
    "Splits": "corpus.splits",
    "WriteDataset": "write_dataset",
    "embed_waveform": "model.embedding",
    "load_model": "model.embedding",
    "parse_splits": "corpus.splits",
    "read_class_map": "corpus.labels",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
