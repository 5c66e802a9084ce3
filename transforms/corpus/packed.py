"""Clips of the recordings in packed files: tar and zip archives, Parquet, TFRecord."""

import dataclasses
import posixpath
from collections.abc import Iterator

from transforms.corpus import listing
from transforms.corpus.clips import Clip, Failure, printable
from transforms.corpus.listing import OTHER, Shard, SkippedFile
from transforms.corpus.packed_labels import (
    MAX_SIDECAR_BYTES,
    SIDECAR_SUFFIXES,
    LabelsError,
    labels_beside,
    labels_of_value,
)
from transforms.packed import members, shards
from transforms.packed.address import PARQUET, TAR, TFRECORD, ZIP, Address, Place
from transforms.packed.columns import Layout, NoAudioError, Row
from transforms.packed.members import Member
from transforms.packed.shards import normal_name
from transforms.packed.sources import Flaw

# Members whose labels are looked for among each other: WebDataset writes them one after the other,
# other programs in any order.
_MAX_HELD = 100_000
_MAX_HELD_BYTES = 2**26
_MAX_NAME_CHARACTERS = 4_096

Found = Clip | Failure | SkippedFile


@dataclasses.dataclass(frozen=True)
class ReadAs:
    """A remark about what was read of a packed file.

    Attributes:
      what: What it was read as, such as `labels of .cls`.
    """

    what: str


def list_recordings(path: str, limit: int | None = None) -> Iterator[Found | ReadAs]:
    """Lists the recordings of an input as `listing.list_input`, those in packed files included."""
    for found in listing.list_input(path, limit):
        if isinstance(found, Shard):
            yield from list_shard(found, limit)
        else:
            yield found


def list_shard(shard: Shard, limit: int | None = None) -> Iterator[Found | ReadAs]:
    """Lists the recordings in a packed file, as far as it can be read.

    Args:
      shard: The packed file.
      limit: Number of members among which labels are looked for, for an answer after as many; None
        for the default.

    Yields:
      Clips; failures of members and of the file; skipped members; and what was read as labels.
    """
    num_skipped, is_empty = 0, True
    try:
        for found in _KINDS[shard.kind](shard, limit or _MAX_HELD):
            if isinstance(found, SkippedFile):
                num_skipped += 1
            elif not isinstance(found, ReadAs):
                is_empty = False
            yield found
    except NoAudioError as error:
        if shard.is_named:
            yield _shard_failure(shard, str(error), "unsupported_format")
        else:
            yield SkippedFile(OTHER)
    except FileNotFoundError as error:
        yield _shard_failure(shard, error.strerror or str(error), "not_found")
    except OSError as error:
        yield _shard_failure(shard, error.strerror or str(error))
    else:
        if is_empty and shard.is_named:
            message = f"none of its {num_skipped} members is audio by its suffix"
            yield _shard_failure(shard, message, "not_found")


def _list_archive(shard: Shard, max_held: int) -> Iterator[Found | ReadAs]:
    """Yields the recordings of an archive, with the labels in the files beside them."""
    held = _Held(shard)
    for found in members.list_archive(shard.kind, shard.uri):
        if isinstance(found, Flaw):
            if found.is_in_member:
                held.cut_off(found.message)
            yield from held.flush()
            yield _shard_failure(shard, found.message)
            continue
        if held.num_members >= max_held or held.num_bytes > _MAX_HELD_BYTES:
            yield from held.flush(keep_group_of=found.name)
        held.add(found)
    yield from held.flush()


def _list_rows(shard: Shard, _: int) -> Iterator[Found | ReadAs]:
    """Yields the recordings of a file of rows or records."""
    for found in shards.list_rows(shard.kind, shard.uri):
        if isinstance(found, Layout):
            yield ReadAs(f"recordings of {printable(found.audio)}")
            if found.labels is not None:
                yield ReadAs(f"labels of {printable(found.labels)}")
            if found.others:
                yield ReadAs(f"not read: {printable(', '.join(found.others))}"[:200])
        elif isinstance(found, Flaw):
            yield _shard_failure(shard, found.message)
        else:
            yield _row(shard, found)


def _row(shard: Shard, row: Row) -> Clip | Failure:
    clip = _clip(shard, row.name, row.name, row.place)
    if row.path is not None:
        folder = posixpath.dirname(shard.uri)
        clip = dataclasses.replace(
            clip, uri=f"{folder}/{row.path}" if folder else row.path, place=None, num_bytes=None
        )
        if row.path.startswith("/") or "://" in row.path or ".." in row.path.split("/"):
            message = (
                f"its path {row.path[:200]!r} leads out of the folder of the table; pass the table"
                " as --manifest"
            )
            return clip.failure("list", "invalid_row", message)
    if row.problem:
        return clip.failure("list", "unreadable", row.problem)
    try:
        labels = labels_of_value(row.labels, row.label_names)
    except LabelsError as error:
        return clip.failure("list", "invalid_row", str(error))
    return dataclasses.replace(clip, labels=labels)


_KINDS = {TAR: _list_archive, ZIP: _list_archive, PARQUET: _list_rows, TFRECORD: _list_rows}


