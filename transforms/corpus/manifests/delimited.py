"""The lines of a CSV or TSV file as rows of cells."""

import collections
import csv
from collections.abc import Iterable, Iterator

from transforms.corpus.manifests.line_reader import TOO_LONG, BadLine, TextLines

# Of one record with line ends between its quotes.
MAX_RECORD_LINES = 100
MAX_RECORD_CHARACTERS = 1 << 20
NEVER_CLOSED = "a quote is opened and not closed; inside quotes, a quote is written twice"

_NumberedLine = tuple[int, str | None]
_NumberedRow = tuple[int, list[str] | BadLine]


def read_csv(
    text: TextLines, delimiter: str = ",", skip_spaces: bool = False
) -> Iterator[_NumberedRow]:
    """Reads rows of cells that may stand between quotes, and may hold line ends there.

    A quote that is not closed does not take the rest of the file with it: its line alone is bad,
    and reading goes on below.

    Args:
      text: Its lines are taken as rows are.
      delimiter: Between cells.
      skip_spaces: Spaces at the beginning of a cell are no part of it.

    Yields:
      Number of the row's first line, and its cells or what is wrong. Blank lines are left out.
    """
    return _CsvReader(text, delimiter, skip_spaces).rows()


def read_tsv(text: TextLines) -> Iterator[_NumberedRow]:
    """Reads rows of cells with tabs between them.

    Quotes mean nothing, as the sentences of Common Voice hold single ones, unless a cell is quoted
    from its first character to its last.

    Args:
      text: Its lines are taken as rows are.

    Yields:
      Number of the line, and its cells or what is wrong. Blank lines are left out.
    """
    for number, line in text.lines:
        if line is None:
            yield number, BadLine(TOO_LONG)
        elif line.strip() or "\t" in line:
            fault = text.find_fault(line)
            yield number, BadLine(fault) if fault else _split_tsv(line)


def _split_tsv(line: str) -> list[str]:
    cells = line.rstrip("\r\n").split("\t")
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
        # Lines that were taken for a record which then was none.
        self._returned: collections.deque[_NumberedLine] = collections.deque()
        # A quote that is open at the end of a line up to here is never closed: a record from
        # further above was open there too. Without this, many such lines would each be followed
        # for MAX_RECORD_LINES.
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
        return self._returned.popleft() if self._returned else next(self._text.lines, None)

    def _split(self, line: str) -> list[str]:
        cells = line.rstrip("\r\n").split(self._delimiter)
        return [cell.lstrip(" ") for cell in cells] if self._skip_spaces else cells

    def _quoted_row(self, number: int, line: str) -> list[str] | BadLine:
        more: list[_NumberedLine] = []
        faults: list[str] = []
        may_go_on = number > self._open_through
        lines = self._follow(line, more) if may_go_on else iter((line,))
        try:
            cells = self._parse(lines, faults)
        except csv.Error as error:
            self._returned.extendleft(reversed(more))
            if more:
                self._open_through = more[-1][0] - 1
            if more or "unexpected end" in str(error):
                return BadLine(NEVER_CLOSED)
            return BadLine(f"not CSV: {error}")
        return BadLine(faults[0]) if faults else cells

    def _follow(self, line: str, more: list[_NumberedLine]) -> Iterator[str]:
        """Yields a record's lines as they are asked for, and notes those after the first."""
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
            # Python 3.10 takes no zeros.
            yield line.replace("\0", " ") if fault else line
