"""Draw figures into files, and load them for reports; a failure is logged and never raised."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tagifai.reporting.html_pages import ReportFigure
from tagifai.utils.secrets import mask

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIX = ".svg"

FigureMakers = Mapping[str, Callable[[], "Figure"]]
"""Functions that make figures, by name."""

WIDE = 640
"""Points from which on a figure takes the whole width of a page."""

PAGE_COLOURS = {
    "#000000": "ink",
    "#ffffff": "paper",
    "#ebebeb": "line",
    "#d9d9d9": "line",
    "#0072b2": "blue",
    "#d55e00": "red",
    "#009e73": "green",
    "#8c8c8c": "soft",
}
"""The colours of a page, light or dark, that stand for those of a figure."""

ROOT = 'font-family="system-ui, sans-serif" stroke-linejoin="round"'
"""Attributes of a whole figure, instead of a style that would be that of the whole page."""

log = logging.getLogger(__name__)


def save_figures(makers: FigureMakers, folder: Path) -> list[Path]:
    """Draw figures into a folder and return their files; a figure that fails is left out.

    Args:
        makers: functions that make the figures, by name.
        folder: made if it is missing.
    """
    written: list[Path] = []
    for name, make in makers.items():
        try:
            written.append(_save_figure(name, make, folder))
        except Exception as error:
            # A failing figure must not stop a run.
            log.warning("The figure %s cannot be drawn: %s", name, error, exc_info=error)
    return written


def _save_figure(name: str, make: Callable[[], Figure], folder: Path) -> Path:
    from tagifai.reporting.plots.style import use_style

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}{SUFFIX}"
    with warnings.catch_warnings(record=True) as warned, use_style():
        # For the log: such as too few trials.
        warnings.simplefilter("always")
        # Texts stay texts in the file, and are drawn with the fonts of who looks at it.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        # Without the date, so that equal figures give equal files.
        make().savefig(path, metadata={"Date": None})
    for message in sorted({str(warning.message) for warning in warned}):
        log.info("Figure %s: %s", name, message)
    return path


def load_figures(folder: Path, names: Mapping[str, str]) -> list[ReportFigure]:
    """Return the figures that a folder has.

    Args:
        folder: of SVG files; it need not be there.
        names: alternative texts, by the file's name.
    """
    paths = {folder / f"{name}{SUFFIX}": title for name, title in names.items()}
    return [_load_figure(path, title) for path, title in paths.items() if path.is_file()]


def _load_figure(path: Path, title: str) -> ReportFigure:
    svg = path.read_text(encoding="utf-8")
    width = re.search(r'viewBox="0 0 ([\d.]+)', svg)
    is_wide = width is not None and float(width[1]) > WIDE
    return ReportFigure(title, adapt_to_page(svg, path.stem), is_wide)


def adapt_to_page(svg: str, name: str) -> str:
    """Return a figure as a part of a page: with its own ids, and with its colours where it has any.

    Args:
        svg: content of the file.
        name: of the figure, unique on the page.
    """
    drawn = svg[svg.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r"<style.*?</style>", "", drawn, count=1, flags=re.DOTALL)
    # Within tags alone: what stands between them are names of the user's.
    drawn = re.sub("<[^>]*>", lambda tag: _adapt_tag(tag[0], name), drawn)
    return mask(drawn.replace("<svg", f"<svg {ROOT}", 1))


def _adapt_tag(tag: str, name: str) -> str:
    tag = re.sub(
        r' id="(?:figure|axes|patch|text|line2d|[xy]tick|legend|matplotlib)[^"]*"', "", tag
    )
    tag = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{name}-", tag)
    tag = re.sub(r"font-family: [^;\"]*Mono[^;\"]*", "font-family: ui-monospace, monospace", tag)
    tag = re.sub(r"; font-family: 'DejaVu Sans', sans-serif", "", tag)
    colour = re.compile("|".join(PAGE_COLOURS))
    return colour.sub(lambda found: f"var(--{PAGE_COLOURS[found[0]]}, {found[0]})", tag)
