"""task=compare: a leaderboard of tracked runs, with intervals of what each gains on a baseline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tagifai import leaderboards, lookup, readers, reporting, reports, selection, store, tracking
from tagifai.console import Display
from tagifai.errors import ConfigError
from tagifai.schema import Config

if TYPE_CHECKING:
    from tagifai.leaderboards import Board
    from tagifai.selection import Choice


def run(config: Config) -> float:
    """Show the rows, write all of them if asked to, and return the best mean."""
    task = config.task
    display = Display.of(config.console)
    with display.waiting("Looking runs up"):
        choice = _choice(config)
    board = leaderboards.rank(
        choice.runs,
        task.metric,
        maximize=task.direction == "maximize",
        baseline=task.baseline,
        confidence=task.confidence,
    )
    if task.output is not None:
        path = Path(task.output)
        about = {"metric": task.metric, "direction": task.direction, "runs": choice.where}
        with readers.written(path) as file:
            file.write(reports.to_text(board, path.suffix.lower()[1:], **about))
    compared, left_out = _said(choice, board)
    said = f"Compared: {compared}" + (f"; left out: {', '.join(left_out)}" if left_out else "")
    display.fact("Compared", compared)
    for number, reason in enumerate(left_out):
        display.fact("" if number else "Left out", reason)
    _show(display, board, f"{task.metric} ({task.direction})", task.limit)
    report = reporting.of_board(config, board, said, display)
    display.report(report)
    if task.output is not None:
        display.whole("All rows", Path(task.output))
    return float(board.rows["mean"].iloc[0])


def _choice(config: Config) -> Choice:
    """Look the runs up and choose those that count."""
    task = config.task
    if not config.tracking.enabled:
        raise ConfigError("task=compare is about tracked runs, and tracking=none has none.")
    uri = store.tracking_uri(config.tracking.uri)
    tracking.close_abandoned(Path(config.paths.stores))
    experiment = task.experiment or config.tracking.experiment
    found = lookup.runs(uri, experiment, parent=task.parent, filter=task.filter)
    return selection.choose(
        found, task.metric, parent=task.parent, tags=task.tags, found_by=task.filter
    )


def _said(choice: Choice, board: Board) -> tuple[str, list[str]]:
    """Return which runs are compared, and how many are not, a reason each."""
    counts = dict(choice.left_out)
    if board.repeats:
        counts["the same again (same configuration and seed; the latest counts)"] = board.repeats
    used = len(choice.runs) - board.repeats
    return f"{used} runs, {choice.where}", [f"{n} {reason}" for reason, n in counts.items()]


def _show(display: Display, board: Board, title: str, limit: int) -> None:
    names = {name: list(board.rows[name])[:limit] for name in board.names}
    figures = {name: cells[:limit] for name, cells in reports.columns(board).items()}
    hidden = display.ranking(title, names, figures, optional=("size", "seconds", "pairs"))
    if len(board.rows) > limit:
        display.say(f"... and {len(board.rows) - limit} more (task.limit = {limit})")
    if board.baseline is not None:
        said = f"to {board.baseline}: {board.interval}, same seed and data"
        display.fact("Differences", said, result=True)
    if hidden:
        display.fact("No room for", f"{', '.join(hidden)}; task.output=FILE has all columns")
