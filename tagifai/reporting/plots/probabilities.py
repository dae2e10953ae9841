"""Plots of a model's probabilities: precision and recall, calibration, and threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve

from tagifai.models.thresholds import Probabilities, decide
from tagifai.preprocessing.labels import Indices
from tagifai.reporting.plots.style import (
    BLUE,
    GREY,
    PALE,
    RED,
    add_legend,
    apply_style,
    distinguish_names,
    get_line_style,
    make_axes,
    make_figure,
)

MAX_NAMED_CURVES = 8
"""Most curves with a name; of more classes, those with the lowest average precision are named."""

BINS = 10

STEPS = 101


@apply_style
def plot_precision_recall(
    y_true: Indices, y_prob: Probabilities, classes: Sequence[str], rows: str
) -> Figure:
    """Show the one-vs-rest precision and recall of each class, at all thresholds.

    Args:
        y_true: label indices, shape (n,).
        y_prob: class probabilities or decision values, shape (n, classes).
        classes: their names.
        rows: which rows these are.
    """
    figure, axes = make_axes(
        f"Precision and recall of each class ({rows})", "recall", "precision", 8.2, 5.2
    )
    truth = y_true[:, None] == np.arange(len(classes))
    seen = [k for k in range(len(classes)) if truth[:, k].any()]
    areas = {k: float(average_precision_score(truth[:, k], y_prob[:, k])) for k in seen}
    named = sorted(areas, key=areas.__getitem__)[:MAX_NAMED_CURVES]
    names = distinguish_names(classes, 26)
    for k in seen:
        precision, recall, _ = precision_recall_curve(truth[:, k], y_prob[:, k])
        if k in named:
            colour, style = get_line_style(named.index(k))
            axes.plot(
                recall,
                precision,
                color=colour,
                linestyle=style,
                label=f"{names[k]}: {areas[k]:.2f}",
            )
        else:
            axes.plot(recall, precision, color=PALE, linewidth=1.2, zorder=1)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.05))
    title = (
        "average precision"
        if len(seen) <= MAX_NAMED_CURVES
        else f"lowest {MAX_NAMED_CURVES} of {len(seen)}"
    )
    figure.legend(loc="outside right upper", title=title, fontsize=10)
    return figure


@apply_style
def plot_reliability(y_true: Indices, y_prob: Probabilities, rows: str) -> Figure:
    """Show how often predictions are correct, by their probability.

    Args:
        y_true: label indices, shape (n,).
        y_prob: class probabilities, shape (n, classes).
        rows: which rows these are.
    """
    highest, right = y_prob.max(axis=1), y_prob.argmax(axis=1) == y_true
    error, bins = compute_calibration(highest, right)
    figure = make_figure(f"Calibration of the probabilities ({rows})", 7.5, 5.6)
    upper, lower = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
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
    edges = np.linspace(0, 1, BINS + 1)
    lower.bar(edges[:-1], bins[:, 2], width=1 / BINS, align="edge", color=BLUE, edgecolor="white")
    lower.set(xlabel="probability of the predicted class", ylabel="rows", xlim=(0, 1))
    return figure


def compute_calibration(
    highest: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]
) -> tuple[float, npt.NDArray[np.float64]]:
    """Return the expected calibration error (C. Guo et al., 2017), and its bins.

    Args:
        highest: the predicted class's probability, shape (n,).
        right: whether the prediction was correct, shape (n,).

    Returns:
        The error from 0 to 1, and for each of ten bins mean probability, share of correct
        predictions, and rows.
    """
    numbers = np.minimum((highest * BINS).astype(int), BINS - 1)
    rows = np.bincount(numbers, minlength=BINS)
    divisor = np.maximum(rows, 1)
    said = np.bincount(numbers, weights=highest, minlength=BINS) / divisor
    share = np.bincount(numbers, weights=right, minlength=BINS) / divisor
    error = float(np.sum(np.abs(said - share) * rows) / max(len(highest), 1))
    return error, np.column_stack([said, share, rows.astype(np.float64)])


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
    steps = np.linspace(0, 1, STEPS)
    f1 = [_compute_f1(y_true, y_prob, step, other) for step in steps]
    covered = [_compute_coverage(y_prob, step) for step in steps]
    figure, axes = make_axes(f"F1 and coverage by threshold ({rows})", "threshold", "F1 or share")
    axes.plot(steps, f1, color=RED, label="F1, weighted")
    axes.plot(steps, covered, color=BLUE, linestyle="dashed", label="coverage: predictions kept")
    if chosen is not None:
        at = _compute_f1(y_true, y_prob, chosen, other)
        text = (
            f"chosen: {chosen:.3f}, F1 {at:.3f}, coverage {_compute_coverage(y_prob, chosen):.0%}"
        )
        _mark_point(axes, chosen, at, text)
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.05))
    add_legend(axes, below=True)
    return figure


def _mark_point(axes: Axes, x: float, y: float, text: str) -> None:
    axes.axvline(x, color=GREY, linestyle="dotted", linewidth=1.5)
    axes.plot(x, y, "D", color=RED, markeredgecolor="white", markersize=10, label=text)


def _compute_f1(y_true: Indices, y_prob: Probabilities, threshold: float, other: int) -> float:
    y_pred = decide(y_prob, threshold, other)
    return float(f1_score(y_true, y_pred, average="weighted", zero_division=0))


def _compute_coverage(y_prob: Probabilities, threshold: float) -> float:
    return float(np.mean(y_prob.max(axis=1) > threshold))
