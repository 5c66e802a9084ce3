"""EmbedWaveforms: from waveforms in memory to rows."""

import dataclasses

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.typehints.decorators import no_annotations

from transforms.audio.waveforms import DECODER
from transforms.corpus.spans import FramingConfig
from transforms.decode_patches import DECODE_RESULTS
from transforms.embed_audio import EmbeddedClips, Embedding, check_embedding, embed_patches_of
from transforms.frame_waveforms import CLIPS, FrameWaveforms
from transforms.metrics.reporting import REPORTS
from transforms.model.choosing import Engine
from transforms.model.engines import AUTO
from transforms.model.precision import FLOAT32
from transforms.model.sources.names import DEFAULT_MODEL
from transforms.model.sources.writing import MAX_BYTES


@dataclasses.dataclass
class EmbedWaveforms(beam.PTransform):
    """Embeds decoded waveforms, with the rows that `EmbedAudio` has for recordings of them.

    Input: a bounded PCollection in the global window, of `(key, samples, sample_rate_hz)`. The key
    is a `str`; the samples are float32 `[num_samples]`, mono, in [-1, 1], and are resampled to
    16 kHz. Different waveforms with the same key are failures, all of them.

    Output: `EmbeddedClips` with `rows`, `(key, float32 [num_rows, embedding_size])`, and
    `failures`, a `Failure` for each other waveform.

    Attributes:
      model: As for `EmbedAudio`.
      framing: As for `EmbedAudio`; `channel` has no effect.
      precision, trust_model, max_model_bytes, engine: As for `EmbedAudio`.

    Raises:
      ModelError, ValueError: As for `EmbedAudio`.
      TypeError: A key is not a `str`: when the pipeline is built, or in a worker.

    Example:
      >>> import apache_beam as beam
      >>> import numpy as np
      >>> from transforms import EmbedWaveforms
      >>> with beam.Pipeline() as pipeline:
      ...     silence = np.zeros(3 * 44_100, np.float32)
      ...     waveforms = pipeline | beam.Create([("silence", silence, 44_100)])
      ...     embedded = waveforms | EmbedWaveforms(model=MODEL)
      ...     _ = embedded.rows | beam.MapTuple(lambda key, rows: print(key, rows.shape))
      silence (3, 128)
    """

    model: str = DEFAULT_MODEL
    framing: FramingConfig = dataclasses.field(default_factory=FramingConfig)
    precision: str = FLOAT32
    trust_model: bool = False
    max_model_bytes: int = MAX_BYTES
    engine: Engine = AUTO

    def __post_init__(self) -> None:
        super().__init__()
        check_embedding(self.model, self.framing, self.precision, self.engine)

    @no_annotations
    def expand(self, waveforms: pvalue.PCollection) -> EmbeddedClips:
        framed = waveforms | FrameWaveforms(self.framing)
        embedded = framed.patches | embed_patches_of(self)
        return EmbeddedClips(
            {
                "clips": framed[CLIPS],
                "decode_results": framed[DECODE_RESULTS],
                "rows": embedded.rows,
                "reports": (framed[REPORTS], embedded[REPORTS]),
            },
            Embedding(self.model, self.framing, self.precision, DECODER),
        )
