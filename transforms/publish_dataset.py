"""PublishDataset: from temporary files to a complete dataset."""

import collections
import contextlib
import dataclasses
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam import pvalue

from transforms.corpus.labels import CLASS_MAP_NAME, ClassMap
from transforms.corpus.manifests.manifest import ManifestFacts
from transforms.corpus.splits import UNSPLIT
from transforms.dataset import completeness, file_names, provenance, schema, shards
from transforms.dataset.provenance import Origin, Part
from transforms.dataset.shards import NumShards, Shard, ShardSums
from transforms.dataset.table_files import FAILURES, NOTES, TableFile, merge_lines, table_name
from transforms.embed_patches import DEVIATION, MODEL
from transforms.metrics import run_times
from transforms.metrics.reporting import COUNT, TIME, Totals
from transforms.metrics.run_times import StepTime
from transforms.model.embedding_model import ModelFacts
from transforms.storage import files, leases


@dataclasses.dataclass
class PublishDataset(beam.PTransform):
    """Checks that nothing is missing, and renames the temporary files; `dataset.json` comes last.

    With splits, each split is a dataset in its own folder.

    Input: one element. Output: the text of `dataset.json`.

    Attributes:
      origin: Settings of the run.
      folder: Folder of the dataset.
      staging: Folder of the temporary files; deleted in the end.
      number: The number of shards.
      settled: `TableFile`s, `ManifestFacts`, and one `Totals`, as of `WriteTables`.
      written: `Shard`s, `ShardSums` and `Totals`, as of `WriteShards`.
      class_map: The `ClassMap`, or a side input with it.
    """

    origin: Origin
    folder: str
    staging: str
    number: NumShards
    settled: pvalue.PCollection
    written: pvalue.PCollection
    class_map: ClassMap | pvalue.AsSingleton

    def expand(self, once: pvalue.PCollection) -> pvalue.PCollection[str]:
        return once | beam.ParDo(
            _PublishFn(self.origin, self.folder, self.staging, self.number),
            settled=pvalue.AsIter(self.settled),
            written=pvalue.AsIter(self.written),
            class_map=self.class_map,
        )


