"""Show a training run on the terminal: its configuration, its data and its result."""

from __future__ import annotations

import logging
import os
import shlex
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagifai.config.schema import EXPERIMENT_GROUPS, Config, SGDConfig
from tagifai.console.display import Display
from tagifai.evaluation import summary
from tagifai.reporting.fit_notes import list_fit_notes
from tagifai.reporting.profile_text import format_counts
from tagifai.tracking.provenance import Invocation
from tagifai.utils import program

if TYPE_CHECKING:
    # For types only: the header is shown before scikit-learn is imported.
    from tagifai.data.prepare import PreparedData
    from tagifai.training.fitting import FitResult
    from tagifai.training.open_run import OpenRun

log = logging.getLogger(__name__)


def show_header(display: Display, config: Config, invocation: Invocation) -> None:
    """Show the configuration of a run, and which of its parameters have no effect."""
    options = invocation.options
    groups = {
        group: (options.get(group), _get_visible_settings(getattr(config, group)))
        for group in EXPERIMENT_GROUPS
    }
    groups["training"] = (None, asdict(config.training))
    groups["objective"] = (None, asdict(config.objective))
    groups["seed"] = (str(config.seed), {})
    title = "train" if invocation.rerun_of is None else f"rerun of {invocation.rerun_of}"
    chosen = {item.partition("=")[0].lstrip("+") for item in invocation.overrides}
    display.show_header(f"tagifai {title}", groups, chosen)
    for key, reason in _find_ignored_parameters(config, invocation).items():
        display.show_note(f"model.{key} has no effect {reason}.")


def _get_visible_settings(settings: Any) -> dict[str, Any]:
    if settings is None or isinstance(settings, dict):
        return settings or {}
    hidden = ("_target_", "name", "projects_sha256", "tags_sha256", "sha256")
    return {key: value for key, value in asdict(settings).items() if key not in hidden}


def _find_ignored_parameters(config: Config, invocation: Invocation) -> dict[str, str]:
    """Return the model's parameters that were set but have no effect, with the reason."""
    if not isinstance(config.model, SGDConfig):
        return {}
    given = [item.partition("=")[0] for item in invocation.overrides]
    # Of these parameters, eta0 and C have defaults.
    return {
        key: reason
        for key, reason in config.model.find_ignored().items()
        if f"model.{key}" in given
        or (key not in ("eta0", "C") and getattr(config.model, key) is not None)
    }


def show_data(display: Display, prepared: PreparedData, warnings: list[str]) -> None:
    """Show rows by class and part, and warnings about them."""
    counts = prepared.count_labels()
    sizes = prepared.count_rows()
    rows = f"{sum(counts.values())} rows, {len(counts)} classes"
    parts = ", ".join(f"{name} {number}" for name, number in sizes.items())
    log.info("Data: %s (%s); %s", rows, format_counts(counts), parts)
    display.show_line("")
    display.show_fact("Data", f"{rows} ({format_counts(counts)})")
    display.show_fact("Parts", parts)
    for note in [*prepared.list_notes(), *warnings]:
        display.show_note(note)


def show_result(
    display: Display,
    run: OpenRun,
    result: FitResult,
    objective: dict[str, float],
    report: Path | None,
) -> None:
    """Show the test scores, the objective, and suggested commands.

    Args:
        display: shows it.
        run: that has ended.
        result: the fitted tagger and its scores.
        objective: the objective's metrics, and their values.
        report: the run's report, if it could be written.
    """
    config = run.config
    threshold = result.tagger.threshold
    at = "" if threshold is None else f" at threshold {threshold:.4f}"
    at += _describe_refit(run, result) if config.training.refit else ""
    display.show_scores(
        f"Run {run.tracked.id}: test{at}", result.performance["test"], config.metrics
    )
    for note in list_fit_notes(result):
        display.show_note(note)
    repeats = config.objective.repeats
    chosen = summary.count_choosing_rows(result.performance["val"], repeats)
    over = "" if repeats == 1 else f", mean over {repeats} {config.objective.by}"
    for name, value in objective.items():
        rows = "" if name == "model_bytes" else " (validation rows" + over + ")"
        shown = summary.format_metric(name, value, chosen)
        display.show_fact("Objective", f"{name} = {shown}{rows}", style="green")
    display.show_fact("Time", f"{time.monotonic() - run.invocation.started:.1f} s")
    display.show_copyable("Files", run.output_dir)
    display.show_report(report)
    for name, command in _list_next_commands(config, run.invocation).items():
        display.show_copyable(name, command)


def _describe_refit(run: OpenRun, result: FitResult) -> str:
    """Return that the model was fitted once more, and for how many epochs if it has epochs."""
    from tagifai.training.model_fitting import is_trained_by_epochs  # late: scikit-learn

    by_epochs = is_trained_by_epochs(run.components.model)
    epochs = result.epoch + 1
    passes = f" for {epochs} epoch{'s' if epochs > 1 else ''}" if by_epochs else ""
    return f", refitted to train and validation rows{passes}"


def _list_next_commands(config: Config, invocation: Invocation) -> dict[str, str]:
    """Return suggested commands by name, as they would be typed here."""
    from tagifai.tracking import store

    prefix = "uv run " if "UV" in os.environ else ""
    predict = program.format_call("task=predict", *invocation.paths)
    ways = {"Predict": f'{predict} task.text="..."'}
    uri = store.get_tracking_uri(config.tracking.uri)
    if config.tracking.enabled:
        shown = f"{prefix}mlflow ui --backend-store-uri {shlex.quote(uri)}"
        ways["MLflow"] = uri if uri.startswith("http") else shown
    return ways
