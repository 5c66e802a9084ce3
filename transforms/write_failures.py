"""WriteFailures: from failures to sorted parts of the failure table."""

import dataclasses
from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam import pvalue

from transforms.corpus.clips import Failure
from transforms.corpus.serialization import deserialize, serialize
from transforms.dataset.failure_table import FailureFile, failure_lines
from transforms.dataset.shards import shard_of
from transforms.storage import files

# A worker holds one part in memory; a corpus may have millions of failures.
_NUM_PARTS = 16


@dataclasses.dataclass
class WriteFailures(beam.PTransform):
    """Writes failures under temporary names.

    Input: `Failure`s. Output: `FailureFile`s, none without failures.

    Attributes:
      folder: Existing folder of the files.
    """

    folder: str

    def expand(self, failures: pvalue.PCollection[Failure]) -> pvalue.PCollection[FailureFile]:
        return (
            failures
            | beam.Map(_by_part).with_output_types(tuple[tuple[str, int], bytes])
            | beam.GroupByKey()
            | beam.ParDo(_WriteFn(self.folder))
        )


class _WriteFn(beam.DoFn):
    def __init__(self, folder: str) -> None:
        self._folder = folder

    def process(self, element: tuple[tuple[str, int], Iterable[bytes]]) -> Iterator[FailureFile]:
        (split, part), failures = element
        path = files.temporary_name(f"{self._folder}/failures-{part:02d}")
        num_failures = 0
        with files.created(path) as file:
            for line in failure_lines(map(deserialize, failures)):
                file.write(line)
                num_failures += 1
        yield FailureFile(split, path, num_failures)


def _by_part(failure: Failure) -> tuple[tuple[str, int], bytes]:
    return (failure.split, shard_of(failure.id, _NUM_PARTS)), serialize(failure)
