"""EmbedAudio: from recordings to rows."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.typehints.decorators import no_annotations

from transforms import join_rows, plan_clips, plan_spans
from transforms.audio import decoding
from transforms.corpus.clips import Clip, printable
from transforms.corpus.spans import PATCH_SAMPLES, FramingConfig
from transforms.decode_patches import DECODE_RESULTS, DecodePatches
from transforms.embed_patches import MODEL_FAILURES, EmbedPatches
from transforms.join_rows import JoinRows
from transforms.metrics.reporting import REPORTS, ReportingFn
from transforms.model.precision import FLOAT32, PRECISIONS
from transforms.model.sources.names import DEFAULT_MODEL, check_model_name
from transforms.plan_clips import PlanClips
from transforms.plan_spans import PlanSpans
from transforms.read_corpus import CorpusSource, source_of


@dataclasses.dataclass(frozen=True)
class Embedding:
    """The settings that rows depend on.

    Attributes:
      model: Hub URL, SavedModel folder, or archive.
      framing: How clips become patches.
      precision: What the model's convolutions compute in.
      decoder: The decoders, with their versions.
      source: Where the clips come from; None where that is not known.
    """

    model: str
    framing: FramingConfig
    precision: str
    decoder: str
    source: CorpusSource | None = None


class EmbeddedClips(dict[str, pvalue.PCollection]):
    """Embedded clips: what `EmbedAudio` and `EmbedWaveforms` give, and `WriteDataset` takes.

    `rows` and `failures` are joined on first use, by one shuffle of the rows. `WriteDataset` joins
    rows in its own form, so that a pipeline that only writes a dataset shuffles rows once.

    As a dict it holds what is not joined yet: `clips` (`Clip`), `decode_results`, `rows` and
    `model_failures` as `AssembleClips` takes them, `failures` of clips that were never decoded, and
    `reports`.
    """

    def __init__(self, streams: dict[str, pvalue.PCollection], embedding: Embedding) -> None:
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
        """`(clip id, float32 [num_rows, embedding_size])`, of complete clips only."""
        return self._join()["rows"]

    @property
    def failures(self) -> pvalue.PCollection:
        """`Failure(id, uri, step, reason, message)` of each clip that has no rows."""
        return self._join()["failures"]

    def counts_failures(self) -> bool:
        """Returns True once: the first that joins the clips counts those that failed."""
        first, self._counts_failures = self._counts_failures, False
        return first

    def __or__(self, transform: Any) -> Any:
        # Beam would make a plain dict of it.
        pipeline: Any = self.pipeline
        return pipeline.apply(transform, self)

    def _join(self) -> dict[str, pvalue.PCollection]:
        if self._joined is None:
            # Unique in the pipeline, as that of the transform that this comes from.
            producer: Any = self["reports"].producer
            label = producer.full_label.rpartition("/")[0]
            self._joined = self | f"{label} rows" >> _Join(self.counts_failures())
        return self._joined


@dataclasses.dataclass
class EmbedAudio(beam.PTransform):
    """Decodes recordings and embeds them with an audio-embedding model.

    Input, in a bounded PCollection in the global window: the `clips` of `ReadCorpus` or other
    `Clip`s; or paths, `str`, whose ids are the paths; or `(key, path)`, whose ids are the keys,
    `str`. A path is one of this machine's or of a storage backend that every worker reaches. Of
    equal ids the first path in sorted order is embedded, and each other one is a failure.

    Output: `EmbeddedClips`: `rows` has `(clip id, float32 [num_rows, embedding_size])`, and
    `failures` a `Failure` for each other clip: one file that cannot be read costs no other.

    Audio never passes a shuffle, and the rows pass one.

    Attributes:
      model: Hub URL, SavedModel folder, or archive of one; the last two may be on a storage
        backend. It is called with a waveform, float32 `[num_samples]`, mono, 16 kHz, and returns
        a row for each 0.96 s.
      framing: How clips become patches; by default a row each 0.96 s over the whole clip, the mean
        of all channels, and clips shorter than 0.975 s filled up with zeros to one row.
      precision: What the model's convolutions compute in, `float32` or `bfloat16`.

    Raises:
      ModelError: `model` names nothing that could be one; or, in a worker, it cannot be loaded or
        is no audio-embedding model.
      TypeError: In a worker: an element is not of the types above.
      ValueError: `framing` or `precision` is not allowed.

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

    def __post_init__(self) -> None:
        super().__init__()
        check_embedding(self.model, self.framing, self.precision)

    @no_annotations
    def expand(self, audio: pvalue.PCollection) -> EmbeddedClips:
        source = source_of(audio)
        failures, reports = [], []
        if source is not None:
            clips = audio
        else:
            given = audio | "Clips" >> beam.ParDo(_ClipFn()).with_outputs(REPORTS, main="clips")
            given = given.clips | PlanClips()
            clips = given.clips
            failures.append(given[plan_clips.FAILURES])
            reports.append(given[REPORTS])
        splits = source.corpus.splits if source else None
        spread = clips | PlanSpans(self.framing, splits)
        decoded = spread["decode_tasks"] | DecodePatches(self.framing)
        embedded = decoded.patches | EmbedPatches(self.model, self.precision)
        if self.framing.clip_seconds is None:
            # Here, where nothing can have been lost yet. Clips that are cut off longer ones are
            # not known before these are decoded.
            counted = clips | "Count" >> beam.ParDo(_CountFn()).with_outputs(REPORTS)
            reports.append(counted[REPORTS])
        reports += [each[REPORTS] for each in (spread, decoded, embedded)]
        failures.append(spread[plan_spans.FAILURES])
        return EmbeddedClips(
            {
                "clips": clips,
                "decode_results": decoded[DECODE_RESULTS],
                "rows": embedded.rows,
                "model_failures": embedded[MODEL_FAILURES],
                "failures": failures | "Failures" >> beam.Flatten(),
                "reports": reports | "Reports" >> beam.Flatten(),
            },
            Embedding(self.model, self.framing, self.precision, decoding.VERSIONS, source),
        )


