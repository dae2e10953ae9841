"""The report of a leaderboard."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tagifai.reporting import render, text_tables
from tagifai.reporting.html_pages import HtmlReport, ReportTable
from tagifai.tracking.leaderboard import Leaderboard

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALT_TEXTS = {
    "means": "The mean of each configuration",
    "differences": "The difference of each configuration to the baseline, with its interval",
}

MAX_DRAWN_ROWS = 40
"""Most rows that are drawn; the table has all."""


def build_figures(
    boards: Mapping[str, Leaderboard], metric: str
) -> dict[str, Callable[[], Figure]]:
    """Return functions that make the figures of leaderboards, by name."""
    return {
        f"{name}{number or ''}": make
        for number, board in enumerate(boards.values())
        for name, make in _build_board_figures(board, metric).items()
    }


def _build_board_figures(board: Leaderboard, metric: str) -> dict[str, Callable[[], Figure]]:
    from tagifai.reporting.plots import leaderboard

    rows = board.rows.head(MAX_DRAWN_ROWS)
    names = _name_rows(board)[:MAX_DRAWN_ROWS]
    found = {
        "means": partial(
            leaderboard.plot_means, names, rows["mean"].tolist(), rows["std"].tolist(), metric
        )
    }
    if board.baseline is None:
        return dict(found)
    others = (rows.index != board.baseline) & rows["difference"].notna()
    compared = rows[others]
    found["differences"] = partial(
        leaderboard.plot_differences,
        [name for name, other in zip(names, others, strict=True) if other],
        compared["difference"].tolist(),
        compared["low"].tolist(),
        compared["high"].tolist(),
        str(board.baseline),
        board.interval,
    )
    return dict(found) if len(compared) else {"means": found["means"]}


def _name_rows(board: Leaderboard) -> list[str]:
    texts = [
        [f"{column}={cell}" for cell in board.rows[column]] for column in board.setting_columns
    ]
    found = [", ".join(row) for row in zip(*texts, strict=True)] if texts else []
    return found or [str(name) for name in board.rows.index]


def build(
    boards: Mapping[str, Leaderboard], title: str, description: str, folder: Path, command: str
) -> HtmlReport:
    """Return the report of leaderboards.

    Args:
        boards: by the name of their data set.
        title: of the report.
        description: which runs are compared.
        folder: of figures.
        command: the command that made the comparison.
    """
    first = next(iter(boards.values()))
    best = first.rows.iloc[0]
    more = [f"{len(boards)} data sets: one board each"] if len(boards) > 1 else []
    more += [
        f"Differences to {board.baseline}: {board.interval}"
        for board in boards.values()
        if board.baseline is not None
    ]
    return HtmlReport(
        title=title,
        subtitle=f"{time.strftime('%Y-%m-%d %H:%M')}. {description}",
        summary=[
            ("best", _name_rows(first)[0]),
            ("mean of the best", text_tables.format_number(float(best["mean"]))),
            ("runs of the best", str(best["n"])),
            ("configurations", str(sum(len(board.rows) for board in boards.values()))),
        ],
        notes=more,
        pictures=render.load_figures(folder, name_figures(boards)),
        tables=[_make_table(name, board) for name, board in boards.items()],
        command=command,
    )


def name_figures(boards: Mapping[str, Leaderboard]) -> dict[str, str]:
    """Return the alternative texts of figures by their names; those of later boards are numbered.

    Args:
        boards: by the name of their data set.
    """
    return {
        f"{name}{number or ''}": f"{text} ({data})"
        for number, data in enumerate(boards)
        for name, text in ALT_TEXTS.items()
    }


def _make_table(data: str, board: Leaderboard) -> ReportTable:
    columns = text_tables.format_columns(board)
    texts = {
        name: [str(cell) for cell in board.rows[name]] for name in board.setting_columns
    } | columns
    return ReportTable(
        f"{data}: all rows, the best first",
        list(texts),
        list(zip(*texts.values(), strict=True)),
        numbers=range(len(board.setting_columns), len(texts)),
        strong=[0],
    )
