"""Splits by time: the oldest rows train, and what is scored is newer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from tagifai.data.splitting.parts import PARTS
from tagifai.data.splitting.splitters import CutSplitter
from tagifai.data.splitting.stratified import Split
from tagifai.exceptions import DataError
from tagifai.preprocessing.labels import Indices, LabelEncoder

Times = npt.NDArray[np.float64]
"""Seconds since 1970, or the numbers that a column has."""


def parse_times(values: Sequence[str], ids: Sequence[str], by: str) -> Times:
    """Return the times of a column: all are numbers, or else all are ISO dates.

    Args:
        values: of the column, shape (n,).
        ids: of the rows, for errors.
        by: name of the column.

    Raises:
        DataError: a value is missing, or is neither a date nor a number.
    """
    texts = pd.Series([*values], dtype="str").str.strip()
    if blank := int((texts == "").sum()):
        first = ids[int(np.argmax(texts == ""))]
        raise DataError(
            f"split.by = {by!r}: {blank} of {len(texts)} rows have no value, such as the row with"
            f" id {first}. Fill them in, or leave these rows out of the table."
        )
    numbers = pd.to_numeric(texts, errors="coerce")
    if np.isfinite(numbers).all():
        return numbers.to_numpy(np.float64)
    dates = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
    wrong = dates.isna()
    if wrong.any():
        place = int(np.argmax(wrong))
        raise DataError(
            f"split.by = {by!r}: the row with id {ids[place]} has {texts[place]!r}, which is no ISO"
            f" date such as 2024-12-31 or 2024-12-31T08:30, in a column that is not all numbers"
            f" ({int(wrong.sum())} of {len(texts)} rows). Write all as dates, or all as numbers."
        )
    return np.asarray((dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds(), np.float64)


def cut_newest(rows: Indices, times: Times, share: float) -> tuple[Indices, Indices]:
    """Return the older rows and the newest ones, each in the order that they came in.

    Rows of the same time are on one side.

    Args:
        rows: positions, shape (n,), of at least two different times.
        times: of all rows.
        share: of the rows, that are the newest.
    """
    order = rows[np.argsort(times[rows], kind="stable")]
    at = _move_to_border(times[order], len(order) - max(1, round(share * len(order))))
    newest = np.isin(rows, order[at:])
    return rows[~newest], rows[newest]


def _move_to_border(times: Times, at: int) -> int:
    """Return the place next to one between two different times.

    Args:
        times: in their order, shape (n,), at least two different ones.
        at: number of the older rows.
    """
    borders = np.flatnonzero(np.diff(times)) + 1
    return int(borders[np.argmin(np.abs(borders - at))])


def make_forward_folds(rows: Indices, times: Times, n: int) -> list[tuple[Indices, Indices]]:
    """Return folds of which each trains on all rows that are older than those it is scored on.

    The older half of the rows trains in all of them; the newer half is cut into n blocks, and each
    is scored once.

    Args:
        rows: positions, shape (m,).
        times: of all rows.
        n: folds.

    Raises:
        DataError: there are too few different times.
    """
    order = rows[np.argsort(times[rows], kind="stable")]
    cuts = np.linspace(len(order) / 2, len(order), n + 1).round().astype(int)
    enough = len(np.unique(times[order])) > n
    borders = [_move_to_border(times[order], int(at)) for at in cuts[:-1]] if enough else []
    if len({*borders}) < n:
        times_there = len(np.unique(times[order]))
        raise DataError(
            f"objective.repeats = {n} folds by time need more than {n} different times, spread over"
            f" the newer half of the rows; there are {times_there} outside the test rows."
            " Use fewer folds, or objective.by=seeds."
        )
    return [
        (order[:begin], order[begin:end])
        for begin, end in zip(borders, [*borders[1:], len(order)], strict=True)
    ]


@dataclass(frozen=True)
class TimeSplitter(CutSplitter):
    """The oldest rows train, newer ones are for validation, and the newest for the test.

    Args:
        times: of each row, shape (n,).
        format_time: shows the time of a row.
        notes: a sentence each.
    """

    times: Times
    format_time: Callable[[int], str] = field(repr=False)
    notes: Sequence[str] = ()

    def cut(
        self, rows: Indices, y: Indices, share: float, random_state: np.random.RandomState
    ) -> tuple[Indices, Indices]:
        """Return the older rows and the newest ones."""
        if len(np.unique(self.times[rows])) < 2:
            raise DataError(
                f"{self.named}: {len(rows)} rows that are to be split have the same time,"
                f" {self.format_time(int(rows[0]))}, so none is older than another. Use another"
                " column, or split=stratified."
            )
        return cut_newest(rows, self.times, share)

    def explain_absence(self, y: Indices, absent: Indices) -> str:
        """Return from when on the first of the classes appears."""
        rows = np.flatnonzero(np.isin(y, absent))
        first = int(rows[np.argmin(self.times[rows])])
        return f"because they appear only from {self.format_time(first)} on"

    def resplit_train_val(
        self, y: Indices, encoder: LabelEncoder, split: Split, random_state: np.random.RandomState
    ) -> Split:
        """Return the same split: there is only one past."""
        return split

    def cut_folds(
        self, rows: Indices, y: Indices, n: int, random_state: np.random.RandomState
    ) -> list[tuple[Indices, Indices]]:
        """Return folds of which each is scored on rows that are newer than those that train."""
        return make_forward_folds(rows, self.times, n)

    def list_notes(self, split: Split) -> list[str]:
        """Return from when to when the rows of each part are."""
        spans = []
        for name in PARTS:
            rows = getattr(split, name)
            oldest, newest = (int(rows[f(self.times[rows])]) for f in (np.argmin, np.argmax))
            spans.append(f"{name} {self.format_time(oldest)} to {self.format_time(newest)}")
        return [f"By time ({self.named}): {', '.join(spans)}.", *self.notes]
