"""ReadManifests: from manifests to clips."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.typehints.decorators import no_annotations

from transforms.corpus.clips import Clip, Failure, printable
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.manifest import ManifestOptions, read_manifest
from transforms.dataset.line_reports import line_report
from transforms.list_clips import count_found
from transforms.metrics.reporting import REPORTS, ReportingFn, report_of, with_types
from transforms.metrics.run_times import LISTING
from transforms.storage import files

# The kind of reports that are `ManifestFacts`.
MANIFESTS = "manifests"


@dataclasses.dataclass
class ReadManifests(beam.PTransform):
    """Reads manifests in the workers, row by row.

    Input: absolute paths and globs as bytes from `os.fsencode`. Outputs, each a
    tuple of collections: `clips` (`Clip`) and `reports`, with a `Failure` for invalid rows and for
    files that are no manifests, and `ManifestFacts`, one per readable manifest.
    """

    options: ManifestOptions

    @no_annotations
    def expand(
        self, patterns: pvalue.PCollection[bytes]
    ) -> dict[str, tuple[pvalue.PCollection, ...]]:
        read = with_types(
            patterns
            | ExpandPatterns()
            | beam.ParDo(_ReadFn(self.options)).with_outputs(REPORTS, main="clips")
        )
        return {name: (read[name],) for name in ("clips", REPORTS)}


@dataclasses.dataclass
class ExpandPatterns(beam.PTransform):
    """Expands globs into files, and distributes the files over the workers.

    Input and output: absolute paths as bytes. A path without matches stays, for the reader to
    report it.
    """

    def expand(self, patterns: pvalue.PCollection[bytes]) -> pvalue.PCollection[bytes]:
        return (
            patterns
            | beam.FlatMap(_expanded).with_output_types(tuple[bytes, None])
            | beam.GroupByKey()  # once each, and spread over the workers
            | beam.Keys()
        )


class _ReadFn(ReportingFn):
    step = LISTING

    def __init__(self, options: ManifestOptions) -> None:
        self._options = options

    def process(self, path: bytes) -> Iterator[Any]:
        def read(file: BinaryIO, uri: str) -> Iterator[Any]:
            return read_manifest(file, uri, self._options)

        for found in self.timed(records_of(os.fsdecode(path), read)):
            count_found(self, found)
            if isinstance(found, Clip):
                yield found
            elif isinstance(found, Failure):
                yield line_report(found)
            else:
                yield report_of(MANIFESTS, "", 0, found)


def records_of(uri: str, read: Callable[[BinaryIO, str], Iterator[Any]]) -> Iterator[Any]:
    """Yields the results of `read`, and a failure if the file cannot be read."""
    try:
        with files.open_decompressed(uri) as file:
            yield from read(file, uri)
    except ManifestError as error:
        yield _failure(uri, "invalid_manifest", str(error))
    except FileNotFoundError as error:
        yield _failure(uri, "not_found", error.strerror or str(error))
    except OSError as error:
        yield _failure(uri, "unreadable", error.strerror or str(error))


def _expanded(pattern: bytes) -> Iterator[tuple[bytes, None]]:
    try:
        found = files.matching_files(os.fsdecode(pattern))
    except OSError:
        found = []
    for path in map(os.fsencode, found) if found else [pattern]:
        yield path, None


def _failure(uri: str, reason: str, message: str) -> Failure:
    return Failure(printable(uri), uri, "list", reason, message, manifest=printable(uri))
