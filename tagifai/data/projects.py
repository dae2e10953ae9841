"""Read and check the two tables of a data set of projects, and join them on their ids."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from tagifai.data.tables.chunks import Reading
from tagifai.data.tables.options import ReadOptions
from tagifai.data.tables.reader import TableFile, format_places, read_rows
from tagifai.exceptions import DataError

REQUIRED_COLUMNS = {"projects": ("id", "title", "description"), "tags": ("id", "tag")}
"""Columns that a table must have; projects may have `created_on`, and others are left out."""


def read_projects(files: Mapping[str, TableFile]) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the joined table of projects and tags, and the rows that each of them has.

    Args:
        files: of "projects" and of "tags".

    Raises:
        DataError: a column is missing, ids are blank or duplicate, a date is invalid, a project
            has neither title nor description, a tag is blank, or no id is in both.
    """
    tables = {name: _read_table(name, files[name]) for name in REQUIRED_COLUMNS}
    joined = tables["projects"].merge(tables["tags"], on="id", validate="one_to_one")
    if joined.empty:
        raise DataError(
            f"{files['projects'].named}: no id is in {files['tags'].named}, so nothing can be"
            " joined."
        )
    return joined, {name: len(table) for name, table in tables.items()}


def _read_table(name: str, file: TableFile) -> pd.DataFrame:
    """Return the table "projects" or "tags", after its rules have been checked."""
    optional = ("created_on",) if name == "projects" else ()
    reading = Reading(ReadOptions(format="csv"), REQUIRED_COLUMNS[name], optional)
    pieces = [pd.DataFrame(rows.columns | rows.kept) for rows in read_rows(file, reading)]
    table = pd.concat(pieces, ignore_index=True).astype("str")
    order = [name for name in ("id", "created_on", "title", "description", "tag") if name in table]
    table = table[order]
    broken = {"id blank": _is_blank(table["id"]), "id not unique": table["id"].duplicated(False)}
    if name == "tags":
        broken["tag blank"] = _is_blank(table["tag"])
    else:
        both = table["title"] + table["description"]
        broken["title and description both blank"] = _is_blank(both)
        if "created_on" in table:
            dates = pd.to_datetime(table["created_on"], errors="coerce", format="mixed", utc=True)
            broken["created_on not a date"] = dates.isna()
    rules = [
        f"{rule} in data row {format_places((rows.to_numpy().nonzero()[0] + 1).tolist())}"
        for rule, rows in broken.items()
        if rows.any()
    ]
    if rules:
        raise DataError(f"{file.named}: {'; '.join(rules)}.")
    return table


def _is_blank(column: pd.Series[str]) -> pd.Series[bool]:
    return column.str.strip() == ""
