"""Validation of a run before it starts.

A corpus may be huge: one file of each input is listed, and the beginning of the first manifests is
read. The workers list and read the rest.
"""

import dataclasses
import sys
from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeVar

from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.commands import absent_recordings, engine_choice
from pipeline.commands.input_layouts import check_paths
from pipeline.errors import UsageError
from pipeline.folders.output_folder import OutputFolder
from pipeline.folders.reachability import check_storages
from pipeline.options import declaration
from pipeline.options.declaration import PathKind
from pipeline.options.settings import DROP, EmbedSettings
from pipeline.runners import runner
from pipeline.runners.options import is_dataflow, is_elsewhere, request_memory
from pipeline.terminal import packed_readings, table_readings
from pipeline.terminal.packed_readings import PackedReading
from transforms.corpus import listing
from transforms.corpus.clips import Clip, Failure, printable
from transforms.corpus.labels import (
    ClassMap,
    ClassMapError,
    read_class_map,
)
from transforms.corpus.listing import SkippedFile
from transforms.corpus.manifests import segment_names
from transforms.corpus.manifests.columns import KNOWN_COLUMNS, RAW_COLUMNS
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.manifest import (
    ManifestOptions,
    ManifestReading,
    check_manifest,
)
from transforms.corpus.manifests.segments import check_segments
from transforms.model.choosing import EngineChoice
from transforms.model.errors import ModelError
from transforms.model.postprocessing import Pca
from transforms.model.sources import resolving
from transforms.model.sources.names import is_url
from transforms.model.sources.pca import load_pca
from transforms.read_corpus import ReadCorpus
from transforms.storage import files, near_names
from transforms.storage.globs import is_glob

_NUM_CHECKED = 20
_Found = TypeVar("_Found")


@dataclasses.dataclass(frozen=True)
class PreparedRun:
    """The validated parts of a run.

    Attributes:
      corpus: The clips to embed.
      output: The folder of the dataset; nothing has been made there.
      pca: The PCA parameters of 8-bit profiles.
      engine: What computes the rows, on all workers.
    """

    corpus: ReadCorpus
    output: OutputFolder
    pca: Pca | None
    engine: EngineChoice


def prepare_run(
    settings: EmbedSettings,
    options: PipelineOptions,
    wait: bool = True,
    to_write: bool = False,
) -> PreparedRun:
    """Validates the options of a run, and loads what the launcher needs for it.

    Args:
      settings: The command's own options.
      options: Beam's options; the memory that the model takes is added.
      wait: The launcher waits for the end of the job.
      to_write: The run writes a dataset, which another run may be doing there.

    Raises:
      UsageError: The run would fail; the message says why.
      ModelError: The model or the PCA parameters cannot be had.
    """
    runner.check(options, wait)
    check_within_reach(options, settings)
    corpus = corpus_of(settings, refuses_absent=True, elsewhere=is_elsewhere(options))
    check_model(settings, is_elsewhere(options))
    request_memory(options, lambda: resolving.num_bytes(settings.model))
    output = OutputFolder(settings.output, settings.name, settings.overwrite)
    output.check(to_write)
    pca = load_pca(settings.pca) if settings.profile.quantised else None
    return PreparedRun(corpus, output, pca, engine_choice.choose(settings, options))


def corpus_of(
    settings: EmbedSettings, refuses_absent: bool = False, elsewhere: bool = False
) -> ReadCorpus:
    """Returns the validated corpus, and prints how its manifests are read.

    Args:
      settings: The command's own options.
      refuses_absent: Refuse a manifest whose first recordings are all absent, unless all clips
        may fail.
      elsewhere: The workers may be on other machines, which have other local files.

    Raises:
      UsageError: An input is missing or invalid.
    """
    check_storages(_paths_to_read(settings))
    packed_files = [reading for path in settings.inputs if (reading := _check_input(path))]
    class_map = _class_map(settings.class_map) if settings.class_map is not None else None
    changed = {
        "class_map": class_map,
        "drop_unknown_labels": settings.unknown_labels == DROP,
        "splits": settings.split,
        "layout": settings.corpus_layout,
    }
    corpus = ReadCorpus(**declaration.shared_values(settings, ReadCorpus) | changed)
    for path in settings.inputs:
        check_paths(path, corpus.folder_options)
    readings = _check_manifests(settings, corpus.manifest_options)
    if settings.audioset_segments:
        _check_segments(settings)
    for line in (*packed_readings.lines(packed_files), *table_readings.lines(readings)):
        print(line, file=sys.stderr)
    if refuses_absent and settings.max_failed_ratio < 1:
        absent_recordings.check(readings, elsewhere)
    return corpus


def _paths_to_read(settings: EmbedSettings) -> Iterator[tuple[str, str]]:
    """Yields each flag with each path that is read from a storage."""
    yield from declaration.paths(settings, PathKind.WORKERS, PathKind.LAUNCHER)
    for flag, path in declaration.paths(settings, PathKind.FETCHED):
        # A hub may be out of reach where the file is in the cache.
        is_read = flag != "--pca" or settings.profile.quantised
        if is_read and not is_url(path):
            yield flag, path


