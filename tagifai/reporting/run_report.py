"""The report of a training run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from tagifai.config.composition import compose_defaults
from tagifai.config.schema import flatten_config
from tagifai.evaluation.metrics import Performance, Scores
from tagifai.reporting import html_pages, profile_text, render
from tagifai.reporting.html_pages import HtmlReport, ReportTable
from tagifai.training.fitting import FitResult
from tagifai.training.open_run import OpenRun

HIDDEN_GROUPS = ("paths", "sweep", "task", "console", "plots")
"""Groups that have no influence on the model."""

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
    invocation, overall = run.invocation, result.performance["test"]["overall"]
    defaults, now = compose_defaults(), time.strftime("%Y-%m-%d %H:%M")
    return HtmlReport(
        title=f"{invocation.name}: F1 {overall['f1']:.4f} on test rows",
        subtitle=f"tagifai run {run.tracked.id}, {now}, {run.output_dir}",
        summary=_summarize(run, result, objective, profile["rows"]),
        notes=profile_text.list_warnings(profile),
        pictures=render.load_figures(figures, ALT_TEXTS),
        tables=[_build_scores_table(part, result.performance[part]) for part in ("test", "val")],
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
    overall = result.performance["test"]["overall"]
    threshold = result.tagger.threshold
    return [
        ("F1 on test rows", f"{overall['f1']:.4f}"),
        ("precision", f"{overall['precision']:.4f}"),
        ("recall", f"{overall['recall']:.4f}"),
        *((name, f"{value:.6g}") for name, value in objective.items()),
        ("threshold", "none" if threshold is None else f"{threshold:.4f}"),
        ("epoch", f"{result.epoch} of {run.config.training.epochs}"),
        ("features", f"{result.features:,}"),
        ("rows", f"{rows:,}"),
        ("classes", str(len(result.tagger.encoder.classes))),
        ("seed", str(run.config.seed)),
        ("seconds", f"{time.monotonic() - run.invocation.started:.1f}"),
    ]


def _build_scores_table(part: str, performance: Performance) -> ReportTable:
    slices = {f"slice {name}": scores for name, scores in performance["slices"].items()}
    found: dict[str, Scores] = {
        **performance["class"],
        "overall (weighted)": performance["overall"],
        **slices,
    }
    rows = [
        [name, *(f"{s[score]:.4f}" for score in SCORES), str(s["num_samples"])]
        for name, s in found.items()
    ]
    columns = ["", "precision", "recall", "F1", "samples"]
    named = {"test": "Scores on test rows", "val": "Scores on validation rows"}[part]
    return ReportTable(
        named, columns, rows, numbers=range(1, 5), strong=[len(performance["class"])]
    )


def _list_environment(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    git = ", ".join(f"{key} {value}" for key, value in provenance["git"].items())
    return [
        ("platform", str(provenance["platform"])),
        *((name, str(found)) for name, found in provenance["versions"].items()),
        *([("git", git)] if git else []),
    ]