class _PublishFn(beam.DoFn):
    def __init__(self, origin: Origin, folder: str, staging: str, number: NumShards) -> None:
        self._origin = origin
        self._folder = folder
        self._staging = staging
        self._number = number

    def process(
        self,
        _: object,
        settled: Iterable[Any],
        written: Iterable[Any],
        class_map: ClassMap,
    ) -> Iterator[str]:
        num_shards = self._number.by_split(settled)
        found = _by_kind([*settled, *written])
        shards, tables = found[Shard], found[TableFile]
        totals = Totals()
        for each in found[Totals]:
            totals.add_all(each)
        tallies = {(split, name): n for (split, name), n in totals.of_kind(COUNT).items()}
        models = [ModelFacts(*fields) for fields in totals.of_kind(MODEL)]
        num_failures = dict.fromkeys(num_shards, 0) | _num_lines(tables, FAILURES)
        num_notes = sum(_num_lines(tables, NOTES).values())
        due = {(each.split, each.index): each.sums for each in found[ShardSums]}
        completeness.check_sums(tallies, num_failures, num_notes, due, shards, num_shards)
        class_map_name = CLASS_MAP_NAME if class_map.classes else None
        deviation = totals.get((DEVIATION,))
        parts = self._parts(shards, num_failures, num_shards)
        infos = {
            folder: provenance.dataset_info(
                self._origin, models, tallies, part, found[ManifestFacts], class_map_name, deviation
            )
            for folder, part in parts.items()
        }

        old = self._withdraw_old()
        new = []
        for folder, part in parts.items():
            names = [name for name, _ in part.shards]
            files.make_folder(self._path(folder))
            files.rename(
                [shard.path for _, shard in part.shards],
                [self._path(folder, name) for name in names],
            )
            has_notes = infos[folder]["counts"]["notes"] or self._origin.framing.keep_damaged
            kinds = (FAILURES, NOTES) if has_notes else (FAILURES,)
            names += self._write_beside(folder, part, tables, class_map, kinds)
            new += [f"{folder}/{name}".lstrip("/") for name in names]
        files.delete_names(self._folder.rstrip("/"), [file for file in old if file not in new])
        times = {step: time for (step,), time in totals.of_kind(TIME).items()}
        info = self._describe(infos, tallies, times)
        yield info.decode()

    def _parts(
        self, written: Sequence[Shard], failures: Mapping[str, int], num_shards: Mapping[str, int]
    ) -> dict[str, Part]:
        """Returns the parts by folder; the folder is empty for a dataset without splits."""
        parts = {}
        for split in sorted(num_shards):
            own = sorted((each for each in written if each.split == split), key=_index)
            is_empty = not failures[split] and not any(each.sums.num_records for each in own)
            if not split and is_empty and len(num_shards) > 1:
                continue
            named = tuple(
                (shards.shard_name(self._origin.name, each.index, num_shards[split]), each)
                for each in own
            )
            folder = split or (UNSPLIT if len(num_shards) > 1 else "")
            parts[folder] = Part(split, folder, named, failures[split])
        return parts

    def _write_beside(
        self,
        folder: str,
        part: Part,
        tables: Sequence[TableFile],
        class_map: ClassMap,
        kinds: Iterable[str],
    ) -> list[str]:
        """Writes the other files of a part; returns their names."""
        names = []
        for kind in kinds:
            names.append(table_name(self._origin.name, kind))
            paths = [each.path for each in tables if (each.kind, each.split) == (kind, part.split)]
            # If an earlier attempt has deleted the temporary files, it has written the table.
            if all(map(files.exists, paths)):
                with contextlib.ExitStack() as stack:
                    opened = [stack.enter_context(files.open_to_read(path)) for path in paths]
                    self._write(self._path(folder, names[-1]), merge_lines(opened))
        texts = {schema.FILE_NAME: schema.schema(self._origin.profile)}
        if class_map.classes:
            texts[CLASS_MAP_NAME] = class_map.text()
        for file, data in texts.items():
            self._write(self._path(folder, file), [data])
        return [*names, *texts]

    def _describe(
        self,
        infos: dict[str, dict[str, Any]],
        tallies: Mapping[tuple[str, str], int],
        times: Mapping[str, StepTime],
    ) -> bytes:
        """Writes every `dataset.json`, the one of the whole dataset last, and returns it."""
        if set(infos) == {""}:
            whole = infos[""]
        else:
            for folder, info in infos.items():
                path = self._path(folder, file_names.FILE_NAME)
                self._write(path, [provenance.to_json(info)])
            whole = provenance.collection_info(infos, tallies)
        # The last key, and the only one that differs between runs with equal settings.
        data = provenance.to_json(whole | {"run": run_times.run_info(times)})
        self._complete(data)
        return data

    def _complete(self, data: bytes) -> None:
        """Renames the `dataset.json` of the whole dataset, the last of the temporary files.

        The others are deleted before that: then a killed run leaves remains that are marked as
        such by the staging folder, or a complete dataset.
        """
        temporary = files.temporary_name(f"{self._staging}/{file_names.FILE_NAME}")
        with files.created(temporary) as file:
            file.write(data)
        last = posixpath.basename(temporary)
        others = [name for name in files.list_names(self._staging) if name != last]
        files.delete_names(self._staging, others)
        files.rename([temporary], [self._path(file_names.FILE_NAME)])
        files.delete_folder(self._staging)
        leases.release_job(self._folder)

    def _withdraw_old(self) -> list[str]:
        """Makes an old dataset incomplete before anything of it changes; returns its files.

        The `dataset.json` above the splits goes first, and is kept in the staging folder: another
        attempt, or the run after a killed one, still finds there what has to be deleted.
        """
        files.make_folder(self._staging)
        # An object storage has no empty folders, and the shards are about to leave this one.
        files.write_atomically(f"{self._staging}/{file_names.MARK}", [])
        path = self._path(file_names.FILE_NAME)
        kept = f"{self._staging}/{file_names.REPLACED}"
        there = [each for each in (path, kept) if files.exists(each)]
        if not there:
            return []
        with files.open_to_read(there[0]) as file:
            old = file_names.own_files(file.read())
        if there[0] == path:
            files.rename([path], [kept])
        descriptions = [file for file in old if posixpath.basename(file) == file_names.FILE_NAME]
        files.delete_files([self._path(file) for file in descriptions])
        return old

    def _write(self, path: str, parts: Iterable[bytes]) -> None:
        """Writes a file in the staging folder, where a killed run may leave it, and moves it."""
        files.write_atomically(path, parts, staging=self._staging)

    def _path(self, *names: str) -> str:
        return "/".join([self._folder.rstrip("/"), *filter(None, names)])


def _by_kind(elements: Iterable[Any]) -> dict[type, list[Any]]:
    found: dict[type, list[Any]] = collections.defaultdict(list)
    for each in elements:
        found[type(each)].append(each)
    return found


def _num_lines(tables: Sequence[TableFile], kind: str) -> dict[str, int]:
    """Returns the number of lines of the tables of a kind, by split."""
    found: dict[str, int] = {}
    for each in tables:
        if each.kind == kind:
            found[each.split] = found.get(each.split, 0) + each.num_lines
    return found


def _index(shard: Shard) -> int:
    return shard.index
