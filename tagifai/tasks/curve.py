"""task=curve: train on growing shares of the train rows, and say whether more labels would help."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from numpy.random import RandomState

from tagifai.config.job import get_job
from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.preprocessing.cache import open_feature_cache
from tagifai.reporting import figures, render, reports, run_summary
from tagifai.reporting.html_pages import HtmlReport, ReportTable
from tagifai.runs import learning_curve, preparation
from tagifai.runs.learning_curve import LearningCurve
from tagifai.tracking import session
from tagifai.training.components import build_components
from tagifai.utils import program
from tagifai.utils.files import write_json


def run(config: Config) -> float:
    """Show, write and draw the learning curve, and return the score with all shares."""
    display = Display.from_config(config.console)
    output = get_job().output_dir
    learning_curve.check_supported(config)
    random_state = RandomState(config.seed)
    # In the order of a training, so that the first repeat with all rows is that training.
    components = build_components(config, random_state)
    preparation.check_settings(config, components)
    dataset = preparation.load_dataset(config, display)
    cache = open_feature_cache(config.paths.stores, config.cache.max_gb)
    prepared = preparation.prepare_rows(config, dataset, components, random_state, cache, display)
    run_summary.show_data(display, prepared, dataset.notes)
    total = config.task.repeats * len(config.task.shares)
    with display.show_step_progress("Training", total) as show:
        curve = learning_curve.compute_curve(config, prepared, random_state, cache, show)
    document = {**curve.to_document(), **figures.identify_curve(config, dataset.digest)}
    write_json(output / "curve.json", document)
    display.show_table("Learning curve", [*_COLUMNS, curve.metric], _make_rows(curve))
    display.show_result(curve.describe())
    display.show_copyable("Scores", output / "curve.json")
    display.show_report(_write_report(config, curve, output, display))
    return curve.means[-1]


_COLUMNS = ("share", "train rows")


def _make_rows(curve: LearningCurve) -> list[list[str]]:
    columns = zip(curve.shares, curve.rows, curve.means, curve.deviations, strict=True)
    return [[f"{100 * s:g} %", str(n), f"{m:.4f} ± {d:.4f}"] for s, n, m, d in columns]


def _write_report(
    config: Config, curve: LearningCurve, output: Path, display: Display
) -> Path | None:
    nowhere = session.TrackedRun("curve")
    if config.plots.enabled:
        from tagifai.reporting.plots import curve as plots  # late: matplotlib takes a while

        values = (curve.rows, curve.means, curve.deviations, curve.metric, curve.describe())
        draw = partial(plots.plot_curve, *values)
        reports.log_figures(nowhere, lambda: {"curve": draw}, output, display)
    columns = [*_COLUMNS, curve.metric]
    return reports.write(
        nowhere,
        lambda: HtmlReport(
            title="Learning curve",
            subtitle=f"{time.strftime('%Y-%m-%d %H:%M')}. {curve.describe()}",
            summary=[(curve.metric, f"{curve.means[-1]:.4f}"), ("repeats", str(len(curve.scores)))],
            notes=[],
            pictures=render.load_figures(
                output / reports.FIGURES, {"curve": "The score by the number of train rows"}
            ),
            tables=[ReportTable("Scores", columns, _make_rows(curve), numbers=range(len(columns)))],
            command=program.format_repetition(program.get_command()),
        ),
        output,
    )
