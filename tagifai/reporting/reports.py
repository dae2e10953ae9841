"""Write the figures and the report of a run or a leaderboard, and record them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagifai.config.job import get_job
from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.reporting import html_pages, leaderboard_report, render
from tagifai.reporting.render import FigureMakers
from tagifai.tracking import session
from tagifai.tracking.leaderboard import Leaderboard
from tagifai.utils import program
from tagifai.utils.files import replace_atomically
from tagifai.utils.secrets import mask
from tagifai.utils.system.errors import describe_limit

if TYPE_CHECKING:
    from tagifai.training.fitting import FitResult
    from tagifai.training.open_run import OpenRun

REPORT = "report.html"
FIGURES = "figures"

log = logging.getLogger(__name__)


def write_for_run(
    run: OpenRun,
    result: FitResult,
    objective: Mapping[str, float],
    profile: dict[str, Any],
    display: Display,
) -> Path | None:
    """Draw a run's figures and write its report; return the report, or None if it failed.

    Args:
        run: the open run.
        result: the fitted tagger and its scores.
        objective: the objective's metrics, and their values.
        profile: of the data.
        display: shows the progress of drawing.
    """
    # Late: the report of a leaderboard does not need the model's libraries.
    from tagifai.reporting import figures, label_fonts, run_report
    from tagifai.reporting.test_rows import TestRows

    rows = TestRows(run.prepared, result.tagger)
    if run.config.plots.enabled:
        log_figures(
            run.tracked,
            lambda: figures.build_makers(
                result, rows, figures.find_curve(run.config, run.dataset.digest)
            ),
            run.output_dir,
            display,
        )
        for note in label_fonts.describe_missing_fonts(rows.classes):
            display.show_note(note)
    return write(
        run.tracked,
        lambda: run_report.build(run, result, objective, profile, rows, run.output_dir / FIGURES),
        run.output_dir,
    )


def write_for_leaderboards(
    config: Config, boards: Mapping[str, Leaderboard], description: str, display: Display
) -> Path | None:
    """Draw the figures of leaderboards and write their report; return the report, or None.

    Args:
        config: of the comparison.
        boards: by the name of their data set.
        description: which runs are compared.
        display: shows the progress of drawing.
    """
    output, nowhere = get_job().output_dir, session.TrackedRun("comparison")
    metric = f"{config.task.metric} ({config.task.direction})"
    if config.plots.enabled:
        log_figures(
            nowhere, lambda: leaderboard_report.build_figures(boards, metric), output, display
        )
    # The runs are those of this parent even when there is a later one.
    given = [mask(word) for word in get_job().overrides if not word.startswith("task.parent=")]
    chosen = [] if config.task.parent is None else [f"task.parent={config.task.parent}"]
    command = program.format_repetition(program.format_command(*given, *chosen))
    return write(
        nowhere,
        lambda: leaderboard_report.build(boards, metric, description, output / FIGURES, command),
        output,
    )


def log_figures(
    tracked: session.TrackedRun,
    get_makers: Callable[[], FigureMakers],
    output: Path,
    display: Display,
) -> None:
    """Draw figures into the run's folder, and record them with the run.

    Args:
        tracked: the open run.
        get_makers: returns the functions that make the figures.
        output: the run's folder.
        display: shows the progress of drawing.
    """
    try:
        makers = get_makers()
    except Exception as error:
        log.warning("No figures can be drawn: %s", error, exc_info=error)
        return
    drawn: list[Path] = []
    with display.show_step_progress("Figure", len(makers)) as show:
        for number, (name, make) in enumerate(makers.items()):
            drawn += render.save_figures({name: make}, output / FIGURES)
            show(number + 1, name)
    if drawn:
        tracked.log_folder(output / FIGURES)


def write(tracked: session.TrackedRun, make_report: Any, output: Path) -> Path | None:
    """Write a report, and record it with the run; a failure is logged and not raised.

    Args:
        tracked: the open run.
        make_report: returns the report.
        output: the run's folder.

    Returns:
        The file, or None if it could not be written.
    """
    path = output / REPORT
    try:
        html = html_pages.render(make_report())
        with replace_atomically(path) as file:
            file.write(html)
    except Exception as error:
        limit = describe_limit(error)
        reason = limit or error
        log.warning("The report cannot be written: %s", reason, exc_info=None if limit else error)
        return None
    tracked.log_file(path)
    return path
