"""Read the rows of a sheet of a workbook (xlsx, xlsb, xls or ods) as texts."""

from __future__ import annotations

import datetime
import html
import os
import posixpath
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import reduce
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from tagifai.exceptions import DataError, suggest_closest

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook

_CELL_BYTES = 32
"""Of a cell in memory, empty or not: the library lays a sheet out as a rectangle."""

_XLSX_FORMULA = re.compile(
    rb"<(?:\w+:)?c\b(?![^>]*\bt=.str.)[^>]*\br=.(\w+)[^>]*>\s*"
    rb"<(?:\w+:)?f\b(?:[^>]*/>|[^>]*>[^<]*</(?:\w+:)?f>)\s*"
    rb"(?:<(?:\w+:)?v\b[^>]*?(?:/>|></(?:\w+:)?v>)\s*)?</(?:\w+:)?c>"
)
"""A cell with a formula and no value; one whose value is the empty text has t="str"."""

_LAST_CELL = re.compile(rb' r="([A-Z]+)(\d+)"')
_ODS_SHEET = re.compile(rb'<table:table\b[^>]*table:name="([^"]*)"')
_ODS_FORMULA = re.compile(rb"<table:table-cell\b(?![^>]*office:value-type)[^>]*table:formula=")


def read_rows(
    path: Path, sheet: str | None, named: str, setting: str, max_mb: int
) -> Iterator[tuple[int, list[str | None]]]:
    """Yield the rows of a sheet without blank ones, each as wide as the sheet.

    So the first one is the header, wherever the table stands in the sheet. Of merged cells the
    first has the value and the others are empty, as are cells with an error such as #N/A.

    Args:
        path: of the workbook.
        sheet: its name; None is the only visible one that has cells.
        named: the setting and the file, for errors.
        setting: the group of the settings that change this: data or task.
        max_mb: most megabytes (of 1,000,000 bytes) that it may have unpacked and in memory.

    Yields:
        The number of a row in the sheet, from 1, and its cells: None if empty, a whole number as
        1, others as Python writes them, dates and times in ISO form, true, false, texts as is.

    Raises:
        DataError: it is damaged or too large, the sheet is not there or one of several, or the
            value of a formula was not kept (which is not known of xls and xlsb).
    """
    try:
        rows = _open_sheet(path, sheet, named, setting, max_mb)
    except (DataError, ImportError, MemoryError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise DataError(
            f"{named} is a workbook that is damaged, protected or of an unknown kind"
            f" ({str(error).rstrip('.')}): open it in a spreadsheet program and save it as CSV."
        ) from None
    for number, cells in enumerate(rows, 1):
        texts = [_format_cell(cell) for cell in cells]
        if texts.count(None) < len(texts):
            yield number, texts


def _open_sheet(
    path: Path, sheet: str | None, named: str, setting: str, max_mb: int
) -> Iterator[list[Any]]:
    from python_calamine import load_workbook

    zipped = zipfile.is_zipfile(path)
    formulas = _find_formulas(path, named, setting, max_mb) if zipped else {}
    with nullcontext() if zipped else _silence_panics():
        workbook = load_workbook(BytesIO(path.read_bytes()))
        name = _choose_sheet(workbook, sheet, named, setting)
        rows = workbook.get_sheet_by_name(name).iter_rows()
    if name in formulas:
        raise DataError(
            f"{named}: the value of the formula in {formulas[name]} was not kept: open it in a"
            " spreadsheet program and save it, or save it as CSV."
        )
    return rows


def _choose_sheet(workbook: CalamineWorkbook, sheet: str | None, named: str, setting: str) -> str:
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    tables = [item for item in workbook.sheets_metadata if item.typ == SheetTypeEnum.WorkSheet]
    names = [item.name for item in tables]
    if sheet is not None and sheet not in names:
        known = ", ".join(map(repr, names))
        hint = suggest_closest(sheet, names)
        raise DataError(f"{named} has no sheet {sheet!r} ({setting}.sheet).{hint} It has: {known}.")
    if sheet is not None or len(names) == 1:
        return sheet or names[0]
    visible = [item.name for item in tables if item.visible == SheetVisibleEnum.Visible]
    filled = [name for name in visible if workbook.get_sheet_by_name(name).start]
    if len(filled) != 1:
        found = ", ".join(map(repr, filled or names))
        raise DataError(
            f"{named} has {len(filled) or 'no'} visible sheets with cells: choose one of {found} by"
            f" {setting}.sheet."
        )
    return filled[0]


@contextmanager
def _silence_panics() -> Iterator[None]:
    """Keep what the library itself writes to standard error, of a damaged xls, off the screen."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def _find_formulas(path: Path, named: str, setting: str, max_mb: int) -> dict[str, str]:
    """Return where each sheet first has a formula without a value; refuse what is too large."""
    found: dict[str, str] = {}
    with zipfile.ZipFile(path) as archive:
        size = sum(item.file_size for item in archive.infolist()) / 1_000_000
        if size > max_mb:
            raise DataError(
                f"{named} has {size:,.0f} MB when it is unpacked; if that is right, set"
                f" {setting}.max_unpacked_mb={size + 1:.0f}."
            )
        for sheet, member in _list_xlsx_sheets(archive):
            last, width = 0, 0
            for row in _split(archive, member, b"row>"):
                if match := _XLSX_FORMULA.search(row) if b"<f" in row or b":f" in row else None:
                    found.setdefault(sheet, f"{sheet}!{match[1].decode()}")
                if match := _LAST_CELL.match(row, row.rfind(b' r="', 0, max(row.rfind(b"c>"), 0))):
                    column = reduce(lambda number, letter: 26 * number + letter - 64, match[1], 0)
                    last, width = int(match[2]), max(width, column)
            if last * width * _CELL_BYTES > max_mb * 1_000_000:
                raise DataError(
                    f"{named} has cells in {last:,} rows and {width:,} columns of sheet {sheet!r}:"
                    " delete those far from the table, or save it as CSV."
                )
        if "content.xml" in archive.namelist():
            sheet, number = "", 0
            for row in _split(archive, "content.xml", b"</table:table-row>"):
                if match := _ODS_SHEET.search(row):
                    sheet, number = html.unescape(match[1].decode()), 0
                if _ODS_FORMULA.search(row):
                    found.setdefault(sheet, f"row {number + 1} of {sheet}")
                repeated = re.search(rb'number-rows-repeated="(\d+)"', row)
                number += int(repeated[1]) if repeated else 1
    return found


def _list_xlsx_sheets(archive: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """Yield the name and the member of each sheet."""
    members = set(archive.namelist())
    if {"xl/workbook.xml", "xl/_rels/workbook.xml.rels"} <= members:
        links = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))  # noqa: S314
        targets = {link.get("Id"): link.get("Target", "") for link in links}
        for item in ElementTree.fromstring(archive.read("xl/workbook.xml")).iter():  # noqa: S314
            if item.tag.endswith("}sheet"):
                link = next((value for key, value in item.items() if key.endswith("}id")), None)
                member = posixpath.normpath(posixpath.join("/xl", targets.get(link, ""))).lstrip(
                    "/"
                )
                if member in members:
                    yield item.get("name", ""), member


def _split(archive: zipfile.ZipFile, member: str, end: bytes) -> Iterator[bytes]:
    """Yield the parts of a member between what rows end with."""
    rest = b""
    with archive.open(member) as file:
        while block := file.read(2**20):
            *rows, rest = (rest + block).split(end)
            yield from rows
    yield rest


def _format_cell(value: Any) -> str | None:
    """Return a cell's text, or None if it is empty."""
    match value:
        case "":
            return None
        case bool():
            return str(value).lower()
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case datetime.datetime() if value.time() == datetime.time():
            return value.date().isoformat()
        case datetime.date() | datetime.time():
            return value.isoformat()
        case datetime.timedelta():
            seconds = round(value.total_seconds())
            return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return str(value)
