"""EmbedPatches: from patches to rows, through RunInference."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam import pvalue
from apache_beam.ml.inference.base import ModelHandler, RunInference
from apache_beam.transforms.window import GlobalWindows

from transforms.corpus.runs import PatchRun, RowRun
from transforms.metrics import live_counts, run_times
from transforms.metrics.run_times import StepTime
from transforms.metrics.timed import TIMES, TimedFn
from transforms.model import loading
from transforms.model.batching import Packer, PatchBatch
from transforms.model.errors import ModelInputError
from transforms.model.loading import EmbeddingModel, ModelFacts
from transforms.model.postprocessing import EMBEDDING_SIZE, Pca
from transforms.model.precision import FLOAT32, Deviation

MODEL_FAILURES = "model_failures"
MODELS = "models"
DEVIATIONS = "deviations"


@dataclasses.dataclass
class EmbedPatches(beam.PTransform):
    """Packs patches of many clips into full batches, embeds them, and hands back rows by clip.

    Input: `PatchRun`s. Outputs: `rows` (`(clip id, RowRun)`), `model_failures`
    (`(clip id, message)`: clips that the model has no finite row for), `models` (`ModelFacts`, one
    a batch: what was really loaded), `deviations` (`Deviation`, of the first batches of each
    process in bfloat16) and
    `times`.

    Attributes:
      model: Hub URL, SavedModel folder, or archive; the last two may be on a storage.
      pca: Makes 8-bit rows; None keeps floats.
      precision: What the model's convolutions compute in.
    """

    model: str
    pca: Pca | None = None
    precision: str = FLOAT32

    def expand(self, patches: pvalue.PCollection[PatchRun]) -> pvalue.DoOutputsTuple:
        wanted_size = EMBEDDING_SIZE if self.pca else None
        return (
            patches
            | beam.ParDo(_PackFn())
            | RunInference(HubModelHandler(self.model, wanted_size, self.precision))
            | beam.ParDo(_UnpackFn(self.pca)).with_outputs(
                MODEL_FAILURES, MODELS, DEVIATIONS, TIMES, main="rows"
            )
        )


@dataclasses.dataclass(frozen=True, eq=False)
class _EmbeddedBatch:
    """What became of a batch: rows or a refusal for each of its spans, and the model's facts.

    Attributes:
      spans: `(clip id, rows or why there are none)`.
      facts: Of the model.
      seconds: Of the model's calls since the last batch of any thread.
      num_batches: That these computed.
      loaded: The time of loading it; with the first batch only.
    """

    spans: list[tuple[str, RowRun | str]]
    facts: ModelFacts
    seconds: float
    num_batches: int
    loaded: StepTime | None
    deviation: Deviation | None


class HubModelHandler(ModelHandler[PatchBatch, _EmbeddedBatch, EmbeddingModel]):
    """Runs a TF-Hub audio-embedding model on batches that are already full.

    One model a process, shared by its threads: RunInference's own handle.
    """

    def __init__(
        self, model: str, wanted_size: int | None = None, precision: str = FLOAT32
    ) -> None:
        super().__init__()
        self._model_name = model
        self._wanted_size = wanted_size
        self._precision = precision

    def load_model(self) -> EmbeddingModel:
        """Brings the model here, loads it and checks its contract; raises `ModelError`."""
        live_counts.count(loading=1)
        try:
            return loading.load(self._model_name, self._wanted_size, self._precision)
        finally:
            live_counts.count(loading=-1)

    def run_inference(
        self,
        batch: Sequence[PatchBatch],
        model: EmbeddingModel,
        inference_args: dict[str, Any] | None = None,
    ) -> list[_EmbeddedBatch]:
        """Returns one `_EmbeddedBatch` for each batch of patches."""
        return [_embed(model, each) for each in batch]

    def batch_elements_kwargs(self) -> dict[str, int]:
        """Tells RunInference to leave the batches as they are."""
        return {"min_batch_size": 1, "max_batch_size": 1}

    def get_num_bytes(self, batch: Sequence[PatchBatch]) -> int:
        """Returns the size of the patches; Beam's own way would pickle them."""
        return sum(each.patches.nbytes for each in batch)


def _embed(model: EmbeddingModel, batch: PatchBatch) -> _EmbeddedBatch:
    try:
        rows: np.ndarray | None = model.embed(batch.patches)
    except ModelInputError:
        rows = None  # one clip spoils the batch: find out which, clip by clip
    spans: list[tuple[str, RowRun | str]] = []
    start = 0
    for clip_id, first_row, num_rows in batch.spans:
        span = slice(start, start + num_rows)
        start += num_rows
        result: RowRun | str
        try:
            own_rows = model.embed(batch.patches[span]) if rows is None else rows[span]
            finite = bool(np.isfinite(own_rows).all())
            result = RowRun(first_row, own_rows) if finite else "the model gave NaN or infinity"
        except ModelInputError as error:
            result = f"the model refuses the audio: {error}"
        spans.append((clip_id, result))
    live_counts.count(
        rows=len(batch.patches),
        failures=sum(isinstance(result, str) for _, result in spans),
    )
    deviation = None if rows is None else model.deviation(batch.patches, rows)
    loading_seconds, seconds, num_batches = model.take_times()
    loaded = run_times.just_ended(loading_seconds) if loading_seconds else None
    return _EmbeddedBatch(spans, model.facts, seconds, num_batches, loaded, deviation)


class _PackFn(beam.DoFn):
    def start_bundle(self) -> None:
        self._packer = Packer()

    def process(self, run: PatchRun) -> Iterator[PatchBatch]:
        yield from self._packer.add(run)

    def finish_bundle(self) -> Iterator[Any]:
        for batch in self._packer.flush():
            yield GlobalWindows.windowed_value(batch)


class _UnpackFn(TimedFn):
    step = run_times.MODEL

    def __init__(self, pca: Pca | None) -> None:
        self._pca = pca

    def process(self, embedded: _EmbeddedBatch) -> Iterator[Any]:
        yield pvalue.TaggedOutput(MODELS, embedded.facts)
        self.stopwatch.add(embedded.seconds, embedded.num_batches)
        if embedded.loaded:
            yield pvalue.TaggedOutput(TIMES, (run_times.LOADING, embedded.loaded))
        if embedded.deviation is not None:
            yield pvalue.TaggedOutput(DEVIATIONS, embedded.deviation)
        for clip_id, result in embedded.spans:
            if isinstance(result, str):
                yield pvalue.TaggedOutput(MODEL_FAILURES, (clip_id, result))
            elif self._pca is None:
                yield clip_id, result
            else:
                yield clip_id, RowRun(result.first_row, self._pca.quantise(result.rows))
