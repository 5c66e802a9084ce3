"""Reader of Parquet tables: rows with the values that JSON lines would have."""

import datetime
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.headerless import format_names
from transforms.corpus.manifests.json_lines import find_fault
from transforms.corpus.manifests.line_reader import BadLine
from transforms.corpus.manifests.peeked_file import PeekedFile

MAGIC = b"PAR1"
# Rows that are held at a time.
_BATCH_ROWS = 1_000


def is_parquet(file: PeekedFile) -> bool:
    """Returns whether a file is a Parquet table."""
    return file.head.startswith(MAGIC)


def parquet_columns(file: PeekedFile) -> tuple[str, ...]:
    """Returns the names of a Parquet table's columns; empty for any other file.

    Raises:
      ManifestError: The table is damaged, two of its columns have one name, or its file cannot
        seek.
    """
    names = tuple(_open(file).schema_arrow.names) if is_parquet(file) else ()
    if duplicates := sorted({name for name in names if names.count(name) > 1}):
        raise ManifestError(f"two columns are named {format_names(duplicates)}; rename one")
    return names


def read_parquet(file: PeekedFile) -> Iterator[tuple[int, dict[str, object] | BadLine]]:
    """Reads the rows of a Parquet table.

    Yields:
      Number of the row, from 1, and its values by column: text, integers, `Decimal`, booleans,
      lists, objects and None. Columns of bytes are left out: audio is read with `--input`.

    Raises:
      ManifestError: The table is damaged, or its file cannot seek.
    """
    import pyarrow

    table = _open(file)
    number = 0
    try:
        columns = [name for field in table.schema_arrow for name in _leaves(field.name, field.type)]
        for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
            for row in batch.to_pylist():
                number += 1
                record = {name: _value(value) for name, value in row.items()}
                fault = find_fault(record)
                yield number, BadLine(fault) if fault else record
    except (pyarrow.ArrowException, OSError) as error:
        yield number + 1, BadLine(f"the rest of the file cannot be read: {error}")


def _open(file: PeekedFile) -> Any:
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(file.whole())
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise ManifestError(f"a Parquet table that cannot be read: {error}") from error


def _leaves(name: str, type: Any) -> Iterator[str]:
    """Yields the names of columns, or of parts of a struct, that hold no bytes."""
    from pyarrow import types

    if types.is_struct(type):
        for field in type:
            yield from _leaves(f"{name}.{field.name}", field.type)
    elif not (types.is_binary(type) or types.is_large_binary(type)):
        yield name


def _value(value: Any) -> object:
    if isinstance(value, float):
        return None if math.isnan(value) else Decimal(repr(value))
    if isinstance(value, dict):
        return {name: _value(each) for name, each in value.items()}
    if isinstance(value, list | tuple):  # a map is a list of pairs
        return [_value(each) for each in value]
    if isinstance(value, datetime.timedelta):
        return Decimal(value // datetime.timedelta(microseconds=1)).scaleb(-6)
    if value is None or isinstance(value, str | int | Decimal):
        return value
    return str(value)
