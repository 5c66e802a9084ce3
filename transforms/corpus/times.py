"""Exact times in seconds, as decimals: 0.1 is 0.1.

A time has at most 10 digits before the decimal point and 12 after it. Python's default decimal
context keeps 28 digits, so sums of up to a million times are exact, too.
"""

import re
import reprlib
from decimal import Context, Decimal, Inexact, InvalidOperation

MAX_SECONDS = 1_000_000_000
MAX_DECIMALS = 12
ALLOWED = f"a number of seconds from -{MAX_SECONDS} to {MAX_SECONDS}, up to {MAX_DECIMALS} decimals"

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# No time needs more, and a hostile text stays cheap to parse.
_MAX_CHARACTERS = 100
_LAST_PLACE = Decimal(1).scaleb(-MAX_DECIMALS)
# Not the thread's context, which another library may have changed.
_CONTEXT = Context(prec=28, traps=[Inexact, InvalidOperation])


def parse_seconds(value: str | int | Decimal) -> Decimal:
    """Parses a time in seconds.

    Args:
      value: A number. As text, a decimal number in ASCII, such as `12.5` or `1e-3`.

    Returns:
      The exact value, without trailing zeros after the decimal point.

    Raises:
      ValueError: The value is not a number, is out of range or has too many decimals. The message
        says what is allowed.
    """
    number = _number(value)
    if number is None or not number.is_finite() or not -MAX_SECONDS <= number <= MAX_SECONDS:
        raise _invalid_time(value)
    try:
        number = number.quantize(_LAST_PLACE, context=_CONTEXT)
    except (Inexact, InvalidOperation):
        raise _invalid_time(value) from None
    whole = number.to_integral_value()
    if number == whole:
        return whole or Decimal(0)  # turns -0 into 0
    return number.normalize(_CONTEXT)


def format_seconds(seconds: Decimal) -> str:
    """Formats a time without an exponent or trailing zeros, as `10`, `12.5` or `0`."""
    if not seconds:
        return "0"
    text = format(seconds, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _number(value: str | int | Decimal) -> Decimal | None:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, str):
        text = value.strip(" \t")
        is_number = len(text) <= _MAX_CHARACTERS and _NUMBER.fullmatch(text)
        try:
            return Decimal(text) if is_number else None
        except InvalidOperation:  # the exponent is out of range
            return None
    if isinstance(value, bool) or abs(value) > MAX_SECONDS:
        return None
    return Decimal(value)


def _invalid_time(value: str | int | Decimal) -> ValueError:
    # str() raises ValueError for integers of thousands of digits, but not for decimals.
    shown = value if isinstance(value, str | bool) else str(Decimal(value))
    return ValueError(f"{reprlib.repr(shown)} is not {ALLOWED}")
