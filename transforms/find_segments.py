"""FindSegments: from AudioSet's files of segments to clips."""

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.typehints.decorators import no_annotations

from transforms.corpus import listing
from transforms.corpus.clips import Clip, Failure, printable
from transforms.corpus.manifests import segment_names
from transforms.corpus.manifests.segments import Segment, read_segments
from transforms.list_clips import count_found
from transforms.metrics import live_counts
from transforms.metrics.reporting import REPORTS, ReportingFn
from transforms.metrics.run_times import LISTING
from transforms.read_manifests import ExpandPatterns, records_of

FAILURES = "failures"
_SEGMENTS = "segments"
_FILES = "files"


@dataclasses.dataclass
class FindSegments(beam.PTransform):
    """Finds the audio of segments.

    Input: absolute paths and globs of files of segments, as bytes, `os.fsencode`d. Outputs: `clips`
    (`Clip`), `failures` (`Failure`: rows that are wrong, and without a template the segments that
    no file is named after) and `reports`.

    Attributes:
      audio_root: Folder that the audio is below.
      audio_name: Template of the names; None searches the folder for those of public downloaders.
      are_cut: The files hold the segments only; else the whole recordings.
    """

    audio_root: str
    audio_name: str | None = None
    are_cut: bool = False

    @no_annotations
    def expand(self, patterns: pvalue.PCollection[bytes]) -> dict[str, pvalue.PCollection]:
        read = (
            patterns
            | ExpandPatterns()
            | beam.ParDo(_ReadFn()).with_outputs(FAILURES, REPORTS, main="read")
        )
        failures = [read[FAILURES]]
        reports = [read[REPORTS]]
        if self.audio_name is not None:
            name = _NameFn(self.audio_root, self.audio_name, self.are_cut)
            found = read.read | "Name" >> beam.ParDo(name).with_outputs(
                FAILURES, REPORTS, main="clips"
            )
        else:
            listed = (
                patterns.pipeline
                | "AudioRoot" >> beam.Create([os.fsencode(self.audio_root)])
                | beam.ParDo(_ListFn()).with_outputs(FAILURES, REPORTS, main="files")
            )
            failures.append(listed[FAILURES])
            reports.append(listed[REPORTS])
            segments = read.read | beam.Map(_by_id).with_output_types(tuple[str, Segment])
            found = (
                {_SEGMENTS: segments, _FILES: listed.files}
                | beam.CoGroupByKey()
                | "Find"
                >> beam.ParDo(_FindFn(self.audio_root, self.are_cut)).with_outputs(
                    FAILURES, REPORTS, main="clips"
                )
            )
        failures.append(found[FAILURES])
        reports.append(found[REPORTS])
        return {
            "clips": found.clips,
            FAILURES: failures | beam.Flatten(),
            REPORTS: reports | "Reports" >> beam.Flatten(),
        }


class _ReadFn(ReportingFn):
    step = LISTING

    def process(self, path: bytes) -> Iterator[Any]:
        for found in self.timed(records_of(os.fsdecode(path), read_segments)):
            if isinstance(found, Segment):
                live_counts.count(found=1)
                yield found
            else:
                count_found(self, found)
                yield pvalue.TaggedOutput(FAILURES, found)


class _ListFn(ReportingFn):
    step = LISTING

    def process(self, folder: bytes) -> Iterator[Any]:
        try:
            for found in self.timed(listing.list_input(os.fsdecode(folder))):
                if isinstance(found, Clip):
                    for possible_id in segment_names.possible_ids(printable(found.uri)):
                        yield possible_id, os.fsencode(found.uri)
                elif isinstance(found, Failure):
                    self.count_failure(found.reason, is_new=True)
                    yield pvalue.TaggedOutput(FAILURES, found)
        except OSError as error:
            path = os.fsdecode(folder)
            why = error.strerror or str(error)
            failure = Failure(printable(path), path, "list", "unreadable", why)
            self.count_failure(failure.reason, is_new=True)
            yield pvalue.TaggedOutput(FAILURES, failure)


class _NameFn(ReportingFn):
    def __init__(self, audio_root: str, audio_name: str, are_cut: bool) -> None:
        self._audio_root = audio_root.rstrip("/")
        self._audio_name = audio_name
        self._are_cut = are_cut or segment_names.has_times(audio_name)

    def process(self, segment: Segment) -> Iterator[Any]:
        try:
            name = segment_names.format_name(self._audio_name, segment)
        except ValueError as error:
            message = f"its times do not fit into {self._audio_name}: {error}"
            failure = _failure(segment, self._audio_root, "invalid_time", message)
            _count_failure(self, failure)
            yield pvalue.TaggedOutput(FAILURES, failure)
        else:
            yield _clip(segment, f"{self._audio_root}/{name}", self._are_cut)


class _FindFn(ReportingFn):
    def __init__(self, audio_root: str, are_cut: bool) -> None:
        self._audio_root = audio_root
        self._are_cut = are_cut

    def process(self, element: tuple[str, Mapping[str, Iterable[Any]]]) -> Iterator[Any]:
        name, found = element
        segments = list(found[_SEGMENTS])
        paths = [os.fsdecode(path) for path in found[_FILES]] if segments else []
        for segment in segments:
            audio = segment_names.find_segment_audio(segment, paths)
            if audio is not None:
                path, is_cut = audio
                yield _clip(segment, path, is_cut or self._are_cut)
            else:
                message = f"no audio below this folder is named {name}, or as downloaders name it"
                failure = _failure(segment, self._audio_root, "not_found", message)
                _count_failure(self, failure)
                yield pvalue.TaggedOutput(FAILURES, failure)


def _count_failure(counting: ReportingFn, failure: Failure) -> None:
    """Counts a segment without audio; it has been counted as found."""
    live_counts.count(done=1, failures=1)
    counting.count_failure(failure.reason, failure.split, is_new=True)


def _by_id(segment: Segment) -> tuple[str, Segment]:
    return segment.id, segment


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
