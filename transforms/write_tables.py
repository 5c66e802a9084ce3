"""WriteTables: from reports to sorted parts of tables, and the totals of the job."""

import dataclasses
import pickle
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.typehints.decorators import no_annotations

from transforms.dataset.failure_table import failure_lines
from transforms.dataset.note_table import note_lines
from transforms.dataset.table_files import FAILURES, NOTES, TableFile
from transforms.metrics.reporting import TOTALS, ReportKey, Totals
from transforms.storage import files

_LINES: dict[str, Callable[[Iterable[Any]], Iterator[bytes]]] = {
    FAILURES: failure_lines,
    NOTES: note_lines,
}


@dataclasses.dataclass
class WriteTables(beam.PTransform):
    """Sorts out the reports of a job: one shuffle, whatever their kinds are.

    Failures and notes are written under temporary names.

    Input: a tuple of `REPORTS`. Output: `TableFile`s, none of a kind that has no line; the sum of
    all `Totals`, if there are any; and every other report.

    Attributes:
      folder: Existing folder of the files.
    """

    folder: str

    @no_annotations
    def expand(self, reports: tuple[pvalue.PCollection, ...]) -> pvalue.PCollection:
        return reports | beam.Flatten() | beam.GroupByKey() | beam.ParDo(_WriteFn(self.folder))


class _WriteFn(beam.DoFn):
    def __init__(self, folder: str) -> None:
        self._folder = folder

    def process(self, element: tuple[ReportKey, Iterable[bytes]]) -> Iterator[Any]:
        (kind, split, part), serialized = element
        reports = map(pickle.loads, serialized)
        if kind == TOTALS:
            totals = Totals()
            for each in reports:
                totals.add_all(each)
            yield totals
        elif kind in _LINES:
            path = files.temporary_name(f"{self._folder}/{kind}-{part:02d}")
            num_lines = 0
            with files.created(path) as file:
                for line in _LINES[kind](reports):
                    file.write(line)
                    num_lines += 1
            yield TableFile(kind, split, path, num_lines)
        else:
            yield from reports
