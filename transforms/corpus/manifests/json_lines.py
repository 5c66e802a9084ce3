"""Reader of JSON lines: lines to objects, with exact numbers."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal

from transforms.corpus.manifests.line_reader import TOO_LONG, BadLine, TextLines

MAX_NESTING = 100

# Escapes of NUL and of lone surrogates, which are not text.
_SUSPICIOUS_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def read_json_lines(text: TextLines) -> Iterator[tuple[int, dict[str, object] | BadLine]]:
    """Reads one object per line.

    Args:
      text: Lines, consumed lazily.

    Yields:
      Number of the line, and its object or a bad line. Numbers with a decimal point or an exponent
      are `Decimal`, and so are NaN and Infinity, which json.dumps writes. Strings are valid Unicode
      without NUL. Blank lines are skipped.
    """
    for number, line in text.lines:
        if line is None:
            yield number, BadLine(TOO_LONG)
        elif line.strip():
            fault = text.find_fault(line)
            yield number, BadLine(fault) if fault else parse_object(line)


def json_text(value: object) -> str:
    """Formats a parsed JSON value as JSON without spaces."""
    if isinstance(value, dict):
        members = (f"{json_text(name)}:{json_text(member)}" for name, member in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    if isinstance(value, Decimal):
        return str(value) if value.is_finite() else "null"
    return json.dumps(value, ensure_ascii=False)


def parse_object(line: str) -> dict[str, object] | BadLine:
    """Parses one JSON object, checked as of `read_json_lines`."""
    try:
        value = _DECODER.decode(line)
    except json.JSONDecodeError as error:
        return BadLine(f"not JSON: {error.msg} at character {error.pos + 1}")
    except RecursionError:
        return BadLine(f"nested more than {MAX_NESTING} levels deep")
    except ArithmeticError:
        return BadLine("the exponent of a number is out of range")
    except ValueError as error:
        return BadLine(str(error))
    if not isinstance(value, dict):
        return BadLine("not a JSON object; write one object, {…}, per line")
    # Both are rare, and checking every value would take as long as parsing.
    if line.count("[") + line.count("{") > MAX_NESTING or _SUSPICIOUS_ESCAPE.search(line):
        fault = find_fault(value)
        return BadLine(fault) if fault else value
    return value


def find_fault(value: object) -> str:
    """Returns why a parsed value is invalid; empty if it is valid."""
    # A stack, not recursion: the value may be nested deeper than Python's own stack.
    pending = [(value, 0)]
    while pending:
        value, depth = pending.pop()
        if isinstance(value, str) and ("\0" in value or _LONE_SURROGATE.search(value)):
            return "a string contains NUL or a lone surrogate"
        if depth > MAX_NESTING:
            return f"nested more than {MAX_NESTING} levels deep"
        if isinstance(value, dict):
            pending.extend((name, depth) for name in value)
            pending.extend((member, depth + 1) for member in value.values())
        elif isinstance(value, list):
            pending.extend((member, depth + 1) for member in value)
    return ""


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("duplicate name in an object")
    return members


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=Decimal, parse_constant=Decimal)
