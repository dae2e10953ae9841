"""task=compare: a leaderboard of tracked runs, with the differences to a baseline."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tagifai.config.schema import SCORE_NAMES, Config, name_test_metric
from tagifai.console.display import Display
from tagifai.exceptions import ConfigError, UserError, suggest_closest
from tagifai.reporting import reports as reporting_reports
from tagifai.reporting import text_tables
from tagifai.runs import resolve, short_ids
from tagifai.tracking import leaderboard, query, selection, settings, store
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
    if len(boards) > 1:
        display.show_fact("Data", f"{len(boards)} data sets: one board each")
    for name, board in boards.items():
        _show(config, display, name, board)
        with display.show_spinner("Comparing predictions"):
            said = _compare_best_two(board, task.metric, Path(config.paths.stores))
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
    if task.parent is not None:
        stores = Path(config.paths.stores)
        task.parent = short_ids.complete(stores, task.parent, uri, "task.parent")
    experiment = task.experiment or store.get_experiment_name(config)
    found = query.load_runs(uri, experiment, parent=task.parent, filter=task.filter)
    if not (task.parent or task.tags or task.filter):
        # From here on it is this one, whatever is trained until the report's command is typed.
        task.parent = selection.find_latest_parent(found, task.metric)
    choice = selection.select_runs(
        found, task.metric, parent=task.parent, tags=task.tags, filter=task.filter
    )
    return replace(choice, runs=settings.complete_params(choice.runs, uri))


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


def _compare_best_two(board: Leaderboard, metric: str, stores: Path) -> str | None:
    """Return in words whether the best two rows differ on the test rows of a seed that both have.

    Nothing is said where a model is not on this machine, or the two have other test rows.
    """
    one, other = (board.run_ids.get(str(row), {}) for row in [*board.rows.index, "", ""][:2])
    seeds = sorted(one.keys() & other.keys())
    if not seeds:
        return None
    # Late: what can be compared is known, and no model is loaded for less.
    from tagifai.evaluation import intervals
    from tagifai.models import bundles
    from tagifai.runs.promotion import Contender, compute_difference

    named = name_test_metric(metric).removeprefix("test_")
    score = named if named in intervals.SCORES else "f1"

    for seed in seeds:
        paths = {run_id: bundles.get_path(stores, run_id) for run_id in (one[seed], other[seed])}
        if not all(path.is_dir() for path in paths.values()):
            continue
        try:
            first, second = (Contender.from_bundle(*item, stores) for item in paths.items())
            if (first.test_rows, first.texts) != (second.test_rows, second.texts):
                continue
            said = compute_difference(first, second, score).describe(score, "test rows")
        except UserError as error:
            log.info("The best two cannot be compared: %s", error)
            continue
        # The board may say otherwise: it is of other rows, and of all seeds.
        ranks = "; the board is by validation rows" if metric.startswith("val_") else ""
        return f"{said}, of seed {seed} alone{ranks}"
    return None


def _show(config: Config, display: Display, name: str, board: Leaderboard) -> None:
    task = config.task
    table = text_tables.make_table(board, task.metric)
    columns = [*table.columns]
    rows = [*zip(*table.columns.values(), strict=True)]
    texts = [columns.index(text) for text in table.texts]
    title = text_tables.format_title(name, board, f"{task.metric} ({task.direction})")
    hidden = display.show_table(
        title, columns, rows[: task.limit], texts=texts, optional=table.optional
    )
    if len(rows) > task.limit:
        display.show_line(f"... and {len(rows) - task.limit} more (task.limit = {task.limit})")
    for about, note in table.notes.items():
        if about != text_tables.BOUNDS_NOTE or text_tables.BOUNDS_COLUMN not in hidden:
            display.show_fact(about, note, result=True)
    if hidden:
        display.show_fact("Hidden", f"{', '.join(hidden)}; task.output=FILE has all columns")
