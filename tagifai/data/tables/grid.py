"""Rows of cells, which must all be equally long, and the columns that their first row names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from operator import itemgetter
from typing import Any

from tagifai.data.tables.chunks import RawChunk, Reading, find_columns
from tagifai.exceptions import DataError
from tagifai.utils.labels import clean_label

FIRST_ROWS = 1000
"""Rows by which a header that is none is recognised."""

Row = list[Any]


def read_sheet(table: Reading, rows: Iterable[tuple[int, Row]]) -> Iterator[RawChunk]:
    """Yield the rows of a sheet.

    Args:
        table: being read.
        rows: with their numbers in the sheet.
    """
    numbered = iter(rows)

    def read(count: int) -> tuple[list[Row], Callable[[int], str]]:
        some = list(islice(numbered, count))
        return [row for _, row in some], lambda place: f"row {some[place][0]}"

    yield from read_grid(table, read)


def read_grid(
    table: Reading, read: Callable[[int], tuple[list[Row], Callable[[int], str]]]
) -> Iterator[RawChunk]:
    """Yield rows of cells in chunks, with their columns by name.

    Args:
        table: being read.
        read: gives at most so many next rows, and where each of them is; none at the end.
    """
    options = table.options
    # As many whatever the chunks are: what is recognised by them does not depend on that.
    rows, locate = read(FIRST_ROWS + 1)
    if not rows:
        raise table.fail(" is empty.")
    headless = options.header is False or (options.header is None and bool(options.columns))
    header = [*(options.columns or map(str, range(len(rows[0]))))] if headless else rows[0]
    if options.header and options.columns:
        header = list(options.columns)
    if len(header) != len(rows[0]):
        raise _make_names_error(table, len(rows[0]), locate(0))
    # Files that were joined have it between, and one that is said to have none may have it.
    named = [*options.columns] if headless else rows[0]
    if not headless:
        rows, locate = rows[1:], partial(_locate_later, locate, 1)
    found = find_columns(table, ["" if name is None else str(name) for name in header], rows)
    for some, where in _cut(rows, locate, table.rows, read):
        if not set(map(len, some)) <= {len(header)}:
            some = _cut_empty(table, some, len(header))  # noqa: PLW2901
        if not set(map(len, some)) <= {len(header)}:
            wrong = next(at for at, row in enumerate(some) if len(row) != len(header))
            raise _make_width_error(table, some[wrong], len(header), where(wrong))
        left = _leave_out(table, named, some, where) if _repeats(named, some) else (some, where)
        yield found.take(*left)


def _locate_later(locate: Callable[[int], str], rows: int, place: int) -> str:
    return locate(rows + place)


def _cut(
    first: list[Row],
    locate: Callable[[int], str],
    size: int,
    read: Callable[[int], tuple[list[Row], Callable[[int], str]]],
) -> Iterator[tuple[list[Row], Callable[[int], str]]]:
    """Yield the first rows and all others, so many at a time."""
    for begin in range(0, len(first), size):
        yield first[begin : begin + size], partial(_locate_later, locate, begin)
    while (more := read(size))[0]:
        yield more


def _cut_empty(table: Reading, rows: list[Row], width: int) -> list[Row]:
    """Return rows without the empty fields that delimiters at their ends make."""
    found = [row if any(row[width:]) else row[:width] for row in rows]
    if cut := sum(len(row) > len(left) for row, left in zip(rows, found, strict=True)):
        table.notes["Rows with delimiters at their ends, which were left out"] += cut
    return found


def _clean(row: Row) -> Row:
    return [clean_label(str(cell)) for cell in row]


def _repeats(header: Row, rows: list[Row]) -> bool:
    """Return whether a row repeats the header, perhaps with a mark or spaces around its names."""
    if len(header) < 2:
        return False  # a text may be what the only column is called
    last = clean_label(str(header[-1]))
    return any(last == clean_label(str(cell)) for cell in set(map(itemgetter(-1), rows)))


def _leave_out(
    table: Reading, header: Row, rows: list[Row], locate: Callable[[int], str]
) -> tuple[list[Row], Callable[[int], str]]:
    """Leave out rows that repeat the header, as joined files have them."""
    names = _clean(header)
    kept = [
        place
        for place, row in enumerate(rows)
        if clean_label(str(row[-1])) != names[-1] or _clean(row) != names
    ]
    if len(kept) < len(rows):
        table.notes["Rows that repeat the header and were left out"] += len(rows) - len(kept)
    return [rows[place] for place in kept], lambda place: locate(kept[place])


def _make_names_error(table: Reading, width: int, where: str) -> DataError:
    options = table.options
    if options.setting == "data":
        return table.fail(
            f": data.columns names {len(options.columns)} columns, and {where} has {width} fields."
        )
    places = ", ".join(f"{name}: {place}" for place, name in enumerate(table.wanted))
    return table.fail(
        f": {where} has {width} fields, and the run's table had {len(options.columns)}"
        f" ({', '.join(options.columns)}). Say where its columns are: 'task.columns={{{places}}}'"
        " (from 0), or task.header=true if their names are in the first row."
    )


def _make_width_error(table: Reading, row: Row, width: int, where: str) -> DataError:
    if len(row) > width and any(str(cell).endswith("\\") for cell in row):
        why = f"If \\ takes the meaning from a delimiter: {table.advise('escape=')}'\\'."
    elif len(row) > width and any(str(cell).startswith("'") for cell in row):
        why = f"If ' is the quote: {table.advise('quotechar=')}\"'\"."
    elif len(row) > width:
        why = "Is a field with the delimiter in it without quotes?"
    else:
        why = "Is a line broken, or are fields left out?"
    count = f"{len(row)} field{'s' if len(row) != 1 else ''}"
    return table.fail(f": {where} has {count}, and the first row has {width}. {why}")
