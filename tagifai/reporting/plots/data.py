"""Plots of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tagifai.reporting.plots.style import (
    BLUE,
    COLOURS,
    RED,
    add_legend,
    add_note,
    apply_style,
    distinguish_names,
    fix_margins,
    make_axes,
)


@apply_style
def plot_class_balance(rows: Mapping[str, Mapping[str, int]], others: Sequence[int] = ()) -> Figure:
    """Show how many rows each class has, by part.

    Args:
        rows: by class in their order, rows by part.
        others: rows of each of the classes that are not shown.
    """
    total = sum(sum(parts.values()) for parts in rows.values()) + sum(others)
    title = f"Rows by class: {total} rows, {len(rows) + len(others)} classes"
    if others:
        title = add_note(
            title,
            f"the {len(rows)} most confused; each of the others has {min(others)} to"
            f" {max(others)} rows",
        )
    figure, axes = make_axes(title, "rows", "", height=1.55 + 0.34 * max(len(rows), 2), layout=None)
    places, left = np.arange(len(rows))[::-1], np.zeros(len(rows))
    parts = dict.fromkeys(part for found in rows.values() for part in found)
    for colour, part in zip((BLUE, COLOURS[4], COLOURS[2]), parts, strict=False):
        sizes = np.array([found.get(part, 0) for found in rows.values()])
        axes.barh(places, sizes, left=left, color=colour, height=0.72, label=part)
        left += sizes
    for place, size in zip(places, left, strict=True):
        share = f"{size:.0f} ({size / total:.1%})" if total else ""
        axes.text(size + 0.015 * left.max(), place, share, va="center", fontsize=10)
    names = distinguish_names(list(rows))
    axes.set_yticks(places, names)
    axes.set(xlim=(0, 1.35 * max(left.max(initial=1), 1)), ylim=(-0.7, len(rows) - 0.3))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.grid(visible=False, axis="y")
    fix_margins(figure, names, 0.9)
    figure.legend(loc="lower center", ncols=3, fontsize=10)
    return figure


@apply_style
def plot_text_lengths(words: Sequence[int]) -> Figure:
    """Show the distribution of text lengths.

    Args:
        words: of each text.
    """
    figure, axes = make_axes("Length of the texts", "words in a text", "texts", layout=None)
    counts = np.asarray(words, dtype=np.float64)
    # With the few longest texts, all others would be in one bar.
    last = int(np.quantile(counts, 0.99)) if len(counts) else 0
    width = max(1, last // 40)
    edges = np.arange(0, last + width + 1, width) - 0.5
    axes.hist(np.minimum(counts, last), bins=edges.tolist(), color=BLUE, edgecolor="white")
    if len(counts):
        median = float(np.median(counts))
        axes.axvline(median, color=RED, linestyle="dashed", label=f"median: {median:g} words")
        if counts.max() > last:
            axes.plot([], [], " ", label=f"last bar: {last:g} to {counts.max():g} words")
        add_legend(axes)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    fix_margins(figure)
    return figure
