"""Plots of classes: confusion matrix, scores, and terms with the largest weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from tagifai.evaluation.error_analysis import find_most_confused
from tagifai.evaluation.metrics import Scores
from tagifai.evaluation.summary import (
    MAX_SHOWN_CLASSES,
    describe_extreme_classes,
    find_extreme_classes,
)
from tagifai.reporting.plots.style import (
    BLUE,
    GREEN,
    GREY,
    PALE,
    RED,
    SHARES_COLORMAP,
    add_note,
    apply_style,
    compute_grid,
    distinguish_names,
    make_axes,
    make_figure,
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
def plot_confusion(counts: npt.NDArray[np.int64], classes: Sequence[str], rows: str) -> Figure:
    """Show the confusion matrix, coloured by the shares of the true class.

    Of many classes, those of the most frequent confusions are shown, with a column for all others.

    Args:
        counts: true classes in lines, predicted ones in columns, shape (classes, classes).
        classes: their names.
        rows: which rows these are, such as "test rows".
    """
    title = f"Confusion matrix ({rows})"
    if len(classes) > MAX_SHOWN_CLASSES:
        title = add_note(title, f"the {MAX_SHOWN_CLASSES} most confused of {len(classes)} classes")
        counts, classes = _keep_most_confused(counts, classes)
    n = len(counts)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    side = 3.2 + max(3.0, 0.95 * n if n <= MAX_SPACIOUS_CLASSES else 0.34 * n)
    figure, axes = make_axes(title, "predicted class", "true class", side + 1.2, side)
    image = axes.imshow(shares, cmap=SHARES_COLORMAP, vmin=0, vmax=1, aspect="equal")
    names = distinguish_names(classes)
    rotation, alignment = (45, "right") if n <= MAX_SPACIOUS_CLASSES else (90, "center")
    axes.set_xticks(np.arange(len(names)), names, rotation=rotation, ha=alignment)
    lines = zip(names[:n], totals[:, 0], strict=True)
    axes.set_yticks(np.arange(n), [f"{name} ({total})" for name, total in lines])
    axes.grid(visible=False)
    _write_cells(axes, counts, shares)
    bar = figure.colorbar(image, ax=axes, format=PercentFormatter(1), shrink=0.8, pad=0.02)
    bar.set_label("share of the true class")
    bar.outline.set_visible(False)
    return figure


def _keep_most_confused(
    counts: npt.NDArray[np.int64], classes: Sequence[str]
) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return the lines of the most confused classes, with a last column for all other classes."""
    kept = find_most_confused(counts, MAX_SHOWN_CLASSES)
    lines, inside = counts[kept], counts[np.ix_(kept, kept)]
    rest = lines.sum(axis=1, keepdims=True) - inside.sum(axis=1, keepdims=True)
    names = [*(classes[k] for k in kept), f"({len(classes) - len(kept)} others)"]
    return np.hstack([inside, rest]), names


def _write_cells(
    axes: Axes, counts: npt.NDArray[np.int64], shares: npt.NDArray[np.float64]
) -> None:
    """Write the count into each cell that has one, and its share where there is room."""
    is_spacious = len(counts) <= MAX_SPACIOUS_CLASSES
    for line, column in zip(*np.nonzero(counts), strict=True):
        count, share = counts[line, column], shares[line, column]
        axes.text(
            column,
            line,
            f"{count}\n{share:.0%}" if is_spacious else f"{count}",
            ha="center",
            va="center",
            color="white" if share > 0.55 else "black",
            fontsize=11 if is_spacious else 8,
        )


@apply_style
def plot_scores(scores: Mapping[str, Scores], overall: Scores, rows: str) -> Figure:
    """Show precision, recall and F1 of each class, the one with most rows first.

    Of many classes, those with the lowest and the highest F1 are shown, the lowest first.

    Args:
        scores: by class.
        overall: of all rows.
        rows: which rows these are.
    """
    note = describe_extreme_classes(scores)
    ordered = list(find_extreme_classes(scores).items())
    if not note:
        ordered.sort(key=lambda item: -item[1]["num_samples"])
    title = add_note(f"Scores by class ({rows})", note)
    figure, axes = make_axes(title, "score", "", 8.2, 1.9 + 0.42 * max(len(ordered), 2))
    places = np.arange(len(ordered))[::-1]
    found = [[values["precision"], values["recall"]] for _, values in ordered]
    for place, (low, high) in zip(places, map(sorted, found), strict=True):
        axes.plot([low, high], [place, place], color=PALE, linewidth=4, zorder=1)
    for name, (label, colour, mark) in SCORE_MARKS.items():
        values = [float(of_class[name]) for _, of_class in ordered]
        look: dict[str, Any] = {"color": colour, "marker": mark, "label": label}
        axes.scatter(values, places, s=75, zorder=3, edgecolor="white", clip_on=False, **look)
    axes.axvline(
        overall["f1"],
        color=GREY,
        linestyle="dashed",
        linewidth=1.5,
        zorder=0,
        label=f"F1 of all rows, weighted: {overall['f1']:.3f}",
    )
    names = distinguish_names([name for name, _ in ordered])
    samples = [of_class["num_samples"] for _, of_class in ordered]
    axes.set_yticks(places, [f"{name} (n={n})" for name, n in zip(names, samples, strict=True)])
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.7, len(ordered) - 0.3))
    figure.legend(loc="outside lower center", ncols=4, fontsize=10)
    return figure


@apply_style
def plot_terms(weights: Mapping[str, Sequence[tuple[str, float]]], note: str = "") -> Figure:
    """Show the terms with the largest weights for each class.

    Args:
        weights: by class, terms and their weights, the largest first.
        note: which classes these are; empty if they are all.
    """
    lines, columns = compute_grid(len(weights))
    longest = max((len(found) for found in weights.values()), default=1)
    height = 0.9 + lines * (0.8 + 0.27 * longest)
    title = add_note("Terms with the largest weights", note)
    figure = make_figure(title, 1.0 + 3.6 * columns, height)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    names = distinguish_names(list(weights), 26)
    for axes, name, found in zip(panels, names, weights.values(), strict=False):
        _draw_bars(axes, name, found)
    for axes in panels[len(weights) :]:
        axes.set_visible(False)
    figure.supxlabel("weight in the model", fontsize=11)
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
