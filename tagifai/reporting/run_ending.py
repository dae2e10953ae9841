"""The last lines of a run: how good, what is weak, what to try next, where things are."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from tagifai.console.display import Display
from tagifai.evaluation import summary
from tagifai.evaluation.summary import format_metric
from tagifai.reporting.fit_notes import (
    describe_cost,
    describe_main_score,
    describe_next_step,
    list_fit_notes,
)
from tagifai.reporting.run_summary import show_scores
from tagifai.tracking import store
from tagifai.training.fitting import FitResult
from tagifai.training.model_fitting import is_trained_by_epochs
from tagifai.training.open_run import OpenRun
from tagifai.utils import program
from tagifai.utils.excerpts import format_time, shorten_id


def show_result(
    display: Display, run: OpenRun, result: FitResult, objective: Mapping[str, float]
) -> None:
    """Show how good a run is, what is weak, and what to try next."""
    config, test = run.config, result.performance["test"]
    threshold = result.tagger.threshold
    at = "" if threshold is None else f" at threshold {threshold:.4f}"
    at += _describe_refit(run, result) if config.training.refit else ""
    show_scores(display, f"Run {shorten_id(run.tracked.id)}: test{at}", test, config.metrics)
    score = describe_main_score(result, objective)
    display.show_fact("Score", score + describe_cost(result.threshold_effect), style="green")
    repeats = config.objective.repeats
    chosen = summary.count_choosing_rows(result.performance["val"], repeats)
    over = "" if repeats == 1 else f", mean over {repeats} {config.objective.by}"
    for name, value in objective.items():
        rows = "" if name == "model_bytes" else " (validation rows" + over + ")"
        display.show_fact("Objective", f"{name} = {format_metric(name, value, chosen)}{rows}")
    for number, text in enumerate(summary.describe_weakest(test)):
        display.show_fact("" if number else "Weak", text)
    for note in list_fit_notes(result):
        display.show_note(note)
    step = describe_next_step(run, result)
    if step is not None:
        display.show_copyable("Try", step[0])
        display.show_fact("", step[1])


def show_places(display: Display, run: OpenRun, report: Path | None) -> None:
    """Show where things are: the run's files, its report, its model, its record in MLflow."""
    display.show_fact("Time", format_time(time.monotonic() - run.invocation.started))
    display.show_copyable("Files", run.output_dir)
    display.show_report(report)
    predict = program.format_call("task=predict", *run.invocation.paths)
    display.show_copyable("Predict", f'{predict} task.text="..."')
    for name, text in store.describe_ui(run.config) if run.config.tracking.enabled else ():
        display.show_copyable(name, text)


def _describe_refit(run: OpenRun, result: FitResult) -> str:
    """Return that the model was fitted once more, and for how many epochs if it has epochs."""
    epochs = f" for {result.epoch + 1} epoch{'s' if result.epoch else ''}"
    by_epochs = is_trained_by_epochs(run.components.model)
    return f", refitted to train and validation rows{epochs if by_epochs else ''}"
