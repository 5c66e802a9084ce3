"""Where the recordings of a table are, seen from its first rows."""

import dataclasses
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from transforms.corpus.layouts.rows import SUFFIXES
from transforms.corpus.manifests.column_binding import bind_mapping
from transforms.corpus.manifests.mapping import DURATION, END, START, URI, ColumnMapping
from transforms.corpus.manifests.recording_uris import RecordingFolder
from transforms.corpus.manifests.templates import ConversionError, Template
from transforms.storage import files

# Rows whose recordings are looked for: many of YouTube's are no longer to be had.
_NUM_TRIED = 100
_NUM_TRIED_REMOTELY = 5
_ANY_SUFFIX = ".*"
_HERE = "."
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^/]*)(.*)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Naming:
    """A way to name the recordings of a table.

    Attributes:
      uri: Template of the name; the suffix `.*` stands for several.
      is_cut: Whether the files hold the clips only.
    """

    uri: str
    is_cut: bool


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where the recordings of a table are.

    Attributes:
      mapping: What its columns mean.
      folder: The folder of its recordings.
      notes: Remarks for the user.
    """

    mapping: ColumnMapping
    folder: RecordingFolder
    notes: tuple[str, ...] = ()


def place_recordings(
    namings: Sequence[Naming],
    folders: Sequence[str],
    base: RecordingFolder,
    mapping: ColumnMapping,
    header: Sequence[str] | None,
    records: Sequence[Mapping[str, object]],
) -> Placement:
    """Finds the recordings of the first rows.

    Args:
      namings: Names to try, in order; none for those by the mapping or by the columns' names.
      folders: Folders to try, relative to the base.
      base: Folder of the table, or the audio root.
      mapping: What the columns mean, besides the recording.
      header: Names of the columns; None for JSON.
      records: The first rows.

    Returns:
      The first name and folder by which a recording exists; if there is none, the first ones.
    """
    if not namings:
        return Placement(mapping, base)
    tried = [(folder, naming) for naming in _with_suffixes(namings) for folder in folders]
    num_tried = _NUM_TRIED if files.is_local(base.prefix) else _NUM_TRIED_REMOTELY
    bound = {naming.uri: _bound(naming.uri, header, records) for _, naming in tried}
    for folder, naming in tried:
        if _exists(below(base, folder), bound[naming.uri], records[:num_tried]):
            return _placement(naming, folder, base, mapping)
    folder = _HERE if base.is_root and _HERE in folders else folders[0]
    whole = (naming for _, naming in tried if not naming.is_cut)
    return _placement(next(whole, tried[0][1]), folder, base, mapping)


def below(base: RecordingFolder, folder: str) -> RecordingFolder:
    """Returns a folder relative to another one, which may lead upwards."""
    if folder == _HERE:
        return base
    match = _URL.fullmatch(base.prefix)
    start, path = match.groups() if match else ("", base.prefix)
    joined = posixpath.normpath(posixpath.join(path or "./", folder))
    return RecordingFolder(f"{start}{joined}/", is_root=False)


def _placement(
    naming: Naming, folder: str, base: RecordingFolder, mapping: ColumnMapping
) -> Placement:
    own = [(URI, naming.uri)]
    if naming.is_cut:
        own += [(START, ""), (END, ""), (DURATION, "")]
    return Placement(ColumnMapping(tuple(own)).over(mapping), below(base, folder))


def _with_suffixes(namings: Sequence[Naming]) -> Iterator[Naming]:
    for naming in namings:
        if naming.uri.endswith(_ANY_SUFFIX):
            stem = naming.uri.removesuffix(_ANY_SUFFIX)
            yield from (Naming(stem + suffix, naming.is_cut) for suffix in SUFFIXES)
        else:
            yield naming


def _bound(
    uri: str, header: Sequence[str] | None, records: Sequence[Mapping[str, object]]
) -> Template:
    return bind_mapping(ColumnMapping(((URI, uri),)), header, records).templates[0][1]


def _exists(
    folder: RecordingFolder, template: Template, records: Sequence[Mapping[str, object]]
) -> bool:
    for record in records:
        try:
            written = template.value(record)
            is_name = isinstance(written, str) and bool(written.strip())
            if is_name and files.exists(folder.find(str(written))[0]):
                return True
        except (ConversionError, OSError, ValueError):
            continue
    return False
