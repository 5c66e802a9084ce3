"""Opening of recordings: files, and members of packed files."""

import contextlib
import dataclasses
import functools
import itertools
import posixpath
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

from transforms.corpus.clips import Clip, RawFormat, by_recording, printable
from transforms.corpus.spans import DecodeTask, Span
from transforms.packed import address, shards
from transforms.packed.address import Address, Place
from transforms.storage import files, near_names, spellings
from transforms.storage.store import NoBucketError

Open = Callable[[], AbstractContextManager[BinaryIO]]
"""Opens a recording, seekable; raises `OSError`."""


def open_all(
    clips: Iterable[Clip], in_parts: bool = False
) -> Generator[tuple[Clip, Open], None, None]:
    """Yields clips, each with what opens its recording before the next one is requested.

    Args:
      clips: One of each recording, those of packed files with their places. Members of one packed
        file, in the order of their places and one after the other, are read in one pass.
      in_parts: See `files.open_to_read`.
    """
    for found, group in itertools.groupby(clips, key=_shard_of):
        if found is None:
            for clip in group:
                yield clip, functools.partial(_open_file, clip, in_parts)
            continue
        members = list(group)
        places = [clip.place for clip in members if clip.place is not None]
        yield from zip(members, shards.open_members(*found, places), strict=True)


@contextlib.contextmanager
def open_recording_file(clip: Clip, in_parts: bool = False) -> Iterator[BinaryIO]:
    """Opens the recording of a clip.

    Args:
      clip: Any clip; a member that a table names is searched for in its packed file.
      in_parts: See `files.open_to_read`.

    Raises:
      OSError: It cannot be read.
    """
    if clip.place is None and address.parse(clip.uri) is not None:
        ((clip, failure),) = place_members([clip])
        if failure is not None:
            reason, message = failure
            raise FileNotFoundError(message) if reason == "not_found" else OSError(message)
    with contextlib.closing(open_all([clip], in_parts)) as opened:
        _, open_file = next(opened)
        with open_file() as file:
            yield file


def _open_file(clip: Clip, in_parts: bool) -> BinaryIO:
    """Opens the file of a clip, or the only one that its path can mean."""
    options = {"in_parts": True} if in_parts else {}
    try:
        return files.open_to_read(clip.uri, **options)
    except NoBucketError:
        raise
    except FileNotFoundError as error:
        readings = _readings(clip)
        if len(readings) == 1:
            return files.open_to_read(readings[0], **options)
        why = error.strerror or str(error)
        raise FileNotFoundError(absence(clip, why, readings)) from error


def by_spelled_recording(clip: Clip) -> tuple[bytes, bytes]:
    """Returns what `by_recording` does; the only file that a local path can mean is its uri.

    Clips of one recording have one key, and are in one split, however their paths are written.
    """
    if spellings.has_readings(_name(clip)) and files.is_absent(clip.uri):
        readings = _readings(clip)
        if len(readings) == 1:
            clip = dataclasses.replace(clip, uri=readings[0])
    return by_recording(clip)


def is_absent_now(clip: Clip) -> bool:
    """Tells before a job, within seconds, whether a recording is absent.

    Of a member, its packed file counts. A file counts as present if the only other reading of its
    path is.

    Raises:
      OSError: The storage does not answer.
    """
    packed = address.parse(clip.uri)
    uri = packed.shard if packed else clip.uri
    is_there = files.exists(uri) if files.is_local(uri) else files.info_soon(uri) is not None
    return not is_there and (packed is not None or len(_readings(clip)) != 1)


def absence(clip: Clip, why: str, readings: list[str] | None = None) -> str:
    """Returns the message of a clip whose recording does not exist, with a hint.

    Args:
      clip: The clip.
      why: What is wrong, without a hint.
      readings: Result of `spellings.find_readings`, if it is known.
    """
    readings = _readings(clip) if readings is None else readings
    if len(readings) > 1:
        found = f"it may mean {printable(readings[0])} or {printable(readings[1])}"
    else:
        packed = address.parse(clip.uri)
        path, name = (packed.shard, "") if packed else (clip.uri, _name(clip))
        found = near_names.hint(path, name, posixpath.dirname(clip.manifest))
    return f"{why}; {printable(found)}" if found else why


def _readings(clip: Clip) -> list[str]:
    try:
        return spellings.find_readings(clip.uri, _name(clip))
    except OSError:
        return []  # no evidence that another path is meant


def _name(clip: Clip) -> str:
    return clip.recording or clip.id


def tasks_of(decode_task: DecodeTask) -> Iterator[tuple[DecodeTask, Open]]:
    """Yields a task for each recording of a task, with what opens the recording."""
    tasks = [
        DecodeTask(uri, tuple(spans))
        for (uri, *_), spans in itertools.groupby(decode_task.spans, key=_recording_of)
    ]
    opened = open_all(task.spans[0].clip for task in tasks)
    for task, (_, open_file) in zip(tasks, opened, strict=True):
        yield task, open_file


def is_absent(uri: str) -> bool:
    """Tells that a file, or the packed file of a member, is surely absent, without a request."""
    found = address.parse(uri)
    return files.is_absent(found.shard if found else uri)


def is_seekable(clip: Clip) -> bool:
    """Tells whether a recording can be read from the middle, by several tasks."""
    found = address.parse(clip.uri)
    return found is None or shards.is_seekable(found.kind, found.shard)


def place_members(clips: Iterable[Clip]) -> Iterator[tuple[Clip, tuple[str, str] | None]]:
    """Yields clips of one packed file, which a table names, with the places of their members.

    Yields:
      Each clip, and reason and message of its failure, or None.
    """
    waiting: dict[str, list[Clip]] = {}
    found = None
    for clip in clips:
        found = address.parse(clip.uri)
        assert found is not None
        waiting.setdefault(found.member, []).append(clip)
    if found is None:
        return
    failure = ("not_found", "the packed file has no such member")
    try:
        for name, place, problem in shards.list_places(found.kind, found.shard):
            for clip in waiting.pop(name, ()):
                placed = dataclasses.replace(clip, place=place, num_bytes=place.num_bytes)
                yield placed, ("unreadable", problem) if problem else None
    except FileNotFoundError as error:
        failure = ("not_found", error.strerror or str(error))
    except OSError as error:
        failure = ("unreadable", error.strerror or str(error))
    for clip in itertools.chain.from_iterable(waiting.values()):
        yield clip, failure


def _recording_of(span: Span) -> tuple[str, Place | None, RawFormat | None, int | None]:
    clip = span.clip
    return clip.uri, clip.place, clip.raw_format, clip.channel


def _shard_of(clip: Clip) -> tuple[str, str] | None:
    found: Address | None = address.parse(clip.uri)
    return None if found is None else (found.kind, found.shard)
