"""Readers of CSV and TSV: lines to rows of cells."""

import collections
import csv
from collections.abc import Iterable, Iterator

from transforms.corpus.manifests.line_reader import TOO_LONG, BadLine, TextLines

# Limits of one record with line ends inside quotes.
MAX_RECORD_LINES = 100
MAX_RECORD_CHARACTERS = 1 << 20
UNCLOSED_QUOTE = "a quote is not closed; a quote inside quotes is written twice"

_NumberedLine = tuple[int, str | None]
_NumberedRow = tuple[int, list[str] | BadLine]


def read_csv(
    text: TextLines, delimiter: str = ",", skip_spaces: bool = False
) -> Iterator[_NumberedRow]:
    """Reads rows of cells. Quoted cells may contain delimiters and line ends.

    An unclosed quote does not swallow the rest of the file: only its own line is bad, and reading
    continues with the next line.

    Args:
      text: Lines, consumed lazily.
      delimiter: Delimiter between cells.
      skip_spaces: Whether to strip spaces at the beginning of cells.

    Yields:
      Number of the row's first line, and the cells or a bad line. Blank lines are skipped.
    """
    return _CsvReader(text, delimiter, skip_spaces).rows()


def read_tsv(text: TextLines, delimiter: str = "\t") -> Iterator[_NumberedRow]:
    """Reads rows of cells, separated by tabs or by another delimiter.

    Quotes are ordinary characters, as in the sentences of Common Voice, unless they enclose a
    whole cell.

    Args:
      text: Lines, consumed lazily.
      delimiter: Delimiter between cells; empty if the whole line is one cell, and a space for any
        number of blanks.

    Yields:
      Number of the line, and the cells or a bad line. Blank lines are skipped.
    """
    for number, line in text.lines:
        if line is None:
            yield number, BadLine(TOO_LONG)
        elif line.strip() or "\t" in line:
            fault = text.find_fault(line)
            yield number, BadLine(fault) if fault else _split_tsv(line, delimiter)


def _split_tsv(line: str, delimiter: str) -> list[str]:
    if not delimiter:
        return [line.rstrip("\r\n")]
    cells = line.split() if delimiter == " " else line.rstrip("\r\n").split(delimiter)
    return [_unquote(cell) for cell in cells] if '"' in line else cells


def _unquote(cell: str) -> str:
    inside = cell[1:-1]
    is_quoted = len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inside.replace('""', "")
    return inside.replace('""', '"') if is_quoted else cell


class _CsvReader:
    def __init__(self, text: TextLines, delimiter: str, skip_spaces: bool) -> None:
        self._text = text
        self._delimiter = delimiter
        self._skip_spaces = skip_spaces
        # Lines read ahead for a multi-line record that turned out to be none.
        self._pushed_back: collections.deque[_NumberedLine] = collections.deque()
        # A quote opened up to this line is known to be unclosed, because an earlier record ran
        # through there. Without this, each of many such lines would read ahead MAX_RECORD_LINES.
        self._open_through = 0

    def rows(self) -> Iterator[_NumberedRow]:
        while numbered := self._take():
            number, line = numbered
            if line is None:
                yield number, BadLine(TOO_LONG)
            elif '"' in line:
                yield number, self._quoted_row(number, line)
            elif line.strip():
                fault = self._text.find_fault(line)
                yield number, BadLine(fault) if fault else self._split(line)

    def _take(self) -> _NumberedLine | None:
        return self._pushed_back.popleft() if self._pushed_back else next(self._text.lines, None)

    def _split(self, line: str) -> list[str]:
        cells = line.rstrip("\r\n").split(self._delimiter)
        return [cell.lstrip(" ") for cell in cells] if self._skip_spaces else cells

    def _quoted_row(self, number: int, line: str) -> list[str] | BadLine:
        more: list[_NumberedLine] = []
        faults: list[str] = []
        may_continue = number > self._open_through
        lines = self._read_ahead(line, more) if may_continue else iter((line,))
        try:
            cells = self._parse(lines, faults)
        except csv.Error as error:
            self._pushed_back.extendleft(reversed(more))
            if more:
                self._open_through = more[-1][0] - 1
            if more or "unexpected end" in str(error):
                return BadLine(UNCLOSED_QUOTE)
            return BadLine(f"not CSV: {error}")
        return BadLine(faults[0]) if faults else cells

    def _read_ahead(self, line: str, more: list[_NumberedLine]) -> Iterator[str]:
        """Yields the lines of a record lazily, and appends those after the first to `more`."""
        yield line
        num_characters = len(line)
        while len(more) < MAX_RECORD_LINES - 1 and num_characters <= MAX_RECORD_CHARACTERS:
            numbered = self._take()
            if numbered is None:
                return
            more.append(numbered)
            if numbered[1] is None:
                return
            yield numbered[1]
            num_characters += len(numbered[1])

    def _parse(self, lines: Iterable[str], faults: list[str]) -> list[str]:
        return next(
            csv.reader(
                self._checked(lines, faults),
                delimiter=self._delimiter,
                skipinitialspace=self._skip_spaces,
                strict=True,
            )
        )

    def _checked(self, lines: Iterable[str], faults: list[str]) -> Iterator[str]:
        for line in lines:
            fault = self._text.find_fault(line)
            if fault:
                faults.append(fault)
            # The csv module of Python 3.10 rejects NUL characters.
            yield line.replace("\0", " ") if fault else line
