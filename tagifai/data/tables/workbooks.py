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

from tagifai.data.limits import UnpackLimits
from tagifai.exceptions import DataError, suggest_closest
from tagifai.utils.excerpts import shorten

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook

_CELL_BYTES = 32
"""Of a cell in memory, empty or not: the library lays a sheet out as a rectangle."""

_CELL_SHARE = 250_000
"""Of a megabyte that a workbook may have unpacked, what its cells may take in memory."""

_SHARED = re.compile(rb"""\bt\s*=\s*["']s["'][^<>]*>\s*<(?:\w+:)?v[^>]*>\s*(\d{1,9})""")
_XLSX_FORMULA = re.compile(
    rb"<(?:\w+:)?c\b(?![^>]*\bt=.str.)[^>]*\br=.(\w+)[^>]*>\s*"
    rb"<(?:\w+:)?f\b(?:[^>]*/>|[^>]*>[^<]*</(?:\w+:)?f>)\s*"
    rb"(?:<(?:\w+:)?v\b[^>]*?(?:/>|></(?:\w+:)?v>)\s*)?</(?:\w+:)?c>"
)
"""A cell with a formula and no value; one whose value is the empty text has t="str"."""

_CELL = re.compile(rb"<(?:\w+:)?c\b")
_PLACE = re.compile(rb"""\sr\s*=\s*["']([A-Za-z]*)(\d+)["']""")
"""Where a row or a cell says that it is; cells may come in any order, and say nothing."""

_ODS_SHEET = re.compile(rb'<table:table\b[^>]*table:name="([^"]*)"')
_ODS_FORMULA = re.compile(rb"<table:table-cell\b(?![^>]*office:value-type)[^>]*table:formula=")


def read_rows(
    path: Path, sheet: str | None, named: str, limits: UnpackLimits
) -> Iterator[tuple[int, list[str | None]]]:
    """Yield the rows of a sheet without blank ones, each as wide as the sheet.

    So the first one is the header, wherever the table stands in the sheet. Of merged cells the
    first has the value and the others are empty, as are cells with an error such as #N/A.

    Args:
        path: of the workbook.
        sheet: its name; None is the only visible one that has cells.
        named: the setting and the file, for errors.
        limits: of what it may have unpacked and in memory.

    Yields:
        The number of a row in the sheet, from 1, and its cells: None if empty, a whole number as
        1, others as Python writes them, dates and times in ISO form, true, false, texts as is.

    Raises:
        DataError: it is damaged or too large, the sheet is not there or one of several, or the
            value of a formula was not kept (which is not known of xls and xlsb).
    """
    try:
        rows = _open_sheet(path, sheet, named, limits)
    except (DataError, ImportError, MemoryError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = shorten(str(error).rstrip("."), 200)
        raise DataError(
            f"{named} is a workbook that is damaged, protected or of an unknown kind"
            f" ({reason}): open it in a spreadsheet program and save it as CSV."
        ) from None
    for number, cells in enumerate(rows, 1):
        texts = [_format_cell(cell) for cell in cells]
        if texts.count(None) < len(texts):
            yield number, texts


def _open_sheet(
    path: Path, sheet: str | None, named: str, limits: UnpackLimits
) -> Iterator[list[Any]]:
    from python_calamine import load_workbook

    zipped = zipfile.is_zipfile(path)
    formulas = _find_formulas(path, named, limits) if zipped else {}
    with nullcontext() if zipped else _silence_panics():
        workbook = load_workbook(BytesIO(path.read_bytes()))
        name = _choose_sheet(workbook, sheet, named, limits.setting)
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


def _find_formulas(path: Path, named: str, limits: UnpackLimits) -> dict[str, str]:
    """Return where each sheet first has a formula without a value; refuse what is too large."""
    found: dict[str, str] = {}
    with zipfile.ZipFile(path) as archive:
        _measure(archive, path.stat().st_size, named, limits)
        lengths, shared = _measure_shared(archive), 0
        for sheet, member in _list_xlsx_sheets(archive):
            last, width = 0, 0
            for row in _split(archive, member, b"row>"):
                # A text that many cells share is in memory as often as there are cells.
                places = map(int, _SHARED.findall(row)) if lengths else ()
                shared += sum(lengths[at] for at in places if at < len(lengths))
                limits.refuse_excess(shared, path.stat().st_size, named)
                if match := _XLSX_FORMULA.search(row) if b"<f" in row or b":f" in row else None:
                    found.setdefault(sheet, f"{sheet}!{match[1].decode()}")
                width = max(width, len(_CELL.findall(row)))
                for letters, number in set(_PLACE.findall(row)):
                    column = reduce(lambda at, letter: 26 * at + letter - 64, letters.upper(), 0)
                    last, width = max(last, int(number[:9])), max(width, column)
            if last * width * _CELL_BYTES > limits.max_mb * _CELL_SHARE:
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


def _measure(archive: zipfile.ZipFile, packed: int, named: str, limits: UnpackLimits) -> None:
    """Refuse what is too large unpacked: by unpacking it, whatever it says of itself."""
    size = 0
    for item in archive.infolist():
        said, item.file_size = item.file_size, limits.max_mb * 1_000_000 + 2**21
        with archive.open(item) as file:
            while block := file.read(2**20):
                size += len(block)
                limits.refuse_excess(size, packed, named)
        item.file_size = said


def _measure_shared(archive: zipfile.ZipFile) -> list[int]:
    """Return about how many bytes each text has that cells refer to by its number."""
    lengths, length = [], 0
    for name in archive.namelist():
        for part in _split(archive, name, b"si>") if name.lower() == "xl/sharedstrings.xml" else ():
            lengths += [0] * part.count(b"si/>")
            length += len(part)
            if re.search(rb"</(\w+:)?$", part[-40:]):  # others begin a text, or are within one
                lengths.append(length)
                length = 0
    return lengths


def _list_xlsx_sheets(archive: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """Yield the name and the member of each sheet."""
    members = set(archive.namelist())
    if {"xl/workbook.xml", "xl/_rels/workbook.xml.rels"} <= members:
        links = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))  # noqa: S314 # nosec B314
        targets = {link.get("Id"): link.get("Target", "") for link in links}
        for item in ElementTree.fromstring(archive.read("xl/workbook.xml")).iter():  # noqa: S314 # nosec B314
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
