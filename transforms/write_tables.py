"""WriteTables: from failures and notes to sorted parts of their tables."""

import dataclasses
from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam import pvalue

from transforms.corpus.clips import AudioNote, Failure
from transforms.corpus.serialization import deserialize, serialize
from transforms.dataset.failure_table import failure_lines
from transforms.dataset.note_table import note_lines
from transforms.dataset.shards import shard_of
from transforms.dataset.table_files import FAILURES, NOTES, TableFile
from transforms.storage import files

# A worker holds one part in memory; a corpus may have millions of failures.
_NUM_PARTS = 16


@dataclasses.dataclass
class WriteTables(beam.PTransform):
    """Writes failures and notes under temporary names.

    Input: `Failure`s and `AudioNote`s. Output: `TableFile`s, none of a kind that has no line.

    Attributes:
      folder: Existing folder of the files.
    """

    folder: str

    def expand(
        self, lines: pvalue.PCollection[Failure | AudioNote]
    ) -> pvalue.PCollection[TableFile]:
        return (
            lines
            | beam.Map(_by_part).with_output_types(tuple[tuple[str, str, int], bytes])
            | beam.GroupByKey()
            | beam.ParDo(_WriteFn(self.folder))
        )


class _WriteFn(beam.DoFn):
    def __init__(self, folder: str) -> None:
        self._folder = folder

    def process(self, element: tuple[tuple[str, str, int], Iterable[bytes]]) -> Iterator[TableFile]:
        (kind, split, part), serialized = element
        lines = failure_lines if kind == FAILURES else note_lines
        path = files.temporary_name(f"{self._folder}/{kind}-{part:02d}")
        num_lines = 0
        with files.created(path) as file:
            for line in lines(map(deserialize, serialized)):
                file.write(line)
                num_lines += 1
        yield TableFile(kind, split, path, num_lines)


def _by_part(line: Failure | AudioNote) -> tuple[tuple[str, str, int], bytes]:
    kind = FAILURES if isinstance(line, Failure) else NOTES
    return (kind, line.split, shard_of(line.id, _NUM_PARTS)), serialize(line)
