"""Format a leaderboard as text, for the terminal or a file."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tagifai.tracking.differences import SAME
from tagifai.tracking.leaderboard import Leaderboard
from tagifai.utils.board_cells import MISSING, describe_settings, format_number
from tagifai.utils.excerpts import format_size, make_visible, secure_cell
from tagifai.utils.files import format_json

BOUNDS_COLUMN = "test rows 95 %"
"""Heading of the intervals of single runs: bootstrap over their test rows."""

BOUNDS_NOTE = "Test rows"
"""The word before what those intervals are."""

UNCLEAR, EQUAL = "unclear", "same"
"""How a difference is called that may be none, and one that is none at all."""

REFERENCE = {True: "first", False: "baseline"}
"""What the row is called that the others are compared with, by whether it is the best."""


@dataclass(frozen=True)
class BoardTable:
    """A leaderboard as it is read.

    Args:
        columns: texts by heading, one for each row.
        texts: headings of columns of words; the others have numbers.
        optional: headings of columns that may be left out, the least important first.
        notes: what is to be known of the columns, by a word before it.
    """

    columns: Mapping[str, list[str]]
    texts: tuple[str, ...]
    optional: tuple[str, ...]
    notes: Mapping[str, str]


def make_table(board: Leaderboard, metric: str) -> BoardTable:
    """Return a leaderboard as texts, in the order of its rows.

    Args:
        board: the leaderboard.
        metric: its name, which is the heading of the means.
    """
    rows = board.rows
    settings = rows[[*board.setting_columns]].astype(str).to_dict("records")
    heading, told, common = describe_settings([{str(k): v for k, v in s.items()} for s in settings])
    shown = {metric: [*map(format_number, rows["mean"])]}
    if len(rows) > 1:
        shown["difference"] = _format_differences(board)
    if (rows["n"] > 1).any():
        shown |= {"std": [*map(format_number, rows["std"])], "n": [*map(str, rows["n"])]}
    shown["run"] = [*rows["run"]]
    if board.setting_columns:
        shown[heading] = told
    shown |= {name: [*map(format_number, rows[name])] for name in board.shown}
    if "test_low" in rows:
        bounds = zip(rows["test_low"], rows["test_high"], strict=True)
        shown[BOUNDS_COLUMN] = [_format_bounds(*pair) for pair in bounds]
    shown["seconds"] = [*map(format_number, rows["seconds"])]
    if "model_bytes" in rows:
        sizes = rows["model_bytes"]
        shown["size"] = [MISSING if math.isnan(size) else format_size(size) for size in sizes]
    shown = {k: cells for k, cells in shown.items() if k == metric or {*cells} != {MISSING}}
    texts = tuple(name for name in ("run", "difference", heading) if name in shown)
    optional = ("size", "seconds", BOUNDS_COLUMN, *reversed(board.shown), "n", "std")
    return BoardTable(shown, texts, optional, _describe(board, common, shown))


def _format_differences(board: Leaderboard) -> list[str]:
    """Return what each row has more than the one it is compared with: how much, and how sure."""
    found = []
    records: list[dict[Any, Any]] = board.rows.to_dict("records")
    for name, row in zip(board.rows.index, records, strict=True):
        gain = format_number(row["difference"], "+")
        if name == board.baseline:
            found.append(REFERENCE[board.is_best])
        elif pd.isna(row["low"]):
            found.append(gain if gain == MISSING else f"{gain} no interval")
        elif row["difference"] == row["low"] == row["high"] == 0:
            found.append(EQUAL)
        else:
            low, high = row["low"], row["high"]
            words = UNCLEAR if row["shown"] == SAME else str(row["shown"])
            # What is not possible is cut off, perhaps on one side.
            even = math.isclose(high - row["difference"], row["difference"] - low, rel_tol=1e-6)
            how = f"±{format_number((high - low) / 2)}" if even else _format_bounds(low, high)
            found.append(f"{gain} {how} {words}")
    return found


def _describe(
    board: Leaderboard, common: str, shown: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Return the notes of a table: the common settings, what is compared, and what is missing."""
    differences = shown.get("difference", ())
    rows, notes = board.rows, {}
    if common:
        notes["Most common"] = common
    kinds = [str(kind) for kind in rows["interval"].dropna().unique()]
    if len(rows) > 1:
        run = str(rows.loc[board.baseline, "run"])
        notes["Differences"] = f"to {REFERENCE[board.is_best]} ({run})" + (
            f": {'; '.join(kinds)}" if kinds else ""
        )
    if any(cell.endswith(UNCLEAR) for cell in differences):
        notes["Unclear"] = f"{SAME}, 0 is in the interval or too few rows differ"
    if EQUAL in differences:
        notes["Same"] = "no difference in any of what is compared"
    reasons = Counter(rows["reason"].dropna())
    if reasons:
        said = "; ".join(f"{count} {_name_rows(count)}: {why}" for why, count in reasons.items())
        notes["No interval"] = said
    if BOUNDS_COLUMN in shown:
        notes[BOUNDS_NOTE] = "of single runs, bootstrap over rows, 95 %"
    return notes


