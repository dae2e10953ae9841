"""The common style of all figures."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

P = ParamSpec("P")

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours that colour-blind people can distinguish (M. Okabe and K. Ito, 2008)."""

BLUE, RED, GREEN = COLOURS[:3]
GREY = "#8C8C8C"
PALE = "#D9D9D9"

SHARES_COLORMAP = "Blues"
"""Colour map from pale to dark, readable in grey."""

MAX_NAME_LENGTH = 30
"""Most characters of a name that are shown."""

LINE_STYLES = (("solid", COLOURS), ("dashed", COLOURS))
"""Line styles and their colours, which distinguish curves."""

RC_PARAMS: Any = {
    "font.size": 12,
    "figure.titlesize": 14,
    "figure.titleweight": "bold",
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#EBEBEB",
    "lines.linewidth": 2.2,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.15,
    # The same figure gives the same file.
    "svg.hashsalt": "tagifai",
}


@contextmanager
def use_style() -> Iterator[None]:
    """Use the common style for figures that are made or written in a block."""
    with mpl.rc_context():
        mpl.rcdefaults()
        with mpl.rc_context(RC_PARAMS):
            yield


def apply_style(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorate a function that makes a figure, so that it uses the common style."""

    @wraps(function)
    def made(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with use_style():
            return function(*args, **kwargs)

    return made


def add_note(title: str, note: str) -> str:
    """Return a title with a note below it, such as which classes are shown."""
    return f"{title}\n{note}" if note else title


def make_figure(title: str, width: float = 7.5, height: float = 4.8) -> Figure:
    """Return a figure with a title and constrained layout; sizes are in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    # Over the figure, not over the axes, which long names make too narrow for a title.
    figure.suptitle(title, x=0.01, ha="left")
    return figure


def make_axes(
    title: str, x: str, y: str, width: float = 7.5, height: float = 4.8
) -> tuple[Figure, Axes]:
    """Return a figure with one pair of axes.

    Args:
        title: what is shown.
        x: label of the axis, with its unit.
        y: likewise.
        width: in inches.
        height: in inches.
    """
    figure = make_figure(title, width, height)
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y)
    return figure, axes


def shorten(name: str, length: int = MAX_NAME_LENGTH) -> str:
    """Return a name in one line, its middle left out if it is long; dollars are escaped."""
    text = "".join(c if c.isprintable() else " " for c in unicodedata.normalize("NFC", name))
    if len(text) > length:
        half = (length - 1) // 2
        text = f"{text[:half].rstrip()}…{text[len(text) - (length - 1 - half) :].lstrip()}"
    return text.replace("$", r"\$")


def distinguish_names(names: Sequence[str], length: int = MAX_NAME_LENGTH) -> list[str]:
    """Return shortened names, with a number where two would be equal."""
    shown: list[str] = []
    for name in names:
        text = shorten(name, length)
        same = sum(other.split(" #")[0] == text for other in shown)
        shown.append(f"{text} #{same + 1}" if same else text)
    return shown


def show_spaces(term: str) -> str:
    """Return a term with visible spaces."""
    return shorten(term.replace(" ", "␣"))


def get_line_style(number: int) -> tuple[str, str]:
    """Return colour and line style of a curve by its number, from 0 on."""
    styles = [(colour, style) for style, colours in LINE_STYLES for colour in colours]
    return styles[number % len(styles)]


def compute_grid(parts: int) -> tuple[int, int]:
    """Return lines and columns of a grid for small plots."""
    wide = min(4 if parts <= 8 else 5, max(parts, 1))
    return math.ceil(max(parts, 1) / wide), wide


def add_legend(axes: Axes, below: bool = False) -> None:
    """Add a legend, inside the plot or below it."""
    if below:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=10)
    else:
        axes.legend(loc="best", fontsize=11)
