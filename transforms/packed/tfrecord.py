"""TFRecord files of `tf.train.Example`s of recordings, as TensorFlow Datasets writes them."""

import contextlib
import functools
import io
import json
import posixpath
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import google_crc32c

from transforms.packed import examples
from transforms.packed.address import Place
from transforms.packed.columns import Layout, NoAudioError, Row
from transforms.packed.examples import ExampleError, Sampling
from transforms.packed.sources import (
    UNIT_BYTES,
    UNIT_MEMBERS,
    DamagedShardError,
    Flaw,
    Source,
    fail,
    open_source,
)
from transforms.storage import files

_HEADER = struct.Struct("<QL")
_CHECKSUM = struct.Struct("<L")
_MASK_DELTA = 0xA282EAD8
# What protobuf itself reads.
_MAX_RECORD_BYTES = 2**31 - 1
_MAX_FACTS_BYTES = 2**22
_PLAIN_NAME = re.compile(r"[\w-]+")


class _Record(NamedTuple):
    """A record.

    Attributes:
      start: Its offset; its number in a compressed file.
      data: Its content.
      problem: Why the content cannot be read; empty if it can.
    """

    start: int
    data: bytes
    problem: str


class _Facts(NamedTuple):
    """What TensorFlow Datasets writes beside the shards."""

    sampling: Sampling
    label_names: tuple[str, ...]


def list_rows(shard: str) -> Iterator[Layout | Row | Flaw]:
    """Yields what is read of a file, its records, and its damage.

    Raises:
      NoAudioError: Its first record is no Example with audio.
      OSError: It cannot be opened.
    """
    layout: Layout | None = None
    label_names: tuple[str, ...] = ()
    with open_source(shard) as source:
        for number, found in enumerate(_records(source)):
            if isinstance(found, Flaw):
                yield found
                continue
            name = str(number)
            unit = number // UNIT_MEMBERS if source.num_bytes is None else found.start // UNIT_BYTES
            place = Place(unit, found.start, len(found.data))
            if found.problem:
                yield Row(name, place, found.problem)
                continue
            try:
                features = examples.parse_example(found.data)
                audio = examples.find_audio(features)
                if layout is None:
                    label_names = _read_facts(shard, audio.labels).label_names
                others = {*features} - {audio.name, audio.rate, audio.labels}
                layout_here = Layout(audio.name, audio.labels, tuple(sorted(others)))
                if layout_here != layout:
                    yield layout_here
                layout = layout_here
                labels = examples.labels_of(features, audio)
            except (ExampleError, NoAudioError) as error:
                if layout is None:
                    raise NoAudioError(str(error)) from error
                yield Row(name, place, str(error))
            else:
                yield Row(name, place, "", labels, label_names)


def open_rows(shard: str, places: Sequence[Place]) -> Iterator[Any]:
    """Yields what opens the recording of each of some records, before the next is requested.

    Args:
      shard: Path or URL of the file.
      places: Places of the records, ascending; those of a compressed file are read in one pass.
    """
    error: OSError = DamagedShardError("the file was replaced: it has no such record any more")
    given = 0
    try:
        with open_source(shard) as source:
            sampling = functools.cache(lambda: _read_facts(shard, None).sampling)
            records = _records(source)
            record: _Record | Flaw | None = None
            for place in places:
                if source.num_bytes is None:
                    while not isinstance(record, _Record) or record.start < place.start:
                        record = next(records)
                        if isinstance(record, Flaw):
                            error = DamagedShardError(record.message)
                else:
                    source.go_to(place.start)
                    record = next(_records(source))
                given += 1
                yield functools.partial(_open_record, record, sampling)
    except StopIteration:
        pass
    except OSError as exception:
        error = exception
    for _ in places[given:]:
        yield functools.partial(fail, error)


def _open_record(record: _Record | Flaw, sampling: Callable[[], Sampling]) -> BinaryIO:
    problem = record.message if isinstance(record, Flaw) else record.problem
    if problem or isinstance(record, Flaw):
        raise DamagedShardError(problem)
    try:
        features = examples.parse_example(record.data)
        audio = examples.find_audio(features)
        is_encoded = features[audio.name].kind == "bytes"
        known = Sampling() if is_encoded else sampling()
        return io.BytesIO(examples.recording_of(features, audio, known))
    except (ExampleError, NoAudioError) as error:
        raise DamagedShardError(str(error)) from error


def _records(source: Source) -> Iterator[_Record | Flaw]:
    """Yields the records of a file from a position on; its end by a flaw, if it is damaged."""
    number = 0
    try:
        while header := source.read(_HEADER.size):
            at = source.position - len(header)
            if len(header) < _HEADER.size:
                yield Flaw(f"it ends within the header of a record at byte {at}: it is truncated")
                return
            length, checksum = _HEADER.unpack(header)
            if checksum != _masked_crc(header[:8]):
                yield Flaw(
                    f"at byte {at}: the length of a record is damaged, or this is no TFRecord file;"
                    " later records cannot be found"
                )
                return
            start = number if source.num_bytes is None else at
            number += 1
            if length > _MAX_RECORD_BYTES:
                yield _Record(start, b"", f"a record of {length} bytes (up to {_MAX_RECORD_BYTES})")
                if not source.go_to(source.position + length + _CHECKSUM.size):
                    yield Flaw(f"it ends within the record at byte {at}: it is truncated")
                    return
                continue
            is_whole = source.num_bytes is None or source.position + length <= source.num_bytes
            data = source.read(length) if is_whole else b""
            tail = source.read(_CHECKSUM.size) if is_whole else b""
            if len(tail) < _CHECKSUM.size:
                yield _Record(start, b"", "the file ends within this record: it is truncated")
                yield Flaw(f"it ends within the record at byte {at}: it is truncated")
                return
            is_right = _CHECKSUM.unpack(tail)[0] == _masked_crc(data)
            problem = "" if is_right else "the record is damaged: its checksum is wrong"
            yield _Record(start, data if is_right else b"", problem)
    except OSError as error:
        yield Flaw(f"it cannot be read beyond byte {source.position}: {error}")


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def _read_facts(shard: str, labels: str | None) -> _Facts:
    folder = posixpath.dirname(shard)
    sampling = Sampling()
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
        parsed = json.loads(_read_beside(f"{folder}/features.json"))
        found = [
            each["audio"] for each in parsed["featuresDict"]["features"].values() if "audio" in each
        ]
        if len(found) == 1:
            shape = found[0].get("shape", {}).get("dimensions", [])
            channels = int(shape[1]) if len(shape) == 2 and int(shape[1]) > 0 else 1
            sampling = Sampling(int(found[0].get("sampleRate") or 0), channels)
    names: tuple[str, ...] = ()
    if labels is not None and _PLAIN_NAME.fullmatch(labels):
        with contextlib.suppress(ValueError):
            text = _read_beside(f"{folder}/{labels}.labels.txt").decode()
            names = tuple(text.splitlines())
    return _Facts(sampling, names)


def _read_beside(path: str) -> bytes:
    """Returns the content of a small file; nothing if there is none.

    Raises:
      OSError: It cannot be read.
    """
    try:
        with files.open_to_read(path) as file:
            data = file.read(_MAX_FACTS_BYTES + 1)
    except (FileNotFoundError, PermissionError):  # storages that hide what they have say the latter
        return b""
    return data if len(data) <= _MAX_FACTS_BYTES else b""