def _name_rows(count: int) -> str:
    return "row" if count == 1 else "rows"


def _format_bounds(low: float, high: float) -> str:
    return MISSING if math.isnan(low) else f"[{format_number(low)}, {format_number(high)}]"


def format_title(name: str, board: Leaderboard, metric: str) -> str:
    """Return the title of a leaderboard: its data, their rows, and what it is ranked by.

    Args:
        name: of the data set.
        board: the leaderboard.
        metric: with its direction.
    """
    size = "" if board.data_rows is None else f", {board.data_rows:,} {_name_rows(board.data_rows)}"
    return f"{name}{size}: by {metric}"


def format_leaderboards(
    boards: Mapping[str, Leaderboard], kind: str, *, safe: bool = True, **about: Any
) -> str:
    """Return all rows in a file format.

    Args:
        boards: by the name of their data set, at least one.
        kind: "csv" or "json", with every digit, or "md", with four.
        safe: whether no spreadsheet takes a cell of a CSV for a formula.
        about: further entries, which only JSON has, with the metric.
    """
    if kind == "md":
        metric = str(about["metric"])
        by = f"{metric} ({about['direction']})"
        pages = [
            f"## {_escape(format_title(name, board, by))}\n\n{_format_markdown(board, metric)}"
            for name, board in boards.items()
        ]
        return "\n".join(pages)
    if kind == "csv":
        table = join_rows(boards)
        if safe:
            table = table.rename(columns=secure_cell).map(secure_cell)
        return table.to_csv(index=False, lineterminator="\n")
    rows = [
        {"data": data, "row": name, **_make_json_row(row)}
        for data, board in boards.items()
        # JSON has no numbers that are infinite.
        for name, row in board.rows.replace([math.inf, -math.inf], math.nan).iterrows()
    ]
    return format_json({**about, "rows": rows})


def join_rows(boards: Mapping[str, Leaderboard]) -> pd.DataFrame:
    """Return the rows of leaderboards, with the name of the data set first."""
    rows = pd.concat([board.rows.assign(data=name) for name, board in boards.items()])
    return rows[["data", *rows.columns.drop("data")]]


def _make_json_row(row: pd.Series[Any]) -> dict[str, Any]:
    whole = {"n", "pairs"}
    return {
        str(key): None if pd.isna(value) else int(value) if key in whole else value
        for key, value in row.items()
    }


def _format_markdown(board: Leaderboard, metric: str) -> str:
    table = make_table(board, metric)
    lines = [
        list(table.columns),
        [":---" if name in table.texts else "---:" for name in table.columns],
        *zip(*table.columns.values(), strict=True),
    ]
    text = "".join(f"| {' | '.join(_escape(c) for c in line)} |\n" for line in lines)
    notes = "".join(f"- {name}: {_escape(note)}.\n" for name, note in table.notes.items())
    return f"{text}\n{notes}" if notes else text


def _escape(cell: str) -> str:
    return make_visible(cell).replace("|", "\\|")
