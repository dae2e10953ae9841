"""Plot of a learning curve."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.figure import Figure

from tagifai.reporting.plots.style import (
    BLUE,
    add_legend,
    add_note,
    apply_style,
    fix_margins,
    make_axes,
)

NOTE_WIDTH = 64
"""Characters of a line over a figure."""


@apply_style
def plot_curve(
    rows: Sequence[int],
    means: Sequence[float],
    deviations: Sequence[float],
    metric: str,
    conclusion: str,
) -> Figure:
    """Show a score by the number of train rows.

    Args:
        rows: that trained.
        means: of the metric, one for each number of rows.
        deviations: standard deviations, likewise.
        metric: its name.
        conclusion: whether more labels would help, in words.
    """
    title = "Scores by the number of train rows"
    title = add_note(title, textwrap.fill(conclusion, NOTE_WIDTH))
    figure, axes = make_axes(title, "train rows", metric, layout=None)
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
    fix_margins(figure)
    return figure
