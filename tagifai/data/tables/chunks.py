"""Rows as a file has them, before anything is made of them, and where their columns are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from tagifai.data.tables.options import GRIDS, ReadOptions, find_delimiter, guess_json_format
from tagifai.exceptions import DataError, suggest_closest
from tagifai.utils.labels import clean_label

MANY_WORDS = 4
"""Words of a cell that is no name of a column."""

MAX_SHOWN_COLUMNS = 20

CHUNK_ROWS = 20_000
"""Rows that are in memory at a time, unless something else is said."""


class MissingColumnError(DataError):
    """A table does not have a column that is wanted."""


class EmptyTableError(DataError):
    """A table has no rows."""


@dataclass(frozen=True)
class RawChunk:
    """Some rows of a file.

    Args:
        columns: values by the names that were asked for.
        locate: gives where the row of a position is, such as "line 7".
        kept: values of columns that are carried along, by their own names.
        problems: rows that are none, by position, with the reason.
        whole: rows that are a text by themselves, by position; it is in the first of the columns.
    """

    columns: Mapping[str, Sequence[Any]]
    locate: Callable[[int], str]
    kept: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    problems: Mapping[int, str] = field(default_factory=dict)
    whole: Collection[int] = ()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


@dataclass(frozen=True)
class Places:
    """Where columns are in a row.

    Args:
        wanted: by the names that were asked for.
        kept: by their own names.
    """

    wanted: Mapping[str, int]
    kept: Mapping[str, int]

    def take(self, rows: Sequence[Sequence[Any]], locate: Callable[[int], str]) -> RawChunk:
        """Return the columns of rows."""
        wanted, kept = (
            {name: list(map(itemgetter(at), rows)) for name, at in places.items()}
            for places in (self.wanted, self.kept)
        )
        return RawChunk(wanted, locate, kept)


@dataclass(frozen=True)
class Reading:
    """What is read of a table, and how.

    Args:
        options: of its shape and its text.
        wanted: columns that it must have.
        keep: columns that are carried along where it has them; None carries all.
        rows: most rows at a time.
        strict: whether a row that is none is an error of the file, or only of that row.
        notes: what is to be said of the file is added, with how often it was seen.
        named: the setting and the file, which begin an error.
    """

    options: ReadOptions
    wanted: tuple[str, ...]
    keep: tuple[str, ...] | None = ()
    rows: int = CHUNK_ROWS
    strict: bool = True
    notes: Counter[str] = field(default_factory=Counter)
    named: str = ""

    def fail(self, reason: str) -> DataError:
        """Return the error of the file with a reason."""
        return DataError(f"{self.named}{reason}")

    def advise(self, settings: str) -> str:
        """Return settings as a person types them: "header=false" is data.header=false."""
        return " ".join(f"{self.options.setting}.{item}" for item in settings.split(" "))


def find_columns(
    table: Reading, header: Sequence[str], first: Sequence[Sequence[Any]] = ()
) -> Places:
    """Return where columns are in a row, by their names.

    Args:
        table: being read.
        header: the names of its columns.
        first: its first rows, by which a header that is none is recognised.

    Raises:
        MissingColumnError: a column is not there.
        DataError: a column is there twice, or the header looks like data.
    """
    names = list(map(clean_label, header))
    found: dict[str, int] = {}
    for column in table.wanted:
        at = _find_places(names, column)
        if len(at) > 1:
            ways = " or ".join(_name_place(table, column, place) for place in at)
            raise table.fail(
                f" has {len(at)} columns '{column}'. Say which by its position: {ways}."
            )
        if not at:
            raise make_missing_error(table, column, names, first)
        found[column] = at[0]
    by_name = {*map(clean_label, table.wanted)} & {*names}
    if table.options.header is None and first and not by_name:
        _require_header(table, find_data(header, first))
    if twice := [name for name, number in Counter(filter(None, names)).items() if number > 1]:
        table.notes[f"Columns with the name {twice[0]!r}"] = names.count(twice[0])
    return Places(found, _name_kept(table, names))


def _require_header(table: Reading, why: str | None) -> None:
    """Refuse columns by position alone, unless it is known whether the first row has names.

    The run's own table had a header if it says nothing else, and so have later ones that do not
    look like data.
    """
    if why is None and table.options.setting == "task":
        return
    raise table.fail(
        f": the first row may be data or names{f' ({why})' if why else ''}. Say which it is:"
        f" {table.advise('header=false')} reads it as data, {table.advise('header=true')} as the"
        " names of the columns."
    )


def _find_places(names: Sequence[str], column: str) -> list[int]:
    """Return where a column is, by its name or else by its position."""
    at = [place for place, name in enumerate(names) if name == clean_label(column)]
    return at or ([int(column)] if column.isdecimal() and int(column) < len(names) else [])


def _name_kept(table: Reading, names: Sequence[str]) -> dict[str, int]:
    if table.keep is not None:
        return {name: at[0] for name in table.keep if (at := _find_places(names, name))}
    found: dict[str, int] = {}
    for place, name in enumerate(names):
        found[name if name and name not in found else f"{name or 'column'}_{place}"] = place
    return found


def find_data(header: Sequence[Any], first: Sequence[Sequence[Any]]) -> str | None:
    """Return why a header looks like a row of data, or None."""
    cells = [str(cell).strip() for cell in header]
    for place, cell in enumerate(cells):
        if cell and any(str(row[place]).strip() == cell for row in first if len(row) > place):
            return f"{cell!r} is there again in its column"
        if len(cell.split()) > MANY_WORDS and len(cell) > 30:
            return f"{cell[:30]!r}… is no name"
    return None


def advise_first_line(table: Reading, cells: Sequence[str]) -> str | None:
    """Return what reads a text whose first line is that of another format or dialect, or None.

    Args:
        table: being read as CSV or TSV.
        cells: of the first line.
    """
    if kind := guess_json_format(",".join(cells)):
        return f"It looks like JSON: {table.advise(f'format={kind}')}."
    if mark := find_delimiter(cells, table.options):
        return f"The first line has {mark} between its fields: {table.advise('delimiter=')}{mark}."
    return None


def make_missing_error(
    table: Reading, column: str, names: Sequence[str], first: Sequence[Sequence[Any]]
) -> MissingColumnError:
    """Return the error of a column that is not there, with what would read the file."""
    options = table.options
    cut = [f"{name[:99]}{'…' * (len(name) > 99)}" for name in names[:MAX_SHOWN_COLUMNS]]
    shown = ", ".join(name or "(no name)" for name in cut)
    more = f" and {len(names) - MAX_SHOWN_COLUMNS} more" if len(names) > MAX_SHOWN_COLUMNS else ""
    is_text = options.kind in ("csv", "tsv")
    other = advise_first_line(table, names) if is_text and options.header is not False else None
    why = find_data(names, first) if options.header is None and first else None
    later = [n for n, row in enumerate(first[:20], 2) if column in map(clean_label, map(str, row))]
    if later:
        advice = f"Row {later[0]} has it: take away the rows above that one."
    elif other is not None:
        advice = other
    elif why is not None:
        advice = (
            f"The first row looks like data ({why}). Without a header it is read with"
            f" {table.advise('header=false')} {_guess_places(table, names, first)} (from 0)."
        )
    else:
        advice = suggest_closest(column, names).strip()
        if options.setting == "data" and not advice:
            key = _name_place(table, column, 0).strip("'").partition("=")[0]
            advice = f"Name the one that is meant: {key}=NAME."
        if options.setting == "task":
            advice += f" If it is called something else: 'task.columns={{{column}: NAME}}'."
            if options.kind in GRIDS and not any(name in names for name in table.wanted):
                place = f"'task.columns={{{column}: 0}}'"
                advice += f" Without a header, by position: task.header=false {place}."
    wants = f" The run wants: {', '.join(table.wanted)}." if options.setting == "task" else ""
    said = f"{table.named} has no column '{column}'.{wants} It has: {shown}{more}."
    return MissingColumnError(f"{said} {advice.strip()}".rstrip())


def _name_place(table: Reading, column: str, place: int) -> str:
    """Return the setting that takes a column from a position."""
    options = table.options
    if options.setting == "task":
        return f"'task.columns={{{column}: {place}}}'"
    columns = {options.label: "data.label", options.id: "data.id", options.split: "data.split"}
    if column not in options.text:
        return f"{columns.get(column, 'split.by')}={place}"
    places = [str(place) if name == column else name for name in options.text]
    return f"data.text={places[0]}" if len(places) == 1 else f"'data.text=[{','.join(places)}]'"


def _guess_places(table: Reading, header: Sequence[str], first: Sequence[Sequence[Any]]) -> str:
    """Return settings with the positions of the longest column and that of fewest values."""
    rows = [row for row in (header, *first) if len(row) == len(header)]
    longest = max(range(len(header)), key=lambda at: sum(len(str(row[at])) for row in rows))
    values = {
        at: number
        for at in range(len(header))
        if at != longest and (number := len({str(row[at]) for row in rows})) > 1
    }
    label = min(values, key=lambda at: values[at]) if values else None
    options = table.options
    if options.setting == "data":
        return f"data.text={longest}" + ("" if label is None else f" data.label={label}")
    places = f"{options.text[0]}: {longest}"
    if options.label in table.wanted and label is not None:
        places += f", {options.label}: {label}"
    return f"'task.columns={{{places}}}'"
