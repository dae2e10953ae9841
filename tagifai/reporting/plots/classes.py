"""Plots of classes: confusion matrix, scores, and terms with the largest weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from tagifai.evaluation.confusions import fold_classes
from tagifai.evaluation.metrics import Scores
from tagifai.reporting.plots.style import (
    BLUE,
    GREEN,
    GREY,
    RED,
    add_note,
    apply_style,
    compute_grid,
    distinguish_names,
    fix_margins,
    make_axes,
    make_figure,
    measure,
    show_spaces,
)

Score = Literal["precision", "recall", "f1"]

SCORE_MARKS: dict[Score, tuple[str, str, str]] = {
    "precision": ("precision", BLUE, "<"),
    "recall": ("recall", GREEN, ">"),
    "f1": ("F1", RED, "o"),
}
"""Label, colour and mark of each score."""

MAX_SPACIOUS_CLASSES = 12
"""Classes up to which the cells of a confusion matrix have room for a share beside a count."""


@apply_style
def plot_confusion(
    counts: npt.NDArray[np.int64], classes: Sequence[str], rows: str, shown: Sequence[int]
) -> Figure:
    """Show the confusion matrix, coloured by the shares of the true class.

    Args:
        counts: true classes in lines, predicted ones in columns, shape (classes, classes).
        classes: their names.
        rows: which rows these are, such as "test rows".
        shown: indices of classes in their order; all others are folded into a last one.
    """
    title, folded = f"What is taken for what ({rows})", fold_classes(counts, shown)
    names, n = distinguish_names([classes[k] for k in shown]), len(folded)
    if others := len(classes) - len(shown):
        names.append("1 other class" if others == 1 else f"{others} other classes")
        rest = np.delete(np.arange(len(classes)), list(shown))
        wrong = folded[-1, -1] - counts[rest, rest].sum()
        note = f"the {len(shown)} most confused of {len(classes)} classes"
        title = add_note(title, f"{note}; {wrong} rows are confused among the others")
    totals = folded.sum(axis=1, keepdims=True)
    shares = np.divide(folded, totals, out=np.zeros(folded.shape), where=totals > 0)
    labels = [f"{name} ({total})" for name, total in zip(names, totals[:, 0], strict=True)]
    is_spacious = n <= MAX_SPACIOUS_CLASSES
    left, below = max(map(measure, labels)) + 0.6, max(map(measure, names)) + 0.5
    side = max(3.0, (0.62 if is_spacious else 0.4) * n)
    width, height = left + side + 0.15, side + below + 0.75
    figure, axes = make_axes(
        title, "predicted class", "true class (rows)", width, height, layout=None
    )
    fix_margins(figure, labels, below)
    figure.subplots_adjust(left=left / width)
    turned: dict[str, Any] = {"rotation_mode": "anchor", "ha": "right", "va": "center"}
    axes.set_xticks(np.arange(n), names, rotation=90, **turned)
    axes.set_yticks(np.arange(n), labels)
    axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5))
    axes.grid(visible=False)
    _draw_cells(axes, folded, shares)
    return figure


def _draw_cells(axes: Axes, counts: npt.NDArray[np.int64], shares: npt.NDArray[np.float64]) -> None:
    """Draw each cell that has a count, and write it, with its share where there is room."""
    lines, columns = np.nonzero(counts)
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    squares = np.column_stack([columns, lines])[:, None] + corners
    # Pale ones show what is behind them, whether the page is light or dark.
    colours = [(*to_rgb(BLUE), share) for share in shares[lines, columns]]
    axes.add_collection(PolyCollection(squares, facecolors=colours, linewidths=0))
    is_spacious = len(counts) <= MAX_SPACIOUS_CLASSES
    for line, column in zip(lines.tolist(), columns.tolist(), strict=True):
        count, share = counts[line, column], shares[line, column]
        text = f"{count}\n{share:.0%}" if is_spacious else f"{count}"
        axes.text(
            float(column),
            float(line),
            text,
            ha="center",
            va="center",
            color="white" if share > 0.55 else "black",
            fontsize=10 if is_spacious else 8,
        )


@apply_style
def plot_scores(
    scores: Mapping[str, Scores],
    bounds: Mapping[str, tuple[float, float]],
    overall: Scores,
    rows: str,
    note: str = "",
) -> Figure:
    """Show precision, recall and F1 of each class, and the interval of F1.

    Args:
        scores: by class, in their order.
        bounds: the interval of F1 by class.
        overall: of all rows.
        rows: which rows these are.
        note: which classes these are; empty if they are all.
    """
    title = add_note(f"Scores by class ({rows})", note)
    figure, axes = make_axes(
        title, "score", "", height=1.75 + 0.36 * max(len(scores), 2), layout=None
    )
    places = np.arange(len(scores))[::-1]
    for name, (label, colour, mark) in SCORE_MARKS.items():
        values = [float(of_class[name]) for of_class in scores.values()]
        look: dict[str, Any] = {"color": colour, "marker": mark, "label": label}
        axes.scatter(values, places, s=55, zorder=3, edgecolor="white", clip_on=False, **look)
    lows, highs = np.array([bounds[name] for name in scores]).reshape(-1, 2).T
    axes.hlines(places, lows, highs, color=RED, linewidth=4, alpha=0.3, label="F1, 95 % interval")
    axes.axvline(
        overall["f1"],
        color=GREY,
        linestyle="dashed",
        linewidth=1.5,
        zorder=0,
        label=f"F1 of all rows, weighted: {overall['f1']:.3f}",
    )
    counted = zip(distinguish_names(list(scores)), scores.values(), strict=True)
    labels = [f"{name} ({_count_rows(of_class['num_samples'])})" for name, of_class in counted]
    axes.set_yticks(places, labels)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.7, len(scores) - 0.3))
    axes.grid(visible=False, axis="y")
    fix_margins(figure, labels, 1.1)
    figure.legend(loc="lower center", ncols=3, fontsize=10)
    return figure


def _count_rows(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows} rows"


@apply_style
def plot_terms(weights: Mapping[str, Sequence[tuple[str, float]]], note: str = "") -> Figure:
    """Show the terms with the largest weights for each class.

    Args:
        weights: by class, terms and their weights, the largest first.
        note: which classes these are; empty if they are all.
    """
    lines, columns = compute_grid(len(weights))
    longest = max((len(found) for found in weights.values()), default=1)
    title = add_note("Terms with the largest weights", note)
    width, height = 3.2 * columns, 1.3 + lines * (0.65 + 0.24 * longest)
    figure = make_figure(title, width, height, layout=None)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    shown = [show_spaces(term) for found in weights.values() for term, _ in found]
    fix_margins(figure, shown, above=0.4)
    room = figure.subplotpars.left * width
    figure.subplots_adjust(
        wspace=room / max(width / columns - room, 0.5), hspace=0.65 / (0.24 * longest)
    )
    names = distinguish_names(list(weights), 26)
    for axes, name, found in zip(panels, names, weights.values(), strict=False):
        _draw_bars(axes, name, found)
    for axes in panels[len(weights) :]:
        axes.set_visible(False)
    figure.supxlabel("weight in the model", y=0.06 / height, va="bottom", fontsize=11)
    return figure


def _draw_bars(axes: Axes, title: str, weights: Sequence[tuple[str, float]]) -> None:
    places = np.arange(len(weights))[::-1]
    axes.barh(places, [weight for _, weight in weights], color=BLUE, height=0.7)
    axes.set_yticks(
        places, [show_spaces(term) for term, _ in weights], family="monospace", fontsize=10
    )
    axes.set_title(title, fontsize=11)
    axes.tick_params(axis="x", labelsize=9)
    axes.locator_params(axis="x", nbins=4)
    axes.grid(visible=False, axis="y")
