"""Reader of JSON documents: an array of objects, `{"data": [{…}, …]}`, or `{"id": {…}, …}`.

A document is read piece by piece: memory holds one object, of at most `MAX_OBJECT_CHARACTERS`.
"""

import codecs
import json
import re
from collections.abc import Iterable, Iterator

from transforms.corpus.manifests.json_lines import parse_object
from transforms.corpus.manifests.line_reader import MAX_LINE_BYTES, BadLine

MAX_OBJECT_CHARACTERS = MAX_LINE_BYTES
# Name of the value that an object of `{"id": {…}}` gets, unless it has one.
KEY = "id"

_BLANKS = re.compile(r"[ \t\r\n]*")
_NESTED_MEMBER = re.compile(r'\{\s*"(?:[^"\\]|\\.)*"\s*:\s*(?:\[\s*)?\{')
_FIRST_OBJECTS = 20
_DECODER = json.JSONDecoder()

_Numbered = tuple[int, dict[str, object] | BadLine]


def is_document(head: str) -> bool:
    """Returns whether a text begins a JSON document, rather than JSON lines.

    A line that is an object by itself is a document if it is the only one and all of its members
    are objects, or arrays of objects.
    """
    text = head.lstrip("\ufeff \t\r\n")
    if text.startswith("["):
        return True
    if not text.startswith("{"):
        return False
    line, _, rest = text.partition("\n")
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return bool(_NESTED_MEMBER.match(text)) and not _is_object(rest.lstrip().partition("\n")[0])
    if rest.strip() or not isinstance(value, dict) or not value:
        return False
    return all(map(_holds_objects, value.values()))


def first_objects(head: str) -> list[dict[str, object]]:
    """Returns the first objects of a document or of JSON lines, from its beginning."""
    if is_document(head):
        records = (record for _, record in _Reader(iter([head])).records())
        found = [record for record in records if isinstance(record, dict)]
    else:
        lines = [line for line in head.splitlines() if line.strip()]
        parsed = (parse_object(line) for line in lines[: _FIRST_OBJECTS + 1])
        found = [record for record in parsed if isinstance(record, dict)]
    return found[:_FIRST_OBJECTS]


def read_json_document(
    blocks: Iterable[bytes], encoding: str
) -> Iterator[tuple[int, dict[str, object] | BadLine]]:
    """Reads the objects of a document.

    Args:
      blocks: Bytes, consumed lazily.
      encoding: Encoding of the text.

    Yields:
      Number of the object, from 1, and the object or a bad one. What follows a fault of the JSON
      text cannot be read, and the last one says so.
    """
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
    texts = (decoder.decode(block) for block in blocks)
    yield from _Reader(texts).records()


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _holds_objects(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and isinstance(value[0], dict)
    return isinstance(value, dict)


class _FaultError(Exception):
    """A fault of the JSON text, after which nothing can be read."""


class _Reader:
    def __init__(self, texts: Iterator[str]) -> None:
        self._texts = texts
        self._text = ""
        self._position = 0
        self._number = 0

    def records(self) -> Iterator[_Numbered]:
        try:
            start = self._peek()
            if start == "[":
                yield from self._array()
            elif start == "{":
                yield from self._object()
            else:
                raise _FaultError("neither an array nor an object")
            if self._peek(may_end=True):
                raise _FaultError("text behind the end of the document")
        except _FaultError as fault:
            self._number += 1
            yield (
                self._number,
                BadLine(f"the rest of the file cannot be read: {fault}; number {self._number}"),
            )

    def _array(self) -> Iterator[_Numbered]:
        self._skip(1)
        while self._peek() != "]":
            yield self._next(self._value(), "")
            self._skip_comma()
        self._skip(1)

    def _object(self) -> Iterator[_Numbered]:
        self._skip(1)
        while self._peek() != "}":
            key = json.loads(self._value()) if self._peek() == '"' else None
            if key is None or self._peek() != ":":
                raise _FaultError("a name and a colon are expected")
            self._skip(1)
            start = self._peek()
            if start == "[":
                yield from self._array()
            elif start == "{":
                yield self._next(self._value(), key)
            else:
                self._value()  # a number or text about the document
            self._skip_comma()
        self._skip(1)

    def _next(self, text: str, key: str) -> _Numbered:
        self._number += 1
        record = parse_object(text)
        if isinstance(record, dict) and key:
            record = {KEY: key, **record}
        return self._number, record

    def _value(self) -> str:
        """Returns the text of the next value, and reads as far as needed for it."""
        while True:
            try:
                _, end = _DECODER.raw_decode(self._text, self._position)
                # A number may go on in what has not been read.
                if end < len(self._text) or self._text[end - 1 : end] in '"}]' or not self._more():
                    break
            except RecursionError:
                raise _FaultError("nested too deeply") from None
            except ValueError as error:
                if len(self._text) - self._position > MAX_OBJECT_CHARACTERS:
                    why = (
                        f"an object has more than {MAX_OBJECT_CHARACTERS} characters, or is no JSON"
                    )
                    raise _FaultError(why) from None
                if not self._more():
                    raise _FaultError(f"not JSON: {getattr(error, 'msg', error)}") from None
        text = self._text[self._position : end]
        self._skip(len(text))
        return text

    def _peek(self, may_end: bool = False) -> str:
        """Returns the next character that is not blank; empty at the end."""
        while True:
            match = _BLANKS.match(self._text, self._position)
            assert match is not None  # blanks may be none
            self._skip(match.end() - self._position)
            if self._position < len(self._text):
                return self._text[self._position]
            if not self._more():
                if may_end:
                    return ""
                raise _FaultError("the document ends in the middle")

    def _skip_comma(self) -> None:
        if self._peek() == ",":
            self._skip(1)
        elif self._text[self._position] not in "]}":
            raise _FaultError("a comma is expected")

    def _skip(self, num_characters: int) -> None:
        self._position += num_characters

    def _more(self) -> bool:
        """Reads at least as much as is held, so that a value is parsed few times."""
        parts = [self._text[self._position :]]
        wanted = max(len(parts[0]), 1)
        while wanted > 0:
            part = next(self._texts, None)
            if part is None:
                break
            parts.append(part)
            wanted -= len(part)
        self._text, self._position = "".join(parts), 0
        return len(parts) > 1
