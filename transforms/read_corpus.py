"""ReadCorpus: from files, manifests and segments to clips."""

import dataclasses
import functools
import os
from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.typehints.decorators import no_annotations

from transforms.audio import decoding
from transforms.corpus.clips import Clip, printable
from transforms.corpus.labels import ClassMap
from transforms.corpus.layouts.catalogue import NO_LAYOUT, layouts
from transforms.corpus.layouts.folders import FolderOptions
from transforms.corpus.manifests.manifest import ManifestOptions
from transforms.corpus.manifests.mapping import ColumnMapping
from transforms.corpus.same_clips import MERGE_LABELS
from transforms.corpus.splits import Splits
from transforms.dataset.table_files import FAILURES, NOTES
from transforms.find_segments import FindSegments
from transforms.list_clips import ListClips, ListGivenClips
from transforms.metrics.reporting import REPORTS, SelectReports, label_of
from transforms.plan_clips import PlanClips
from transforms.read_manifests import MANIFESTS, ReadManifests
from transforms.storage import files


class CorpusOutputs(dict[str, Any]):
    """The outputs of `ReadCorpus`.

    The items of the dict are the collections themselves: `clips`, and `reports`, a tuple. The first
    use of `failures`, `manifests` or `notes` adds what selects them to the pipeline.
    """

    @property
    def clips(self) -> pvalue.PCollection:
        """`Clip`s, one per id, with known labels only."""
        return self["clips"]

    @property
    def reports(self) -> tuple[pvalue.PCollection, ...]:
        """All else, and counts and times, for `WriteDataset`."""
        return self["reports"]

    @functools.cached_property
    def failures(self) -> pvalue.PCollection:
        """`Failure`s of everything that does not become a clip."""
        return self._selected(FAILURES)

    @functools.cached_property
    def manifests(self) -> pvalue.PCollection:
        """`ManifestFacts` of each manifest."""
        return self._selected(MANIFESTS)

    @functools.cached_property
    def notes(self) -> pvalue.PCollection:
        """`AudioNote`s of rows of manifests that repeat another one word for word."""
        return self._selected(NOTES)

    def _selected(self, kind: str) -> pvalue.PCollection:
        label = label_of(self.clips, PlanClips)
        return self.reports | f"{label} {kind}" >> SelectReports(kind)


