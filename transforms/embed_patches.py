"""EmbedPatches: from patches to rows, through RunInference."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam import pvalue
from apache_beam.ml.inference.base import ModelHandler, RunInference
from apache_beam.transforms.window import GlobalWindows
from apache_beam.typehints.decorators import no_annotations

from transforms.corpus.runs import PatchRun, RowRun
from transforms.metrics import run_times
from transforms.metrics.reporting import REPORTS, TIME, ReportingFn, with_types
from transforms.metrics.run_times import StepTime
from transforms.model.batching import Packer, PatchBatch
from transforms.model.choosing import Engine
from transforms.model.embedding_model import EmbeddingModel, ModelFacts
from transforms.model.engines import AUTO
from transforms.model.errors import ModelInputError
from transforms.model.handler import HubModelHandler
from transforms.model.precision import FLOAT32, Deviation
from transforms.model.sources.writing import MAX_BYTES

# Kinds of totals. `(MODEL, *fields of ModelFacts)` counts the batches of a model.
MODEL = "model"
DEVIATION = "deviation"


@dataclasses.dataclass
class EmbedPatches(beam.PTransform):
    """Packs patches of many clips into full batches, embeds them, and returns rows by clip.

    Input: `PatchRun`s. Outputs: `rows` (`(clip id, RowRun)`, and `(clip id, message)` of clips that
    the model rejects, or has no finite row for) and `reports`, whose totals have the `ModelFacts`
    of the model and, in bfloat16, the `Deviation` of the first batches of each process.

    Attributes:
      model: Hub URL, SavedModel folder, or archive; the last two may be on a storage backend.
      precision: Precision of the model's convolutions.
      trust_model: Whether the model's operations may use files, the network and Python.
      max_model_bytes: Limit of what is downloaded, copied or unpacked.
      engine: What computes the rows, as for `HubModelHandler`.
    """

    model: str
    precision: str = FLOAT32
    trust_model: bool = False
    max_model_bytes: int = MAX_BYTES
    engine: Engine = AUTO

    @no_annotations
    def expand(self, patches: pvalue.PCollection[PatchRun]) -> pvalue.DoOutputsTuple:
        return with_types(
            patches
            | beam.ParDo(_PackFn())
            | RunInference(_PackedHandler(self._handler()))
            | beam.ParDo(_UnpackFn()).with_outputs(REPORTS, main="rows"),
            rows=tuple[str, Any],
        )

    def _handler(self) -> HubModelHandler:
        return HubModelHandler(
            self.model, self.precision, self.trust_model, self.max_model_bytes, self.engine
        )


@dataclasses.dataclass(frozen=True, eq=False)
class _EmbeddedBatch:
    """The results of a batch.

    Attributes:
      spans: `(clip id, rows or error message)` of each span.
      facts: Facts of the model.
      seconds: Duration of the model's calls since the last batch of any thread.
      num_batches: Number of batches that these calls computed.
      loaded: Time of loading the model; None after the first batch.
      deviation: Deviation from rows in float32; None after the first batches in bfloat16.
    """

    spans: list[tuple[str, RowRun | str]]
    facts: ModelFacts
    seconds: float
    num_batches: int
    loaded: StepTime | None
    deviation: Deviation | None

    @property
    def num_rows(self) -> int:
        return sum(len(each.rows) for _, each in self.spans if isinstance(each, RowRun))


class _PackedHandler(ModelHandler[PatchBatch, _EmbeddedBatch, EmbeddingModel]):
    """A `HubModelHandler` for full batches with the clip of each row."""

    def __init__(self, handler: HubModelHandler) -> None:
        super().__init__(min_batch_size=1, max_batch_size=1)
        self._handler = handler

    def load_model(self) -> EmbeddingModel:
        return self._handler.load_model()

    def run_inference(
        self,
        batch: Sequence[PatchBatch],
        model: EmbeddingModel,
        inference_args: dict[str, Any] | None = None,
    ) -> list[_EmbeddedBatch]:
        return [_embed(model, each) for each in batch]

    def get_num_bytes(self, batch: Sequence[PatchBatch]) -> int:
        return sum(each.patches.nbytes for each in batch)


def _embed(model: EmbeddingModel, batch: PatchBatch) -> _EmbeddedBatch:
    try:
        rows: np.ndarray | None = model.embed(batch.patches)
    except ModelInputError:
        rows = None  # one clip makes the batch fail: embed clip by clip to find it
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


class _UnpackFn(ReportingFn):
    step = run_times.MODEL

    def process(self, embedded: _EmbeddedBatch) -> Iterator[Any]:
        self.totals.add((MODEL, *dataclasses.astuple(embedded.facts)), 1)
        self.stopwatch.add(embedded.seconds, embedded.num_batches)
        self.increment(
            rows=embedded.num_rows,
            failures=sum(isinstance(result, str) for _, result in embedded.spans),
            batches=embedded.num_batches,
            model_milliseconds=round(1_000 * embedded.seconds),
        )
        if embedded.loaded:
            self.totals.add((TIME, run_times.LOADING), embedded.loaded)
        if embedded.deviation is not None:
            self.totals.add((DEVIATION,), embedded.deviation)
        yield from embedded.spans
