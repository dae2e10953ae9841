"""The report of a training run."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tagifai.config.composition import compose_defaults
from tagifai.config.schema import flatten_config
from tagifai.evaluation import confusions, error_analysis, summary
from tagifai.evaluation.error_analysis import Mistake
from tagifai.evaluation.metrics import Performance, Scores
from tagifai.reporting import html_pages, profile_text, render
from tagifai.reporting.fit_notes import list_fit_notes, list_main_lines
from tagifai.reporting.html_pages import HIDDEN_GROUPS, HtmlReport, ReportExample, ReportTable
from tagifai.reporting.test_rows import TestRows
from tagifai.training.fitting import FitResult
from tagifai.training.open_run import OpenRun
from tagifai.utils import excerpts, program

PARTS = ("test", "val")

MAX_CONFUSIONS = 10

EXAMPLE_CHARACTERS = 120

MAX_MISTAKES = 6
"""Most mistakes of each kind whose texts are shown."""

MISTAKE_CHARACTERS = 600
"""Of a text after which the others are left out."""

LEAST_MARK = 0.2
"""Share of the heaviest word's value, from which on a word is marked."""

SCORES: tuple[Literal["precision", "recall", "f1"], ...] = ("precision", "recall", "f1")

ALT_TEXTS = {
    "losses": "Losses by epoch, with the chosen epoch",
    "confusion": "Confusion matrix of the test rows, counts and shares",
    "classes": "Precision, recall and F1 by class, with the interval of F1",
    "precision_recall": "Precision against recall of each class",
    "reliability": "How often predictions are correct, by their probability",
    "threshold": "F1 and coverage by threshold",
    "terms": "Terms with the largest weights for each class",
    "class_balance": "Rows by class and part",
    "text_lengths": "Words in a text",
    "curve": "Scores by the number of train rows",
}
"""Alternative texts of the figures, in the order of the report."""


def build(
    run: OpenRun,
    result: FitResult,
    objective: Mapping[str, float],
    profile: dict[str, Any],
    rows: TestRows,
    figures: Path,
) -> HtmlReport:
    """Return the report of a training run.

    Args:
        run: the open run.
        result: the fitted tagger and its scores.
        objective: its metrics and their values.
        profile: of the data.
        rows: the test rows.
        figures: folder of figures; it may be missing.
    """
    invocation = run.invocation
    defaults, now = compose_defaults(), time.strftime("%Y-%m-%d %H:%M")
    return HtmlReport(
        title=_build_title(run, result, objective),
        subtitle=f"tagifai run {run.tracked.id}, {now}, {run.output_dir}",
        summary=_summarize(run, result, objective, profile["rows"]),
        notes=[*profile_text.list_warnings(profile), *list_fit_notes(result)],
        pictures=render.load_figures(figures, ALT_TEXTS),
        tables=[
            _build_metrics_table(result),
            *_list_confusions(rows),
            *(tabulate_scores(part, result.performance[part], rows) for part in PARTS),
        ],
        examples=_list_mistakes(rows),
        settings=html_pages.list_settings(
            flatten_config(run.config, HIDDEN_GROUPS), flatten_config(defaults, HIDDEN_GROUPS)
        ),
        facts={
            "Data": profile_text.format_facts(profile),
            "Environment": _list_environment(run.provenance),
        },
        command=program.format_repetition(invocation.command),
    )


def _summarize(
    run: OpenRun, result: FitResult, objective: Mapping[str, float], rows: int
) -> list[tuple[str, str]]:
    threshold = result.tagger.threshold
    chosen = summary.count_choosing_rows(result.performance["val"], run.config.objective.repeats)
    return [
        *list_main_lines(run, result, objective),
        *_list_shown_metrics(run, result, objective),
        *((name, summary.format_metric(name, value, chosen)) for name, value in objective.items()),
        ("threshold", "none" if threshold is None else f"{threshold:.4f}"),
        ("epoch", f"{result.epoch} of {run.config.training.epochs}"),
        ("features", f"{result.features:,}"),
        ("rows", f"{rows:,}"),
        ("classes", str(len(result.tagger.encoder.classes))),
        ("seed", str(run.config.seed)),
        ("seconds", f"{time.monotonic() - run.invocation.started:.1f}"),
    ]


def _build_title(run: OpenRun, result: FitResult, objective: Mapping[str, float]) -> str:
    values, rows = result.get_metrics(), result.performance["test"]["overall"]["num_samples"]
    name = summary.find_main_metric(objective, values)
    score = summary.format_metric(name, values[f"test_{name}"], rows)
    return f"{run.name}: {name} {score} on test rows"


def _list_shown_metrics(
    run: OpenRun, result: FitResult, objective: Mapping[str, float]
) -> list[tuple[str, str]]:
    """Return the other chosen metrics of the test rows, with their intervals and baselines."""
    test = result.performance["test"]
    main, found = summary.find_main_metric(objective, result.get_metrics()), []
    others = [name for name in run.config.metrics if name != main]
    columns, cells = summary.build_metrics_table(test, others)
    for name, value, *beside in cells:
        told = [f"{what} {cell}" for what, cell in zip(columns[2:], beside, strict=True)]
        texts = [value, *(text for text in told if not text.endswith(" -"))]
        found.append((f"{name} on test rows", "; ".join(texts)))
    return found


