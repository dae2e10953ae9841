"""What of the scores people are shown: digits, and classes where there are too many for all."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tagifai.evaluation.metrics import Performance, Scores

MAX_SHOWN_CLASSES = 20
"""Most classes of a table on the terminal, or of a figure."""

MIN_TELLING_ROWS = 10
"""Rows of a slice, below which its scores say nothing."""

FEWEST_DIGITS, MOST_DIGITS = 2, 4

_SCORES: tuple[Literal["precision", "recall", "f1"], ...] = ("precision", "recall", "f1")


def count_digits(rows: int) -> int:
    """Return how many decimals of a score a number of rows carries.

    One row of 100 is 0.01, one of 10,000 is 0.0001.
    """
    carried = round(math.log10(max(rows, 1)))
    return min(max(carried, FEWEST_DIGITS), MOST_DIGITS)


def format_score(value: float, rows: int) -> str:
    """Return a score with the decimals that its rows carry."""
    return f"{value:.{count_digits(rows)}f}"


def format_metric(name: str, value: float, rows: int) -> str:
    """Return a metric: a loss with four decimals, bytes without any, a score as its rows carry.

    Args:
        name: such as "val_f1" or "model_bytes".
        value: of the metric.
        rows: that it was computed on.
    """
    if name == "model_bytes":
        return f"{value:.0f}"
    return f"{value:.4f}" if name.endswith("loss") else format_score(value, rows)


def count_choosing_rows(performance: Performance, repeats: int) -> int:
    """Return the rows that an objective was computed on, those of each repeat.

    Args:
        performance: of the validation rows.
        repeats: trainings whose mean it is.
    """
    return performance["overall"]["num_samples"] * repeats


def format_interval(bounds: tuple[float, float], rows: int) -> str:
    """Return an interval with the decimals that its rows carry."""
    return " to ".join(format_score(bound, rows) for bound in bounds)


def find_extreme_classes(
    scores: Mapping[str, Scores], limit: int = MAX_SHOWN_CLASSES
) -> dict[str, Scores]:
    """Return the classes to show: all, or those with the lowest and the highest F1.

    Args:
        scores: by class.
        limit: most classes.

    Returns:
        In their own order if these are all; else half of them the lowest, from the lowest on, then
        the highest. Classes without rows are left out first.
    """
    if len(scores) <= limit:
        return dict(scores)
    # Of equal ones, those with more rows say more.
    by_rows = sorted(
        (item for item in scores.items() if item[1]["num_samples"]),
        key=lambda item: -item[1]["num_samples"],
    )
    lowest = sorted(by_rows, key=lambda item: item[1]["f1"])
    if len(lowest) <= limit:
        return dict(lowest)
    lowest = lowest[: limit - limit // 2]
    others = [item for item in by_rows if item[0] not in dict(lowest)]
    highest = sorted(others, key=lambda item: -item[1]["f1"])[: limit // 2]
    return dict([*lowest, *reversed(highest)])


def describe_extreme_classes(scores: Mapping[str, Scores], limit: int = MAX_SHOWN_CLASSES) -> str:
    """Return which classes `find_extreme_classes` finds, as a phrase; empty if these are all.

    Args:
        scores: by class.
        limit: most classes.
    """
    shown = len(find_extreme_classes(scores, limit))
    if shown == len(scores):
        return ""
    return f"the {shown} classes of {len(scores)} that have the lowest and the highest F1"


def list_values(performance: Performance) -> dict[str, float]:
    """Return the scores of all rows by the name of the metric."""
    overall = performance["overall"]
    weighted = {"f1": overall["f1"], "precision": overall["precision"], "recall": overall["recall"]}
    return {**weighted, **performance.get("metrics", {})}


def build_metrics_table(
    performance: Performance, chosen: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of a table of metrics, with intervals and baseline if there are any.

    Args:
        performance: of a part.
        chosen: names of metrics; one that the run does not have is left out.
    """
    values, rows = list_values(performance), performance["overall"]["num_samples"]
    bounds = performance["intervals"]["bounds"] if "intervals" in performance else {}
    constant = performance["baseline"]["metrics"] if "baseline" in performance else {}
    columns = ["", "value"]
    columns += ["95 % interval"] if bounds else []
    columns += ["baseline"] if constant else []
    cells = []
    for name in chosen:
        if name in values:
            row = [name, format_metric(name, values[name], rows)]
            if bounds:
                row.append(format_interval(bounds[name], rows) if name in bounds else "-")
            if constant:
                row.append(format_score(constant[name], rows) if name in constant else "-")
            cells.append(row)
    return columns, cells


