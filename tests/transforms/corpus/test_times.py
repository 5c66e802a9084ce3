"""Times: exact or rejected, and formatted the shortest way."""

import decimal
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.times import MAX_DECIMALS, MAX_SECONDS, format_seconds, parse_seconds

times = st.decimals(-MAX_SECONDS, MAX_SECONDS, places=MAX_DECIMALS)


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
    longest = Decimal(MAX_SECONDS) - Decimal(1).scaleb(-MAX_DECIMALS)
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
        "1,5",
        "1 000",
        "0x10",
        "1:30",
        "٣",
        "１",
        "1\n",
        "1e",
        ".",
        "--1",
        "1e9999999999999999999",
        "1000000000.1",
        "-1000000001",
        "0.0000000000001",
        "1e-13",
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
        Decimal("0.1234567890123"),
    ]
    for value in refused:
        with pytest.raises(
            ValueError, match=r"-1000000000 to 1000000000, up to 12 decimals"
        ) as error:
            parse_seconds(value)
        assert len(str(error.value)) < 200
