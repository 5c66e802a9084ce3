"""Tables: everything that writers write is read, and an invalid line affects no other."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.manifests.delimited import MAX_RECORD_LINES, UNCLOSED_QUOTE
from transforms.corpus.manifests.errors import ManifestError
from transforms.corpus.manifests.json_lines import MAX_NESTING, json_text
from transforms.corpus.manifests.line_reader import HEAD_BYTES, MAX_LINE_BYTES, BadLine
from transforms.corpus.manifests.tables import Table, read_table

# Surrogates are no text, zeros are refused, and many of the last one make a file binary.
characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0\x7f")
cells = st.text(characters, max_size=20)
tricky_cells = st.text("ab\",;\t\r\n '{}é", max_size=8)
Record = dict[str, object]


def table_of(text: str | bytes, uri: str = "m.csv", format: str | None = None) -> Table:
    data = text.encode() if isinstance(text, str) else text
    return read_table(io.BytesIO(data), format, uri)


def records_of(text: str | bytes, uri: str = "m.csv", format: str | None = None) -> list[Record]:
    records = [record for _, record in table_of(text, uri, format).rows]
    return [record for record in records if not isinstance(record, BadLine)]


def outcomes(text: str | bytes, uri: str = "m.csv") -> list[tuple[int, object]]:
    """Lines with their values, or with what is said of them."""
    return [
        (line, record.message if isinstance(record, BadLine) else list(record.values()))
        for line, record in table_of(text, uri).rows
    ]


def written(rows: Sequence[Sequence[str]], line_end: str, delimiter: str, quoting: Any) -> str:
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator=line_end, quoting=quoting).writerows(rows)
    return file.getvalue()


@given(
    rows=st.lists(st.tuples(cells | tricky_cells, cells | tricky_cells), max_size=6),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    delimiter=st.sampled_from([",", ";"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    before=st.sampled_from(["", "\n", " \r\n\r"]),
)
def test_what_a_csv_writer_wrote_is_read(
    rows: list[tuple[str, str]], line_end: str, delimiter: str, encoding: str, before: str
) -> None:
    # Control characters would be most of a small file, and the file thereby binary.
    padding = "words to make it text, " * 40
    table = [("uri", "text"), ("a.wav", padding), *rows]
    text = before + written(table, line_end, delimiter, csv.QUOTE_ALL)
    read = records_of(text.encode(encoding))
    assert [tuple(record.values()) for record in read] == table[1:]
    assert all(list(record) == ["uri", "text"] for record in read)


@given(rows=st.lists(st.tuples(tricky_cells, tricky_cells, tricky_cells), max_size=6))
def test_what_is_quoted_only_where_it_must_be_is_read(rows: list[tuple[str, str, str]]) -> None:
    text = "uri,b,c\r\n" + written(rows, "\r\n", ",", csv.QUOTE_MINIMAL)
    assert [tuple(record.values()) for record in records_of(text)] == rows


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    text = '\n\nuri,text\n\na,"1\r\n2\n\n3"\n  \nb,4\r"c",5\r\nd,6'
    assert outcomes(text) == [
        (5, ["a", "1\r\n2\n\n3"]),
        (10, ["b", "4"]),
        (11, ["c", "5"]),
        (12, ["d", "6"]),
    ]


def test_a_quote_inside_a_cell_without_quotes_is_a_character() -> None:
    assert outcomes('uri,text\na,5" disk\n5" b,"c ""d"""\n') == [
        (2, ["a", '5" disk']),
        (3, ['5" b', 'c "d"']),
    ]


def test_a_quote_that_is_not_closed_costs_its_own_line_only() -> None:
    for num_rows in [0, 1, 98, 99, 100, 101, 250]:
        text = 'uri,text\na,"open\n' + "b,c\n" * num_rows
        line = (2, UNCLOSED_QUOTE)
        assert outcomes(text) == [line, *((3 + index, ["b", "c"]) for index in range(num_rows))]


