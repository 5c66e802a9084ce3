"""The first recordings that a run asks for, to be looked at before it starts."""

import itertools
from collections.abc import Iterator, Sequence

from transforms.corpus import listing
from transforms.corpus.clips import Clip, printable
from transforms.corpus.manifests import segment_names
from transforms.corpus.manifests.manifest import read_manifest
from transforms.corpus.manifests.segments import Segment, read_segments
from transforms.find_segments import FindSegments
from transforms.read_corpus import ReadCorpus
from transforms.storage import files

# Of each kind of source. Of a long table or folder only the beginning is looked at.
NUM_RECORDINGS = 3
_NUM_ROWS = 1_000
_NUM_FILES = 10_000


def first_recordings(corpus: ReadCorpus) -> tuple[Clip, ...]:
    """Returns a few clips of different recordings, of each kind of source.

    Raises:
      OSError: A storage does not answer.
      ManifestError: A manifest is none.
    """
    sources = [_of_inputs(corpus.inputs), _of_manifests(corpus)]
    if corpus.find_segments is not None:
        sources.append(_of_segments(corpus.audioset_segments, corpus.find_segments))
    by_uri: dict[str, Clip] = {}
    for source in sources:
        due = len(by_uri) + NUM_RECORDINGS
        for clip in source:
            if len(by_uri) == due:
                break
            by_uri.setdefault(clip.uri, clip)
    return tuple(by_uri.values())


def _of_inputs(inputs: Sequence[str]) -> Iterator[Clip]:
    for path in inputs:
        for found in listing.list_input(path, _NUM_ROWS):
            if isinstance(found, Clip):
                yield found


def _of_manifests(corpus: ReadCorpus) -> Iterator[Clip]:
    for pattern in corpus.manifests:
        for uri in files.matching_files(pattern)[:NUM_RECORDINGS]:
            with files.open_decompressed(uri) as file:
                rows = read_manifest(file, uri, corpus.manifest_options)
                for found in itertools.islice(rows, _NUM_ROWS):
                    if isinstance(found, Clip):
                        yield found


def _of_segments(patterns: Sequence[str], find: FindSegments) -> Iterator[Clip]:
    segments: dict[str, Segment] = {}
    for pattern in patterns:
        for uri in files.matching_files(pattern)[:NUM_RECORDINGS]:
            with files.open_decompressed(uri) as table:
                for found in itertools.islice(read_segments(table, uri), _NUM_ROWS):
                    if isinstance(found, Segment):
                        segments.setdefault(found.id, found)
    if find.audio_name is not None:
        root = find.audio_root.rstrip("/")
        for segment in segments.values():
            yield _clip(segment, f"{root}/{segment_names.format_name(find.audio_name, segment)}")
        return
    listed = listing.list_input(find.audio_root, _NUM_FILES)
    for file in itertools.islice(listed, _NUM_FILES):
        if isinstance(file, Clip):
            for possible_id in segment_names.possible_ids(printable(file.uri)):
                if possible_id in segments:
                    yield _clip(segments[possible_id], file.uri)


def _clip(segment: Segment, uri: str) -> Clip:
    return Clip(segment.id, uri)
