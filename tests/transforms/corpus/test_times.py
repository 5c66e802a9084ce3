"""Times: exact or rejected, whatever their notation, and formatted the shortest way."""

import decimal
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.times import (
    MAX_DECIMALS,
    MAX_SECONDS,
    WRITTEN_DECIMALS,
    format_seconds,
    parse_seconds,
)

times = st.decimals(-MAX_SECONDS, MAX_SECONDS, places=WRITTEN_DECIMALS)


@given(time=times)
def test_a_time_is_exact_as_text_as_a_decimal_and_with_an_exponent(time: Decimal) -> None:
    for value in (time, str(time), f"{time:f}", f"{time:e}", f" {time:f}000"):
        assert Fraction(parse_seconds(value)) == Fraction(time)


@given(number=st.integers(-MAX_SECONDS, MAX_SECONDS))
def test_a_whole_number_is_itself(number: int) -> None:
    assert parse_seconds(number) == number == int(format_seconds(parse_seconds(number)))


def test_a_time_is_written_without_exponent_or_trailing_zeros() -> None:
    for text, expected in [
        ("30.000", "30"),
        ("+1.", "1"),
        (".5", "0.5"),
        ("\t2e1 ", "20"),
        ("1E-12", "0.000000000001"),
        ("-0.0", "0"),
        ("0e99", "0"),
        ("1e9", "1000000000"),
        ("00012.50", "12.5"),
    ]:
        assert format_seconds(parse_seconds(text)) == expected


def test_there_is_one_zero() -> None:
    for text in ["-0", "-0.000", "0e5", "0"]:
        assert str(parse_seconds(text)) == "0"


@given(time=times)
def test_what_is_written_reads_as_the_same_time(time: Decimal) -> None:
    text = format_seconds(time)
    assert parse_seconds(text) == time
    assert "e" not in text.lower()
    assert not (text.startswith("-") and time == 0)
    assert not ("." in text and text[-1] in "0.")


@given(numbers=st.lists(times, max_size=50))
def test_sums_of_times_are_exact(numbers: list[Decimal]) -> None:
    with decimal.localcontext(decimal.DefaultContext):
        assert Fraction(sum(map(parse_seconds, numbers), Decimal(0))) == sum(map(Fraction, numbers))


def test_pythons_own_context_keeps_enough_digits_for_a_million_of_the_longest_times() -> None:
    longest = Decimal(MAX_SECONDS) - Decimal(1).scaleb(-WRITTEN_DECIMALS)
    with decimal.localcontext(decimal.DefaultContext) as context:
        context.traps[decimal.Inexact] = True
        assert longest * 1_000_000 == 10**15 - Decimal("1E-6")


def test_a_time_is_exact_whatever_the_context_of_the_thread() -> None:
    with decimal.localcontext(decimal.Context(prec=3, traps=[decimal.Inexact])):
        assert str(parse_seconds("123456.789")) == "123456.789"


def test_invalid_times_are_rejected_with_what_is_allowed() -> None:
    refused: list[Any] = [
        "",
        " ",
        "abc",
        "nan",
        "NaN",
        "inf",
        "-Infinity",
        "1_000",
        "1,500",
        "12,345",
        "1,5,5",
        "1.500,5",
        ",",
        "1:60",
        "1:2:3:4",
        "1:60:00",
        "00:61:00",
        ":30",
        "1:",
        "-1:30",
        "-1 days +23:59:59",
        "1 days 24:00:00",
        "999999:00:00",
        "1 000",
        "0x10",
        "٣",
        "１",
        "1\n",
        "1e",
        ".",
        "--1",
        "1e9999999999999999999",
        "1000000000.1",
        "-1000000001",
        "1e99999",
        "1" * 1_000_000,
        "0." + "1" * 1_000_000,
        10**5000,
        MAX_SECONDS + 1,
        True,
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("-Infinity"),
        Decimal("1e999999"),
    ]
    for value in refused:
        with pytest.raises(
            ValueError, match=r"-1000000000 to 1000000000, or \[hours:\]minutes:seconds"
        ) as error:
            parse_seconds(value)
        assert len(str(error.value)) < 200


@given(seconds=st.floats(0, MAX_SECONDS), rate_hz=st.sampled_from([8_000, 16_000, 44_100, 48_000]))
def test_a_float_as_python_prints_it_is_its_nearest_sample(seconds: float, rate_hz: int) -> None:
    time = parse_seconds(repr(seconds))
    assert time == parse_seconds(Decimal(repr(seconds)))
    assert abs(Fraction(time) - Fraction(repr(seconds))) <= Fraction(1, 2 * 10**MAX_DECIMALS)
    if seconds >= 0.1:  # a float has 17 digits
        assert Fraction(time) == Fraction(repr(seconds))
    printed = Fraction(repr(seconds)) * rate_hz
    if abs(printed - int(printed) - Fraction(1, 2)) > Fraction(rate_hz, 10**MAX_DECIMALS):
        assert round(Fraction(time) * rate_hz) == round(printed)


def test_no_time_is_refused_for_its_digits() -> None:
    for text, exact, written in [
        ("2.972154195011338", "2.972154195011338", "2.972154195011"),
        ("3.0399999618530273", "3.0399999618530273", "3.039999961853"),
        ("0.30000000000000004", "0.30000000000000004", "0.3"),
        ("0.0000000000001", "1E-13", "0"),
        ("-1e-13", "-1E-13", "0"),
        ("1e-400", "0", "0"),
        ("0.1234567890123456789", "0.123456789012345679", "0.123456789012"),
        ("1." + "3" * 900, "1.333333333333333333", "1.333333333333"),
        ("999999999.9999999999999999999", "1000000000", "1000000000"),
        ("9.9999999999999", "9.9999999999999", "10"),
    ]:
        assert parse_seconds(text) == Decimal(exact)
        assert format_seconds(parse_seconds(text)) == written


def test_times_of_the_clock_are_understood() -> None:
    for text, seconds in [
        ("1:30", "90"),
        ("00:00:01.5", "1.5"),
        ("00:01:02.5", "62.5"),
        ("00:01:02,500", "62.5"),
        ("100:00:00", "360000"),
        ("90:00", "5400"),
        ("0 days 00:00:01.250000", "1.25"),
        ("1 day 00:00:00", "86400"),
        ("0:00:02.972154195011338", "2.972154195011338"),
    ]:
        assert parse_seconds(text) == Decimal(seconds)


def test_a_comma_is_a_decimal_comma_unless_it_may_separate_thousands() -> None:
    for text, seconds in [("0,5", "0.5"), ("1,5", "1.5"), (",5", "0.5"), ("0,500", "0.5")]:
        assert parse_seconds(text) == parse_seconds(text, decimal_comma=True) == Decimal(seconds)
    assert parse_seconds("1,500", decimal_comma=True) == Decimal("1.5")
    with pytest.raises(ValueError, match="a comma there may separate thousands"):
        parse_seconds("1,500")


@given(text=st.text("0123456789.,:eE+- day", max_size=30))
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    for decimal_comma in (False, True):
        try:
            time = parse_seconds(text, decimal_comma)
        except ValueError:
            continue
        assert parse_seconds(time) == time
