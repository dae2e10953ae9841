"""Tables in files, written a batch at a time: CSV, TSV, JSON, Parquet and workbooks."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from importlib.util import find_spec
from itertools import count, groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from tagifai.exceptions import DataError
from tagifai.utils.excerpts import UNSEEN
from tagifai.utils.files import open_output
from tagifai.utils.terminal import get_raw

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
KINDS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "workbook",
}
"""What is written, by the ending of a name."""

ROW_GROUP_BYTES = 64 * 2**20
SHEET_ROWS, SHEET_COLUMNS, CELL_BYTES = 2**20, 2**14, 2 * (2**15 - 1)
"""Most that a workbook takes; the characters of a cell are counted in UTF-16."""

INSTEAD = "give a .csv or .parquet file"
Fields = dict[str, type]
"""Names of columns, and what is in them: str, float or, in JSON, list and dict."""

Columns = Sequence[Iterable[Any]]
Write = Callable[[Columns], None]


def parse_target(target: str | None) -> tuple[str, str]:
    """Return what is written, such as "csv", and the ending of its compression or "".

    Args:
        target: path of the output; None is JSON on standard output.

    Raises:
        DataError: its name has another ending, or the library for it is not there.
    """
    if target is None:
        return "json", ""
    name = Path(target).name.lower()
    compression = next((ending for ending in COMPRESSIONS if name.endswith(ending)), "")
    kind = KINDS.get(Path(name.removesuffix(compression)).suffix, "")
    if not kind:
        raise DataError(
            f"{target}: give a .csv, .tsv, .json, .jsonl, .parquet or .xlsx file to write to;"
            f" {', '.join(COMPRESSIONS)} after it compresses text."
        )
    if compression and kind in ("parquet", "workbook"):
        raise DataError(f"{target}: such a file is compressed in itself; leave out {compression}.")
    if kind == "workbook" and find_spec("xlsxwriter") is None:
        raise DataError(
            f"{target}: workbooks are an extra; {INSTEAD}, or: pip install 'tagifai[xlsx]'"
        )
    return kind, compression


@contextmanager
def open_writer(target: str | None, fields: Fields) -> Iterator[Write]:
    """Give a function that writes columns, batch by batch.

    Args:
        target: a file, which appears whole at the end of the block; None is standard output.
        fields: names and kinds of the columns.

    Raises:
        DataError: the file cannot be written.
    """
    kind, compression = parse_target(target)
    if target is None:
        stream = get_raw(sys.stdout)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="strict")
        with _write_json(stream, fields, visible=True) as write:
            yield write
        return
    binary = compression or kind in ("parquet", "workbook")
    with (
        open_output(Path(target), "wb" if binary else "w") as file,
        _compress(file, compression) as inner,
        WRITERS[kind](inner, fields) as write,
    ):
        yield write


@contextmanager
def _compress(file: IO[Any], ending: str) -> Iterator[IO[Any]]:
    """Open a text file that is written compressed.

    Args:
        file: for bytes; it stays open.
        ending: .gz, .bz2, .xz or .zst; "" gives the file itself.
    """
    if not ending:
        yield file
        return
    import bz2
    import gzip
    import lzma

    makers: dict[str, Callable[[IO[bytes]], Any]] = {
        ".gz": lambda to: gzip.GzipFile("", "wb", 6, to, mtime=0),
        ".bz2": lambda to: bz2.BZ2File(to, "wb"),
        ".xz": lambda to: lzma.LZMAFile(to, "wb"),  # noqa: SIM115
        ".zst": _open_zstandard,
    }
    # The last one closes what it writes to, and the file is to stay open.
    with (
        os.fdopen(os.dup(file.fileno()), "wb") as copy,
        io.TextIOWrapper(makers[ending](copy), encoding="utf-8", newline="") as text,
    ):
        yield text


def _open_zstandard(file: IO[bytes]) -> Any:
    import pyarrow as pa

    return pa.CompressedOutputStream(file, "zstd")


def _escape(found: re.Match[str]) -> str:
    """Return an escape of JSON's for what could steer a terminal; who parses it gets the same."""
    return json.dumps(found[0])[1:-1]


