"""The first recordings of a corpus, to be checked before a run."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from transforms.corpus import listing, packed
from transforms.corpus.clips import Clip, printable
from transforms.corpus.manifests import segment_names
from transforms.corpus.manifests.manifest import read_manifest
from transforms.corpus.manifests.segments import Segment, read_segments
from transforms.find_segments import FindSegments
from transforms.read_corpus import ReadCorpus
from transforms.storage import files

# Recordings of each kind of source. Only the beginning of a long table or folder is read.
NUM_RECORDINGS = 3
_NUM_ROWS = 1_000
_NUM_FILES = 10_000


def first_recordings(corpus: ReadCorpus) -> tuple[Clip, ...]:
    """Returns a few clips of different recordings, of each kind of source.

    Raises:
      OSError: A storage does not respond.
      ManifestError: A manifest is invalid.
    """
    listed = (found for path in corpus.inputs for found in packed.list_recordings(path, _NUM_ROWS))
    options = corpus.manifest_options
    rows = _first_rows(corpus.manifests, lambda file, uri: read_manifest(file, uri, options))
    sources: list[Iterator[Any]] = [listed, rows]
    if corpus.find_segments is not None:
        segments = _first_rows(corpus.audioset_segments, read_segments)
        sources.append(_clips_of(segments, corpus.find_segments))
    by_uri: dict[str, Clip] = {}
    for source in sources:
        limit = len(by_uri) + NUM_RECORDINGS
        for found in source:
            if isinstance(found, Clip):
                by_uri.setdefault(found.uri, found)
            if len(by_uri) == limit:
                break
    return tuple(by_uri.values())


def _first_rows(patterns: Sequence[str], read: Any) -> Iterator[Any]:
    for pattern in patterns:
        for uri in files.matching_files(pattern)[:NUM_RECORDINGS]:
            with files.open_decompressed(uri) as table:
                yield from itertools.islice(read(table, uri), _NUM_ROWS)


def _clips_of(rows: Iterable[Any], find: FindSegments) -> Iterator[Any]:
    """Yields the clips of segments, and failures."""
    segments = {found.id: found for found in rows if isinstance(found, Segment)}
    if find.audio_name is not None:
        yield from map(find.clip_of, segments.values())
        return
    for file in itertools.islice(listing.list_input(find.audio_root, _NUM_FILES), _NUM_FILES):
        if isinstance(file, Clip):
            for possible_id in segment_names.possible_ids(printable(file.uri)):
                if possible_id in segments:
                    yield find.clip_of(segments[possible_id], [file.uri])
