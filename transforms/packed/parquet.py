"""Parquet files of recordings: Hugging Face's structs of bytes and path, or binary columns.

A row group is read in small batches, and of other columns only the labels.
"""

import contextlib
import functools
import io
import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

from transforms.packed.address import Place
from transforms.packed.columns import (
    Layout,
    NoAudioError,
    Row,
    choose,
    find_labels,
    is_audio_name,
)
from transforms.packed.sources import DamagedShardError, Flaw, fail
from transforms.storage import files

_BATCH_BYTES = 2**23
_MAX_BATCH_ROWS = 256
_LABEL_ROWS = 4_096
_BUFFER_BYTES = 2**20
_MAX_METADATA = 2**26


class _Table(NamedTuple):
    """An open file.

    Attributes:
      file: The `pyarrow.parquet.ParquetFile`.
      layout: What is read of it.
      has_bytes, has_paths: Whether the column of audio has these, or is a struct of them.
      is_struct: Whether the column of audio is a struct.
      label_names: Names of the labels that are integers.
      num_bytes: Size of the file.
    """

    file: Any
    layout: Layout
    has_bytes: bool
    has_paths: bool
    is_struct: bool
    label_names: tuple[str, ...]
    num_bytes: int


def list_rows(shard: str) -> Iterator[Layout | Row | Flaw]:
    """Yields what is read of a file, its rows, and its damage.

    Raises:
      NoAudioError: It has no column of audio, or several.
      OSError: It cannot be opened.
    """
    with _opened(shard) as table:
        yield table.layout
        number = 0
        for group in range(table.file.num_row_groups):
            num_rows = table.file.metadata.row_group(group).num_rows
            if not 0 <= num_rows <= table.num_bytes:
                yield Flaw(f"its row group {group} states {num_rows} rows: it is damaged")
                return
            # Rows are counted by the file's directory: a damaged group costs no other.
            found = 0
            try:
                for row in itertools.islice(_label_rows(table, group), num_rows):
                    yield row._replace(name=str(number + found), place=Place(group, found))
                    found += 1
            except OSError as error:
                yield Flaw(f"rows {number + found} to {number + num_rows - 1}: {error}")
            else:
                if found < num_rows:
                    yield Flaw(f"rows {number + found} to {number + num_rows - 1} are missing")
            number += num_rows


def open_rows(shard: str, places: Sequence[Place]) -> Iterator[Any]:
    """Yields what opens the recording of each of some rows, before the next one is requested.

    Args:
      shard: Path or URL of the file.
      places: Places of the rows, ascending.
    """
    for unit, group in itertools.groupby(places, key=lambda place: place.unit):
        wanted = list(group)
        given = 0
        error: OSError = OSError("the file was replaced: it has no such row any more")
        try:
            with _opened(shard) as table:
                values = _audio_values(table, unit)
                position, value = -1, None
                for place in wanted:
                    while position < place.start:
                        value = next(values)
                        position += 1
                    given += 1
                    yield functools.partial(_open_value, value)
        except StopIteration:
            pass
        except NoAudioError as exception:
            error = OSError(str(exception))
        except OSError as exception:
            error = exception
        for _ in wanted[given:]:
            yield functools.partial(fail, error)


def _open_value(value: bytes | None) -> BinaryIO:
    if value is None:
        raise OSError("the row has no audio: it has neither bytes nor a path")
    return io.BytesIO(value)


@contextlib.contextmanager
def _opened(shard: str) -> Iterator[_Table]:
    import pyarrow.parquet as pq

    with files.open_to_read(shard, in_parts=True) as file, _arrow_errors():
        table = pq.ParquetFile(
            file,
            buffer_size=_BUFFER_BYTES,
            pre_buffer=False,
            thrift_string_size_limit=_MAX_METADATA,
            thrift_container_size_limit=_MAX_METADATA,
        )
        yield _table(table, file.seek(0, io.SEEK_END))


@contextlib.contextmanager
def _arrow_errors() -> Iterator[None]:
    """Turns what Arrow raises for damaged files into `DamagedShardError`."""
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, UnicodeDecodeError, OverflowError) as error:
        raise DamagedShardError(" ".join(str(error).split())[:300]) from error


