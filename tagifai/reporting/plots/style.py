"""The common style of all figures."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, Literal, ParamSpec

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

P = ParamSpec("P")

Layout = Literal["constrained"] | None

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours that colour-blind people can distinguish (M. Okabe and K. Ito, 2008)."""

BLUE, RED, GREEN = COLOURS[:3]
GREY = "#8C8C8C"
PALE = "#D9D9D9"

MAX_NAME_LENGTH = 30
"""Most characters of a name that are shown."""

LINE_STYLES = (("solid", COLOURS), ("dashed", COLOURS))
"""Line styles and their colours, which distinguish curves."""

WIDTH = 6.4
"""Of a figure in inches: in a narrow window a report shows letters about as large as its own."""

RC_PARAMS: Any = {
    "font.size": 11,
    # Viewers have DejaVu or their own font; texts stay texts, in any script that they can show.
    "font.sans-serif": ["DejaVu Sans"],
    "font.monospace": ["DejaVu Sans Mono"],
    "svg.fonttype": "none",
    "figure.titlesize": 12.5,
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


def make_figure(
    title: str, width: float = WIDTH, height: float = 4.4, layout: Layout = "constrained"
) -> Figure:
    """Return a figure with a title; sizes are in inches.

    A constrained layout measures all texts several times, which takes half of the time of drawing.
    One without a layout is for `fix_margins`.
    """
    figure = Figure(figsize=(width, height), layout=layout)
    # Over the figure, not over the axes, which long names make too narrow for a title.
    figure.suptitle(title, x=0.01, ha="left")
    return figure


def make_axes(
    title: str,
    x: str,
    y: str,
    width: float = WIDTH,
    height: float = 4.4,
    layout: Layout = "constrained",
) -> tuple[Figure, Axes]:
    """Return a figure with one pair of axes.

    Args:
        title: what is shown.
        x: label of the axis, with its unit.
        y: likewise.
        width: in inches.
        height: in inches.
        layout: as of `make_figure`.
    """
    figure = make_figure(title, width, height, layout)
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y)
    return figure, axes


def fix_margins(
    figure: Figure, names: Sequence[str] = (), below: float = 0.6, above: float = 0.2
) -> None:
    """Give a figure's axes their place by the lengths of names, which takes no time to measure.

    Args:
        figure: without a layout.
        names: labels of the y-axis; without them it has numbers.
        below: inches between axes and the lower edge.
        above: inches between axes and the title.
    """
    width, height = figure.get_size_inches()
    left = max(map(measure, names)) + 0.2 if names else 0.75
    above += 0.06 + 0.21 * (1 + figure.get_suptitle().count("\n"))
    figure.suptitle(figure.get_suptitle(), x=0.01, y=1 - 0.08 / height, ha="left")
    figure.subplots_adjust(
        left=min(left / width, 0.6),
        right=1 - 0.15 / width,
        bottom=below / height,
        top=1 - above / height,
    )


def measure(text: str, size: float = 11) -> float:
    """Return about how many inches a text is long, of a font of some points."""
    letters = sum(
        1.05 if unicodedata.east_asian_width(c) in "WF" else 0.72 if c.isupper() else 0.6
        for c in text
    )
    return letters * size / 72


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
        axes.legend(loc="best", fontsize=10)
