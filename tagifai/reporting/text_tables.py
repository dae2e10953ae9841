"""Format a leaderboard as text, for the terminal or a file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from tagifai.tracking.leaderboard import MISSING, Leaderboard
from tagifai.utils.excerpts import make_visible, secure_cell

BOUNDS_COLUMN = "test rows 95 %"
"""Heading of the intervals of single runs: bootstrap over their test rows."""


def format_columns(board: Leaderboard) -> dict[str, list[str]]:
    """Return the columns of numbers as texts, in the order of the rows, with four decimals."""
    rows = board.rows
    shown = {
        "n": rows["n"].map(str),
        "mean": rows["mean"].map(format_number),
        "std": rows["std"].map(format_number),
    }
    if "test_low" in rows:
        bounds = zip(rows["test_low"], rows["test_high"], strict=True)
        shown[BOUNDS_COLUMN] = pd.Series(
            [_format_interval(*pair, "") for pair in bounds], rows.index
        )
    if board.baseline is not None:
        bounds = zip(rows["low"], rows["high"], strict=True)
        gains = rows["difference"].map(lambda gain: format_number(gain, "+"))
        shown["diff."] = gains.where(rows.index != board.baseline, "baseline")
        percent = board.interval.partition(", ")[2]
        shown[f"{percent} interval"] = pd.Series(
            [_format_interval(*pair) for pair in bounds], rows.index
        )
        shown["pairs"] = rows["pairs"].map(lambda n: MISSING if pd.isna(n) else str(n))
    shown |= {name: rows[name].map(format_number) for name in board.shown}
    shown["seconds"] = rows["seconds"].map(lambda s: MISSING if pd.isna(s) else f"{s:.1f}")
    if "model_bytes" in rows:
        shown["size"] = rows["model_bytes"].map(_format_size)
    return {name: [str(cell) for cell in cells] for name, cells in shown.items()}


def format_number(value: float, sign: str = "") -> str:
    """Return a number with four decimals, or four significant digits if it is small or large."""
    if math.isnan(value):
        return MISSING
    plain = value == 0 or 1e-4 <= abs(value) < 1e4
    return format(value, f"{sign}.4f" if plain else f"{sign}.4g")


def _format_interval(low: float, high: float, sign: str = "+") -> str:
    if math.isnan(low):
        return MISSING
    return f"[{format_number(low, sign)}, {format_number(high, sign)}]"


def _format_size(count: float) -> str:
    return MISSING if math.isnan(count) else f"{count / 1e6:.2f} MB"


def format_leaderboards(
    boards: Mapping[str, Leaderboard], kind: str, *, safe: bool = True, **about: Any
) -> str:
    """Return all rows in a file format.

    Args:
        boards: by the name of their data set, at least one.
        kind: "csv" or "json", with every digit, or "md", with four.
        safe: whether no spreadsheet takes a cell of a CSV for a formula.
        about: further entries, which only JSON has.
    """
    if kind == "md":
        one = len(boards) == 1
        pages = {name: _format_markdown(board) for name, board in boards.items()}
        return "\n".join(page if one else f"## {name}\n\n{page}" for name, page in pages.items())
    if kind == "csv":
        table = join_rows(boards)
        if safe:
            table = table.rename(columns=secure_cell).map(secure_cell)
        return table.to_csv(index=False, lineterminator="\n")
    rows = [
        {"data": data, "row": name, **_make_json_row(row)}
        for data, board in boards.items()
        for name, row in board.rows.iterrows()
    ]
    compared = next((b for b in boards.values() if b.baseline is not None), None)
    interval, baseline = (compared.interval, compared.baseline) if compared else (None, None)
    content = {**about, "baseline": baseline, "interval": interval, "rows": rows}
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def join_rows(boards: Mapping[str, Leaderboard]) -> pd.DataFrame:
    """Return the rows of leaderboards; of several, with the name of the data set first."""
    if len(boards) == 1:
        return next(iter(boards.values())).rows
    named = [board.rows.assign(data=name) for name, board in boards.items()]
    rows = pd.concat(named)
    return rows[["data", *rows.columns.drop("data")]]


def _make_json_row(row: pd.Series[Any]) -> dict[str, Any]:
    whole = {"n", "pairs"}
    return {
        str(key): None if pd.isna(value) else int(value) if key in whole else value
        for key, value in row.items()
        if key != "interval"
    }


def _format_markdown(board: Leaderboard) -> str:
    figures = format_columns(board)
    texts = {name: list(board.rows[name]) for name in board.setting_columns} | figures
    lines = [
        list(texts),
        [":---" if name in board.setting_columns else "---:" for name in texts],
        *zip(*texts.values(), strict=True),
    ]
    table = "".join(f"| {' | '.join(_escape(c) for c in line)} |\n" for line in lines)
    if board.baseline is None:
        return table
    return f"{table}\nDifferences to {_escape(board.baseline)}: {board.interval}.\n"


def _escape(cell: str) -> str:
    return make_visible(cell).replace("|", "\\|")
