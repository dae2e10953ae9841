"""Plots of a leaderboard."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from tagifai.reporting.plots.style import (
    BLUE,
    GREY,
    apply_style,
    distinguish_names,
    make_axes,
    shorten,
)

ROW_HEIGHT = 0.3
"""Of a row, in inches: 40 rows fit a screen and a half."""

MOST_NAME = 52
"""Characters of a row's name, which begins with its run as in the table."""


LEGEND_WIDTH = 100
"""Characters of a line of the legend, which a figure is wide enough for."""


@apply_style
def plot_means(
    names: Sequence[str], mean: Sequence[float], std: Sequence[float], metric: str, data: str
) -> Figure:
    """Show mean and standard deviation of each row, the best at the top.

    Args:
        names: of the rows.
        mean: of the metric.
        std: its standard deviation; NaN for one run.
        metric: its name.
        data: name of the data set.
    """
    title = f"Mean {metric} on {shorten(data, 40)}"
    label = "one run each" if np.isnan(std).all() else "mean ± standard deviation"
    return _plot_rows(title, metric, names, mean, np.vstack([std, std]), label)


@apply_style
def plot_differences(
    names: Sequence[str],
    difference: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    to: str,
    interval: str,
) -> Figure:
    """Show the difference of each row to a baseline, with its interval.

    Args:
        names: of the rows.
        difference: of their means.
        low: end of the interval; NaN where there is none.
        high: likewise.
        to: what the others are compared with, and on which data set.
        interval: name of the intervals.
    """
    centre = np.asarray(difference, dtype=np.float64)
    reach = np.vstack([centre - np.asarray(low), np.asarray(high) - centre])
    figure = _plot_rows(
        f"Differences to {shorten(to, 60)}", "difference", names, difference, reach, interval
    )
    figure.axes[0].axvline(0, color=GREY, linestyle="dashed", linewidth=1.5, zorder=0)
    return figure


def _plot_rows(
    title: str,
    label: str,
    names: Sequence[str],
    centre: Sequence[float],
    reach: np.typing.NDArray[np.float64],
    interval: str,
) -> Figure:
    figure, axes = make_axes(title, label, "", 8.2, 1.8 + ROW_HEIGHT * max(len(names), 2))
    places = np.arange(len(names))[::-1]
    axes.errorbar(
        centre,
        places,
        xerr=np.nan_to_num(reach),
        fmt="o",
        color=BLUE,
        markersize=8,
        capsize=4,
        label=textwrap.fill(interval, LEGEND_WIDTH),
    )
    axes.set_yticks(places, distinguish_names(names, MOST_NAME))
    axes.set_ylim(-0.7, len(names) - 0.3)
    figure.legend(loc="outside lower center", fontsize=10)
    return figure
