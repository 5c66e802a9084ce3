"""Second tables beside a table, such as wav.scp beside segments, held in memory."""

import posixpath
from collections.abc import Iterator

from transforms.corpus.clips import printable
from transforms.corpus.layouts.catalogue import Lookup
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.json_lines import read_json_lines
from transforms.corpus.manifests.line_reader import BadLine, TextLines, read_lines
from transforms.storage import files

MAX_LOOKUP_CHARACTERS = 1 << 28
_JSON_LINES = "jsonl"
_KEY = "id"


def read_lookup(lookup: Lookup, uri: str) -> dict[str, object] | None:
    """Reads a second table.

    Args:
      lookup: What is looked up, and where.
      uri: Path or URL of the first table.

    Returns:
      Value by key; None if there is no such table, and it is not required.

    Raises:
      ManifestError: The table is invalid, too large, or required and absent.
    """
    folder, name = posixpath.split(uri)
    names = lookup.files
    if lookup.replace:
        old, new = lookup.replace
        names = (name.replace(old, new),) if old in name else ()
    for each in names:
        path = posixpath.join(folder, each)
        if files.exists(path):
            try:
                with files.open_decompressed(path) as file:
                    return _read(read_lines(file), lookup, path)
            except OSError as error:
                raise ManifestError(f"{printable(path)} cannot be read: {error}") from error
    if not lookup.is_required:
        return None
    wanted = " or ".join(names) or f"a table named like this one, with {lookup.replace[1]}"
    raise ManifestError(f"it needs {wanted} beside it, which does not exist")


def _read(text: TextLines, lookup: Lookup, path: str) -> dict[str, object]:
    found: dict[str, object] = {}
    num_characters = 0
    pairs = _objects(text, path) if lookup.format == _JSON_LINES else _words(text, path)
    for line, key, value in pairs:
        num_characters += len(key) + len(str(value))
        if num_characters > MAX_LOOKUP_CHARACTERS:
            raise ManifestError(
                f"{printable(path)} has more than {MAX_LOOKUP_CHARACTERS} characters, and is held"
                " in memory: split the tables"
            )
        if found.setdefault(key, value) != value:
            raise ManifestError(f"{printable(path)}: line {line} has {key} for the second time")
    return found


def _words(text: TextLines, path: str) -> Iterator[tuple[int, str, object]]:
    for number, line in text.lines:
        if line is not None and not line.strip():
            continue
        fault = "the line is too long" if line is None else text.find_fault(line)
        words = [] if line is None else line.split(maxsplit=1)
        if fault or len(words) < 2:
            raise ManifestError(f"{printable(path)}: line {number}: {fault or 'no value'}")
        yield number, words[0], words[1].strip()


def _objects(text: TextLines, path: str) -> Iterator[tuple[int, str, object]]:
    for number, record in read_json_lines(text):
        key = None if isinstance(record, BadLine) else record.get(_KEY)
        if not isinstance(key, str):
            fault = record.message if isinstance(record, BadLine) else f"no text {_KEY}"
            raise ManifestError(f"{printable(path)}: line {number}: {fault}")
        yield number, key, record
