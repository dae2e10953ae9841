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
from tagifai.utils.board_cells import USUAL, describe_settings, format_number

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
        for number, (data, board) in enumerate(boards.items())
        for name, make in _build_board_figures(data, board, metric).items()
    }


def _build_board_figures(
    data: str, board: Leaderboard, metric: str
) -> dict[str, Callable[[], Figure]]:
    from tagifai.reporting.plots import leaderboard

    rows = board.rows.head(MAX_DRAWN_ROWS)
    names = _name_rows(board)[:MAX_DRAWN_ROWS]
    found = {
        "means": partial(
            leaderboard.plot_means,
            names,
            rows["mean"].tolist(),
            rows["std"].tolist(),
            metric,
            data,
        )
    }
    others = (rows.index != board.baseline) & rows["difference"].notna()
    compared = rows[others]
    found["differences"] = partial(
        leaderboard.plot_differences,
        [name for name, other in zip(names, others, strict=True) if other],
        compared["difference"].tolist(),
        compared["low"].tolist(),
        compared["high"].tolist(),
        f"{board.rows['run'].to_dict()[board.baseline]} on {data}",
        "; ".join(map(str, compared["interval"].dropna().unique())),
    )
    return dict(found) if len(compared) else {"means": found["means"]}


def _name_rows(board: Leaderboard) -> list[str]:
    """Return for each row its run, as in the table, and what tells it apart."""
    settings = board.rows[[*board.setting_columns]].astype(str).to_dict("records")
    told = describe_settings([{str(k): v for k, v in row.items()} for row in settings])[1]
    names = zip(board.rows["run"], told, strict=True)
    return [f"{run} {text}".removesuffix(f" {USUAL}") for run, text in names]


def build(
    boards: Mapping[str, Leaderboard], metric: str, description: str, folder: Path, command: str
) -> HtmlReport:
    """Return the report of leaderboards.

    Args:
        boards: by the name of their data set.
        metric: with its direction.
        description: which runs are compared.
        folder: of figures.
        command: the command that made the comparison.
    """
    notes = {
        f"About the board of {name}": text_tables.make_table(board, metric.partition(" ")[0]).notes
        for name, board in boards.items()
    }
    return HtmlReport(
        title=f"Comparison by {metric}",
        subtitle=f"{time.strftime('%Y-%m-%d %H:%M')}. {description}",
        summary=[
            *(_summarize(*boards.values()) if len(boards) == 1 else ()),
            ("configurations", str(sum(len(board.rows) for board in boards.values()))),
        ],
        notes=[f"{len(boards)} data sets: one board each"] if len(boards) > 1 else [],
        tables=[
            *([_list_best(boards, metric)] if len(boards) > 1 else ()),
            *(
                _make_table(number, name, board, metric, folder)
                for number, (name, board) in enumerate(boards.items())
            ),
        ],
        facts={about: [*told.items()] for about, told in notes.items() if told},
        command=command,
    )


def _summarize(board: Leaderboard) -> list[tuple[str, str]]:
    """Return the first row of a board."""
    best = board.rows.iloc[0]
    return [
        ("best", _name_rows(board)[0]),
        ("mean of the best", format_number(float(best["mean"]))),
        ("runs of the best", str(best["n"])),
    ]


def _list_best(boards: Mapping[str, Leaderboard], metric: str) -> ReportTable:
    """Return the first row of each board."""
    rows = [
        [
            name,
            format_number(float(board.rows["mean"].iloc[0])),
            str(board.rows["n"].iloc[0]),
            _name_rows(board)[0],
        ]
        for name, board in boards.items()
    ]
    columns = ["data", metric.partition(" ")[0], "runs", "best"]
    return ReportTable("The best of each data set", columns, rows, numbers=[1, 2])


def _name_figures(number: int, data: str) -> dict[str, str]:
    """Return the alternative texts of a board's figures by their names; later ones have numbers."""
    return {f"{name}{number or ''}": f"{text} ({data})" for name, text in ALT_TEXTS.items()}


def _make_table(
    number: int, data: str, board: Leaderboard, metric: str, folder: Path
) -> ReportTable:
    table = text_tables.make_table(board, metric.partition(" ")[0])
    # A page folds its tables at any blank: a difference and its interval stay together.
    whole = {
        name: [cell.replace(" ", "\u00a0", 1) if name == "difference" else cell for cell in cells]
        for name, cells in table.columns.items()
    }
    return ReportTable(
        text_tables.format_title(data, board, metric),
        list(whole),
        list(zip(*whole.values(), strict=True)),
        numbers=[n for n, name in enumerate(table.columns) if name not in table.texts],
        strong=[0],
        pictures=render.load_figures(folder, _name_figures(number, data)),
    )