def _build_metrics_table(result: FitResult) -> ReportTable:
    """Return all metrics of the test rows, beside those of the validation rows."""
    test, val = result.performance["test"], result.performance["val"]
    names = list(summary.list_values(test))
    columns, cells = summary.build_metrics_table(test, names)
    validated = summary.build_metrics_table(val, names)[1]
    rows = [[*row, other[1]] for row, other in zip(cells, validated, strict=True)]
    notes = " ".join([*summary.describe_intervals(test), *summary.describe_baseline(test)])
    return ReportTable(
        f"Metrics of the test rows. {notes}",
        [*columns, "validation rows"],
        rows,
        numbers=range(1, len(columns) + 1),
    )


def _list_confusions(rows: TestRows) -> list[ReportTable]:
    """Return a table of the most frequent confusions, or none."""
    texts = rows.prepared.get_part("test")["raw"].tolist()
    lines = []
    for found in confusions.find_confusions(rows.counts, MAX_CONFUSIONS):
        wrong = (rows.y_true == found.label) & (rows.predicted == found.predicted)
        # The surest of them says most.
        example = texts[np.argmax(np.where(wrong, rows.outputs.max(axis=1), -np.inf))]
        names = rows.classes[found.label], rows.classes[found.predicted]
        shown = excerpts.shorten(" ".join(example.split()), EXAMPLE_CHARACTERS)
        lines.append([*names, str(found.rows), f"{found.share:.0%}", shown])
    title = "Most frequent confusions of the test rows"
    columns = ["true class", "predicted as", "rows", "share", "for example"]
    return [ReportTable(title, columns, lines, numbers=[2, 3])] if lines else []


def _list_mistakes(rows: TestRows) -> dict[str, list[ReportExample]]:
    """Return the surest mistakes of the test rows by kind, with the words that led to them."""
    texts = rows.prepared.get_part("test")["raw"].tolist()
    found = error_analysis.find_mistakes(
        rows.tagger, texts, rows.y_true, rows.outputs, MAX_MISTAKES
    )
    examples: dict[str, list[ReportExample]] = {}
    for mistake in found:
        kind = "Under the threshold" if mistake.is_unsure else "Wrong label"
        sure = "" if mistake.probability is None else f" ({mistake.probability:.2f})"
        said = "the model's choice" if mistake.is_unsure else "predicted as"
        heading = f"{mistake.label}, {said} {mistake.favourite}{sure}"
        examples.setdefault(kind, []).append(ReportExample(heading, _mark_words(mistake)))
    return examples


def _mark_words(mistake: Mistake) -> list[tuple[str, float]]:
    """Return the words of a mistake with their weights from -1 to 1; small ones have none."""
    words = mistake.words or [(word, 0.0) for word in re.findall(r"\S+\s*", mistake.text)]
    heaviest = max((abs(value) for _, value in words), default=0.0) or 1.0
    marked, characters = [], 0
    for word, value in words:
        weight = value / heaviest
        shown = excerpts.make_visible(word.strip()) + " " * word[-1:].isspace()
        marked.append((shown, weight if abs(weight) >= LEAST_MARK else 0.0))
        characters += len(word)
        if characters > MISTAKE_CHARACTERS:
            return [*marked, ("…", 0.0)]
    return marked


def tabulate_scores(part: str, performance: Performance, rows: TestRows) -> ReportTable:
    """Return the scores of classes, of the whole and of slices, whatever their names are.

    Args:
        part: "test", which has intervals, or "val".
        performance: of the part.
        rows: the test rows, with the order of classes.
    """
    carried, is_test = performance["overall"]["num_samples"], part == "test"
    known = rows.bounds if is_test else {}
    whole = performance["intervals"]["bounds"]["f1"] if "intervals" in performance else None
    names = [rows.classes[k] for k in rows.order]
    found: list[tuple[str, Scores, tuple[float, float] | None]] = [
        *((name, performance["class"][name], known.get(name)) for name in names),
        ("overall (weighted)", performance["overall"], whole),
        *((_name_slice(*item), item[1], None) for item in performance["slices"].items()),
    ]
    interval = ["95 % interval of F1"] if is_test else []
    columns = ["", "precision", "recall", "F1", *interval, "rows"]
    lines = [
        [
            name,
            *(summary.format_score(scores[score], carried) for score in SCORES),
            *([summary.format_interval(bounds, carried) if bounds else "-"] if is_test else []),
            str(scores["num_samples"]),
        ]
        for name, scores, bounds in found
    ]
    return ReportTable(
        {"test": "Scores on test rows", "val": "Scores on validation rows"}[part],
        columns,
        lines,
        numbers=range(1, len(columns)),
        strong=[len(rows.order)],
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