def check_model(settings: EmbedSettings, on_workers: bool) -> None:
    """Refuses a model that does not exist, or is larger on its storage than it may be.

    Args:
      settings: Those of the model count.
      on_workers: The workers are other machines: a path that is absent here may exist there.

    Raises:
      UsageError: The model does not exist, is too large, or is invalid.
    """
    try:
        resolving.check_model(settings.model, on_workers, settings.max_model_bytes)
    except (ModelError, OSError) as error:
        raise UsageError(f"--model: {error}") from error


def check_within_reach(options: PipelineOptions, settings: EmbedSettings) -> None:
    """Refuses files of this machine for the workers of Dataflow.

    Raises:
      UsageError: Names the flag, and what to do.
    """
    if not is_dataflow(options):
        return
    for flag, path in declaration.paths(settings, PathKind.OUTPUT, PathKind.WORKERS):
        if files.is_local(path):
            raise UsageError(
                f"{flag}={printable(path)} is on this machine, which Dataflow's workers cannot"
                " reach: use a gs:// bucket"
            )


def _check_input(path: str) -> PackedReading | None:
    """Refuses an input without audio; returns how its first packed file is read, if it has one."""
    label = f"--input={printable(path)}"
    without_audio: list[PackedReading] = []
    try:
        for limit in (1_000, None):
            skipped = 0
            without_audio.clear()
            for found in listing.list_input(path, limit):
                if isinstance(found, Clip | Failure):
                    return None
                if isinstance(found, SkippedFile):
                    skipped += 1
                    continue
                reading = packed_readings.read_beginning(found)
                is_clear = reading.first is not None or not reading.is_whole
                if is_clear or len(without_audio) == _NUM_CHECKED:
                    return reading
                without_audio.append(reading)
    except OSError as error:
        raise UsageError(f"{label}: cannot be listed: {error}") from error
    for reading in without_audio:
        if reading.failure is None:
            skipped += 1
        elif reading.failure.id == reading.shard.id:
            raise UsageError(f"{label}: {reading.shard.id}: {reading.failure.message}")
        else:
            return reading
    if skipped:
        raise UsageError(
            f"{label}: none of its {skipped} files is audio by its suffix"
            f" ({' '.join(sorted(listing.AUDIO_SUFFIXES))}); pass files or a glob to"
            " read them"
        )
    raise UsageError(f"{label} matches nothing{_hint(path)}")


def _hint(path: str) -> str:
    found = "" if is_glob(path) else near_names.hint(path)
    return printable(f"; {found}") if found else ""


def _check_manifests(settings: EmbedSettings, options: ManifestOptions) -> list[ManifestReading]:
    """Refuses invalid manifests, and columns to keep that none of them has.

    Returns:
      How the first of them are read.
    """

    def reading(file: BinaryIO, uri: str) -> ManifestReading:
        return check_manifest(file, uri, options)

    found = list(_check_first_files("--manifest", settings.manifests, reading))
    # Each line of JSON lines has its own columns, and so does each file that is not read here.
    are_known = len(found) < _NUM_CHECKED and all(each.header is not None for each in found)
    others = {name for each in found for name in each.others}
    known = KNOWN_COLUMNS.difference(RAW_COLUMNS)
    for name in settings.keep_columns:
        if name.casefold() in known and name not in others:
            raise UsageError(
                f"--keep_columns={name}: a column of this name describes the clip and is not kept;"
                " rename it"
            )
    absent = [name for name in settings.keep_columns if name not in others]
    if are_known and absent:
        raise UsageError(
            f"--keep_columns={absent[0]}: no manifest has it (there are:"
            f" {', '.join(sorted(others))})"
        )
    return found


def _check_segments(settings: EmbedSettings) -> None:
    assert settings.audio_root is not None  # settings have been checked

    def check(file: BinaryIO, _: str) -> None:
        check_segments(file)

    for _ in _check_first_files("--audioset_segments", settings.audioset_segments, check):
        pass
    if settings.audio_name is not None:
        try:
            segment_names.check_template(settings.audio_name)
        except segment_names.TemplateError as error:
            raise UsageError(f"--audio_name={settings.audio_name}: {error}") from error
    if not _exists(settings.audio_root):
        why = f"does not exist{_hint(settings.audio_root)}"
        raise UsageError(f"--audio_root={printable(settings.audio_root)} {why}")


def _exists(folder: str) -> bool:
    try:
        return files.exists(folder)
    except OSError as error:
        raise UsageError(f"--audio_root={printable(folder)}: {error}") from error


def _check_first_files(
    flag: str, patterns: tuple[str, ...], check: Callable[[BinaryIO, str], _Found]
) -> Iterator[_Found]:
    """Yields the results of a check, which takes file and path, for the first files."""
    for pattern in patterns:
        try:
            matching = files.matching_files(pattern)
            if not matching:
                why = f"matches nothing{_hint(pattern)}"
                raise UsageError(f"{flag}={printable(pattern)} {why}")
        except OSError as error:
            raise UsageError(f"{flag}={printable(pattern)} cannot be read: {error}") from error
        for uri in matching[:_NUM_CHECKED]:
            try:
                # Inside: a file that cannot be decompressed fails while it is read.
                with files.open_decompressed(uri) as file:
                    yield check(file, uri)
            except (ManifestError, OSError) as error:
                raise UsageError(f"{flag}={printable(uri)}: {error}") from error


def _class_map(path: str) -> ClassMap:
    try:
        return read_class_map(path)
    except (ClassMapError, OSError) as error:
        raise UsageError(f"--class_map={printable(path)}: {error}") from error
