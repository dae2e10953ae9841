"""Read files with a row a line: texts, a label and a text, fastText's form, and documents."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice, zip_longest
from pathlib import Path
from typing import IO

from tagifai.data.tables.chunks import RawChunk, Reading, find_columns

LABEL_MARK = "__label__"

LABELED_LINE = re.compile(r"([^ \t]+)([ \t]+)?(.*)", re.DOTALL)
"""A label and a text."""


def read_lines(table: Reading, file: IO[str]) -> Iterator[RawChunk]:
    """Yield the rows of a file with a text a line, or a label and a text.

    Args:
        table: being read; its format is txt, label_text or fasttext.
        file: its text; only a line feed ends a line, with or without a carriage return.
    """
    kind, number = table.options.kind, 1
    stripped = map(_strip_end, check_ends(table, file))
    while lines := list(islice(stripped, table.rows)):
        if kind == "txt":
            if not set(table.wanted) <= {*table.options.text}:
                find_columns(table, ("text",))
            columns: dict[str, list[str]] = dict.fromkeys(table.wanted, [""] * len(lines))
            columns[table.wanted[0]] = lines
            yield RawChunk(columns, partial(_format_line, number), whole=range(len(lines)))
        else:
            yield _split(table, lines, number)
        number += len(lines)
    if number == 1 and table.strict:
        raise table.fail(" is empty.")


def check_ends(table: Reading, file: IO[str]) -> Iterator[str]:
    """Yield lines, unless they end as those of old Macs did, which would be one line.

    Raises:
        DataError: the first line has carriage returns in it, and it is the only one.
    """
    for number, line in enumerate(file):
        if not number and "\r" in line.rstrip("\r\n") and not line.endswith("\n"):
            raise table.fail(
                " has carriage returns alone at the ends of its lines, as old Macs wrote them."
                " Convert them to line feeds first."
            )
        yield line


def _strip_end(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")


def _split(table: Reading, lines: list[str], first: int) -> RawChunk:
    """Return lines in a label, which is before the first space or tab, and a text."""
    places = [place for place, line in enumerate(lines) if line.strip()]
    rows = []
    for place in places:
        label, space, text = LABELED_LINE.findall(lines[place].strip())[0]
        if table.options.kind == "fasttext":
            marked = label.startswith(LABEL_MARK)
            if not marked or text.lstrip().startswith(LABEL_MARK):
                what = "several labels" if marked else f"no {LABEL_MARK} at its beginning"
                way = " A text a line: task.format=txt." if table.options.setting == "task" else ""
                raise table.fail(
                    f": line {first + place} has {what}, and a row has one label.{way}"
                )
            label = label.removeprefix(LABEL_MARK)
        elif not space:
            raise table.fail(f": line {first + place} is {label!r}: no space after the label.")
        rows.append((label, text))
    if len(places) < len(lines):
        table.notes["Blank lines that were left out"] += len(lines) - len(places)
    found = find_columns(table, ("label", "text"))
    return found.take(rows, lambda place: f"line {first + places[place]}")


def _format_line(first: int, place: int) -> str:
    return f"line {first + place}"


def read_pairs(table: Reading, texts: IO[str], labels: IO[str]) -> Iterator[RawChunk]:
    """Yield the rows of two files, one with the texts and one with their labels, line by line.

    Args:
        table: being read.
        texts: with a text a line.
        labels: with a label a line.

    Raises:
        DataError: one has more lines than the other.
    """
    number, pairs = 0, zip_longest(check_ends(table, texts), check_ends(table, labels))
    found = find_columns(table, ("text", "label"))
    while rows := list(islice(pairs, table.rows)):
        if None in rows[-1]:
            both = [number + sum(row[at] is not None for row in rows) for at in (0, 1)]
            files = zip(both, (texts, labels), strict=True)
            more = [count + sum(1 for _ in file) for count, file in files]
            raise table.fail(f" has {more[0]} lines, and the file of its labels has {more[1]}.")
        stripped = [tuple(map(_strip_end, row)) for row in rows]
        yield found.take(stripped, partial(_format_line, number + 1))
        number += len(rows)
    if not number:
        raise table.fail(" is empty.")


def read_folder(table: Reading, folder: Path, read: Callable[[Path], str]) -> Iterator[RawChunk]:
    """Yield the documents of a folder, whose subfolders are the labels.

    Args:
        table: being read.
        folder: with a folder for each label, which has a file for each text.
        read: gives the text of a file.
    """
    for deep in folder.glob("*/*/"):
        if deep.name[0] != "." and deep.parent.name[0] != ".":
            raise table.fail(f": {deep.relative_to(folder)} is a folder within that of a label.")
    paths = iter(list_documents(folder))
    found = find_columns(table, ("text", "label", "path"))
    empty = True
    while files := list(islice(paths, table.rows)):
        rows = [
            (read(path), path.parent.name, path.relative_to(folder).as_posix()) for path in files
        ]
        yield found.take(rows, partial(_get_path, rows))
        empty = False
    if empty:
        raise table.fail(" has no folders with documents: a folder for each label is expected.")


def _get_path(rows: list[tuple[str, str, str]], place: int) -> str:
    return rows[place][2]


def list_documents(folder: Path) -> list[Path]:
    """Return the files in the folders of a folder, but for hidden ones."""
    return sorted(
        path
        for path in folder.glob("*/*")
        if path.is_file() and path.name[0] != "." and path.parent.name[0] != "."
    )
