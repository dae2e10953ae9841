"""task=compare: a leaderboard of tracked runs, with the differences to a baseline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.exceptions import ConfigError
from tagifai.reporting import reports as reporting_reports
from tagifai.reporting import text_tables
from tagifai.tracking import leaderboard, query, selection, session, store
from tagifai.utils import files

if TYPE_CHECKING:
    from tagifai.tracking.leaderboard import Leaderboard
    from tagifai.tracking.selection import RunSelection


def run(config: Config) -> float:
    """Show the leaderboard, write it to `task.output` if that is set, and return the best mean."""
    task = config.task
    display = Display.from_config(config.console)
    with display.show_spinner("Loading runs"):
        choice, board = compare(config)
    compared, left_out = _describe_choice(choice, board)
    shown = f"Compared: {compared}" + (f"; left out: {', '.join(left_out)}" if left_out else "")
    display.show_fact("Compared", compared)
    for number, reason in enumerate(left_out):
        display.show_fact("" if number else "Left out", reason)
    _show(display, board, f"{task.metric} ({task.direction})", task.limit)
    report = reporting_reports.write_for_leaderboard(config, board, shown, display)
    display.show_report(report)
    if task.output is not None:
        display.show_copyable("All rows", Path(task.output))
    return float(board.rows["mean"].iloc[0])


def compare(config: Config) -> tuple[RunSelection, Leaderboard]:
    """Return the runs that count and their leaderboard; write all rows if asked to."""
    task = config.task
    files.check_output(task.output, None)
    choice = _choose_runs(config)
    board = leaderboard.build(
        choice.runs,
        task.metric,
        maximize=task.direction == "maximize",
        baseline=task.baseline,
        confidence=task.confidence,
    )
    if task.output is not None:
        path = Path(task.output)
        about = {"metric": task.metric, "direction": task.direction, "runs": choice.description}
        with files.open_output(path) as file:
            file.write(text_tables.format_leaderboard(board, path.suffix.lower()[1:], **about))
    return choice, board


def _choose_runs(config: Config) -> RunSelection:
    """Load the runs and select those that are compared."""
    task = config.task
    if not config.tracking.enabled:
        raise ConfigError("task=compare compares tracked runs, and tracking=none has none.")
    uri = store.get_tracking_uri(config.tracking.uri)
    session.close_abandoned_runs(Path(config.paths.stores))
    experiment = task.experiment or config.tracking.experiment
    found = query.load_runs(uri, experiment, parent=task.parent, filter=task.filter)
    return selection.select_runs(
        found, task.metric, parent=task.parent, tags=task.tags, filter=task.filter
    )


def _describe_choice(choice: RunSelection, board: Leaderboard) -> tuple[str, list[str]]:
    """Return which runs are compared, and how many are left out for each reason."""
    counts = dict(choice.excluded)
    if board.duplicates:
        counts["duplicates (same configuration and seed; only the latest counts)"] = (
            board.duplicates
        )
    used = len(choice.runs) - board.duplicates
    return f"{used} runs, {choice.description}", [f"{n} {reason}" for reason, n in counts.items()]


def _show(display: Display, board: Leaderboard, title: str, limit: int) -> None:
    names = {name: list(board.rows[name])[:limit] for name in board.setting_columns}
    figures = {name: cells[:limit] for name, cells in text_tables.format_columns(board).items()}
    hidden = display.show_leaderboard(title, names, figures, optional=("size", "seconds", "pairs"))
    if len(board.rows) > limit:
        display.show_line(f"... and {len(board.rows) - limit} more (task.limit = {limit})")
    if board.baseline is not None:
        pairs = f"to {board.baseline}: {board.interval}, same seed and data"
        display.show_fact("Differences", pairs, result=True)
    if hidden:
        display.show_fact("Hidden", f"{', '.join(hidden)}; task.output=FILE has all columns")
