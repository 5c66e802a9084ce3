"""PublishDataset: checks the sums, and gives the files their names; `dataset.json` is the last."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

import apache_beam as beam
from apache_beam import pvalue

from transforms import storage
from transforms.corpus.clips import Failure
from transforms.dataset import failure_table, provenance, schema, shards
from transforms.dataset.provenance import Origin
from transforms.dataset.shards import RecordSums, Shard
from transforms.model.loading import ModelFacts


@dataclasses.dataclass
class PublishDataset(beam.PTransform):
    """Turns what was written under temporary names into a dataset, or into nothing.

    Input: the pipeline. Output: the text of `dataset.json`.

    Attributes:
      origin: The settings of the run.
      folder: Of the dataset.
      staging: Folder of the temporary files; removed in the end.
      written: `Shard`s.
      due: `(shard index, RecordSums)` of the records that went in, one a shard.
      failures: `Failure`s.
      tallies: `(name, count)`, one a name.
      models: `ModelFacts`, distinct.
      num_shards: One number.
    """

    origin: Origin
    folder: str
    staging: str
    written: pvalue.PCollection
    due: pvalue.PCollection
    failures: pvalue.PCollection
    tallies: pvalue.PCollection
    models: pvalue.PCollection
    num_shards: pvalue.PCollection

    def expand(self, pipeline: beam.Pipeline) -> pvalue.PCollection[str]:
        return (
            pipeline
            | beam.Create([None])
            | beam.ParDo(
                _PublishFn(self.origin, self.folder, self.staging),
                written=pvalue.AsList(self.written),
                due=pvalue.AsDict(self.due),
                failures=pvalue.AsIter(self.failures),
                tallies=pvalue.AsDict(self.tallies),
                models=pvalue.AsList(self.models),
                num_shards=pvalue.AsSingleton(self.num_shards),
            )
        )


class _PublishFn(beam.DoFn):
    def __init__(self, origin: Origin, folder: str, staging: str) -> None:
        self._origin = origin
        self._folder = folder
        self._staging = staging

    def process(
        self,
        _: None,
        written: Sequence[Shard],
        due: Mapping[int, RecordSums],
        failures: Iterable[Failure],
        tallies: Mapping[str, int],
        models: Sequence[ModelFacts],
        num_shards: int,
    ) -> Iterator[str]:
        failed = list(failures)
        provenance.check_sums(tallies, len(failed), due, written, num_shards)
        name = self._origin.name
        ordered = sorted(written, key=lambda shard: shard.index)
        named = [(shards.shard_name(name, shard.index, num_shards), shard) for shard in ordered]
        info = provenance.dataset_info(self._origin, models, tallies, named)

        # From here on the old dataset, if there is one, is no longer complete, and says so.
        old = self._old_files()
        storage.delete_files([self._path(provenance.FILE_NAME)])
        storage.rename([shard.path for _, shard in named], [self._path(file) for file, _ in named])
        table = failure_table.failure_table_name(name)
        storage.write_at_once(self._path(table), failure_table.failure_table(failed))
        storage.write_at_once(self._path(schema.FILE_NAME), schema.schema(self._origin.profile))
        new = {table, schema.FILE_NAME, *(file for file, _ in named)}
        storage.delete_files([self._path(file) for file in old if file not in new])
        storage.write_at_once(self._path(provenance.FILE_NAME), info)
        storage.delete_folder(self._staging)
        yield info.decode()

    def _old_files(self) -> list[str]:
        """Returns the files of the dataset that this one takes the place of."""
        path = self._path(provenance.FILE_NAME)
        if not storage.exists(path):
            return []
        with storage.open_to_read(path) as file:
            return provenance.own_files(file.read())

    def _path(self, file: str) -> str:
        return f"{self._folder.rstrip('/')}/{file}"
