"""Templates of values: text with `{column}` or `{column:conversion}` in it.

`uri=audio/fold{fold}/{file}` makes a path of two columns, `start={segment:after_last:_:millis}`
takes the milliseconds behind the last `_`. A placeholder names a column and conversions, and can do
nothing else: it is parsed here, never by `str.format`.
"""

import dataclasses
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from transforms.corpus.manifests.errors import ManifestError

MAX_TEMPLATE_CHARACTERS = 4096
MAX_VALUE_CHARACTERS = 1 << 16
_MAX_NUMBER_CHARACTERS = 100
_MAX_WIDTH = 100
_PLACES = Decimal(1).scaleb(-12)
# Not the thread's context, which another library may have changed.
_CONTEXT = Context(prec=40, traps=[InvalidOperation])
_TRAILING_DIGITS = re.compile(r".*_([0-9]+)")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")


class ConversionError(ValueError):
    """A value that a template cannot convert; the message says why."""


@dataclasses.dataclass(frozen=True)
class Conversion:
    """A named conversion of text.

    Attributes:
      usage: Name and arguments, as the documentation shows them.
      convert: Takes the text and the arguments.
      checks: The check of each argument: returns it, or raises `ValueError`.
    """

    usage: str
    convert: Callable[..., str]
    checks: tuple[Callable[[str], Any], ...] = ()


@dataclasses.dataclass(frozen=True)
class Placeholder:
    """A column in a template, and what is done with its text.

    Attributes:
      column: Name of the column, as written.
      conversions: Conversions and their arguments, in order.
      body: All between the braces.
    """

    column: str
    conversions: tuple[tuple[str, tuple[Any, ...]], ...]
    body: str