def describe_intervals(performance: Performance) -> list[str]:
    """Return how the intervals of `build_metrics_table` were found, if there are any."""
    if "intervals" not in performance:
        return []
    return [f"Interval: {performance['intervals']['method']}."]


def describe_baseline(performance: Performance) -> list[str]:
    """Return what the baseline of `build_metrics_table` is, if there is one."""
    if "baseline" not in performance:
        return []
    label = performance["baseline"]["label"]
    return [f"Baseline: always {label}, the most frequent class of the train rows."]


def build_scores_table(performance: Performance) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of a table of classes, the whole and the slices that tell something.

    Empty texts are a line between them.
    """
    overall, scored = performance["overall"], find_extreme_classes(performance["class"])
    slices = {
        f"slice {name}": found
        for name, found in performance["slices"].items()
        if not describe_small_slice(found)
    }
    parts = [scored, {"overall (weighted)": overall}, slices]
    cells: list[list[str]] = []
    for part in filter(None, parts):
        cells += [[""] * 5] if cells else []
        cells += [
            [
                name,
                *(format_score(found[key], overall["num_samples"]) for key in _SCORES),
                f"{found['num_samples']:,}",
            ]
            for name, found in part.items()
        ]
    return ["", *_SCORES, "rows"], cells


def describe_scores_table(performance: Performance) -> list[str]:
    """Return what has to be said of a table of classes and slices, a sentence each."""
    shown = describe_extreme_classes(performance["class"])
    notes = [f"Classes: {shown}; performance.json has all."] if shown else []
    small = [
        f"{name} ({found['num_samples']:,})"
        for name, found in performance["slices"].items()
        if describe_small_slice(found)
    ]
    if small:
        count = f"{len(small)} slice{'s' * (len(small) > 1)} of fewer than {MIN_TELLING_ROWS} rows"
        notes.append(f"Not shown: {count}, too few to tell: {', '.join(small)}.")
    return notes


def describe_score(name: str, value: float, performance: Performance) -> str:
    """Return a metric of the test rows with its interval, beside the majority baseline.

    Args:
        name: of the metric, without the part's prefix.
        value: of the metric.
        performance: of the test rows.
    """
    rows = performance["overall"]["num_samples"]
    text = f"{name} = {format_metric(name, value, rows)} on {rows:,} test rows"
    if "intervals" in performance and name in (bounds := performance["intervals"]["bounds"]):
        text += f", 95 % interval {format_interval(bounds[name], rows)}"
    if "baseline" in performance and name in (found := performance["baseline"])["metrics"]:
        constant = format_metric(name, found["metrics"][name], rows)
        text += f"; always {found['label']!r} has {constant}"
    return text


def find_main_metric(objective: Collection[str], measured: Collection[str]) -> str:
    """Return the first metric of an objective that is measured, without its part; or F1.

    Args:
        objective: names of its metrics, such as "val_f1".
        measured: names of a run's metrics, such as "test_f1".
    """
    names = [name.removeprefix("val_") for name in objective]
    return next((name for name in names if f"test_{name}" in measured), "f1")


def describe_weakest(performance: Performance, most: int = 2) -> list[str]:
    """Return the classes with the lowest F1, a text each; of equal ones those with more rows.

    Classes without rows and those without a mistake are left out, and the best class is. Those with
    too few rows to tell are named where no others are weak, with how many have no text right.
    """
    found = {name: scores for name, scores in performance["class"].items() if scores["num_samples"]}
    order = sorted(found, key=lambda name: (found[name]["f1"], -found[name]["num_samples"]))
    weak = [name for name in order[:-1] if found[name]["f1"] < 1]
    telling = [name for name in weak if found[name]["num_samples"] >= MIN_TELLING_ROWS]
    whole = performance["overall"]["num_samples"]
    texts = [
        f"{name}: F1 {format_score(found[name]['f1'], whole)} on {found[name]['num_samples']:,}"
        f" row{'s' * (found[name]['num_samples'] > 1)}"
        for name in (telling or weak)[:most]
    ]
    if telling or not weak:
        return texts
    none_right = sum(found[name]["f1"] == 0 for name in weak)
    more = [f"{none_right} of {len(found)} classes have F1 0"] if none_right > most else []
    return [*(f"{text}, too few rows to tell" for text in texts), *more]


def describe_small_slice(scores: Scores) -> str:
    """Return what is said of a slice whose rows are too few to tell; empty if they are enough."""
    rows = scores["num_samples"]
    named = "1 row" if rows == 1 else f"{rows} rows"
    return "" if rows >= MIN_TELLING_ROWS else f"{named}: too few to tell"
