"""Read JSON and JSON Lines: objects with the columns as keys, lists, or texts alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import IO, Any

from tagifai.data.tables.chunks import Places, RawChunk, Reading, find_columns, make_missing_error
from tagifai.data.tables.lines import check_ends
from tagifai.data.tables.values import parse_json
from tagifai.exceptions import DataError

LOOKED_AT = 10_000
"""Rows of which one must have a column, or it is missed."""


LARGEST, MOST_OBJECTS = 500_000_000, 10_000_000
"""Characters of a JSON file, and objects and lists in it, which take 64 bytes of memory or more."""


class _Broken(str):
    """Why a line is no JSON, or a row no row."""


def _explain(error: ValueError) -> str:
    return str(error).replace("Extra data", "more follows after its end")


def read_jsonl(table: Reading, file: IO[str]) -> Iterator[RawChunk]:
    """Yield the rows of a JSON Lines file.

    Args:
        table: being read.
        file: its text; only a line feed ends a line.
    """
    lines = enumerate(check_ends(table, file), 1)
    filled = ((number, line) for number, line in lines if line.strip())
    first = list(islice(filled, 2))
    if len(first) == 1:
        _check_whole(table, *first[0])

    def parse_lines() -> Iterator[tuple[str, Any]]:
        for number, line in chain(first, filled):
            try:
                yield f"line {number}", parse_json(line)
            except ValueError as error:
                if (number, line) == first[0] and (line.lstrip()[0] == "[" or line.strip() == "{"):
                    way = table.advise("format=json")
                    raise table.fail(
                        f": line {number} begins JSON of several lines: {way}."
                    ) from None
                yield f"line {number}", _Broken(f"it is not JSON ({_explain(error)})")

    yield from _read_rows(table, parse_lines())


def _check_whole(table: Reading, number: int, line: str) -> None:
    """Refuse a whole table on the only line: an array of rows, or objects by column."""
    try:
        found = parse_json(line)
    except ValueError:
        return
    values = list(found.values()) if isinstance(found, dict) else []
    sizes = {len(value) if isinstance(value, list | dict) else 0 for value in values}
    is_row = any(isinstance(_pick(found, name), str) for name in table.wanted)
    by_column = len(sizes) == 1 and max(sizes) > 1 and not is_row
    if by_column or (isinstance(found, list) and found and isinstance(found[0], list | dict)):
        raise table.fail(
            f": line {number} is a whole table in JSON. Read it with {table.advise('format=json')}."
        )


def read_json(table: Reading, file: IO[str]) -> Iterator[RawChunk]:
    """Yield the rows of a JSON file: a list, by its path if it is inside, or lists by column.

    Args:
        table: being read.
        file: its text.
    """
    text = file.read(LARGEST + 1)
    if len(text) > LARGEST or text.count("{") + text.count("[") > MOST_OBJECTS:
        way = "JSON is read as a whole; convert it to JSON Lines, an object a line"
        raise table.fail(
            f" has more than {LARGEST:,} characters or {MOST_OBJECTS:,} objects: {way}."
        )
    if not text.strip():
        raise table.fail(" is empty.")
    try:
        found = parse_json(text)
    except ValueError as error:
        first, _, rest = text.strip().partition("\n")
        try:
            lines = isinstance(parse_json(first), dict) and bool(rest.strip())
        except ValueError:
            lines = False
        more = f" Is it a JSON object a line? {table.advise('format=jsonl')}." if lines else ""
        raise table.fail(f": it is not JSON ({_explain(error)}).{more}") from None
    rows = _find_rows(table, found)
    yield from _read_rows(table, ((f"row {n}", row) for n, row in enumerate(rows, 1)))


def _find_rows(table: Reading, found: Any) -> Sequence[Any]:
    """Return the rows inside a JSON document."""
    path = table.options.records
    if path not in (None, "."):
        found = _pick(found, path)
        if found is None:
            raise table.fail(f" has nothing at {table.options.setting}.records={path}.")
    if isinstance(found, list):
        return found
    if isinstance(found, dict) and found:
        if not any(isinstance(value, list | dict) for value in found.values()):
            return [found]
        columns = [value for value in found.values() if isinstance(value, list)]
        of_columns = len(columns) == len(found) and len(set(map(len, columns))) == 1
        if of_columns and all(name in found for name in table.wanted):
            return _turn(found)
        inside = {key: value for key, value in found.items() if isinstance(value, list | dict)}
        of_rows = [
            key
            for key, value in inside.items()
            if isinstance(value, list) and value and isinstance(value[0], list | dict)
        ]
        if of_rows:
            prefix = f"{path}." if path else ""
            choices = " or ".join(table.advise(f"records={prefix}{key}") for key in of_rows[:5])
            raise table.fail(f": the rows are inside of it. Say where: {choices}.")
        objects = [value for value in inside.values() if isinstance(value, dict)]
        of_first = [_pick(row, name) for row in objects[:1] for name in table.wanted]
        if len(objects) == len(found) and None not in of_first:
            return objects
        keys = [{*value} if isinstance(value, dict) else None for value in inside.values()]
        sizes = {len(value) for value in inside.values()}
        if keys[1:] == keys[:-1] and len(inside) == len(found) and len(sizes) == 1:
            return _turn(inside)
    raise table.fail(
        ": it is no list of rows, and no object of columns that are equally long. Where are the"
        f" rows? {table.advise('records=PATH')} gives the keys to them, with dots between."
    )


def _turn(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of lists, or objects by row, by column."""
    keys = next(iter(columns.values()))
    lists = [[v[key] for key in keys] if isinstance(v, dict) else v for v in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def _pick(value: Any, path: str) -> Any:
    """Return what an object has at a key, or at a path of keys with dots between, or None."""
    if not isinstance(value, dict):
        return None
    if path in value:
        return value[path]
    key, dot, rest = path.partition(".")
    while dot:
        if key in value and (found := _pick(value[key], rest)) is not None:
            return found
        more, dot, rest = rest.partition(".")
        key = f"{key}.{more}"
    return None


def _read_rows(table: Reading, rows: Iterable[tuple[str, Any]]) -> Iterator[RawChunk]:
    """Yield rows, which are objects, lists, or texts."""
    rest = iter(rows)
    first = list(islice(rest, LOOKED_AT))
    if not first:
        raise table.fail(" is empty.")
    known: dict[str, None] = {}
    _check_columns(table, [row for _, row in first], known)
    places: dict[int, Places] = {}
    rest = chain(first, rest)
    del first
    while some := list(islice(rest, table.rows)):
        yield _make_chunk(table, some, known, places)


def _check_columns(table: Reading, rows: Sequence[Any], known: dict[str, None]) -> None:
    """Refuse columns that no row has; the names of those that there are are added to `known`."""
    objects = [row for row in rows if isinstance(row, dict)]
    for row in objects:
        known |= dict.fromkeys(_list_keys(row))
    if any(isinstance(row, list) for row in rows):
        return
    for name in table.wanted if known else ():
        if not any(name in row or _pick(row, name) is not None for row in objects):
            raise make_missing_error(table, name, list(known), ())


def _list_keys(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield the keys of an object and, with dots, those of the objects in it."""
    for key, value in row.items():
        if isinstance(value, dict):
            yield from (f"{key}.{inner}" for inner in value)
        else:
            yield key


def _make_chunk(
    table: Reading,
    rows: Sequence[tuple[str, Any]],
    known: dict[str, None],
    places: dict[int, Places],
) -> RawChunk:
    """Return rows; `known` columns and `places` in lists, by how long these are, are added to."""
    problems: dict[int, str] = {}
    whole: list[int] = []
    taken: list[dict[str, Any]] = []
    carried: list[dict[str, Any]] = []
    for place, (where, row) in enumerate(rows):
        values, more = {}, {}
        if isinstance(row, _Broken):
            problems[place] = str(row)
        elif isinstance(row, dict):
            values, more = {name: _pick(row, name) for name in table.wanted}, row
            known |= dict.fromkeys(_list_keys(row)) if table.keep is None else {}
        elif isinstance(row, list):
            if len(row) not in places and not table.strict and known:
                problems[place] = f"it is a list of {len(row)} values, and other rows are objects"
                taken.append(values)
                carried.append(more)
                continue
            if len(row) not in places:
                places[len(row)] = _place_list(table, where, row)
            found = places[len(row)]
            values = {name: row[at] for name, at in found.wanted.items()}
            more = {name: row[at] for name, at in found.kept.items()}
            known |= dict.fromkeys(more)
        elif isinstance(row, str) and {*table.wanted} <= {*table.options.text}:
            values = {table.wanted[0]: row}
            whole.append(place)
        else:
            problems[place] = "it is no object with the columns as keys"
        taken.append(values)
        carried.append(more)
    if table.strict and problems:
        place = min(problems)
        raise table.fail(f": {rows[place][0]}: {problems[place]}.")
    columns = {name: [values.get(name) for values in taken] for name in table.wanted}
    keep = [*known] if table.keep is None else [name for name in table.keep if name in known]
    kept = {name: [_pick(more, name) for more in carried] for name in keep}
    return RawChunk(columns, lambda place: rows[place][0], kept, problems, whole)


def _place_list(table: Reading, where: str, row: Sequence[Any]) -> Places:
    """Return where the columns are in a row that is a list."""
    given = list(table.options.columns) or [str(at) for at in range(len(row))]
    known = bool(table.options.columns) or all(name.isdecimal() for name in table.wanted)
    if known and len(given) == len(row):
        return find_columns(table, given)
    names = ",".join(["text", "label", *(f"c{n}" for n in range(2, len(row)))][: len(row)])
    way = f"Name its columns: {table.advise(f'columns=[{names}]')}, in their order."
    if table.options.setting == "task":
        way = f"Say which it is: 'task.columns={{{table.wanted[0]}: 0}}' (from 0)."
    raise DataError(
        f"{table.named}: {where} is a list of {len(row)} values, and not an object with the columns"
        f" as keys. {way}"
    )
