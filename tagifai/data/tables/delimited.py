"""Read CSV and TSV files, with errors that name the line.

Python's `csv` reads the text, because it is the one engine of those tried that refuses broken
quotes and says the line; pandas and pyarrow melt rows together, DuckDB knows few encodings.
"""

from __future__ import annotations

import csv
import gc
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, chain, islice
from typing import IO, Any

from tagifai.data.tables.chunks import RawChunk, Reading, advise_first_line
from tagifai.data.tables.grid import Row, read_grid
from tagifai.data.tables.options import DELIMITERS
from tagifai.exceptions import DataError

LONGEST = 100_000_000
"""Characters of the longest field: what a quote that never ends may take of the memory."""

SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\r?\n?', re.IGNORECASE)


def read_csv(table: Reading, file: IO[str]) -> Iterator[RawChunk]:
    """Yield the rows of a CSV or TSV file.

    Args:
        table: being read.
        file: its text, with line ends as they are.

    Raises:
        DataError: quotes are broken, a row has another number of fields than the first, or a column
            is missing; with the line.
    """
    csv.field_size_limit(LONGEST)
    options = table.options
    delimiter = options.delimiter or DELIMITERS[options.kind]
    start, first = 1, next(file, "")
    lines: Iterable[str] = chain([first], file)
    if (found := SEPARATOR_LINE.fullmatch(first)) is not None:
        start, lines, delimiter = 2, file, found[1]
        table.notes["Lines at the top that say the delimiter"] += 1
    source = _LastLine(lines)
    reader = csv.reader(
        source,
        delimiter=delimiter,
        quotechar=options.quotechar,
        escapechar=options.escape,
        quoting=csv.QUOTE_NONE if options.quoting == "none" else csv.QUOTE_MINIMAL,
        strict=True,
    )
    yield from read_grid(table, _NumberedRows(table, reader, start, _Advisor(table, first, source)))


@contextmanager
def _pause_collector() -> Iterator[None]:
    """Let no garbage be collected: each time all rows would be looked at, which are none."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _LastLine:
    """Lines, of which the last one that was read is known."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.last = ""

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.last = line
            yield line


@dataclass(frozen=True)
class _Advisor:
    """Says what would read a file whose quotes are broken.

    Args:
        table: being read.
        first: its first line.
        lines: knows the last line that was read.
    """

    table: Reading
    first: str
    lines: _LastLine

    def advise(self) -> str:
        """Return the advice, which is by the first line and by the last one that was read."""
        options, table = self.table.options, self.table
        if other := advise_first_line(table, self.first.split(options.delimiter or ",")):
            return other
        if options.quotechar in self.lines.last and f"\\{options.quotechar}" in self.lines.last:
            return f"If \\ takes the meaning from a quote: {table.advise('escape=')}'\\'."
        return f"If quotes are characters like others: {table.advise('quoting=none')}."


class _NumberedRows:
    """Rows of a CSV file, some at a time, that know the lines where they begin."""

    def __init__(self, table: Reading, reader: Any, start: int, advisor: _Advisor) -> None:
        self._table, self._reader, self._line = table, reader, start
        self._first, self._advisor = start, advisor

    def __call__(self, count: int) -> tuple[list[Row], Callable[[int], str]]:
        """Return at most `count` rows, and what gives the line of each."""
        while True:
            begin, rows = self._line, self._read(count)
            filled = rows if all(rows) else [row for row in rows if row]
            if filled or not rows:
                break
        if len(filled) < len(rows):
            self._table.notes["Blank lines that were left out"] += len(rows) - len(filled)
        return filled, _Lines(begin, rows)

    def _read(self, count: int) -> list[Row]:
        rows: list[Row] = []
        try:
            with _pause_collector():
                rows.extend(islice(self._reader, count))
        except csv.Error as error:
            self._check_spans(rows, self._line)
            line = self._line + sum(map(_count_lines, rows))
            raise self._explain(error, line) from None
        begin, self._line = self._line, self._first + self._reader.line_num
        if self._line - begin > len(rows):
            self._check_spans(rows, begin)
        return rows

    def _check_spans(self, rows: Sequence[Row], begin: int) -> None:
        """Note fields that span lines; with tabs they are refused, unless quotes are asked for."""
        line, options = begin, self._table.options
        for row in rows:
            lines = _count_lines(row)
            if lines > 1:
                if self._reader.dialect.delimiter == "	" and options.quoting is None:
                    raise self._table.fail(
                        f": a quoted field that begins in line {line} spans {lines} lines."
                        " If quotes are characters like others:"
                        f" {self._table.advise('quoting=none')}. If it is meant so:"
                        f" {self._table.advise('quoting=minimal')}."
                    )
                self._table.notes["Quoted fields that span lines"] += 1
            line += lines

    def _explain(self, error: csv.Error, line: int) -> DataError:
        none = self._advisor.advise()
        if "field larger" in str(error):
            return self._table.fail(
                f": a field that begins in line {line} has more than {LONGEST:,} characters. {none}"
            )
        if "unexpected end" in str(error):
            return self._table.fail(
                f": a quoted field that begins in line {line} never ends. {none}"
            )
        return self._table.fail(f": the quotes in line {line} are broken ({error}). {none}")


class _Lines:
    """Gives the lines where those of some rows begin that are not blank."""

    def __init__(self, begin: int, rows: Sequence[Row]) -> None:
        self._begin, self._rows = begin, rows
        self._found: list[int] | None = None

    def __call__(self, place: int) -> str:
        if self._found is None:
            begins = accumulate(map(_count_lines, self._rows), initial=self._begin)
            self._found = [line for line, row in zip(begins, self._rows, strict=False) if row]
        return f"line {self._found[place]}"


def _count_lines(row: Sequence[str]) -> int:
    return 1 + sum(
        field.count("\n") + field.count("\r") - field.count("\r\n")
        for field in row
        if "\n" in field or "\r" in field
    )
