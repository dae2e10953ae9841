"""Read and validate the two CSV tables of a data set, projects and tags."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from tagifai.exceptions import DataError, suggest_closest

if TYPE_CHECKING:
    import pandera.pandas as pa

REQUIRED_COLUMNS = {"projects": ("id", "title", "description"), "tags": ("id", "tag")}
"""Columns that a table must have; projects may have `created_on` and both may have others."""

BOTH_BLANK = "title and description both blank"

MAX_SHOWN_ROWS = 5
"""Most rows that an error names."""


def read(path: Path) -> pd.DataFrame:
    """Return a CSV with every field as a string; "NA" is a text and no missing value.

    Raises:
        DataError: not UTF-8, or not a table.
    """
    try:
        # Without index_col=False a row with too many fields would shift all columns.
        with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
            return pd.read_csv(
                path, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False
            )
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 ({error}). Convert it first.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning) as error:
        raise DataError(f"{path} is not a CSV table with a header line: {error}") from None


def read_validated(name: str, path: Path) -> pd.DataFrame:
    """Return the table "projects" or "tags" from a file, after its rules have been checked.

    Raises:
        DataError: a column is missing, ids are blank or duplicate, a date is invalid, a project
            has neither title nor description, or a tag is blank; with the first such rows.
    """
    table = read(path)
    for column in REQUIRED_COLUMNS[name]:
        if column not in table.columns:
            known = list(map(str, table.columns))
            raise DataError(
                f"data.{name}: {path} has no column '{column}'.{suggest_closest(column, known)}"
                f" It has: {', '.join(known)}."
            )
    if table.empty:
        raise DataError(f"data.{name}: {path} has a header line and no rows.")
    # Late: pandera takes a quarter of a second, and a stored data set needs none of it.
    import pandera.pandas as pa

    try:
        _make_schema(name).validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        raise DataError(f"data.{name}: {path}: {_format_failures(error.failure_cases)}.") from None
    return table


def _make_schema(name: str) -> pa.DataFrameSchema:
    import pandera.pandas as pa

    filled = pa.Check(lambda column: column.str.strip() != "", error="blank")
    identifier = pa.Column(str, checks=filled, unique=True)
    if name == "tags":
        return pa.DataFrameSchema({"id": identifier, "tag": pa.Column(str, checks=filled)})
    texts = ["title", "description"]
    return pa.DataFrameSchema(
        {
            "id": identifier,
            "created_on": pa.Column(str, pa.Check(_are_dates, error="not a date"), required=False),
            **{text: pa.Column(str) for text in texts},
        },
        checks=pa.Check(
            lambda table: table[texts].sum(axis=1).str.strip() != "",
            error=BOTH_BLANK,
        ),
    )


def _are_dates(column: pd.Series[str]) -> pd.Series[bool]:
    return pd.to_datetime(column, errors="coerce", format="mixed", utc=True).notna()


def _format_failures(cases: pd.DataFrame) -> str:
    """Return the broken rules with the rows of the file that break them, counted from 1."""
    rows: dict[str, set[int]] = {}
    for column, check, row in zip(cases["column"], cases["check"], cases["index"], strict=True):
        rule = {"field_uniqueness": "not unique"}.get(str(check), str(check))
        # A rule of the whole row is listed once for every column.
        named = rule if rule == BOTH_BLANK else f"{column} {rule}"
        rows.setdefault(named, set()).add(int(row) + 1)
    return "; ".join(
        f"{named} in data row {_format_rows(sorted(at))}" for named, at in rows.items()
    )


def _format_rows(rows: list[int]) -> str:
    more = f" and {len(rows) - MAX_SHOWN_ROWS} more" if len(rows) > MAX_SHOWN_ROWS else ""
    return ", ".join(map(str, rows[:MAX_SHOWN_ROWS])) + more
