"""Plots of a model's probabilities: precision and recall, calibration, and threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tagifai.evaluation.standard_metrics import compute_calibration
from tagifai.models.thresholds import Probabilities, fall_back
from tagifai.preprocessing.labels import Indices, Mask
from tagifai.reporting.plots.style import (
    BLUE,
    GREY,
    PALE,
    RED,
    add_legend,
    add_note,
    apply_style,
    distinguish_names,
    fix_margins,
    get_line_style,
    make_axes,
    make_figure,
)

MAX_NAMED_CURVES = 8
"""Most curves with a name; of more classes, those with the lowest average precision are named."""

STEPS = 101


@apply_style
def plot_precision_recall(
    y_true: Indices,
    y_prob: Probabilities,
    classes: Sequence[str],
    rows: str,
    shown: Sequence[int] | None = None,
) -> Figure:
    """Show the one-vs-rest precision and recall of each class, at all thresholds.

    Args:
        y_true: label indices, shape (n,).
        y_prob: class probabilities or decision values, shape (n, classes).
        classes: their names.
        rows: which rows these are.
        shown: indices of the classes that are drawn, in their order; None draws all.
    """
    title = f"Precision and recall of each class ({rows})"
    if shown is not None and len(shown) < len(classes):
        title = add_note(title, f"the {len(shown)} most confused of {len(classes)} classes")
    truth = {k: y_true == k for k in (range(len(classes)) if shown is None else shown)}
    curves = {k: compute_curve(right, y_prob[:, k]) for k, right in truth.items() if right.any()}
    areas = {k: float(-np.sum(np.diff(r) * p[:-1])) for k, (p, r) in curves.items()}
    lowest = sorted(areas, key=areas.__getitem__)[:MAX_NAMED_CURVES]
    named = [k for k in curves if k in lowest]
    below = 0.7 + 0.2 * ((len(named) + 1) // 2 + 1)
    figure, axes = make_axes(title, "recall", "precision", height=3.4 + below, layout=None)
    names = distinguish_names(classes, 26)
    for k, (precision, recall) in curves.items():
        look: dict[str, Any] = {"color": PALE, "linewidth": 1.2, "zorder": 1}
        if k in named:
            colour, style = get_line_style(named.index(k))
            look = {"color": colour, "linestyle": style, "label": f"{names[k]}: {areas[k]:.2f}"}
        axes.plot(recall, precision, **look)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.05))
    fix_margins(figure, below=below)
    some = f", lowest {len(named)} of {len(curves)}" if len(named) < len(curves) else ""
    heading = f"average precision{some}"
    figure.legend(loc="lower center", ncols=2, title=heading, fontsize=10)
    return figure


def compute_curve(truth: Mask, values: Probabilities) -> tuple[Probabilities, Probabilities]:
    """Return precision and recall at each threshold, as scikit-learn's function that checks more.

    Args:
        truth: which rows are of the class, shape (n,), at least one.
        values: of the class for each row, shape (n,).

    Returns:
        Both from the highest recall on, with 1 and 0 as their last.
    """
    order = np.argsort(-values, kind="stable")
    last = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)
    right = np.cumsum(truth[order])[last]
    precision, recall = right / (last + 1), right / truth.sum()
    return np.append(precision[::-1], 1.0), np.append(recall[::-1], 0.0)


@apply_style
def plot_reliability(y_true: Indices, y_prob: Probabilities, rows: str) -> Figure:
    """Show how often predictions are correct, by their probability.

    Args:
        y_true: label indices, shape (n,).
        y_prob: class probabilities, shape (n, classes).
        rows: which rows these are.
    """
    error, bins = compute_calibration(y_true, y_prob)
    figure = make_figure(f"Calibration of the probabilities ({rows})", height=5.0, layout=None)
    upper, lower = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    fix_margins(figure)
    upper.plot(
        [0, 1], [0, 1], color=GREY, linestyle="dashed", linewidth=1.5, label="perfect calibration"
    )
    filled = bins[bins[:, 2] > 0]
    upper.plot(
        filled[:, 0],
        filled[:, 1],
        "o-",
        color=BLUE,
        label=f"this model, calibration error {error:.3f}",
    )
    upper.set(
        ylabel="share of correct predictions",
        ylim=(-0.02, 1.05),
    )
    add_legend(upper)
    width = 1 / len(bins)
    edges = np.arange(len(bins)) * width
    lower.bar(edges, bins[:, 2], width=width, align="edge", color=BLUE, edgecolor="white")
    lower.set(xlabel="probability of the predicted class", ylabel="rows", xlim=(0, 1))
    return figure


@apply_style
def plot_threshold(
    y_true: Indices, y_prob: Probabilities, other: int, chosen: float | None, rows: str
) -> Figure:
    """Show weighted F1 and coverage at every threshold, and the one that was chosen.

    Args:
        y_true: label indices, shape (n,).
        y_prob: class probabilities, shape (n, classes).
        other: index of the fallback label.
        chosen: the threshold in use; None accepts all predictions.
        rows: which rows these are.
    """
    best, highest = y_prob.argmax(axis=1), y_prob.max(axis=1)

    def compute(threshold: float) -> tuple[float, float]:
        found = _compute_f1(y_true, fall_back(best, highest, threshold, other), y_prob.shape[1])
        return found, float(np.mean(highest > threshold))

    steps = np.linspace(0, 1, STEPS)
    f1, covered = zip(*map(compute, steps), strict=True)
    figure, axes = make_axes(
        f"F1 and coverage by threshold ({rows})", "threshold", "F1 or share", layout=None
    )
    axes.plot(steps, f1, color=RED, label="F1, weighted")
    axes.plot(steps, covered, color=BLUE, linestyle="dashed", label="coverage: predictions kept")
    if chosen is not None:
        at, kept = compute(chosen)
        text = f"chosen: {chosen:.3f}, F1 {at:.3f}, coverage {kept:.0%}"
        _mark_point(axes, chosen, at, text)
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.05))
    fix_margins(figure, below=1.05)
    figure.legend(loc="lower center", ncols=2, fontsize=10)
    return figure


def _mark_point(axes: Axes, x: float, y: float, text: str) -> None:
    axes.axvline(x, color=GREY, linestyle="dotted", linewidth=1.5)
    axes.plot(x, y, "D", color=RED, markeredgecolor="white", markersize=10, label=text)


def _compute_f1(y_true: Indices, y_pred: Indices, classes: int) -> float:
    """Return weighted F1, a hundred times faster than scikit-learn checks and counts rows."""
    right = np.bincount(y_true[y_true == y_pred], minlength=classes)
    rows, said = (np.bincount(y, minlength=classes) for y in (y_true, y_pred))
    return float(np.sum(rows * 2 * right / np.maximum(rows + said, 1)) / len(y_true))