def test_quotes_that_close_each_other_cost_their_own_lines_only() -> None:
    assert outcomes('uri,text\na,"open\nb,c\nd,"open\ne,f\n"g\n""","h\ni"\n') == [
        (2, UNCLOSED_QUOTE),
        (3, ["b", "c"]),
        (4, UNCLOSED_QUOTE),
        (5, ["e", "f"]),
        (6, ['g\n"', "h\ni"]),
    ]


@pytest.mark.parametrize("num_lines", [MAX_RECORD_LINES - 1, MAX_RECORD_LINES])
def test_a_record_may_go_over_as_many_lines_as_allowed(num_lines: int) -> None:
    cell = "x\n" * (num_lines - 1) + "x"
    assert outcomes(f'uri,text\na,"{cell}"\nb,c\n') == [
        (2, ["a", cell]),
        (2 + num_lines, ["b", "c"]),
    ]


def test_a_record_of_more_lines_is_given_up_at_its_first_line() -> None:
    text = 'uri,text\na,"' + "x\n" * MAX_RECORD_LINES + 'x"\nb,c\n'
    first, *between, last = outcomes(text)
    assert first == (2, UNCLOSED_QUOTE)
    assert {message for _, message in between} == {"1 cells (expected 2, as in the header)"}
    assert last == (MAX_RECORD_LINES + 3, ["b", "c"])


@pytest.mark.parametrize("num_cells", [10, 12])
def test_a_record_of_more_than_a_mebibyte_is_given_up(num_cells: int) -> None:
    cell = "x" * 100_000 + "\n"
    columns = ",".join(map(str, range(num_cells)))
    after = ",".join("b" * num_cells)
    first, *_, last = outcomes(f'{columns}\n"' + '","'.join([cell] * num_cells) + f'"\n{after}\n')
    assert first == (2, [cell] * num_cells if num_cells == 10 else UNCLOSED_QUOTE)
    assert last == (num_cells + 3, ["b"] * num_cells)


