"""Read CSV, TSV, JSON Lines and Parquet files as tables of texts, with errors that name the line.

Every value is the text that the file has; a missing value is the empty text.
"""

from __future__ import annotations

import csv
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tagifai.data.encodings import open_text
from tagifai.exceptions import DataError, suggest_closest

FORMATS_BY_SUFFIX = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}

DELIMITERS = {"csv": ",", "tsv": "\t"}


def infer_from_name(name: str) -> str | None:
    """Return the format that a file's name ends in (csv, tsv, jsonl or parquet), or None."""
    return FORMATS_BY_SUFFIX.get(Path(name.removesuffix(".gz")).suffix.lower())


@dataclass(frozen=True)
class FileFormat:
    """The format of a file.

    Args:
        kind: csv, tsv, jsonl or parquet.
        encoding: of the formats that are text.
        delimiter: between the fields of a CSV or TSV; None is the format's own.
    """

    kind: str
    encoding: str = "utf-8"
    delimiter: str | None = None


def read_chunks(
    path: Path,
    file_format: FileFormat,
    columns: Sequence[str],
    *,
    rows: int | None = None,
    named: str,
) -> Iterator[pd.DataFrame]:
    """Yield the rows of a file a chunk at a time, in its order.

    Args:
        path: of the file; gzip is decompressed.
        file_format: of the file.
        columns: names of the columns to read.
        rows: most rows of a chunk; None reads all at once.
        named: the setting and the file, for errors.

    Yields:
        Tables with these columns, all of texts.

    Raises:
        DataError: the file has another format or encoding, no rows, or not all columns.
    """
    wanted, encoding = list(dict.fromkeys(columns)), file_format.encoding
    if file_format.kind == "parquet":
        found = _read_parquet(path, wanted, rows, named)
    elif file_format.kind == "jsonl":
        found = _read_jsonl(path, wanted, rows, encoding, named)
    else:
        delimiter = file_format.delimiter or DELIMITERS[file_format.kind]
        found = _read_csv(path, wanted, rows, encoding, delimiter, named)
    empty = True
    for piece in found:
        if len(piece):
            empty = False
            yield piece
    if empty:
        raise DataError(f"{named} has no rows.")


def _require_columns(columns: Sequence[str], known: Sequence[str], named: str) -> None:
    for column in columns:
        if column not in known:
            one = " Is the delimiter another one (data.delimiter)?" if len(known) == 1 else ""
            raise DataError(
                f"{named} has no column '{column}'.{suggest_closest(column, known)}"
                f" It has: {', '.join(known)}.{one}"
            )


def _read_csv(
    path: Path,
    columns: Sequence[str],
    rows: int | None,
    encoding: str,
    delimiter: str,
    named: str,
) -> Iterator[pd.DataFrame]:
    try:
        with open_text(path, encoding, named) as file:
            # Without index_col=False a row with too many fields would shift all columns.
            reader = pd.read_csv(
                file,
                sep=delimiter,
                dtype=str,
                keep_default_na=False,
                index_col=False,
                iterator=True,
            )
            while (table := _read_next(reader, rows)) is not None:
                _require_columns(columns, list(map(str, table.columns)), named)
                yield table[columns]
                if rows is None:
                    return
    except pd.errors.EmptyDataError:
        raise DataError(f"{named} is empty.") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        where = _describe_broken_line(path, encoding, delimiter, named)
        reason = " ".join(str(error).removeprefix("Error tokenizing data. C error: ").split())
        raise DataError(f"{named} is not a table: {where or reason}") from None


def _read_next(reader: pd.io.parsers.TextFileReader, rows: int | None) -> pd.DataFrame | None:
    with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
        try:
            return reader.read(rows)
        except StopIteration:
            return None


def _describe_broken_line(path: Path, encoding: str, delimiter: str, named: str) -> str | None:
    """Return the first wrong line of a CSV with the reason, or None if it cannot be found."""
    fields, began = None, 1
    with open_text(path, encoding, named) as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            for row in reader:
                fields = len(row) if fields is None else fields
                if len(row) > fields:
                    return (
                        f"line {began} has {len(row)} fields, and the header line has {fields}. Is"
                        " a field with the delimiter in it without quotes?"
                    )
                began = reader.line_num + 1
        except csv.Error as error:
            if "unexpected end" in str(error):
                return f"a quoted field that begins in line {began} never ends."
            return f"the quotes in line {reader.line_num} are broken ({error})."
    return None


def _read_jsonl(
    path: Path, columns: Sequence[str], rows: int | None, encoding: str, named: str
) -> Iterator[pd.DataFrame]:
    found: list[dict[str, str]] = []
    known: dict[str, None] = {}
    # Only \n ends a line: other line ends may be inside of JSON's texts.
    with open_text(path, encoding, named, newline="\n") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            record = _parse_record(line, number, named)
            known |= dict.fromkeys(record)
            where = f"{named}: line {number}"
            found.append({c: _as_text(record.get(c), f"{where}, '{c}'") for c in columns})
            if len(found) == rows:
                yield pd.DataFrame(found, dtype=str)
                found = []
    if not known:
        raise DataError(f"{named} is empty.")
    _require_columns(columns, list(known), named)
    yield pd.DataFrame(found, columns=list(columns), dtype=str)


def _parse_record(line: str, number: int, named: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise DataError(f"{named}: line {number} is not JSON ({error}).") from None
    if not isinstance(record, dict):
        raise DataError(f"{named}: line {number} is not a JSON object with the columns as keys.")
    return record


def _as_text(value: Any, named: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        raise DataError(f"{named} is neither a text nor a number.")
    return json.dumps(value)


def _read_parquet(
    path: Path, columns: Sequence[str], rows: int | None, named: str
) -> Iterator[pd.DataFrame]:
    # Late: only Parquet needs it.
    import pyarrow
    import pyarrow.parquet

    text: Callable[[Any], str] = lambda value: "" if value is None else str(value)  # noqa: E731
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            _require_columns(columns, file.schema_arrow.names, named)
            size = rows or max(1, file.metadata.num_rows)
            for batch in file.iter_batches(size, columns=columns):
                yield pd.DataFrame(
                    {c: pd.Series([*map(text, batch[c].to_pylist())], dtype=str) for c in columns}
                )
    except (pyarrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{named} is not a Parquet file: {reason}") from None
