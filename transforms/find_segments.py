"""FindSegments: from AudioSet's files of segments to clips."""

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.typehints.decorators import no_annotations

from transforms.corpus import listing
from transforms.corpus.clips import Clip, Failure, printable
from transforms.corpus.manifests import segment_names
from transforms.corpus.manifests.segments import Segment, clip_ids, read_segments
from transforms.dataset.completeness import LISTED, UNPLANNED
from transforms.dataset.line_reports import line_report
from transforms.list_clips import count_found
from transforms.metrics.reporting import REPORTS, ReportingFn, with_types
from transforms.metrics.run_times import LISTING
from transforms.read_manifests import ExpandPatterns, records_of

_SEGMENTS = "segments"
_FILES = "files"


@dataclasses.dataclass
class FindSegments(beam.PTransform):
    """Finds the recordings of AudioSet's segments.

    Input: absolute paths and globs of files of segments, as bytes, `os.fsencode`d. Outputs, each a
    tuple of collections: `clips` (`Clip`) and `reports`, with a `Failure` for rows that are wrong,
    and without a template for the segments that no file is named after.

    Attributes:
      audio_root: Folder that contains the recordings.
      audio_name: Template of the file names; None to search for the names that downloaders use.
      are_cut: Whether the files hold the segments only instead of whole recordings.
    """

    audio_root: str
    audio_name: str | None = None
    are_cut: bool = False

    def clip_of(
        self, segment: Segment, paths: Sequence[str] = (), clip_id: str = ""
    ) -> Clip | Failure:
        """Returns the clip of a segment, or its failure.

        Args:
          segment: The segment.
          paths: Without a template, the files whose names may be those of the segment.
          clip_id: Id of the clip; empty for that of the segment.
        """
        found = self._clip_of(segment, paths)
        return dataclasses.replace(found, id=clip_id) if clip_id else found

    def _clip_of(self, segment: Segment, paths: Sequence[str]) -> Clip | Failure:
        if self.audio_name is None:
            try:
                audio = segment_names.find_segment_audio(segment, paths)
            except segment_names.AmbiguousNameError as error:
                return _failure(segment, self.audio_root, "not_found", str(error))
            if audio is not None:
                path, is_cut = audio
                return _clip(segment, path, is_cut or self.are_cut)
            message = f"no audio below this folder is named {segment.id}, or as downloaders name it"
            return _failure(segment, self.audio_root, "not_found", message)
        root = self.audio_root.rstrip("/")
        try:
            name = segment_names.format_name(self.audio_name, segment)
        except ValueError as error:
            message = f"its times do not fit into {self.audio_name}: {error}"
            return _failure(segment, root, "invalid_time", message)
        is_cut = self.are_cut or segment_names.has_times(self.audio_name)
        return _clip(segment, f"{root}/{name}", is_cut)

    @no_annotations
    def expand(
        self, patterns: pvalue.PCollection[bytes]
    ) -> dict[str, tuple[pvalue.PCollection, ...]]:
        read = with_types(
            patterns
            | ExpandPatterns()
            | beam.ParDo(_ReadFn()).with_outputs(REPORTS, main="segments"),
            segments=tuple[str, Segment],
        )
        reports = [read[REPORTS]]
        grouped = {_SEGMENTS: read.segments}
        if self.audio_name is None:
            listed = with_types(
                patterns.pipeline
                | "AudioRoot" >> beam.Create([os.fsencode(self.audio_root)])
                | beam.ParDo(_ListFn()).with_outputs(REPORTS, main="files"),
                files=tuple[str, bytes],
            )
            reports.append(listed[REPORTS])
            grouped[_FILES] = listed.files
        found = with_types(
            grouped
            | beam.CoGroupByKey()
            | "Find" >> beam.ParDo(_FindFn(self)).with_outputs(REPORTS, main="clips")
        )
        return {"clips": (found.clips,), REPORTS: (*reports, found[REPORTS])}


class _ReadFn(ReportingFn):
    step = LISTING

    def process(self, path: bytes) -> Iterator[Any]:
        for found in self.timed(records_of(os.fsdecode(path), read_segments)):
            if isinstance(found, Segment):
                self.report(LISTED)
                self.increment(found=1)
                yield found.id, found
            else:
                count_found(self, found)
                yield line_report(found)


class _ListFn(ReportingFn):
    step = LISTING

    def process(self, folder: bytes) -> Iterator[Any]:
        try:
            for found in self.timed(listing.list_input(os.fsdecode(folder))):
                if isinstance(found, Clip):
                    for possible_id in segment_names.possible_ids(printable(found.uri)):
                        yield possible_id, os.fsencode(found.uri)
                elif isinstance(found, Failure):
                    count_found(self, found)
                    yield line_report(found)
        except OSError as error:
            path = os.fsdecode(folder)
            why = error.strerror or str(error)
            failure = Failure(printable(path), path, "list", "unreadable", why)
            count_found(self, failure)
            yield line_report(failure)


class _FindFn(ReportingFn):
    def __init__(self, find: FindSegments) -> None:
        self._find = find

    def process(self, element: tuple[str, Mapping[str, Iterable[Any]]]) -> Iterator[Any]:
        _, found = element
        segments = list(found[_SEGMENTS])
        paths = [os.fsdecode(path) for path in found.get(_FILES, ())] if segments else []
        for segment, clip_id in clip_ids(segments):
            clip = self._find.clip_of(segment, paths, clip_id)
            if isinstance(clip, Clip):
                yield clip
            else:
                # The segment is counted as found already.
                self.report(UNPLANNED)
                self.count_failure(clip.reason, clip.split, is_new=True)
                yield line_report(clip)


def _clip(segment: Segment, uri: str, is_cut: bool) -> Clip:
    return Clip(
        segment.id,
        uri,
        segment.start_seconds,
        segment.end_seconds,
        recording_offset_seconds=segment.start_seconds if is_cut else Decimal(0),
        labels=segment.labels,
        recording=segment.id,
        manifest=segment.manifest,
        line=segment.line,
    )


def _failure(segment: Segment, uri: str, reason: str, message: str) -> Failure:
    return _clip(segment, uri, is_cut=False).failure("list", reason, message)
