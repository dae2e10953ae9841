"""Show a run: its configuration, its data and its scores."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tagifai.config.schema import EXPERIMENT_GROUPS, Config, SGDConfig
from tagifai.console.display import Display
from tagifai.evaluation import summary
from tagifai.reporting.profile_text import format_counts
from tagifai.tracking.provenance import Invocation

if TYPE_CHECKING:
    # For types only: the header is shown before scikit-learn is imported.
    from tagifai.data.prepare import PreparedData
    from tagifai.evaluation.metrics import Performance

log = logging.getLogger(__name__)


def show_header(display: Display, config: Config, invocation: Invocation) -> None:
    """Show the configuration of a run, and which of its parameters have no effect."""
    groups = {
        group: (invocation.options.get(group), _get_visible_settings(getattr(config, group)))
        for group in EXPERIMENT_GROUPS
    }
    groups |= {name: (None, asdict(getattr(config, name))) for name in ("training", "objective")}
    groups["seed"] = (str(config.seed), {})
    title = "train" if invocation.rerun_of is None else f"rerun of {invocation.rerun_of}"
    chosen = {item.partition("=")[0].lstrip("+") for item in invocation.overrides}
    display.show_header(f"tagifai {title}", groups, chosen)
    model = config.model
    for key, reason in model.find_ignored().items() if isinstance(model, SGDConfig) else ():
        has_default = key in ("eta0", "C")
        if f"model.{key}" in chosen or (not has_default and getattr(model, key) is not None):
            display.show_note(f"model.{key} has no effect {reason}.")


def _get_visible_settings(settings: Any) -> dict[str, Any]:
    if settings is None or isinstance(settings, dict):
        return settings or {}
    hidden = ("_target_", "name", "projects_sha256", "tags_sha256", "sha256")
    return {key: value for key, value in asdict(settings).items() if key not in hidden}


def show_data(display: Display, prepared: PreparedData, warnings: list[str]) -> None:
    """Show rows by class and part, and warnings about them."""
    counts = prepared.count_labels()
    rows = f"{sum(counts.values()):,} rows, {len(counts):,} classes"
    parts = ", ".join(f"{name} {number:,}" for name, number in prepared.count_rows().items())
    log.info("Data: %s (%s); %s", rows, format_counts(counts), parts)
    display.show_line("")
    display.show_fact("Data", f"{rows} ({format_counts(counts)})")
    display.show_fact("Parts", parts)
    for note in [*prepared.list_notes(), *warnings]:
        display.show_note(note)


def show_scores(
    display: Display, title: str, performance: Performance, metrics: Sequence[str]
) -> None:
    """Show scores by class and slice as a table, and those metrics that there are as another."""
    display.show_table(title, *summary.build_scores_table(performance), texts={0})
    for note in summary.describe_scores_table(performance):
        display.show_result(note)
    columns, cells = summary.build_metrics_table(performance, metrics)
    if cells:
        display.show_table("Metrics of all rows", columns, cells, texts={0})
        for note in summary.describe_intervals(performance):
            display.show_result(note)
