"""Plot of a learning curve."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from tagifai.reporting.plots.style import BLUE, add_legend, apply_style, make_axes


@apply_style
def plot_curve(
    rows: Sequence[int], means: Sequence[float], deviations: Sequence[float], metric: str
) -> Figure:
    """Show a score by the number of train rows.

    Args:
        rows: that trained.
        means: of the metric, one for each number of rows.
        deviations: standard deviations, likewise.
        metric: its name.
    """
    figure, axes = make_axes("Scores by the number of train rows", "train rows", metric)
    axes.errorbar(
        rows,
        means,
        yerr=deviations,
        color=BLUE,
        marker="o",
        capsize=4,
        label="mean ± standard deviation",
    )
    axes.set_xlim(left=0)
    add_legend(axes)
    return figure