@contextmanager
def _write_json(
    file: IO[str], fields: Fields, *, lines: bool = False, visible: bool = False
) -> Iterator[Write]:
    begin, between, end = ("", "\n", "\n") if lines else ("[\n  ", ",\n  ", "\n]\n")
    written = 0

    def write(columns: Columns) -> None:
        nonlocal written
        for row in zip(*columns, strict=True):
            record = dict(zip(fields, row, strict=True))
            if record.get("error", "") is None:
                del record["error"]
            file.write(between if written else begin)
            content = json.dumps(record, ensure_ascii=False, allow_nan=False)
            file.write(UNSEEN.sub(_escape, content) if visible else content)
            written += 1

    yield write
    if written or not lines:
        file.write(end if written else "[]\n")


@contextmanager
def _write_csv(file: IO[str], fields: Fields, *, delimiter: str = ",") -> Iterator[Write]:
    # A writer quotes its own line end by itself, and readers take a return for one as well.
    minimal, whole = (
        csv.writer(file, delimiter=delimiter, lineterminator="\n", quoting=quoting)
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
    )

    def write(columns: Columns) -> None:
        for has_return, rows in groupby(zip(*columns, strict=True), _has_return):
            (whole if has_return else minimal).writerows(rows)

    write([[name] for name in fields])
    yield write


def _has_return(row: Iterable[Any]) -> bool:
    return any(type(cell) is str and "\r" in cell for cell in row)


@contextmanager
def _write_parquet(file: IO[bytes], fields: Fields) -> Iterator[Write]:
    import pyarrow as pa
    from pyarrow import parquet

    types = [pa.string() if kind is str else pa.float64() for kind in fields.values()]
    schema = pa.schema(zip(fields, types, strict=True))
    waiting: list[Any] = []
    with parquet.ParquetWriter(file, schema) as writer:

        def write(columns: Columns, least: int = ROW_GROUP_BYTES) -> None:
            arrays = [pa.array([*c], kind) for c, kind in zip(columns, types, strict=True)]
            waiting.append(pa.table(arrays, schema=schema))
            if sum(table.nbytes for table in waiting) >= least:
                writer.write_table(pa.concat_tables(waiting))
                waiting.clear()

        yield write
        write([[] for _ in fields], least=0)


@contextmanager
def _write_workbook(file: IO[bytes], fields: Fields) -> Iterator[Write]:
    from xlsxwriter import Workbook
    from xlsxwriter.exceptions import FileCreateError

    if len(fields) > SHEET_COLUMNS:
        raise DataError(f"A workbook has no room for {len(fields):,} columns; {INSTEAD}.")
    with TemporaryDirectory() as folder:
        made = Path(folder, "book")
        settings = {"constant_memory": True, "tmpdir": folder, "use_zip64": True}
        book = Workbook(str(made), settings)
        sheet, numbers = book.add_worksheet(), count()

        def write(columns: Columns) -> None:
            for cells, number in zip(zip(*columns, strict=True), numbers, strict=False):
                if number >= SHEET_ROWS:
                    raise DataError(f"A workbook has no room for {number:,} rows; {INSTEAD}.")
                for place, cell in enumerate(cells):
                    if not isinstance(cell, str | None):
                        sheet.write_number(number, place, cell)
                    elif cell and len(cell.encode("utf-16-le")) > CELL_BYTES:
                        raise DataError(
                            f"A cell of a workbook has no room for the {len(cell):,} characters of"
                            f" row {number}; {INSTEAD}."
                        )
                    elif cell:
                        sheet.write_string(number, place, cell)

        try:
            write([[name] for name in fields])
            yield write
        finally:
            try:
                book.close()
            except FileCreateError as error:
                raise error.args[0] from None
        with made.open("rb") as content:
            shutil.copyfileobj(content, file)


WRITERS: dict[str, Callable[[Any, Fields], AbstractContextManager[Write]]] = {
    "csv": _write_csv,
    "tsv": partial(_write_csv, delimiter="\t"),
    "json": _write_json,
    "jsonl": partial(_write_json, lines=True),
    "parquet": _write_parquet,
    "workbook": _write_workbook,
}
