"""Templates: columns, conversions and nothing else."""

import re
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.documents import pages
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.templates import (
    CONVERSIONS,
    ConversionError,
    Template,
    parse_template,
)


def value(text: str, **record: object) -> object:
    return Template(text, parse_template(text)).value(record)


def test_a_template_is_text_with_columns_in_it() -> None:
    record = {"fold": "5", "file": "a.wav", "n": 7, "x": Decimal("1.50"), "list": ["a", "b"]}
    for text, expected in [
        ("audio/fold{fold}/{file}", "audio/fold5/a.wav"),
        ("{file}", "a.wav"),
        ("{list}", ["a", "b"]),
        ("{n}-{x}", "7-1.50"),
        ("constant", "constant"),
        ("{{{n}}}", "{7}"),
        ("{file}.{absent}", None),
        ("{absent}", None),
        ("", ""),
    ]:
        assert value(text, **record) == expected


def test_dotted_names_lead_into_nested_values() -> None:
    record = {"recording": {"sources": [{"source": "a.wav"}]}, "a.b": "flat"}
    assert value("{recording.sources.0.source}", **record) == "a.wav"
    assert value("{a.b}", **record) == "flat"
    for absent in ("recording.sources.1.source", "recording.sources.x", "recording.sources.²"):
        assert value(f"{{{absent}}}", **record) is None


def test_each_conversion_does_what_its_name_says() -> None:
    segment = "s9d-2nhuJCQ_30000"
    for template, text, expected in [
        ("{x:millis}", "1500", "1.5"),
        ("{x:millis}", segment, "30"),
        ("{x:micros}", "1500000", "1.5"),
        ("{x:samples:16000}", "8000", "0.5"),
        ("{x:samples:16000}", "8000.0", "0.5"),
        ("{x:samples:44100}", "1", "0.000022675737"),
        ("{x:plus:10}", "130", "140"),
        ("{x:plus:-1}", "1", "0"),
        ("{x:name}", "C:\\rec\\a.b.wav", "a.b.wav"),
        ("{x:stem}", "f/a.b.wav", "a.b"),
        ("{x:no_suffix}", "f/a.wav", "f/a"),
        ("{x:part:-2}", "blues/a.wav", "blues"),
        ("{x:part:1}", "/blues/a.wav", "blues"),
        ("{x:before_last:_}", "a_b_30", "a_b"),
        ("{x:after_last:_}", "a_b_30", "30"),
        ("{x:before:_}", "a_b_30", "a"),
        ("{x:after:$data_root/}", "$data_root/a.wav", "a.wav"),
        ("{x:without:genre---}", "genre---rock", "rock"),
        ("{x:pad:6}", "30", "000030"),
        ("{x:pad:6:first:3}", "2", "000"),
        ("{x:strip:lower}", " A ", "a"),
        ("{x:after_last:_:millis}", segment, "30"),
        ("{x:millis}", "", ""),
    ]:
        assert value(template, x=text) == expected, template
    assert value("{x:lower}", x=["A", "B"]) == ["a", "b"]
    assert value("{x:millis}", x=1500) == "1.5"
    assert value("{x:millis}", x=None) is None


def test_a_value_that_cannot_be_converted_says_why() -> None:
    for template, text, why in [
        ("{x:millis}", "soon", "'soon' is not a number"),
        ("{x:millis}", "nan", "'nan' is not a number"),
        ("{x:micros}", "1e999", "is too large"),
        ("{x:samples:16000}", "9" * 200, "is not a number"),
        ("{x:samples:16000}", "0.5", "'0.5' is not a whole number of samples"),
        ("{x:after:_}", "abc", "'abc' has no '_'"),
        ("{x:part:3}", "a/b", "'a/b' has no part 3"),
        ("{x}{x}", "y" * 40_000, "more than 65536 characters"),
        ("a{x}", {"y": 1}, "{x} is not text or a number"),
        ("a{x}", True, "{x} is not text or a number"),
        ("{x:lower}", {"y": 1}, "{x:lower} is not text or a number"),
    ]:
        with pytest.raises(ConversionError) as error:
            value(template, x=text)
        assert why in str(error.value)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{", "not closed"),
        ("{a", "not closed"),
        ("a}", "was not opened"),
        ("{a{b}}", "not closed"),
        ("{}", "names no column"),
        ("{:lower}", "names no column"),
        ("{a:}", "'' is no conversion"),
        ("{a:upper}", "'upper' is no conversion (allowed: millis, micros, samples:RATE"),
        ("{a:>10}", "'>10' is no conversion"),
        ("{a!r:x}", "'x' is no conversion"),
        ("{a:samples}", "allowed: samples:RATE"),
        ("{a:samples:0}", "allowed: samples:RATE"),
        ("{a:samples:-1}", "allowed: samples:RATE"),
        ("{a:samples:x}", "allowed: samples:RATE"),
        ("{a:pad:101}", "allowed: pad:N"),
        ("{a:pad:99999999999999999999}", "allowed: pad:N"),
        ("{a:part:0}", "allowed: part:N"),
        ("{a:after:}", "allowed: after:X"),
        ("{a:plus:nan}", "allowed: plus:NUMBER"),
        ("x" * 4097, "longer than 4096"),
    ],
)
def test_an_invalid_template_is_refused(template: str, why: str) -> None:
    with pytest.raises(ManifestError) as error:
        parse_template(template)
    assert why in str(error.value)


def test_attributes_and_items_are_only_names_of_columns() -> None:
    for body in ("a.__class__", "a[0]", "a.__init__.__globals__", "0.real", "a!r"):
        assert value(f"{{{body}}}", a="text") is None


_NAMES = st.sampled_from(["a", "b", "c.0.d", "__class__", "a.__class__", "a!r", "", "0"])
_CONVERSIONS = st.sampled_from([*CONVERSIONS, "_", "3", "-1", "16000", "nan", "", "x"])
_PLACEHOLDERS = st.builds(
    lambda name, words: "{" + ":".join([name, *words]) + "}", _NAMES, st.lists(_CONVERSIONS)
)
_TEMPLATES = st.lists(st.one_of(_PLACEHOLDERS, st.text("{}:.a!_%$", max_size=4))).map("".join)
_CELLS = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.decimals(),
        st.text(max_size=12),
        st.sampled_from(["1e999", "-0", "a_1", "9" * 5000, "_", "1" * 99, "²", "a/b/c.wav"]),
    ),
    lambda inside: st.lists(inside, max_size=2) | st.dictionaries(st.text(max_size=2), inside),
    max_leaves=4,
)


@given(template=_TEMPLATES, a=_CELLS, b=_CELLS, c=_CELLS)
@example(template="{a:plus:1}", a="1e999", b=None, c=None)
@example(template="{a:millis}", a="_" + "9" * 5000, b=None, c=None)
@example(template="x{a}", a=10**5000, b=None, c=None)
def test_any_template_with_any_value_is_refused_or_gives_a_value(
    template: str, a: object, b: object, c: object
) -> None:
    try:
        parsed = Template(template, parse_template(template))
        found = parsed.value({"a": a, "b": b, "c": c})
    except (ManifestError, ConversionError):
        return
    if len(parsed.parts) > 1:
        assert found is None or isinstance(found, str)


def test_every_conversion_is_documented() -> None:
    page = pages.sections("docs/corpora.md")["Columns of any name"]
    documented = re.findall(r"`([a-z_]+(?::[A-Z]+)?)`", page.split("| --- | --- |")[1])
    assert set(documented) >= {each.usage for each in CONVERSIONS.values()}
