"""Formats: CSV, TSV, JSON Lines and Parquet files as tables of texts, or an error that says where.

Every value is the text that it is in the file; what is missing is the empty text.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tagifai.errors import DataError, nearest

ENDINGS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def of_name(name: str) -> str | None:
    """Return the format that a file's name ends in, or None."""
    return ENDINGS.get(Path(name.removesuffix(".gz")).suffix.lower())


def read(
    path: Path,
    kind: str,
    columns: Sequence[str],
    *,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    named: str,
) -> pd.DataFrame:
    """Return the rows of a file.

    Args:
        path: of the file; gzip is undone.
        kind: csv, tsv, jsonl or parquet.
        columns: those that are wanted.
        encoding: of the formats that are text.
        delimiter: between the fields of a CSV or TSV; None is the format's own.
        named: the setting and the file, for errors.

    Returns:
        The columns, all of texts.

    Raises:
        DataError: not of this format or encoding, without rows, or without one of the columns.
    """
    if kind == "parquet":
        return _filled(_parquet(path, columns, named), named)
    text = _decoded(_content(path, named), encoding, named)
    if not text.strip():
        raise DataError(f"{named} is empty.")
    if kind == "jsonl":
        table = _jsonl(text, columns, named)
    else:
        table = _csv(text, delimiter or {"csv": ",", "tsv": "\t"}[kind], named)
    _require_columns(columns, list(map(str, table.columns)), named)
    return _filled(table[list(dict.fromkeys(columns))], named)


def _filled(table: pd.DataFrame, named: str) -> pd.DataFrame:
    if table.empty:
        raise DataError(f"{named} has no rows.")
    return table


def _require_columns(columns: Sequence[str], known: Sequence[str], named: str) -> None:
    for column in columns:
        if column not in known:
            one = " Is the delimiter another one (data.delimiter)?" if len(known) == 1 else ""
            raise DataError(
                f"{named} has no column '{column}'.{nearest(column, known)}"
                f" It has: {', '.join(known)}.{one}"
            )


def _content(path: Path, named: str) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{named} cannot be read: {error}.") from None


def _decoded(content: bytes, encoding: str, named: str) -> str:
    utf8 = codecs.lookup(encoding).name == "utf-8"
    try:
        return content.decode("utf-8-sig" if utf8 else encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = content[error.start : error.start + 1].hex()
        advice = (
            "If the whole file has another encoding, name it: data.encoding=cp1252"
            if utf8
            else f"If the file is UTF-8, leave out data.encoding={encoding}"
        )
        raise DataError(
            f"{named} is not {encoding} in line {line} (byte 0x{found}). {advice}; if parts of it"
            " do, convert them first."
        ) from None
    except UnicodeError as error:
        raise DataError(f"{named} is not {encoding}: {error}.") from None


def _csv(text: str, delimiter: str, named: str) -> pd.DataFrame:
    try:
        # Without index_col=False a row with too many fields would shift all columns.
        with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
            return pd.read_csv(
                io.StringIO(text),
                sep=delimiter,
                dtype=str,
                keep_default_na=False,
                index_col=False,
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
        where = _broken_line(text, delimiter)
        reason = " ".join(str(error).removeprefix("Error tokenizing data. C error: ").split())
        raise DataError(f"{named} is not a table: {where or reason}") from None


def _broken_line(text: str, delimiter: str) -> str | None:
    """Return what is wrong with a CSV in which line, or None if Python's reader finds nothing."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    fields, began = None, 1
    try:
        for row in reader:
            fields = len(row) if fields is None else fields
            if len(row) > fields:
                return (
                    f"line {began} has {len(row)} fields, and the header line has {fields}. Is a"
                    " field with the delimiter in it without quotes?"
                )
            began = reader.line_num + 1
    except csv.Error as error:
        if "unexpected end" in str(error):
            return f"a quoted field that begins in line {began} never ends."
        return f"the quotes in line {reader.line_num} are broken ({error})."
    return None


def _jsonl(text: str, columns: Sequence[str], named: str) -> pd.DataFrame:
    rows: list[dict[str, str]] = []
    known: dict[str, None] = {}
    # Not splitlines, which would also split at characters that JSON may have inside of texts.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise DataError(f"{named}: line {number} is not JSON ({error}).") from None
        if not isinstance(record, dict):
            raise DataError(f"{named}: line {number} is no object with the columns as keys.")
        known |= dict.fromkeys(record)
        rows.append({c: _as_text(record.get(c), f"{named}: line {number}, '{c}'") for c in columns})
    _require_columns(columns, list(known), named)
    return pd.DataFrame(rows, dtype=str)


def _as_text(value: Any, named: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        raise DataError(f"{named} is neither a text nor a number.")
    return json.dumps(value)


def _parquet(path: Path, columns: Sequence[str], named: str) -> pd.DataFrame:
    # Late: only this format needs it.
    import pyarrow
    import pyarrow.parquet

    try:
        known = pyarrow.parquet.read_schema(path).names
        _require_columns(columns, known, named)
        table = pyarrow.parquet.read_table(path, columns=list(dict.fromkeys(columns)))
    except (pyarrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{named} is not a Parquet file: {reason}") from None
    text: Callable[[Any], str] = lambda value: "" if value is None else str(value)  # noqa: E731
    return pd.DataFrame(
        {name: pd.Series([*map(text, table[name].to_pylist())], dtype=str) for name in columns}
    )