@pytest.mark.parametrize(
    "lines",
    ['a","b\n', '"a\n', '"a\n' + "b,c\n" * 99, 'a","b\n' * 99 + '"\n', '""","""x\n', 'x,"\n"\n'],
)
def test_quotes_are_followed_in_linear_time(lines: str, monkeypatch: pytest.MonkeyPatch) -> None:
    num_parsed = 0
    real_reader = csv.reader

    def counting_reader(lines: Iterable[str], **dialect: Any) -> Any:
        def counted() -> Iterator[str]:
            nonlocal num_parsed
            for line in lines:
                num_parsed += 1
                yield line

        return real_reader(counted(), **dialect)

    monkeypatch.setattr(csv, "reader", counting_reader)
    num_lines = 5_000 // lines.count("\n") * lines.count("\n")
    found = outcomes("uri,text\n" + lines * (num_lines // lines.count("\n")))
    assert found
    assert num_parsed <= 3 * num_lines


def test_text_after_a_closed_quote_invalidates_its_own_line_only() -> None:
    (line, message), after = outcomes('uri,text\na,"b"c\nd,e\n')
    assert (line, after) == (2, (3, ["d", "e"]))
    assert "not CSV" in str(message)


@pytest.mark.parametrize("text", ["uri,text\na\nb,c\n", "uri\ttext\na\nb\tc\n"])
def test_a_row_with_too_few_cells_is_bad(text: str) -> None:
    assert outcomes(text) == [(2, "1 cells (expected 2, as in the header)"), (3, ["b", "c"])]


@pytest.mark.parametrize("text", ["uri,text\na,b,c\nb,c\n", "uri\ttext\na\tb\tc\nb\tc\n"])
def test_a_row_with_too_many_cells_is_bad(text: str) -> None:
    assert outcomes(text) == [(2, "3 cells (expected 2, as in the header)"), (3, ["b", "c"])]


def test_a_huge_cell_is_bad_and_reading_goes_on() -> None:
    (line, message), after = outcomes(f'uri,text\na,"{"x" * 200_000}"\nb,c\n')
    assert (line, after) == (2, (3, ["b", "c"]))
    assert "field larger than field limit" in str(message)


def test_a_huge_line_is_bad_and_reading_goes_on() -> None:
    for uri, text in (("m.csv", "a,b\n"), ("m.tsv", "a\tb\n"), ("m.jsonl", '{"uri": "a"}\n')):
        found = outcomes(text + "x" * (MAX_LINE_BYTES + 1) + "\n" + text, uri)[-2:]
        assert "longer than 1048576 bytes" in str(found[0][1])
        assert found[1][0] == 3
        assert isinstance(found[1][1], list)


@pytest.mark.parametrize(
    ("uri", "line", "bad"),
    [
        ("m.csv", b"x,%b\n", [b"a\xff,b\n", b'"a\xff\n1",b\n', b"a\0,b\n", b'"a\0\n1",b\n']),
        ("m.tsv", b"x\t%b\n", [b"a\xff\tb\n", b"a\0\tb\n"]),
        ("m.jsonl", b'{"x": "%b"}\n', [b'{"x": "\xff"}\n', b'{"x": "\0"}\n']),
    ],
)
def test_invalid_bytes_and_zeros_cost_their_own_record_only(
    uri: str, line: bytes, bad: list[bytes]
) -> None:
    head = line % b"y" + line % (b"y" * 1000) * (HEAD_BYTES // 1000)
    for record in bad:
        *_, (_, message), (_, after) = outcomes(head + record + line % b"z", uri)
        expected = "not valid utf-8" if b"\xff" in record else "contains NUL"
        assert expected in str(message)
        assert isinstance(after, list)
        assert after[-1] == "z"


def test_tsv_takes_single_quotes_as_characters_and_undoes_whole_ones() -> None:
    rows = ['a\t"b', 'c"\t5"', '"d"\t"e ""f"" g"', '"\t""', '"a"b"\t"a"""b"', "\t"]
    assert outcomes("uri\ttext\n" + "\n".join(rows)) == [
        (2, ["a", '"b']),
        (3, ['c"', '5"']),
        (4, ["d", 'e "f" g']),
        (5, ['"', ""]),
        (6, ['"a"b"', '"a"""b"']),
        (7, ["", ""]),
    ]


@given(rows=st.lists(st.tuples(*[st.text('ab", é;', max_size=8)] * 2), max_size=6))
def test_what_is_quoted_in_tsv_is_read(rows: list[tuple[str, str]]) -> None:
    text = written([("uri", "text"), *rows], "\n", "\t", csv.QUOTE_ALL)
    assert [tuple(record.values()) for record in records_of(text)] == rows


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | cells,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(cells, values, max_size=3),
    max_leaves=8,
)


@given(rows=st.lists(st.dictionaries(cells, json_values, max_size=4)), is_ascii=st.booleans())
def test_what_a_json_writer_wrote_is_read(rows: list[Record], is_ascii: bool) -> None:
    rows = [{"uri": "a"}, *rows]
    text = "\n".join(json.dumps(row, ensure_ascii=is_ascii) for row in rows)
    assert records_of(text) == rows


@given(value=json_values)
def test_json_is_written_as_json_writers_do(value: object) -> None:
    expected = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert json_text(value) == expected


def test_numbers_in_json_are_exact() -> None:
    (record,) = records_of('{"a": 0.1, "b": 12.50, "c": 3, "d": [1e-3, 1E400], "e": -0.0}')
    assert record["a"] == Decimal("0.1")
    texts = [json_text(value) for value in record.values()]
    assert texts == ["0.1", "12.50", "3", "[0.001,1E+400]", "-0.0"]


def test_numbers_that_json_lacks_are_read_and_written_as_null() -> None:
    (record,) = records_of('{"a": NaN, "b": -Infinity, "c": [Infinity, {"d": NaN}]}')
    assert [str(record[key]) for key in "ab"] == ["NaN", "-Infinity"]
    assert [json_text(value) for value in record.values()] == ["null", "null", '[null,{"d":null}]']


def test_an_invalid_line_of_json_is_bad_and_the_others_are_read() -> None:
    for line, message in [
        ("{", "not JSON"),
        ('{"uri": "a"} {}', "not JSON: Extra data at character 14"),
        ("{'uri': 'a'}", "not JSON"),
        ("[1]", "not a JSON object"),
        ('"uri"', "not a JSON object"),
        ("null", "not a JSON object"),
        ('{"a": 1, "a": 1}', "duplicate name"),
        ('{"a": {"b": 1, "b": 2}}', "duplicate name"),
        ('{"a": 1e9999999999999999999}', "exponent"),
        ('{"a": ' + "9" * 5000 + "}", "4300 digits"),
        ('{"a": ' + "[" * 100_000 + "}", "nested more than 100 levels deep"),
        ('{"a": ' + "[" * 101 + "]" * 101 + "}", "nested more than 100 levels deep"),
        ('{"a": ' + '{"a":' * 101 + "1" + "}" * 101 + "}", "nested more than 100 levels deep"),
        (r'{"a": "\ud800"}', "a lone surrogate"),
        (r'{"a": ["b", {"\uDFFF": 1}]}', "a lone surrogate"),
        (r'{"a": "\u0000"}', "NUL"),
    ]:
        good = '{"uri": "a"}'
        (_, before), (number, bad), (_, after) = outcomes(f"{good}\n{line}\n{good}\n", "m.jsonl")
        assert before == after == ["a"]
        assert number == 2
        assert message in str(bad)


def test_json_that_only_looks_suspicious_is_read() -> None:
    line = r'{"uri": "\ud83d\ude00 \\u0000 \\ud800", "a": ' + "[" * 98 + "[],[]" + "]" * 98 + "}"
    (record,) = records_of(line)
    assert record["uri"] == "😀 \\u0000 \\ud800"
    assert line.count("[") <= MAX_NESTING
    wide = json.dumps({"a": [[]] * 200})
    assert records_of(wide) == [{"a": [[]] * 200}]


def test_the_format_is_detected_by_content_and_suffix() -> None:
    for uri, text, format, delimiter in [
        ("m.csv", "uri,a\n", "csv", ","),
        ("m.txt", "uri;a\n", "csv", ";"),
        ("m.csv", "uri;a,b\n", "csv", ","),
        ("m.csv", '"uri;a",b\n', "csv", ","),
        ("m.csv", '"u,ri";a\n', "csv", ";"),
        ("m.csv", "uri\n", "csv", ","),
        ("m", "uri\ta\n", "tsv", "\t"),
        ("m.csv", "uri\ta\n", "tsv", "\t"),
        ("m.TSV", "uri\n", "tsv", "\t"),
        ("m.tab", "uri,a\n", "csv", ","),
        ("m.tsv", "uri|a\n", "csv", "|"),
        ("m.csv", "uri|a\n", "csv", "|"),
        ("m.csv", "sep=;\r\nuri;a,b\r\n", "csv", ";"),
        ("m.csv", '"sep=\t"\nuri\ta\n', "tsv", "\t"),
        ("m.tsv.gz", "uri\n", "tsv", "\t"),
        ("m.csv", '\n  {"uri": 1}\n', "jsonl", ""),
        ("m.tsv", '{"uri": 1}\n', "jsonl", ""),
        ("m.jsonl", "x", "jsonl", ""),
        ("m.NDJSON.gz", "x", "jsonl", ""),
        ("m.json", "x", "jsonl", ""),
    ]:
        table = table_of(text, uri)
        assert (table.format, table.delimiter, table.encoding) == (format, delimiter, "utf-8")


def test_columns_without_a_name_are_numbered_and_their_cells_may_be_absent() -> None:
    for header, rows, columns, cells in [
        ("uri,a,,", "x,y,,", ("uri", "a", "column 3", "column 4"), ["x", "y", "", ""]),
        ("uri,a,,", "x,y", ("uri", "a", "column 3", "column 4"), ["x", "y", "", ""]),
        (",uri", "0,x", ("column 1", "uri"), ["0", "x"]),
        ("uri,,a", "x,1,y", ("uri", "column 2", "a"), ["x", "1", "y"]),
        ("uri,column 3,", "x,y,z", ("uri", "column 3", "column 3'"), ["x", "y", "z"]),
        ("uri,a", "x,y,", ("uri", "a"), ["x", "y"]),
        ("uri,a", "x,y, ,", ("uri", "a"), ["x", "y"]),
    ]:
        assert table_of(f"{header}\n").columns == columns
        assert outcomes(f"{header}\n{rows}\n") == [(2, cells)]
    for text in ("uri,,a\nx,1\n", "uri,a,\nx\n", "uri,a\nx,y,,z\n"):
        ((_, message),) = outcomes(text)
        assert "as in the header" in str(message)


def test_comments_before_the_header_are_skipped_and_told() -> None:
    table = table_of("# my clips\n\n#\nuri,a\nx,y\n#z,1\n")
    assert table.columns == ("uri", "a")
    assert table.notes == ("2 lines of comments skipped",)
    assert [line for line, _ in table.rows] == [5, 6]


def test_blanks_behind_delimiters_are_no_part_of_cells_that_are_quoted_behind_them() -> None:
    for text in ('uri, a\nx, "y,z"\n', 'uri,a\nx, "y,z"\n', 'uri; a\nx; "y,z"\n'):
        assert outcomes(text) == [(2, ["x", "y,z"])]
        assert table_of(text).notes == ("blanks behind delimiters skipped",)
    assert outcomes('uri,a\nx, y\nx,"a, ""b"" c"\n') == [(2, ["x", " y"]), (3, ["x", 'a, "b" c'])]


def test_a_format_that_is_given_is_taken() -> None:
    assert table_of("[a],uri\n", "m.jsonl", "csv").columns == ("[a]", "uri")
    assert table_of('{"a": 1}\n', "m.csv", "tsv").columns == ('{"a": 1}',)
    assert table_of("a,b\n", "m.csv", "jsonl").columns == ()
    with pytest.raises(ValueError, match=r"format='xml' is not one of .*csv.*tsv.*jsonl"):
        table_of("a,b\n", format="xml")


def test_names_in_the_header_lose_spaces_around_them_and_may_be_quoted() -> None:
    assert table_of('\n uri , "a" ,"b, c",\n').columns == ("uri", '"a"', "b, c", "column 4")


def test_unusable_files_are_rejected_with_a_hint() -> None:
    for text, uri, message in [
        ("", "m.csv", "empty"),
        ("\n \r\n\t\n", "m.csv", "empty"),
        ("\ufeff", "m.jsonl", "empty"),
        ("uri,a, uri\n", "m.csv", "duplicate columns uri;"),
        ("# a\n#b\n", "m.csv", "empty"),
        ("uri,a,a\n", "m.csv", "duplicate columns a;"),
        ('uri,"a\nb,c\n', "m.csv", "line 1, the header: a quote is not closed"),
        ("\n" + "x" * (MAX_LINE_BYTES + 1), "m.csv", "line 2, the header: the line is longer"),
        ("x" * (MAX_LINE_BYTES + 1), "m.tsv", "line 1, the header: the line is longer"),
        ('{\n"uri": "a"\n}', "m.json", r"over several lines.*jq -c \."),
    ]:
        with pytest.raises(ManifestError, match=message):
            table_of(text, uri)


def test_a_message_about_a_hostile_header_stays_short() -> None:
    names = [f"{number} {'x' * 100}" for number in range(3000)]
    with pytest.raises(ManifestError, match="and 2980 more") as error:
        table_of(",".join(names * 2))
    assert len(str(error.value)) < 2000


def test_rows_are_read_as_they_are_taken() -> None:
    file = io.BytesIO(b"uri\n" + b"a\n" * 2_000_000)
    rows = read_table(file, None, "m.csv").rows
    assert next(rows) == (2, {"uri": "a"})
    assert file.tell() <= 1 << 20


@given(data=st.binary(max_size=100), format=st.sampled_from([None, "csv", "tsv", "jsonl"]))
def test_any_bytes_are_a_table_or_a_manifest_error(data: bytes, format: str | None) -> None:
    for start in (b"", b"uri,b\n", b'{"uri": '):
        try:
            table = table_of(start + data, format=format)
        except ManifestError:
            continue
        lines = [line for line, _ in table.rows]
        assert lines == sorted(set(lines))
