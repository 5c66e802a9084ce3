"""EmbedAudio: from recordings to rows."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.typehints.decorators import no_annotations

from transforms.audio import decoding
from transforms.corpus.clips import Clip, printable
from transforms.corpus.spans import PATCH_SAMPLES, FramingConfig
from transforms.dataset.completeness import LISTED
from transforms.dataset.table_files import FAILURES, NOTES
from transforms.decode_patches import DECODE_RESULTS, DecodePatches
from transforms.embed_patches import EmbedPatches
from transforms.join_rows import JoinRows
from transforms.metrics.reporting import (
    REPORTS,
    ReportingFn,
    SelectReports,
    label_of,
    with_types,
)
from transforms.model.choosing import Engine, check_engine
from transforms.model.engines import AUTO
from transforms.model.precision import FLOAT32, PRECISIONS
from transforms.model.sources.names import DEFAULT_MODEL, check_model_name
from transforms.model.sources.writing import MAX_BYTES
from transforms.plan_clips import PlanClips
from transforms.plan_spans import PlanSpans
from transforms.read_corpus import CorpusSource, source_of


@dataclasses.dataclass(frozen=True)
class Embedding:
    """The settings that determine rows.

    Attributes:
      model: Hub URL, SavedModel folder, or archive.
      framing: How clips become patches.
      precision: Precision of the model's convolutions.
      decoder: Names and versions of the decoders.
      source: The corpus of the clips; None if it is unknown.
    """

    model: str
    framing: FramingConfig
    precision: str
    decoder: str
    source: CorpusSource | None = None


class EmbeddedClips(dict[str, Any]):
    """The output of `EmbedAudio` and `EmbedWaveforms`, and the input of `WriteDataset`.

    The first use of `rows`, `failures` or `notes` adds one shuffle of the rows to the pipeline.
    `WriteDataset` joins rows itself, quantised, so a pipeline that only writes a dataset shuffles
    rows once.

    The items of the dict are intermediate collections: `clips` (`Clip`), the inputs of
    `GroupResults` (`decode_results`, `rows`), and `reports`, a tuple.
    """

    def __init__(self, streams: dict[str, Any], embedding: Embedding) -> None:
        super().__init__(streams)
        self.embedding = embedding
        self._joined: Any = None
        self._counts_failures = True

    @property
    def pipeline(self) -> beam.Pipeline:
        """The pipeline."""
        return self["rows"].pipeline

    @property
    def rows(self) -> pvalue.PCollection:
        """`(clip id, float32 [num_rows, embedding_size])` of each complete clip."""
        return self._join()["rows"]

    @property
    def failures(self) -> pvalue.PCollection:
        """`Failure(id, uri, step, reason, message)` of each clip without rows."""
        return self._join()["failures"]

    @property
    def notes(self) -> pvalue.PCollection:
        """`AudioNote(id, uri, start_seconds, end_seconds, message)` of damage in clips with rows.

        Empty unless the framing has `keep_damaged=True`.
        """
        return self._join()["notes"]

    def counts_failures(self) -> bool:
        """Returns True on the first call: only one join of the clips counts those that failed."""
        first, self._counts_failures = self._counts_failures, False
        return first

    def __or__(self, transform: Any) -> Any:
        # `PTransform.__ror__` would rebuild it as a plain dict.
        pipeline: Any = self.pipeline
        return pipeline.apply(transform, self)

    def _join(self) -> dict[str, pvalue.PCollection]:
        if self._joined is None:
            label = label_of(self["rows"], EmbedPatches)
            self._joined = self | f"{label} rows" >> _Join(
                self.embedding.framing.keep_damaged, self.counts_failures()
            )
        return self._joined


@dataclasses.dataclass
class EmbedAudio(beam.PTransform):
    """Decodes recordings and embeds them with an audio-embedding model.

    Input: a bounded PCollection in the global window, of `Clip`s, such as the `clips` of
    `ReadCorpus`; of paths (`str`), which are also the ids; or of `(key, path)` (both `str`), whose
    keys are the ids. A path is local or on a storage backend, and must be reachable from every
    worker. If different paths have the same id, the first in sorted order is embedded and the
    others are failures.

    Output: `EmbeddedClips` with `rows`, `(clip id, float32 [num_rows, embedding_size])`, and
    `failures`, a `Failure` for each other clip. A recording that cannot be read affects no other.

    Audio is never shuffled; rows are shuffled once.

    Attributes:
      model: Hub URL, SavedModel folder, or archive of one; the last two may be on a storage
        backend. It is called with a waveform, float32 `[num_samples]`, mono, 16 kHz, and returns
        a row for each 0.96 s.
      framing: How clips become patches. By default there is a row every 0.96 s of the mean of all
        channels, and clips shorter than 0.975 s are padded with zeros to one row.
      precision: Precision of the model's convolutions, `float32` or `bfloat16`.
      trust_model: Whether the model's operations may use files, the network and Python.
      max_model_bytes: Limit of what is downloaded, copied or unpacked.
      engine: What computes the rows: `native`; `tensorflow`; or `auto`, the native engine if it is
        proved for the model, and TensorFlow otherwise. With `auto` each worker chooses, and
        `WriteDataset` refuses rows of both: name one where machines differ.

    Raises:
      ModelError: `model` is neither a URL nor a path to a model. In a worker: the model cannot be
        loaded, or is not an audio-embedding model.
      TypeError: In a worker: an element has another type.
      ValueError: `framing`, `precision` or `engine` is not allowed.

    Example:
      >>> import apache_beam as beam
      >>> from transforms import EmbedAudio
      >>> with beam.Pipeline() as pipeline:
      ...     paths = pipeline | beam.Create([("birds", f"{FOLDER}/birds.wav"), ("x", "/absent")])
      ...     embedded = paths | EmbedAudio(model=MODEL)
      ...     _ = embedded.rows | beam.MapTuple(lambda key, rows: print(key, rows.shape))
      ...     _ = embedded.failures | beam.Map(lambda failure: print(failure.id, failure.reason))
      birds (10, 128)
      x not_found
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
    def expand(self, audio: pvalue.PCollection) -> EmbeddedClips:
        source = source_of(audio)
        clips, reports = audio, []
        if source is None:
            given = with_types(
                audio | "Clips" >> beam.ParDo(_ClipFn()).with_outputs(REPORTS, main="clips")
            )
            planned = given.clips | PlanClips()
            clips = planned.clips
            reports += [given[REPORTS], planned[REPORTS]]
        spread = clips | PlanSpans(self.framing, source.corpus.splits if source else None)
        decoded = spread["decode_tasks"] | DecodePatches(self.framing)
        embedded = decoded.patches | embed_patches_of(self)
        reports += [each[REPORTS] for each in (spread, decoded, embedded)]
        return EmbeddedClips(
            {
                "clips": clips,
                "decode_results": decoded[DECODE_RESULTS],
                "rows": embedded.rows,
                "reports": tuple(reports),
            },
            Embedding(self.model, self.framing, self.precision, decoding.VERSIONS, source),
        )


