"""task=compare: a leaderboard of tracked runs, with the differences to a baseline."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tagifai.config.schema import SCORE_NAMES, Config, name_test_metric
from tagifai.console.display import Display
from tagifai.exceptions import ConfigError, UserError, suggest_closest
from tagifai.reporting import reports as reporting_reports
from tagifai.reporting import text_tables
from tagifai.runs import resolve
from tagifai.tracking import leaderboard, query, selection, store
from tagifai.utils import files

if TYPE_CHECKING:
    from tagifai.tracking.leaderboard import Leaderboard
    from tagifai.tracking.selection import RunSelection

log = logging.getLogger(__name__)


def run(config: Config) -> float:
    """Show the leaderboards, write them to `task.output` if that is set; return the best mean."""
    task = config.task
    display = Display.from_config(config.console)
    with display.show_spinner("Loading runs"):
        choice, boards = compare(config)
    compared, left_out = _describe_choice(choice, boards)
    shown = f"Compared: {compared}" + (f"; left out: {', '.join(left_out)}" if left_out else "")
    display.show_fact("Compared", compared)
    for number, reason in enumerate(left_out):
        display.show_fact("" if number else "Left out", reason)
    title = f"{task.metric} ({task.direction})"
    if len(boards) > 1:
        display.show_fact("Data", f"{len(boards)} data sets: one board each")
    for name, board in boards.items():
        _show(display, board, f"{name}: {title}" if len(boards) > 1 else title, task.limit)
        with display.show_spinner("Comparing predictions"):
            said = _compare_best_two(board, Path(config.paths.stores))
        if said is not None:
            display.show_fact("Best two", said, result=True)
    report = reporting_reports.write_for_leaderboards(config, boards, shown, display)
    display.show_report(report)
    if task.output is not None:
        display.show_copyable("All rows", Path(task.output))
    return float(next(iter(boards.values())).rows["mean"].iloc[0])


def compare(config: Config) -> tuple[RunSelection, dict[str, Leaderboard]]:
    """Return the runs that count and a leaderboard for each data set; write all rows if asked to.

    Where the task has no metric, it gets that of the objective.
    """
    task = config.task
    files.check_output(task.output, None)
    if task.metric is None:
        task.metric = config.objective.metrics[0]
    if task.direction is None:
        task.direction = config.objective.get_direction(task.metric)
    choice = _choose_runs(config)
    boards = leaderboard.build_by_data(
        choice.runs,
        task.metric,
        maximize=task.direction == "maximize",
        baseline=task.baseline,
        confidence=task.confidence,
        shown=_list_shown_metrics(config, choice),
    )
    if task.output is not None:
        path = Path(task.output)
        about = {"metric": task.metric, "direction": task.direction, "runs": choice.description}
        with files.open_output(path) as file:
            kind = path.suffix.lower()[1:]
            written = text_tables.format_leaderboards(boards, kind, safe=task.csv_safe, **about)
            file.write(written)
    return choice, boards


def _list_shown_metrics(config: Config, choice: RunSelection) -> list[str]:
    """Return the metrics of test rows that are shown beside the one that ranks.

    Raises:
        ConfigError: no run and no version has a metric of such a name.
    """
    recorded = [name.removeprefix("metrics.") for name in map(str, choice.runs)]
    for name in config.metrics:
        known = [*SCORE_NAMES, *(n.removeprefix("val_") for n in recorded if "/" not in n)]
        if name not in known:
            raise ConfigError(
                f"metrics has {name!r}, and no run has such a"
                f" metric.{suggest_closest(name, known)} There are: {', '.join(SCORE_NAMES)}, and"
                " those of your own that the runs were made with."
            )
    ranking = name_test_metric(config.task.metric)
    return list(dict.fromkeys([ranking, *(f"test_{name}" for name in config.metrics)]))


def _choose_runs(config: Config) -> RunSelection:
    """Load the runs and select those that are compared."""
    task = config.task
    if not config.tracking.enabled:
        raise ConfigError("task=compare compares tracked runs, and tracking=none has none.")
    uri = store.get_tracking_uri(config.tracking.uri)
    resolve.finish_interrupted(Path(config.paths.stores), config.tracking.uri)
    experiment = task.experiment or store.get_experiment_name(config)
    found = query.load_runs(uri, experiment, parent=task.parent, filter=task.filter)
    return selection.select_runs(
        found, task.metric, parent=task.parent, tags=task.tags, filter=task.filter
    )


def _describe_choice(
    choice: RunSelection, boards: Mapping[str, Leaderboard]
) -> tuple[str, list[str]]:
    """Return which runs are compared, and how many are left out for each reason."""
    counts = dict(choice.excluded)
    duplicates = sum(board.duplicates for board in boards.values())
    if duplicates:
        counts["duplicates (same configuration and seed; only the latest counts)"] = duplicates
    used = len(choice.runs) - duplicates
    return f"{used} runs, {choice.description}", [f"{n} {reason}" for reason, n in counts.items()]


def _compare_best_two(board: Leaderboard, stores: Path) -> str | None:
    """Return in words whether the best two rows differ on the test rows of a seed that both have.

    Nothing is said where a model is not on this machine, or the two have other test rows.
    """
    one, other = (board.run_ids.get(str(row), {}) for row in [*board.rows.index, "", ""][:2])
    seeds = sorted(one.keys() & other.keys())
    if not seeds:
        return None
    # Late: what can be compared is known, and no model is loaded for less.
    from tagifai.evaluation import paired
    from tagifai.models import bundles
    from tagifai.runs.promotion import Contender

    for seed in seeds:
        paths = {run_id: bundles.get_path(stores, run_id) for run_id in (one[seed], other[seed])}
        if not all(path.is_dir() for path in paths.values()):
            continue
        try:
            first, second = (Contender.from_bundle(*item, stores) for item in paths.items())
        except UserError as error:
            log.info("The best two cannot be compared: %s", error)
            continue
        if (first.test_rows, first.texts) == (second.test_rows, second.texts):
            right = (first.compute_right(), second.compute_right())
            return f"{paired.compute_paired_difference(*right).describe()}, seed {seed}"
    return None


def _show(display: Display, board: Leaderboard, title: str, limit: int) -> None:
    names = {name: list(board.rows[name])[:limit] for name in board.setting_columns}
    figures = {name: cells[:limit] for name, cells in text_tables.format_columns(board).items()}
    optional = ("size", "seconds", "pairs", *reversed(board.shown), text_tables.BOUNDS_COLUMN)
    hidden = display.show_leaderboard(title, names, figures, optional)
    if len(board.rows) > limit:
        display.show_line(f"... and {len(board.rows) - limit} more (task.limit = {limit})")
    if board.baseline is not None:
        pairs = f"to {board.baseline}: {board.interval}, same seed and data"
        display.show_fact("Differences", pairs, result=True)
        unsure = board.rows[(board.rows["low"] <= 0) & (board.rows["high"] >= 0)].index[:limit]
        if len(unsure):
            named = "; ".join(map(str, unsure))
            display.show_fact(
                "", f"no difference shown (0 is in the interval): {named}", result=True
            )
    if text_tables.BOUNDS_COLUMN in {*figures} - {*hidden}:
        display.show_fact("Test rows", "of single runs, bootstrap over rows, 95 %", result=True)
    if hidden:
        display.show_fact("Hidden", f"{', '.join(hidden)}; task.output=FILE has all columns")
