"""Draw figures into files, and load them for reports; a failure is logged and never raised."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tagifai.reporting.html_pages import ReportFigure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg")

DOTS_PER_INCH = 120

FigureMakers = Mapping[str, Callable[[], "Figure"]]
"""Functions that make figures, by name."""

WIDE_FIGURES = ("terms", "slice", "parallel_coordinate")
"""Figures that have a plot for each class or parameter, and take the whole width."""

log = logging.getLogger(__name__)


def save_figures(
    makers: FigureMakers, folder: Path, formats: Sequence[str] = FORMATS
) -> list[Path]:
    """Draw figures into a folder and return their files; a figure that fails is left out.

    Args:
        makers: functions that make the figures, by name.
        folder: made if it is missing.
        formats: endings of the files.
    """
    written: list[Path] = []
    for name, make in makers.items():
        try:
            written += _save_figure(name, make, folder, formats)
        except Exception as error:
            # A failing figure must not stop a run.
            log.warning("The figure %s cannot be drawn: %s", name, error, exc_info=error)
    return written


def _save_figure(
    name: str, make: Callable[[], Figure], folder: Path, formats: Sequence[str]
) -> list[Path]:
    from tagifai.reporting.plots.style import use_style

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.{ending}" for ending in formats]
    with warnings.catch_warnings(record=True) as warned, use_style():
        # For the log: such as characters that the font does not have, or too few trials.
        warnings.simplefilter("always")
        figure = make()
        for path in paths:
            # Without the date, so that equal figures give equal files.
            metadata = {"Date": None} if path.suffix == ".svg" else None
            figure.savefig(path, dpi=DOTS_PER_INCH, metadata=metadata)
    for message in sorted({str(warning.message) for warning in warned}):
        log.info("Figure %s: %s", name, message)
    return paths


def load_figures(folder: Path, names: Mapping[str, str]) -> list[ReportFigure]:
    """Return the figures that a folder has.

    Args:
        folder: of SVG files; it need not be there.
        names: alternative texts, by the file's name.
    """
    paths = {folder / f"{name}.svg": title for name, title in names.items()}
    return [
        ReportFigure(title, path.read_bytes(), wide=path.stem.rpartition("-")[2] in WIDE_FIGURES)
        for path, title in paths.items()
        if path.is_file()
    ]
