"""Comparisons: the report of a leaderboard."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tagifai import drawing, reports
from tagifai.leaderboards import Board
from tagifai.pages import Page, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALT = {
    "means": "The mean of each configuration",
    "differences": "What each configuration gains on the baseline, with its interval",
}

ROWS = 40
"""That are drawn; the table has all."""


def figures(board: Board, metric: str) -> dict[str, Callable[[], Figure]]:
    """Return what makes the figures of a leaderboard."""
    from tagifai.plots import comparisons

    rows = board.rows.head(ROWS)
    names = _names(board)[:ROWS]
    found = {
        "means": partial(
            comparisons.means, names, rows["mean"].tolist(), rows["std"].tolist(), metric
        )
    }
    if board.baseline is None:
        return dict(found)
    others = (rows.index != board.baseline) & rows["difference"].notna()
    compared = rows[others]
    found["differences"] = partial(
        comparisons.differences,
        [name for name, other in zip(names, others, strict=True) if other],
        compared["difference"].tolist(),
        compared["low"].tolist(),
        compared["high"].tolist(),
        str(board.baseline),
        board.interval,
    )
    return dict(found) if len(compared) else {"means": found["means"]}


def _names(board: Board) -> list[str]:
    texts = [[f"{column}={cell}" for cell in board.rows[column]] for column in board.names]
    found = [", ".join(row) for row in zip(*texts, strict=True)] if texts else []
    return found or [str(name) for name in board.rows.index]


def page(board: Board, title: str, said: str, folder: Path, command: str) -> Page:
    """Return the report of a leaderboard.

    Args:
        board: the rows.
        title: of the report.
        said: which runs are compared.
        folder: of figures.
        command: that compares them.
    """
    columns = reports.columns(board)
    texts = {name: [str(cell) for cell in board.rows[name]] for name in board.names} | columns
    best = board.rows.iloc[0]
    table = Table(
        "All rows, the best first",
        list(texts),
        list(zip(*texts.values(), strict=True)),
        numbers=range(len(board.names), len(texts)),
        strong=[0],
    )
    notes = [] if board.baseline is None else [f"Differences to {board.baseline}: {board.interval}"]
    return Page(
        title=title,
        subtitle=f"{time.strftime('%Y-%m-%d %H:%M')}. {said}",
        summary=[
            ("best", _names(board)[0]),
            ("its mean", reports.brief(float(best["mean"]))),
            ("its runs", str(best["n"])),
            ("configurations", str(len(board.rows))),
        ],
        notes=notes,
        pictures=drawing.pictures(folder, ALT),
        tables=[table],
        command=command,
    )
