"""Exact times in seconds, as decimals: 0.1 is 0.1.

A time has at most 10 digits before the decimal point and 18 after it. Python's default decimal
context keeps 28 digits, so sums of two times are exact, and those of a million times with up to 12
decimals.
"""

import re
import reprlib
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation

MAX_SECONDS = 1_000_000_000
# More than a float from 0.1 s on has when it is printed with all its digits.
MAX_DECIMALS = 18
# Of what is written: picoseconds, which no sample rate resolves.
WRITTEN_DECIMALS = 12
ALLOWED = f"a number of seconds from -{MAX_SECONDS} to {MAX_SECONDS}, or [hours:]minutes:seconds"

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_CLOCK_PARTS = ("days", "hours", "minutes", "seconds")
# As people, subtitles and pandas write durations: 1:30, 00:01:02.5, 00:01:02,500, 0 days 00:01:02.
_CLOCK = re.compile(
    r"(?:(?:(?P<days>[0-9]{1,5}) days? )?(?P<hours>[0-9]{1,6}):)?"
    r"(?P<minutes>[0-9]{1,8}):(?P<seconds>[0-9]{1,2})(?:[.,](?P<decimals>[0-9]{0,30}))?"
)
_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?")
# 1,500 may be one and a half, or fifteen hundred.
_MAY_BE_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
# No time needs more, and a hostile text stays cheap to parse.
_MAX_CHARACTERS = 1000
_LAST_PLACE = Decimal(1).scaleb(-WRITTEN_DECIMALS)
_LAST_DIGIT = Decimal(1).scaleb(-MAX_DECIMALS)
# Not the thread's context, which another library may have changed.
_CONTEXT = Context(prec=28, traps=[Inexact, InvalidOperation])
_ROUNDING = Context(prec=28, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation])


def parse_seconds(value: str | int | Decimal, decimal_comma: bool = False) -> Decimal:
    """Parses a time in seconds.

    Args:
      value: A number. As text, a decimal number in ASCII, such as `12.5`, `1e-3` or `0,5`, or a
        time of the clock, such as `1:30` or `00:01:02.5`.
      decimal_comma: Whether a comma is a decimal comma even where it could separate thousands.

    Returns:
      The value, exact up to `MAX_DECIMALS` decimals and rounded to these if there are more,
      without trailing zeros after the decimal point.

    Raises:
      ValueError: The value is not a number or is out of range. The message says what is allowed.

    Example:
      >>> parse_seconds("00:01:02.5"), parse_seconds("0.30000000000000004")
      (Decimal('62.5'), Decimal('0.30000000000000004'))
    """
    number = _number(value, decimal_comma)
    if number is None or not number.is_finite() or not -MAX_SECONDS <= number <= MAX_SECONDS:
        raise _invalid_time(value)
    try:
        number = number.quantize(_LAST_PLACE, context=_CONTEXT)
    except (Inexact, InvalidOperation):
        number = number.quantize(_LAST_DIGIT, context=_ROUNDING)
    whole = number.to_integral_value()
    if number == whole:
        return whole or Decimal(0)  # turns -0 into 0
    return number.normalize(_CONTEXT)


def format_seconds(seconds: Decimal) -> str:
    """Formats a time without an exponent or trailing zeros, as `10`, `12.5` or `0`.

    It is rounded to `WRITTEN_DECIMALS`: 0.30000000000000004 is written as 0.3.
    """
    if not seconds:
        return "0"
    text = format(seconds, "f")
    if "." not in text:
        return text
    if len(text) - text.index(".") - 1 > WRITTEN_DECIMALS:
        text = format(seconds.quantize(_LAST_PLACE, context=_ROUNDING), "f")
    text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _number(value: str | int | Decimal, decimal_comma: bool) -> Decimal | None:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, str):
        text = value.strip(" \t")
        if len(text) > _MAX_CHARACTERS:
            return None
        try:
            return Decimal(text) if _NUMBER.fullmatch(text) else _otherwise(text, decimal_comma)
        except InvalidOperation:  # the exponent is out of range
            return None
    if isinstance(value, bool) or abs(value) > MAX_SECONDS:
        return None
    return Decimal(value)


def _otherwise(text: str, decimal_comma: bool) -> Decimal | None:
    """Returns a time of the clock or a number with a decimal comma; None for any other text."""
    if _COMMA.fullmatch(text) and (decimal_comma or not _MAY_BE_THOUSANDS.fullmatch(text)):
        return Decimal(text.replace(",", "."))
    clock = _CLOCK.fullmatch(text)
    if clock is None:
        return None
    days, hours, minutes, seconds = (int(clock[name] or 0) for name in _CLOCK_PARTS)
    if seconds > 59 or (clock["hours"] and minutes > 59) or (clock["days"] and hours > 23):
        return None
    whole = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    return Decimal(f"{whole}.{clock['decimals'] or 0}")


def _invalid_time(value: str | int | Decimal) -> ValueError:
    # str() raises ValueError for integers of thousands of digits, but not for decimals.
    shown = value if isinstance(value, str | bool) else str(Decimal(value))
    hint = "; a comma there may separate thousands" if _is_ambiguous(value) else ""
    return ValueError(f"{reprlib.repr(shown)} is not {ALLOWED}{hint}")


def _is_ambiguous(value: object) -> bool:
    return isinstance(value, str) and _MAY_BE_THOUSANDS.fullmatch(value.strip()) is not None