def _table(file: Any, num_bytes: int) -> _Table:
    import pyarrow.types as types

    schema = file.schema_arrow
    features = _features(schema)
    structs, binaries, others = [], [], []
    for field in schema:
        kind = str(features.get(field.name, {}).get("_type", ""))
        names = {inner.name for inner in field.type} if types.is_struct(field.type) else set()
        if kind == "Audio" or (not kind and names & {"bytes", "path"} and names <= _STRUCT):
            structs.append(field.name)
        elif _is_binary(field.type) and kind in ("", "Value"):
            binaries.append(field.name)
        else:
            others.append(field.name)
    named = [name for name in binaries if is_audio_name(name)]
    audio = choose(structs, "columns") or choose(named or binaries, "columns")
    if audio is None:
        raise NoAudioError(
            f"no column of it holds audio (there are: {', '.join(schema.names)[:200]}); pass a"
            " table of paths as --manifest"
        )
    labels = find_labels(name for name in schema.names if name != audio)
    if labels is None:
        classes = [name for name, each in features.items() if _names(each) and name in schema.names]
        labels = classes[0] if len(classes) == 1 else None
    field = schema.field(audio)
    is_struct = types.is_struct(field.type)
    inner = {each.name for each in field.type} if is_struct else set()
    layout = Layout(
        audio, labels, tuple(name for name in schema.names if name not in (audio, labels))
    )
    return _Table(
        file,
        layout,
        has_bytes=_is_binary(field.type) or "bytes" in inner,
        has_paths=types.is_string(field.type) or "path" in inner,
        is_struct=is_struct,
        label_names=_names(features.get(labels, {})) if labels else (),
        num_bytes=num_bytes,
    )


_STRUCT = {"bytes", "path"}


def _is_binary(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _features(schema: Any) -> dict[str, Any]:
    """Returns the features that Hugging Face writes into the file's metadata."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    if not isinstance(features, dict):
        return {}
    # A list of classes is also written as a list of one feature.
    plain = {name: each[0] if _is_lone(each) else each for name, each in features.items()}
    return {str(name): each for name, each in plain.items() if isinstance(each, dict)}


def _is_lone(feature: Any) -> bool:
    return isinstance(feature, list) and len(feature) == 1


def _names(feature: Any) -> tuple[str, ...]:
    """Returns the names of the classes of a feature, or of those in its list."""
    feature = feature.get("feature", feature) if isinstance(feature, dict) else {}
    if isinstance(feature, dict) and feature.get("_type") == "ClassLabel":
        names = feature.get("names")
        return tuple(map(str, names)) if isinstance(names, list) else ()
    return ()


def _label_rows(table: _Table, group: int) -> Iterator[Row]:
    """Yields a row for each of a group, without its name and place."""
    with _arrow_errors():
        layout = table.layout
        columns = [layout.labels] if layout.labels else []
        paths = f"{layout.audio}.path" if table.is_struct else layout.audio
        may_be_paths = table.has_paths and not _has_all_bytes(table, group)
        if may_be_paths:
            columns.append(paths)
            if table.has_bytes:
                columns.append(f"{layout.audio}.bytes")
        if not columns:
            for _ in range(table.file.metadata.row_group(group).num_rows):
                yield Row("", Place(group, 0))
            return
        size = _batch_rows(table, group) if may_be_paths else _LABEL_ROWS
        for batch in table.file.iter_batches(size, row_groups=[group], columns=columns):
            audio = batch.column(layout.audio) if may_be_paths else [None] * batch.num_rows
            labels = batch.column(layout.labels) if layout.labels else [None] * batch.num_rows
            for value, label in zip(audio, labels, strict=True):
                given = _py(label)
                path = _path(_py(value)) if may_be_paths else None
                yield Row("", Place(group, 0), "", given, table.label_names, path)


def _py(value: Any) -> Any:
    return None if value is None else value.as_py()


def _path(value: Any) -> str | None:
    """Returns the path of a recording without bytes."""
    if isinstance(value, dict):
        return value.get("path") if value.get("bytes") is None else None
    return value if isinstance(value, str) else None


def _has_all_bytes(table: _Table, group: int) -> bool:
    """Returns whether the file's directory says that no row of a group lacks its bytes."""
    statistics = None
    if table.has_bytes:
        column = _column(table, group)
        statistics = column and column.statistics
    return bool(statistics and statistics.has_null_count and statistics.null_count == 0)


def _column(table: _Table, group: int) -> Any:
    name = f"{table.layout.audio}.bytes" if table.is_struct else table.layout.audio
    metadata = table.file.metadata.row_group(group)
    columns = (metadata.column(index) for index in range(metadata.num_columns))
    return next((column for column in columns if column.path_in_schema == name), None)


def _batch_rows(table: _Table, group: int) -> int:
    column = _column(table, group)
    num_rows = table.file.metadata.row_group(group).num_rows
    num_bytes = column.total_uncompressed_size if column else 0
    return max(1, min(_MAX_BATCH_ROWS, _BATCH_BYTES * num_rows // max(1, num_bytes)))


def _audio_values(table: _Table, group: int) -> Iterator[bytes | None]:
    with _arrow_errors():
        if not 0 <= group < table.file.num_row_groups:
            return
        if not table.has_bytes:
            yield from itertools.repeat(None, table.file.metadata.row_group(group).num_rows)
            return
        name = f"{table.layout.audio}.bytes" if table.is_struct else table.layout.audio
        size = _batch_rows(table, group)
        for batch in table.file.iter_batches(size, row_groups=[group], columns=[name]):
            for value in batch.column(table.layout.audio):
                given = value.as_py()
                yield given.get("bytes") if isinstance(given, dict) else given