@dataclasses.dataclass(frozen=True)
class Template:
    """A template whose columns are known.

    Attributes:
      text: The template as written.
      parts: Literal text and placeholders, in order. A placeholder's column is a key of records.
    """

    text: str
    parts: tuple[str | Placeholder, ...]

    @property
    def key(self) -> str:
        """Key of the column if the value is that of one column, unchanged; else empty."""
        if len(self.parts) != 1 or not isinstance(self.parts[0], Placeholder):
            return ""
        return "" if self.parts[0].conversions else self.parts[0].column

    @property
    def label(self) -> str:
        """The template for messages: the column, if it is one unchanged."""
        return self.key.strip() or self.text

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of all columns in the template."""
        return tuple(part.column for part in self.parts if isinstance(part, Placeholder))

    def value(self, record: Mapping[str, object]) -> object:
        """Returns the value in a record; None if one of its columns is empty or absent.

        Raises:
          ConversionError: A value cannot be converted.
        """
        if len(self.parts) == 1:
            (part,) = self.parts
            return part if isinstance(part, str) else _converted(part, find_value(record, part))
        texts = []
        for part in self.parts:
            if isinstance(part, str):
                texts.append(part)
                continue
            value = _converted(part, find_value(record, part))
            text = as_text(value)
            if text is None and value is not None:
                raise ConversionError(f"{{{part.body}}} is not text or a number")
            if not text:
                return None
            texts.append(text)
        joined = "".join(texts)
        if len(joined) > MAX_VALUE_CHARACTERS:
            raise ConversionError(f"the value has more than {MAX_VALUE_CHARACTERS} characters")
        return joined


def column_template(key: str) -> Template:
    """Returns the template of a column that is taken as it is."""
    return Template(f"{{{key}}}", (Placeholder(key, (), key),))


def parse_template(text: str) -> tuple[str | Placeholder, ...]:
    """Parses a template: `{{` and `}}` are braces, `{column:conversion:argument}` a placeholder.

    Raises:
      ManifestError: The template is invalid; the message says what is allowed.
    """
    if len(text) > MAX_TEMPLATE_CHARACTERS:
        raise ManifestError(f"the template is longer than {MAX_TEMPLATE_CHARACTERS} characters")
    parts: list[str | Placeholder] = []
    literal = ""
    position = 0
    while position < len(text):
        character = text[position]
        if character in "{}" and text[position + 1 : position + 2] == character:
            literal += character
            position += 2
        elif character == "{":
            end = text.find("}", position)
            body = text[position + 1 : end]
            if end < 0 or "{" in body:
                raise ManifestError(f"{text[position:]!r}: a brace is not closed ({{{{ is a brace)")
            if literal:
                parts.append(literal)
                literal = ""
            parts.append(parse_placeholder(body))
            position = end + 1
        elif character == "}":
            raise ManifestError(f"{text!r}: a brace is closed and was not opened (}}}} is a brace)")
        else:
            literal += character
            position += 1
    return (*parts, literal) if literal or not parts else tuple(parts)


def parse_placeholder(body: str) -> Placeholder:
    """Parses what is between braces.

    Raises:
      ManifestError: It names no column or an unknown conversion.
    """
    column, *words = body.split(":")
    if not column.strip():
        raise ManifestError(f"{{{body}}} names no column")
    return Placeholder(column, tuple(_parse_conversions(body, words)), body)


def find_value(record: Mapping[str, object], placeholder: Placeholder) -> object:
    """Returns the value of a column; a dotted name may lead into nested values."""
    key = placeholder.column
    if key in record:
        return record[key]
    value: object = record
    for name in key.split("."):
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list) and name.isascii() and name.isdigit() and len(name) < 10:
            value = value[int(name)] if int(name) < len(value) else None
        else:
            return None
    return value


def as_text(value: object) -> str | None:
    """Returns text or a number as text, NaN as empty text; None for any other value."""
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal) and not value.is_finite():
        return ""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        try:
            return str(value)
        except ValueError:  # an integer of thousands of digits
            return None
    return None


def _parse_conversions(body: str, words: list[str]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    while words:
        name, *words = words
        conversion = CONVERSIONS.get(name)
        if conversion is None:
            allowed = ", ".join(each.usage for each in CONVERSIONS.values())
            raise ManifestError(f"{{{body}}}: {name!r} is no conversion (allowed: {allowed})")
        given, words = words[: len(conversion.checks)], words[len(conversion.checks) :]
        try:
            arguments = tuple(
                check(word) for check, word in zip(conversion.checks, given, strict=True)
            )
        except ValueError as error:
            usage = f"{{{body}}}: allowed: {conversion.usage}"
            raise ManifestError(usage) from error
        yield name, arguments


def _converted(placeholder: Placeholder, value: object) -> object:
    if not placeholder.conversions or value is None:
        return value
    if isinstance(value, list):
        return [_converted(placeholder, each) for each in value]
    text = as_text(value)
    if text is None:
        raise ConversionError(f"{{{placeholder.body}}} is not text or a number")
    if not text.strip():
        return ""
    for name, arguments in placeholder.conversions:
        text = CONVERSIONS[name].convert(text, *arguments)
    return text


def _number(text: str) -> Decimal:
    text = text.strip()
    if len(text) > _MAX_NUMBER_CHARACTERS or not _NUMBER.fullmatch(text):
        raise ConversionError(f"{text[:40]!r} is not a number")
    return Decimal(text)


def _num_samples(text: str) -> Decimal:
    number = _number(text)
    if number != number.to_integral_value():
        raise ConversionError(f"{text.strip()[:40]!r} is not a whole number of samples")
    return number


def _divided(number: Decimal, divisor: int) -> str:
    """Returns a quotient as text, to the 12 decimals that times have."""
    try:
        quotient = _CONTEXT.divide(number, divisor).quantize(_PLACES, context=_CONTEXT)
    except InvalidOperation:
        raise ConversionError(f"{str(number)[:40]} is too large") from None
    text = format(quotient, "f").rstrip("0").rstrip(".")
    return text if text not in ("", "-0") else "0"


def _millis(text: str) -> str:
    match = None if _NUMBER.fullmatch(text.strip()) else _TRAILING_DIGITS.fullmatch(text.strip())
    return _divided(_number(match[1] if match else text), 1_000)


def _plus(text: str, number: Decimal) -> str:
    try:
        total = _CONTEXT.add(_number(text), number).quantize(_PLACES, context=_CONTEXT)
    except InvalidOperation:
        raise ConversionError(f"{text[:40]!r} is too large") from None
    return format(total, "f").rstrip("0").rstrip(".") or "0"


def _cut(text: str, mark: str, is_after: bool, is_last: bool) -> str:
    head, found, tail = text.rpartition(mark) if is_last else text.partition(mark)
    if not found:
        raise ConversionError(f"{text[:40]!r} has no {mark!r}")
    return tail if is_after else head


def _part(text: str, number: int) -> str:
    parts = [part for part in text.replace("\\", "/").split("/") if part]
    index = number - 1 if number > 0 else number
    if not -len(parts) <= index < len(parts):
        raise ConversionError(f"{text[:40]!r} has no part {number}")
    return parts[index]


def _name(path: str) -> str:
    return posixpath.basename(path.replace("\\", "/"))


def _whole(word: str) -> int:
    if not word.isascii() or not word.isdigit() or not 1 <= int(word[:10]) <= 1_000_000_000:
        raise ValueError(word)
    return int(word)


def _width(word: str) -> int:
    if _whole(word) > _MAX_WIDTH:
        raise ValueError(word)
    return int(word)


def _position(word: str) -> int:
    return -_width(word[1:]) if word.startswith("-") else _width(word)


def _mark(word: str) -> str:
    if not word:
        raise ValueError(word)
    return word


# The help of `--columns` and docs/corpora.md name them, too.
CONVERSIONS: dict[str, Conversion] = {
    "millis": Conversion("millis", _millis),
    "micros": Conversion("micros", lambda text: _divided(_number(text), 1_000_000)),
    "samples": Conversion(
        "samples:RATE", lambda text, rate: _divided(_num_samples(text), rate), (_whole,)
    ),
    "plus": Conversion("plus:NUMBER", _plus, (_number,)),
    "name": Conversion("name", _name),
    "stem": Conversion("stem", lambda text: posixpath.splitext(_name(text))[0]),
    "no_suffix": Conversion("no_suffix", lambda text: posixpath.splitext(text)[0]),
    "part": Conversion("part:N", _part, (_position,)),
    "before": Conversion("before:X", lambda text, mark: _cut(text, mark, False, False), (_mark,)),
    "after": Conversion("after:X", lambda text, mark: _cut(text, mark, True, False), (_mark,)),
    "before_last": Conversion(
        "before_last:X", lambda text, mark: _cut(text, mark, False, True), (_mark,)
    ),
    "after_last": Conversion(
        "after_last:X", lambda text, mark: _cut(text, mark, True, True), (_mark,)
    ),
    "without": Conversion("without:X", lambda text, mark: text.replace(mark, ""), (_mark,)),
    "first": Conversion("first:N", lambda text, number: text[:number], (_width,)),
    "pad": Conversion("pad:N", lambda text, width: text.strip().zfill(width), (_width,)),
    "strip": Conversion("strip", str.strip),
    "lower": Conversion("lower", str.lower),
}
