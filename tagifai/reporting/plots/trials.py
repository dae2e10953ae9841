"""Plots of the parameters that trials have tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tagifai.reporting.plots.style import BLUE, GREY, RED, apply_style, make_figure, shorten

POINTS: dict[str, Any] = {"linestyle": "", "markersize": 6, "markeredgewidth": 1.5}
OTHERS: dict[str, Any] = {**POINTS, "color": BLUE, "marker": "o", "alpha": 0.85}
BEST: dict[str, Any] = {**POINTS, "color": RED, "marker": "o", "markersize": 8}
"""How trials look, and the best of them."""

FROM_WORST_TO_BEST = LinearSegmentedColormap.from_list("trials", [GREY, BLUE])
"""Dark enough on white from one end to the other."""

INCHES_A_PARAMETER = 2.4

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PlottedParameter:
    """A parameter and what n trials have tried of it.

    Args:
        name: of the parameter.
        places: its values, or the numbers of its choices; NaN for a trial without it, shape (n,).
        log: whether its scale is logarithmic.
        choices: names of its choices; empty if it is a number.
    """

    name: str
    places: Values
    log: bool
    choices: Sequence[str]

    @property
    def label(self) -> str:
        """The name in short lines, because parameters stand side by side."""
        parts = self.name.replace(".", ".\n").replace(" [", "\n[").split("\n")
        return "\n".join(shorten(part, 22) for part in parts)

    def list_ends(self) -> tuple[float, float]:
        """Return where its axis begins and ends."""
        if self.choices:
            return 0.0, len(self.choices) - 1.0
        return float(np.nanmin(self.places)), float(np.nanmax(self.places))


@apply_style
def plot_slices(
    parameters: Sequence[PlottedParameter],
    values: Values,
    best: npt.NDArray[np.bool_],
    metric: str,
) -> Figure:
    """Show the objective by each parameter.

    Args:
        parameters: at least one, with the worst trial first.
        values: of the objective, shape (n,).
        best: whether the trial is one of the best, shape (n,).
        metric: name of the objective.
    """
    wide = min(4, len(parameters))
    lines = -(-len(parameters) // wide)
    title = f"{shorten(metric, 60)} by each parameter"
    figure = make_figure(title, max(6.0, INCHES_A_PARAMETER * wide), 1.2 + 3 * lines)
    grid = figure.subplots(lines, wide, sharey=True, squeeze=False)
    for axes, parameter in zip(grid.flat, parameters, strict=False):
        for look, shown in ((OTHERS, ~best), (BEST, best)):
            axes.plot(parameter.places[shown], values[shown], **look)
        axes.set_xlabel(parameter.label, fontsize=10)
        if parameter.choices:
            names = [shorten(choice, 16) for choice in parameter.choices]
            axes.set_xticks(range(len(names)), names)
            axes.set_xlim(-0.5, len(names) - 0.5)
        elif parameter.log:
            axes.set_xscale("log")
            axes.minorticks_off()
        elif not np.nan_to_num(parameter.places % 1).any():
            axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        axes.tick_params(axis="x", labelsize=9)
        for text in axes.get_xticklabels():
            text.set(rotation=30, ha="right", rotation_mode="anchor")
    for axes in grid.flat[len(parameters) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(shorten(metric))
    if best.any():
        grid.flat[0].plot([], [], label="best", **BEST)
        figure.legend(loc="outside upper right", fontsize=10)
    return figure


@apply_style
def plot_parallel(
    parameters: Sequence[PlottedParameter],
    values: Values,
    best: npt.NDArray[np.bool_],
    metric: str,
) -> Figure:
    """Show each trial as a line through its parameters, the worst in grey, the best in orange.

    Args:
        parameters: at least one, with the worst trial first.
        values: of the objective, shape (n,).
        best: whether the trial is one of the best, shape (n,).
        metric: name of the objective.
    """
    title = f"Parameters and {shorten(metric, 60)} of each trial: worst in grey, best in orange"
    columns = [PlottedParameter(metric, values, False, ()), *parameters]
    figure = make_figure(title, max(8.5, 2.0 * len(columns)), 5.0)
    axes = figure.subplots()
    heights = np.column_stack([_scale(column) for column in columns])
    for trial, line in enumerate(heights):
        colour: Any = FROM_WORST_TO_BEST(trial / max(1, len(best) - 1))
        look: dict[str, Any] = {"color": colour, "linewidth": 1.2, "markersize": 3}
        if best[trial]:
            look = {"color": RED, "linewidth": 2.6, "markersize": 6}
        # A parameter that the trial does not have interrupts its line.
        axes.plot(line, marker="o", **look)
    for place, column in enumerate(columns):
        _draw_axis(axes, place, column)
    labels = [column.label for column in columns]
    axes.set_xticks(range(len(columns)), labels, fontsize=10)
    axes.set(yticks=[], ylim=(-0.06, 1.06), xlim=(-0.15, len(columns) - 0.45))
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    return figure


def _scale(parameter: PlottedParameter) -> Values:
    """Return places from 0 to 1; in the middle where there is one alone."""
    places, ends = parameter.places, np.array(parameter.list_ends())
    if parameter.log:
        places, ends = np.log(places), np.log(ends)
    low, high = ends
    return places * 0 + 0.5 if low == high else (places - low) / (high - low)


def _draw_axis(axes: Axes, place: int, parameter: PlottedParameter) -> None:
    axes.axvline(place, color="black", linewidth=0.8, zorder=0)
    low, high = parameter.list_ends()
    names = [shorten(choice, 16) for choice in parameter.choices]
    names = names or ([f"{low:.4g}"] if low == high else [f"{low:.4g}", f"{high:.4g}"])
    heights = [0.5] if len(names) == 1 else np.linspace(0, 1, len(names))
    box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1}
    for height, name in zip(heights, names, strict=True):
        axes.text(place + 0.04, height, name, fontsize=9, va="center", bbox=box, zorder=5)
