"""Plots of a training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tagifai.reporting.plots.style import (
    BLUE,
    GREY,
    RED,
    add_legend,
    apply_style,
    fix_margins,
    make_axes,
)


@apply_style
def plot_losses(
    train_loss: Sequence[float], val_loss: Sequence[float], epoch: int, loss: str
) -> Figure:
    """Show the losses by epoch, and the epoch whose weights the model has.

    Args:
        train_loss: of the train rows, one an epoch.
        val_loss: of the validation rows, one an epoch.
        epoch: the chosen one, from 0.
        loss: its name, such as "log_loss".
    """
    unit = f"{loss.replace('_', ' ')}{' (nats)' if loss == 'log_loss' else ''}"
    figure, axes = make_axes("Losses by epoch", "epoch", unit, layout=None)
    epochs = np.arange(len(train_loss))
    # A line of one point would be invisible.
    dot = "o" if len(epochs) < 3 else ""
    axes.plot(epochs, train_loss, color=BLUE, marker=dot, label="train")
    axes.plot(epochs, val_loss, color=RED, marker=dot, label="validation")
    axes.axvline(epoch, color=GREY, linestyle="dotted", linewidth=1.5)
    axes.plot(
        epoch,
        val_loss[epoch],
        "D",
        color=RED,
        markeredgecolor="white",
        markersize=10,
        label=f"chosen: epoch {epoch}, {val_loss[epoch]:.4f}",
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)
    add_legend(axes)
    fix_margins(figure)
    return figure
