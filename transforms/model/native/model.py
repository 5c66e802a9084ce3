"""A model whose rows the native engine computes."""

from pathlib import Path

import numpy as np

from transforms.model.batching import BATCH_ROWS
from transforms.model.embedding_model import EmbeddingModel, ModelFacts
from transforms.model.engines import NATIVE
from transforms.model.native import prepared
from transforms.model.native.library import ENGINE_VERSION
from transforms.model.native.proving import Proof
from transforms.model.native.vggish import NativeVggish
from transforms.model.vggish import EMBEDDING_SIZE


class NativeModel(EmbeddingModel):
    """A model whose rows the native engine computes.

    The bits of a row depend on its patch only, so batches are of any size.

    Attributes:
      network: The compiled network with its weights.
    """

    def __init__(self, network: NativeVggish, facts: ModelFacts) -> None:
        super().__init__(facts)
        self.network = network

    def embed(self, patches: np.ndarray) -> np.ndarray:
        """Returns the rows of patches; see `EmbeddingModel`."""
        with self._timed(-(-len(patches) // self.facts.batch_rows)):
            return self.network.embed(patches)


def load(model: str, folder: Path, fingerprint: str, known: Proof | None = None) -> NativeModel:
    """Loads a model that is proved to be VGGish.

    Args:
      model: Name of the model, for messages.
      folder: The SavedModel.
      fingerprint: Its fingerprint.
      known: A proof from another machine.

    Raises:
      ModelError, NativeUnavailableError, NotVggishError, OSError, ProofError: As for
        `prepared.open_model`.
    """
    network, proof = prepared.open_model(model, folder, fingerprint, known)
    facts = ModelFacts(
        fingerprint,
        EMBEDDING_SIZE,
        proof.untrained_seed,
        batch_rows=BATCH_ROWS,
        onednn=None,
        engine=NATIVE,
        engine_version=ENGINE_VERSION,
        proof=proof.to_json(),
    )
    return NativeModel(network, facts)
