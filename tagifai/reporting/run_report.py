"""The report of a training run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from tagifai.config.composition import compose_defaults
from tagifai.config.schema import flatten_config
from tagifai.evaluation import summary
from tagifai.evaluation.metrics import Performance, Scores
from tagifai.reporting import html_pages, profile_text, render
from tagifai.reporting.fit_notes import list_fit_notes
from tagifai.reporting.html_pages import HIDDEN_GROUPS, HtmlReport, ReportTable
from tagifai.training.fitting import FitResult
from tagifai.training.open_run import OpenRun

SCORES: tuple[Literal["precision", "recall", "f1"], ...] = ("precision", "recall", "f1")

ALT_TEXTS = {
    "losses": "Losses by epoch, with the chosen epoch",
    "confusion": "Confusion matrix of the test rows, counts and shares",
    "classes": "Precision, recall and F1 by class",
    "precision_recall": "Precision against recall of each class",
    "reliability": "How often predictions are correct, by their probability",
    "threshold": "F1 and coverage by threshold",
    "terms": "Terms with the largest weights for each class",
    "class_balance": "Rows by class and part",
    "text_lengths": "Words in a text",
}
"""Alternative texts of the figures, in the order of the report."""


def build(
    run: OpenRun,
    result: FitResult,
    objective: Mapping[str, float],
    profile: dict[str, Any],
    figures: Path,
) -> HtmlReport:
    """Return the report of a training run.

    Args:
        run: the open run.
        result: the fitted tagger and its scores.
        objective: its metrics and their values.
        profile: of the data.
        figures: folder of figures; it may be missing.
    """
    invocation = run.invocation
    defaults, now = compose_defaults(), time.strftime("%Y-%m-%d %H:%M")
    return HtmlReport(
        title=_build_title(run, result),
        subtitle=f"tagifai run {run.tracked.id}, {now}, {run.output_dir}",
        summary=_summarize(run, result, objective, profile["rows"]),
        notes=[*profile_text.list_warnings(profile), *list_fit_notes(result)],
        pictures=render.load_figures(figures, ALT_TEXTS),
        tables=[
            _build_metrics_table(result),
            *(_build_scores_table(part, result.performance[part]) for part in ("test", "val")),
        ],
        settings=html_pages.list_settings(
            flatten_config(run.config, HIDDEN_GROUPS), flatten_config(defaults, HIDDEN_GROUPS)
        ),
        facts={
            "Data": profile_text.format_facts(profile),
            "Environment": _list_environment(run.provenance),
        },
        command=invocation.command,
    )


def _summarize(
    run: OpenRun, result: FitResult, objective: Mapping[str, float], rows: int
) -> list[tuple[str, str]]:
    threshold = result.tagger.threshold
    chosen = summary.count_choosing_rows(result.performance["val"], run.config.objective.repeats)
    return [
        *_list_shown_metrics(run, result),
        *((name, summary.format_metric(name, value, chosen)) for name, value in objective.items()),
        ("threshold", "none" if threshold is None else f"{threshold:.4f}"),
        ("epoch", f"{result.epoch} of {run.config.training.epochs}"),
        ("features", f"{result.features:,}"),
        ("rows", f"{rows:,}"),
        ("classes", str(len(result.tagger.encoder.classes))),
        ("seed", str(run.config.seed)),
        ("seconds", f"{time.monotonic() - run.invocation.started:.1f}"),
    ]


def _build_title(run: OpenRun, result: FitResult) -> str:
    test = result.performance["test"]
    values, rows = summary.list_values(test), test["overall"]["num_samples"]
    name = next((name for name in run.config.metrics if name in values), "f1")
    return f"{run.invocation.name}: {name} {summary.format_score(values[name], rows)} on test rows"


def _list_shown_metrics(run: OpenRun, result: FitResult) -> list[tuple[str, str]]:
    """Return the chosen metrics of the test rows, and those of the baseline."""
    _, cells = summary.build_metrics_table(result.performance["test"], run.config.metrics)
    return [
        *((f"{name} on test rows", f"{value} ({bounds})") for name, value, bounds, _ in cells),
        *((f"{name} of the baseline", constant) for name, *_, constant in cells if constant != "-"),
    ]


def _build_metrics_table(result: FitResult) -> ReportTable:
    """Return all metrics of the test rows, beside those of the validation rows."""
    test, val = result.performance["test"], result.performance["val"]
    names = list(summary.list_values(test))
    columns, cells = summary.build_metrics_table(test, names)
    validated = summary.build_metrics_table(val, names)[1]
    rows = [[*row, other[1]] for row, other in zip(cells, validated, strict=True)]
    notes = " ".join(summary.describe_metrics_table(test))
    return ReportTable(
        f"Metrics of the test rows. {notes}",
        [*columns, "validation rows"],
        rows,
        numbers=range(1, len(columns) + 1),
    )


def _build_scores_table(part: str, performance: Performance) -> ReportTable:
    slices = {_name_slice(name, scores): scores for name, scores in performance["slices"].items()}
    carried = performance["overall"]["num_samples"]
    found: dict[str, Scores] = {
        **performance["class"],
        "overall (weighted)": performance["overall"],
        **slices,
    }
    rows = [
        [
            name,
            *(summary.format_score(s[score], carried) for score in SCORES),
            str(s["num_samples"]),
        ]
        for name, s in found.items()
    ]
    columns = ["", "precision", "recall", "F1", "samples"]
    named = {"test": "Scores on test rows", "val": "Scores on validation rows"}[part]
    return ReportTable(
        named, columns, rows, numbers=range(1, 5), strong=[len(performance["class"])]
    )


def _name_slice(name: str, scores: Scores) -> str:
    few = summary.describe_small_slice(scores)
    return f"slice {name} ({few})" if few else f"slice {name}"


def _list_environment(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    git = ", ".join(f"{key} {value}" for key, value in provenance["git"].items())
    return [
        ("platform", str(provenance["platform"])),
        *((name, str(found)) for name, found in provenance["versions"].items()),
        *([("git", git)] if git else []),
    ]
