"""Types of option values, and their checks."""

import argparse
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from pipeline.options.declaration import ValueType
from transforms.corpus.clips import printable
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.mapping import FIELD_NAMES, ColumnMapping
from transforms.corpus.spans import MAX_CHANNEL, SAMPLE_RATE_HZ
from transforms.corpus.splits import Splits, parse_splits
from transforms.corpus.times import parse_seconds
from transforms.dataset import file_names
from transforms.model.errors import ModelError
from transforms.model.sources import names

MAX_HOP_SECONDS = 3_600
_CHANNELS = {"mean": None, "left": 1, "right": 2}


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} (allowed: a whole number, 0 or more)")
    return int(text)


def _seconds(text: str) -> Decimal:
    try:
        return parse_seconds(text)  # exact: 0.1 is a tenth, not the nearest binary fraction
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} (allowed: a number of seconds)") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} (allowed: a number)") from None


def _channel(text: str) -> int | None:
    if text in _CHANNELS:
        return _CHANNELS[text]
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_CHANNEL):
        raise argparse.ArgumentTypeError(
            f"{text!r} (allowed: {', '.join(_CHANNELS)}, or 1 to {MAX_CHANNEL})"
        )
    return int(text)


def _splits(text: str) -> Splits:
    try:
        return parse_splits(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


# The patterns are of the texts that have the right form; what else is refused, as a number beyond
# its limits, the program refuses when it starts.
_DECIMAL = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_CLOCK = r"(?:(?:[0-9]+ days? )?[0-9]+:)?[0-9]+:[0-9]{1,2}(?:[.,][0-9]*)?"
_SHARE = r"\s*[A-Za-z0-9_][A-Za-z0-9_-]{0,99}=\s*\+?" + _DECIMAL + r"\s*"
_FIELD = "|".join(FIELD_NAMES)

WHOLE = ValueType(_whole, r"[0-9]+")
COUNT = ValueType(_whole, r"0*[1-9][0-9]*")
SHARDS = ValueType(_whole, r"0*[1-9][0-9]{0,4}")
SECONDS = ValueType(_seconds, rf"\+?{_DECIMAL}|[0-9]*,[0-9]+|{_CLOCK}")
EXACT_SECONDS = ValueType(lambda text: Fraction(_seconds(text)), SECONDS.pattern)
NUMBER = ValueType(_number, rf"\+?{_DECIMAL}")
CHANNEL = ValueType(
    _channel, r"mean|left|right|0*(?:[1-9][0-9]{0,2}|10[01][0-9]|102[0-4])"
)  # up to MAX_CHANNEL
SPLITS = ValueType(_splits, rf"{_SHARE}(?:,{_SHARE})*")
NAME = ValueType(str, file_names.STEM)
TEXT = ValueType(str, r".+")
# Several in one text.
COLUMNS = ValueType(str, rf"\s*(?i:{_FIELD})\s*=.*")
HEADER = ValueType(str, r"\s*[^,\s][^,]*(?:,\s*[^,\s][^,]*)*")


def between(low: Any, high: Any, allowed: str = "") -> Callable[[Any], str]:
    """Returns the check of a number from `low` to `high`."""

    def check(value: Any) -> str:
        if low <= value <= high:
            return ""
        return f"={value} (allowed: {allowed or f'{low} to {high}'})"

    return check


def check_hop(seconds: Fraction) -> str:
    """Checks a hop in seconds: a whole number of samples."""
    num_samples = seconds * SAMPLE_RATE_HZ
    if num_samples.denominator == 1 and 0 < seconds <= MAX_HOP_SECONDS:
        return ""
    return (
        f"={float(seconds):g}, {float(num_samples):g} samples at 16 kHz (allowed: a whole number"
        f" of samples, up to {MAX_HOP_SECONDS} s)"
    )


def check_name(name: str) -> str:
    """Checks the stem of file names."""
    if re.fullmatch(file_names.STEM, name):
        return ""
    return f"={name!r} (allowed: letters, digits and _ . -, not starting with a dot or a dash)"


def check_columns(columns: tuple[str, ...]) -> str:
    """Checks names of columns."""
    for column in columns:
        if not column or printable(column) != column:
            return f"={printable(column)!r} (allowed: names in UTF-8)"
    return ""


def check_mapping(columns: tuple[str, ...]) -> str:
    """Checks the meaning of columns; whether they exist is known only with their tables."""
    return _fault_of(columns, ())


def check_header(header: tuple[str, ...]) -> str:
    """Checks the names of columns without a header."""
    return _fault_of((), header)


def _fault_of(columns: tuple[str, ...], header: tuple[str, ...]) -> str:
    for text in (*columns, *header):
        if printable(text) != text:
            return f"={printable(text)!r} (allowed: names in UTF-8)"
    try:
        ColumnMapping.of(columns, header)
    except ManifestError as error:
        return f": {error}"
    return ""


def check_separator(separator: str | None) -> str:
    """Checks the separator of labels."""
    return "=: empty (allowed: any text, or none)" if separator == "" else ""


def check_model(model: str) -> str:
    """Checks the name of a model; whether a local path exists only where that is certain."""
    try:
        names.check_model_name(model, on_workers=True)
    except ModelError as error:
        return f": {error}"
    return ""
