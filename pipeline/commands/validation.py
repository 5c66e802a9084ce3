"""What a run asks for, looked at before it starts: enough to refuse what cannot be meant.

A corpus may be huge: of an input one file is looked for, of a manifest the beginning is read, and
of many manifests the first ones. The workers read all of them.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeVar

from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.errors import UsageError
from pipeline.folders.output_folder import OutputFolder
from pipeline.folders.reachability import check_storages
from pipeline.options import declaration
from pipeline.options.declaration import PathKind
from pipeline.options.settings import DROP, EmbedSettings
from pipeline.runners import runner
from pipeline.runners.options import ask_for_memory, is_dataflow, is_elsewhere
from transforms.audio import decoding
from transforms.corpus import listing
from transforms.corpus.clips import Clip, Failure, printable
from transforms.corpus.labels import (
    MAX_CLASS_MAP_BYTES,
    ClassMap,
    ClassMapError,
    parse_class_map,
)
from transforms.corpus.manifests import segment_names
from transforms.corpus.manifests.columns import KNOWN_COLUMNS, RAW_COLUMNS
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.manifest import ManifestOptions, check_manifest
from transforms.corpus.manifests.segments import check_segments
from transforms.find_segments import FindSegments
from transforms.model.errors import ModelError
from transforms.model.postprocessing import Pca
from transforms.model.sources import resolving
from transforms.model.sources.names import is_url
from transforms.model.sources.pca import load_pca
from transforms.read_corpus import Corpus
from transforms.storage import files

_NUM_CHECKED = 20
_Found = TypeVar("_Found")


@dataclasses.dataclass(frozen=True)
class PreparedRun:
    """The validated parts of a run.

    Attributes:
      corpus: The clips to embed.
      output: The folder of the dataset; nothing has been made there.
      pca: The PCA parameters of 8-bit profiles.
    """

    corpus: Corpus
    output: OutputFolder
    pca: Pca | None


def prepare_run(
    settings: EmbedSettings, options: PipelineOptions, wait: bool = True
) -> PreparedRun:
    """Validates the options of a run, and loads what the launcher needs for it.

    Args:
      settings: The command's own options.
      options: Beam's options; the memory that the model takes is added.
      wait: The launcher waits for the end of the job.

    Raises:
      UsageError: The run would fail; the message says why.
      ModelError: The PCA parameters cannot be had.
    """
    runner.check(options, wait)
    check_within_reach(options, settings)
    corpus = corpus_of(settings)
    check_model(settings.model, is_elsewhere(options))
    ask_for_memory(options, lambda: resolving.num_bytes(settings.model))
    output = OutputFolder(settings.output, settings.name, settings.overwrite)
    output.check()
    pca = load_pca(settings.pca) if settings.profile.quantised else None
    return PreparedRun(corpus, output, pca)


def corpus_of(settings: EmbedSettings) -> Corpus:
    """Returns what the graph needs to know of the corpus.

    Raises:
      UsageError: Something that was asked for is not there, or is not what it should be.
    """
    check_storages(_paths_to_read(settings))
    for path in settings.inputs:
        _check_input(path)
    class_map = _class_map(settings.class_map) if settings.class_map is not None else None
    options = ManifestOptions(
        format=settings.manifest_format,
        audio_root=settings.audio_root,
        known_labels=class_map.__contains__ if class_map else None,
        raw_formats=decoding.RAW_FORMATS,
    )
    _check_manifests(settings, options)
    find_segments = None
    if settings.audioset_segments:
        find_segments = _find_segments(settings)
    return Corpus(
        inputs=settings.inputs,
        manifests=settings.manifests,
        manifest_options=options,
        segments=settings.audioset_segments,
        find_segments=find_segments,
        class_map=class_map,
        drop_unknown_labels=settings.unknown_labels == DROP,
        splits=settings.split,
    )


def _paths_to_read(settings: EmbedSettings) -> Iterator[tuple[str, str]]:
    """Yields each flag with each path that is read from a storage."""
    yield from declaration.paths(settings, PathKind.WORKERS, PathKind.LAUNCHER)
    for flag, path in declaration.paths(settings, PathKind.FETCHED):
        # A hub may be out of reach where the file is in the cache.
        is_read = flag != "--pca" or settings.profile.quantised
        if is_read and not is_url(path):
            yield flag, path


def check_model(model: str, on_workers: bool) -> None:
    """Refuses a model that is not there.

    Args:
      model: What `--model` names.
      on_workers: The workers are other machines: a path that is not here may be there.

    Raises:
      UsageError: Says what is there instead, and what is allowed.
    """
    try:
        resolving.check_model(model, on_workers)
    except (ModelError, OSError) as error:
        raise UsageError(f"--model: {error}") from error


def check_within_reach(options: PipelineOptions, settings: EmbedSettings) -> None:
    """Refuses files of this machine where the workers are on machines of their own for certain.

    Raises:
      UsageError: Names the flag, and the way out.
    """
    if not is_dataflow(options):
        return
    for flag, path in declaration.paths(settings, PathKind.OUTPUT, PathKind.WORKERS):
        if files.is_local(path):
            raise UsageError(
                f"{flag}={printable(path)} is on this machine, which Dataflow's workers cannot"
                " reach: use a gs:// bucket"
            )


def _check_input(path: str) -> None:
    label = f"--input={printable(path)}"
    try:
        for limit in (1_000, None):
            skipped = 0
            for found in listing.list_input(path, limit):
                if isinstance(found, Clip | Failure):
                    return
                skipped += 1
    except OSError as error:
        raise UsageError(f"{label}: cannot be listed: {error}") from error
    if skipped:
        raise UsageError(
            f"{label}: none of its {skipped} files is audio by its suffix"
            f" ({' '.join(sorted(listing.AUDIO_SUFFIXES))}); name files or a glob to have them"
            " read all the same"
        )
    raise UsageError(f"{label} matches nothing")


def _check_manifests(settings: EmbedSettings, options: ManifestOptions) -> None:
    """Refuses manifests that are none, and columns to keep that none of them has."""
    meant = KNOWN_COLUMNS.difference(RAW_COLUMNS)
    for name in settings.keep_columns:
        if name.casefold() in meant:
            raise UsageError(
                f"--keep_columns={name}: a column of this name says what is asked for and is not"
                " kept; give it another name"
            )

    def columns_of(file: BinaryIO, uri: str) -> tuple[str, ...] | None:
        return check_manifest(file, uri, options)

    found = list(_check_first("--manifest", settings.manifests, columns_of))
    # Each line of JSON lines has columns of its own, and so has each file that is not looked into.
    are_known = None not in found and len(found) < _NUM_CHECKED
    all_columns = {name for columns in found for name in columns or () if name not in meant}
    absent = [name for name in settings.keep_columns if name not in all_columns]
    if are_known and absent:
        raise UsageError(
            f"--keep_columns={absent[0]}: no manifest has it (there are:"
            f" {', '.join(sorted(all_columns))})"
        )


def _find_segments(settings: EmbedSettings) -> FindSegments:
    assert settings.audio_root is not None  # settings have been checked

    def check(file: BinaryIO, _: str) -> None:
        check_segments(file)

    for _ in _check_first("--audioset_segments", settings.audioset_segments, check):
        pass
    if settings.audio_name is not None:
        try:
            segment_names.check_template(settings.audio_name)
        except segment_names.TemplateError as error:
            raise UsageError(f"--audio_name={settings.audio_name}: {error}") from error
    if not _exists(settings.audio_root):
        raise UsageError(f"--audio_root={printable(settings.audio_root)} does not exist")
    return FindSegments(settings.audio_root, settings.audio_name, settings.segments_are_cut)


def _exists(folder: str) -> bool:
    try:
        return files.exists(folder)
    except OSError as error:
        raise UsageError(f"--audio_root={printable(folder)}: {error}") from error


def _check_first(
    flag: str, patterns: tuple[str, ...], check: Callable[[BinaryIO, str], _Found]
) -> Iterator[_Found]:
    """Yields what a check, of file and path, finds in the first matching of each pattern."""
    for pattern in patterns:
        try:
            matching = files.matching_files(pattern)
            if not matching:
                raise UsageError(f"{flag}={printable(pattern)} matches nothing")
        except OSError as error:
            raise UsageError(f"{flag}={printable(pattern)} cannot be read: {error}") from error
        for uri in matching[:_NUM_CHECKED]:
            try:
                # Inside, as what cannot be decompressed shows while it is read.
                with files.open_decompressed(uri) as file:
                    yield check(file, uri)
            except (ManifestError, OSError) as error:
                raise UsageError(f"{flag}={printable(uri)}: {error}") from error


def _class_map(path: str) -> ClassMap:
    try:
        with files.open_to_read(path) as file:
            data = file.read(MAX_CLASS_MAP_BYTES + 1)
        if len(data) > MAX_CLASS_MAP_BYTES:
            raise ClassMapError(f"it has more than {MAX_CLASS_MAP_BYTES} bytes")
        return parse_class_map(data)
    except (ClassMapError, OSError) as error:
        raise UsageError(f"--class_map={printable(path)}: {error}") from error