def embed_patches_of(settings: Any) -> EmbedPatches:
    """Returns the transform of an `EmbedAudio` or `EmbedWaveforms` that embeds its patches."""
    return EmbedPatches(
        settings.model,
        settings.precision,
        settings.trust_model,
        settings.max_model_bytes,
        settings.engine,
    )


def check_embedding(model: str, framing: FramingConfig, precision: str, engine: Engine) -> None:
    """Validates the settings of an embedding.

    Raises:
      ModelError: `model` is neither a URL nor a path to a model.
      ValueError: `framing`, `precision` or `engine` is not allowed.
    """
    check_model_name(model, on_workers=True)
    if framing.patch_samples != PATCH_SAMPLES:
        raise ValueError(f"patch_samples={framing.patch_samples} (allowed: {PATCH_SAMPLES})")
    if precision not in PRECISIONS:
        raise ValueError(f"precision={precision!r} (allowed: {', '.join(PRECISIONS)})")
    check_engine(engine)


class _ClipFn(ReportingFn):
    def process(self, element: Any) -> Iterator[Clip]:
        clip = _clip_of(element)
        self.report(LISTED)
        self.increment(found=1)
        yield clip


@dataclasses.dataclass
class _Join(beam.PTransform):
    keep_damaged: bool
    counts_failures: bool

    @no_annotations
    def expand(self, embedded: EmbeddedClips) -> dict[str, pvalue.PCollection]:
        unjoined = {name: embedded[name] for name in (DECODE_RESULTS, "rows")}
        joined = unjoined | JoinRows(self.keep_damaged, self.counts_failures)
        reports = {FAILURES: (*embedded[REPORTS], joined[REPORTS]), NOTES: (joined[REPORTS],)}
        selected = {
            kind: given | kind.capitalize() >> SelectReports(kind)
            for kind, given in reports.items()
        }
        return {"rows": joined.rows, **selected}


def _clip_of(element: Any) -> Clip:
    if isinstance(element, Clip):
        return element
    if isinstance(element, str):
        return Clip(printable(element), element)
    if isinstance(element, tuple) and len(element) == 2 and all(map(_is_text, element)):
        key, path = element
        return Clip(printable(key), path)
    raise TypeError(f"{element!r} is not audio (allowed: a path, (key, path), or a Clip)")


def _is_text(value: object) -> bool:
    return isinstance(value, str)
