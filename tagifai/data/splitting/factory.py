"""Make the splitter that a configuration describes, for the rows of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from tagifai.config.schema import GroupedSplitConfig, SplitConfig, TimeSplitConfig
from tagifai.data.duplicates import group_near_duplicates
from tagifai.data.splitting.grouped import GroupSplitter, merge_groups, number_groups
from tagifai.data.splitting.splitters import Splitter, StratifiedSplitter
from tagifai.data.splitting.timed import TimeSplitter, parse_times
from tagifai.data.tables.labeled import name_kept
from tagifai.exceptions import DataError, suggest_closest
from tagifai.preprocessing.labels import Indices

OWN_COLUMNS = ("text", "tag", "split")
"""Stored columns that rows are not split by."""


def build_splitter(split: SplitConfig, table: pd.DataFrame, rows: pd.DataFrame) -> Splitter:
    """Return the splitter of rows.

    Args:
        split: settings of the `split` group.
        table: the stored columns of the rows, shape (n, columns).
        rows: raw and cleaned texts of the same rows, columns raw and text.

    Raises:
        DataError: there is no such column, or its values are none to split by.
    """
    together = split.near_duplicates == "together"
    similar = find_similar_rows(rows["raw"].tolist(), rows["text"].tolist()) if together else None
    notes = [] if similar is None else [_describe_similar(similar)]
    if isinstance(split, TimeSplitConfig):
        return _build_by_time(split.by, table, similar, notes)
    if isinstance(split, GroupedSplitConfig):
        return _build_grouped(split.by, _take_column(split.by, table), similar, notes)
    if similar is not None:
        return GroupSplitter("split.near_duplicates=together", similar, notes)
    return StratifiedSplitter()


def _take_column(by: str, table: pd.DataFrame) -> list[str]:
    name = next((n for n in (name_kept(by), by) if n in table), None)
    if name is None or name in OWN_COLUMNS:
        known = [str(n).removeprefix(name_kept("")) for n in table if n not in OWN_COLUMNS]
        raise DataError(
            f"split.by = {by!r}: the rows of this data set are not kept with such a column."
            f"{suggest_closest(by, known)} They have: {', '.join(known)}."
        )
    return list(table[name])


def _build_grouped(
    by: str, values: Sequence[str], similar: Indices | None, notes: list[str]
) -> Splitter:
    blank = sum(not value.strip() for value in values)
    if blank == len(values):
        raise DataError(f"split.by = {by!r}: no row has a value in this column.")
    groups = number_groups(values)
    said = f"No group of {by!r} is in two parts; there are {len(np.unique(groups))}."
    if blank:
        said += f" {blank} rows without a value are a group each."
    if similar is not None:
        groups = merge_groups(groups, similar)
    return GroupSplitter(f"split.by = {by!r}", groups, [said, *notes])


def _build_by_time(
    by: str, table: pd.DataFrame, similar: Indices | None, notes: list[str]
) -> Splitter:
    values = _take_column(by, table)
    times = parse_times(values, table["id"].tolist(), by)
    if similar is not None:
        # Rows that are kept together are as old as the oldest of them.
        times = pd.Series(times).groupby(similar).transform("min").to_numpy()
        notes = [*notes, "Each group is as old as its oldest row."]
    return TimeSplitter(f"split.by = {by!r}", times, values.__getitem__, notes)


def find_similar_rows(raw: Sequence[str], cleaned: Sequence[str]) -> Indices:
    """Return a number for each row, equal for rows with the same or almost the same text.

    Args:
        raw: texts before cleaning, of which those are found that are almost the same, shape (n,).
        cleaned: the same texts after cleaning, of which those are found that are equal; of empty
            ones nothing is known.
    """
    position = {text: place for place, text in enumerate(dict.fromkeys(raw))}
    heads = group_near_duplicates([*position])
    by_raw = np.array([heads[position[text]] for text in raw], np.int64)
    return merge_groups(by_raw, number_groups(cleaned))


def _describe_similar(groups: Indices) -> str:
    sizes = [size for size in Counter(groups.tolist()).values() if size > 1]
    return (
        f"{sum(sizes)} rows whose text is that of another one or almost so are kept together, in"
        f" {len(sizes)} groups."
    )