@dataclasses.dataclass
class ReadCorpus(beam.PTransform):
    """Lists the clips of a corpus in the workers.

    Input: the pipeline. Output: `CorpusOutputs`; `clips` and `failures` together account for
    everything in the corpus. `corpus.clips | EmbedAudio(...) | WriteDataset(...)` writes `failures`
    to the failure table of the dataset, and uses `class_map` and `splits`. With another transform
    between `corpus.clips` and `EmbedAudio`, such as a filter, it does none of this: the labels are
    numbered in sorted order, there are no splits, and `failures` are yours to handle.

    Paths may be on any storage backend; relative paths start at the current folder.

    Attributes:
      inputs: Files, folders and globs; each recording becomes a clip.
      manifests: Tables of clips, globs allowed: CSV, TSV, JSON lines, JSON or Parquet.
      manifest_format: `csv`, `tsv`, `jsonl`, `json`, `parquet` or `paths`; None to detect it.
      columns: What the columns of manifests mean, where their names do not say it, as
        `uri=audio/{file}.wav`; docs/corpora.md lists the fields and conversions.
      no_header: Names of the columns of manifests without a header line.
      label_separator: Separator of the labels in a cell of a manifest, any text; `none` if a cell
        is one label; None to detect it.
      layout: Name of a known layout of manifests, or of the folders of inputs; `none` for none.
        None to recognise manifests by their columns, if `columns` and `no_header` are not given.
      labels_from_folders: Whether recordings of inputs have the name of their folder as label.
      same_clip: What becomes of rows of one clip with different labels: `merge_labels` gives it the
        labels of all, in the order of the rows; with `fail` all but one fail.
      keep_columns: Columns that rows of one clip may not differ in, because records have them; None
        for all.
      audio_root: Folder of relative paths in manifests, and of the recordings of
        `audioset_segments`.
      audioset_segments: AudioSet's segments files, globs allowed.
      audio_name: Template of the segments' file names; None to search `audio_root`.
      segments_are_cut: Whether the files hold the segments only instead of whole recordings; also
        for the known layouts of YouTube segments.
      class_map: Indices of the labels; None to number the labels in sorted order.
      drop_unknown_labels: Whether to drop labels that are not in `class_map`; otherwise their
        clips fail.
      splits: Splits with their shares of the recordings, or None.
      clips: Further clips.

    Raises:
      ValueError: `audioset_segments` without `audio_root`, an empty `label_separator`, or a
        `layout` or `same_clip` that is not allowed.
      ManifestError: `columns` or `no_header` are invalid.

    Example:
      >>> import apache_beam as beam
      >>> from transforms import ReadCorpus
      >>> with beam.Pipeline() as pipeline:
      ...     corpus = pipeline | ReadCorpus(inputs=[FOLDER])
      ...     _ = corpus.clips | beam.Map(lambda clip: print(clip.id))
      ...     _ = corpus.failures | "Print" >> beam.Map(print)
      birds.wav
    """

    inputs: Sequence[str] = ()
    manifests: Sequence[str] = ()
    manifest_format: str | None = None
    columns: Sequence[str] = ()
    no_header: Sequence[str] = ()
    label_separator: str | None = None
    layout: str | None = None
    labels_from_folders: bool = False
    same_clip: str = MERGE_LABELS
    keep_columns: Sequence[str] | None = None
    audio_root: str | None = None
    audioset_segments: Sequence[str] = ()
    audio_name: str | None = None
    segments_are_cut: bool = False
    class_map: ClassMap | None = None
    drop_unknown_labels: bool = False
    splits: Splits | None = None
    clips: Sequence[Clip] = ()

    def __post_init__(self) -> None:
        super().__init__()
        PlanClips(same_clip=self.same_clip)  # validates it
        if self.label_separator == "":
            raise ValueError("label_separator='' (allowed: any text, or none)")
        self.inputs = tuple(map(files.absolute, self.inputs))
        self.manifests = tuple(map(files.absolute, self.manifests))
        self.columns, self.no_header = tuple(self.columns), tuple(self.no_header)
        self._mapping = ColumnMapping.of(self.columns, self.no_header)
        if self.layout not in (None, NO_LAYOUT, *layouts()):
            raise ValueError(f"layout={self.layout!r} (allowed: {', '.join(layouts())})")
        self.audioset_segments = tuple(map(files.absolute, self.audioset_segments))
        if self.audio_root is not None:
            self.audio_root = files.absolute(self.audio_root)
        elif self.audioset_segments:
            raise ValueError("audio_root=None (with audioset_segments, a folder is required)")

    @property
    def folder_options(self) -> FolderOptions:
        """What the paths of recordings below inputs say."""
        layout = None if self.layout == NO_LAYOUT or not self.inputs else self.layout
        return FolderOptions(layout, self.labels_from_folders)

    @property
    def manifest_options(self) -> ManifestOptions:
        """How manifests are read."""
        return ManifestOptions(
            format=self.manifest_format,
            audio_root=self.audio_root,
            known_labels=self.class_map.__contains__ if self.class_map else None,
            raw_formats=decoding.RAW_FORMATS,
            mapping=self._mapping,
            layout=self.layout,
            segments_are_cut=self.segments_are_cut and not self.audioset_segments,
            label_separator=self.label_separator,
        )

    @property
    def find_segments(self) -> FindSegments | None:
        """How the recordings of segments are found; None without segments."""
        if not self.audioset_segments:
            return None
        assert self.audio_root is not None
        return FindSegments(self.audio_root, self.audio_name, self.segments_are_cut)

    @no_annotations
    def expand(self, pipeline: beam.Pipeline) -> CorpusOutputs:
        clips: list[pvalue.PCollection] = []
        reports: list[pvalue.PCollection] = []

        def add(found: dict[str, tuple[pvalue.PCollection, ...]]) -> None:
            clips.extend(found["clips"])
            reports.extend(found[REPORTS])

        if self.inputs:
            add(pipeline | "Inputs" >> _create(self.inputs) | ListClips(self.folder_options))
        if self.manifests:
            read = ReadManifests(self.manifest_options)
            add(pipeline | "Manifests" >> _create(self.manifests) | read)
        if self.find_segments is not None:
            add(pipeline | "Segments" >> _create(self.audioset_segments) | self.find_segments)
        if self.clips or not clips:
            add(pipeline | "Given" >> beam.Create([*self.clips]) | ListGivenClips())
        planned = (tuple(clips) | "Clips" >> beam.Flatten()) | PlanClips(
            self.class_map,
            self.drop_unknown_labels,
            self.same_clip,
            self.keep_columns,
            self.splits,
        )
        outputs = CorpusOutputs(clips=planned.clips, reports=(*reports, planned[REPORTS]))
        planned.clips.source = CorpusSource(self, outputs)
        return outputs

    def describe(self) -> dict[str, Any]:
        """Returns the options that are set, for `dataset.json`."""
        options: dict[str, Any] = {
            "inputs": list(map(printable, self.inputs)),
            "manifests": list(map(printable, self.manifests)),
            "audioset_segments": list(map(printable, self.audioset_segments)),
            "audio_root": self.audio_root and printable(self.audio_root),
            "audio_name": self.audio_name and printable(self.audio_name),
            "segments_are_cut": self.segments_are_cut,
            "manifest_format": self.manifest_format,
            "columns": list(self.columns),
            "no_header": list(self._mapping.header),
            "label_separator": self.label_separator,
            "layout": self.layout,
            "labels_from_folders": self.labels_from_folders,
            "same_clip": self.manifests and self.same_clip,
            "class_map": self.class_map and printable(self.class_map.uri),
            "unknown_labels": self.class_map and ("drop" if self.drop_unknown_labels else "fail"),
            "split": self.splits and {name: float(share) for name, share in self.splits.shares},
        }
        return {name: value for name, value in options.items() if value}


@dataclasses.dataclass(frozen=True)
class CorpusSource:
    """The corpus of clips, for `WriteDataset`.

    Attributes:
      corpus: The transform.
      outputs: Its outputs.
    """

    corpus: ReadCorpus
    outputs: CorpusOutputs


def source_of(clips: pvalue.PCollection) -> CorpusSource | None:
    """Returns the corpus of clips, if they are the unchanged `clips` of a `ReadCorpus`."""
    return getattr(clips, "source", None)


def _create(paths: Iterable[str]) -> beam.PTransform:
    return beam.Create([*map(os.fsencode, paths)])