@dataclasses.dataclass
class _Group:
    """Members of one stem, such as `dog.flac` and `dog.json`."""

    recordings: list[tuple[str, Place, str]] = dataclasses.field(default_factory=list)
    contents: dict[str, bytes] = dataclasses.field(default_factory=dict)
    error: str = ""


class _Held:
    """The members of an archive that wait for those that belong to them."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._groups: dict[str, _Group] = {}
        self._num_skipped = 0
        self._last: tuple[str, str] = ("", "")
        self.num_members = 0
        self.num_bytes = 0

    def add(self, member: Member) -> None:
        name = normal_name(member.name)
        stem, suffix = posixpath.splitext(name)
        suffix = suffix.lower()
        self._last = (stem, name)
        self.num_members += 1
        self.num_bytes += len(name)
        if any(part.startswith(".") for part in name.split("/") if part not in (".", "..")):
            self._num_skipped += 1
        elif listing.is_named_like_audio(name):
            problem = member.problem
            if len(name) > _MAX_NAME_CHARACTERS:
                problem = f"a name of {len(name)} characters (allowed: {_MAX_NAME_CHARACTERS})"
                stem = name = name[:100]
            group = self._groups.setdefault(stem, _Group())
            group.recordings.append((name, member.place, problem))
        elif suffix in SIDECAR_SUFFIXES and not member.problem:
            self._add_labels(stem, suffix, member)
        else:
            self._num_skipped += 1

    def cut_off(self, message: str) -> None:
        """Notes that the member added last is not whole."""
        stem, name = self._last
        group = self._groups.get(stem)
        if group is None:
            return
        if group.recordings and group.recordings[-1][0] == name:
            _, place, problem = group.recordings[-1]
            group.recordings[-1] = (name, place, problem or f"the shard is cut off: {message}")
        elif posixpath.splitext(name)[1].lower() in group.contents:
            group.error = f"its file of labels is cut off: {message}"

    def flush(self, keep_group_of: str | None = None) -> Iterator[Found | ReadAs]:
        """Yields all members but those of one key, and forgets them."""
        groups, self._groups = self._groups, {}
        if keep_group_of is not None:
            kept = _key(normal_name(keep_group_of))
            self._groups = {stem: groups.pop(stem) for stem in list(groups) if _key(stem) == kept}
        self.num_members = self.num_bytes = 0
        for _ in range(self._num_skipped):
            yield SkippedFile(OTHER)
        self._num_skipped = 0
        _join_by_first_dot(groups)
        for group in groups.values():
            yield from self._flush_group(group)

    def _flush_group(self, group: _Group) -> Iterator[Found | ReadAs]:
        if not group.recordings:
            yield from (SkippedFile(OTHER) for _ in group.contents)
            return
        error = group.error
        labels: tuple[str, ...] = ()
        try:
            labels, suffix = labels_beside(group.contents)
        except LabelsError as labels_error:
            error = error or str(labels_error)
        else:
            for each in group.contents:
                used = "labels of" if each == suffix else "no labels in"
                yield ReadAs(f"{used} {each}")
        for name, place, problem in group.recordings:
            clip = _clip(self._shard, name, name, place, labels)
            if problem:
                yield clip.failure("list", "unreadable", problem)
            elif error:
                yield clip.failure("list", "invalid_row", error)
            else:
                yield clip

    def _add_labels(self, stem: str, suffix: str, member: Member) -> None:
        group = self._groups.setdefault(stem, _Group())
        if suffix in group.contents:
            group.error = f"two files of labels have the name {printable(member.name)}"
            return
        try:
            group.contents[suffix] = member.read(MAX_SIDECAR_BYTES + 1)
        except OSError as error:
            group.contents[suffix] = b""
            group.error = f"its {suffix} cannot be read: {error}"
        self.num_bytes += len(group.contents[suffix])


def _join_by_first_dot(groups: dict[str, _Group]) -> None:
    """Gives `key.audio.flac` and all other recordings of a key the labels in `key.cls`.

    A sample of WebDataset is what has the same name up to the first dot.
    """
    stems: dict[str, list[str]] = {}
    for stem, group in groups.items():
        if group.recordings and not group.contents and _key(stem) != stem:
            stems.setdefault(_key(stem), []).append(stem)
    for key, found in stems.items():
        if key in groups and not groups[key].recordings:
            beside = groups.pop(key)
            for stem in found:
                group = groups[stem]
                group.contents, group.error = beside.contents, group.error or beside.error


def _key(name: str) -> str:
    """Returns the key of a member in WebDataset: its name up to the first dot behind the folder."""
    folder, base = posixpath.split(name)
    return posixpath.join(folder, base.partition(".")[0])


def _clip(shard: Shard, name: str, member: str, place: Place, labels: tuple[str, ...] = ()) -> Clip:
    shown = printable(f"{shard.id}/{name}").replace("\0", "\\x00")
    return Clip(
        shown,
        Address(shard.kind, member, shard.uri).uri,
        labels=labels,
        num_bytes=place.num_bytes,
        place=place,
    )


def _shard_failure(shard: Shard, message: str, reason: str = "unreadable") -> Failure:
    return Failure(shard.id, shard.uri, "list", reason, f"the shard: {message}")