def check_embedding(model: str, framing: FramingConfig, precision: str) -> None:
    """Refuses settings of an embedding that cannot be meant, before a job starts.

    Raises:
      ModelError: `model` is neither a URL nor a path that could hold a model.
      ValueError: Another value is not allowed.
    """
    check_model_name(model, on_workers=True)
    if framing.patch_samples != PATCH_SAMPLES:
        raise ValueError(f"patch_samples={framing.patch_samples} (allowed: {PATCH_SAMPLES})")
    if precision not in PRECISIONS:
        raise ValueError(f"precision={precision!r} (allowed: {', '.join(PRECISIONS)})")


class _ClipFn(ReportingFn):
    def process(self, element: Any) -> Iterator[Clip]:
        self.increment(found=1)
        yield _clip_of(element)


class _CountFn(ReportingFn):
    def process(self, clip: object) -> None:
        self.count("clips")


@dataclasses.dataclass
class _Join(beam.PTransform):
    counts_failures: bool

    @no_annotations
    def expand(self, embedded: EmbeddedClips) -> dict[str, pvalue.PCollection]:
        unjoined = {name: embedded[name] for name in (DECODE_RESULTS, "rows", MODEL_FAILURES)}
        joined = unjoined | JoinRows(self.counts_failures)
        failures = (embedded["failures"], joined[join_rows.FAILURES]) | beam.Flatten()
        return {"rows": joined.rows, "failures": failures}


def _clip_of(element: Any) -> Clip:
    if isinstance(element, Clip):
        return element
    if isinstance(element, str):
        return Clip(printable(element), element)
    if isinstance(element, tuple) and len(element) == 2 and all(map(_is_text, element)):
        return Clip(*element)
    raise TypeError(f"{element!r} is no audio (allowed: a path, (key, path), or a Clip)")


def _is_text(value: object) -> bool:
    return isinstance(value, str)
