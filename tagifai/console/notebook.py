"""Progress in a notebook: a bar below the cell, which is gone when the work is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from tagifai.utils.excerpts import make_visible

SECONDS_BETWEEN_FRAMES = 0.1
"""So that a page is not flooded by what is done thousands of times a second."""


def is_kernel() -> bool:
    """Return whether this process runs the cells of a notebook."""
    shell = sys.modules.get("IPython")  # it is imported where it runs
    return shell is not None and hasattr(shell.get_ipython(), "kernel")


def find_cell() -> Cell | None:
    """Return what shows bars below the present cell; None where there is no notebook."""
    return Cell() if is_kernel() else None


class _CellBar:
    """A bar below the present cell."""

    def __init__(self, name: str, total: int | None, state: str) -> None:
        from IPython import display  # late: only a kernel has it

        self._name, self._shown_at = name, 0.0
        show: Any = display.display
        self._handle = show(_draw(name, 0, total, state), raw=True, display_id=True)

    def show(self, done: float, total: int | None, text: str) -> None:
        if time.monotonic() - self._shown_at >= SECONDS_BETWEEN_FRAMES or done == total:
            self._shown_at = time.monotonic()
            self._handle.update(_draw(self._name, done, total, text), raw=True)

    def remove(self) -> None:
        self._handle.update({}, raw=True)


class Cell:
    """Shows bars below the present cell of a notebook, which are gone at the end."""

    @contextmanager
    def show_bar(
        self, name: str, total: int | None, state: str = ""
    ) -> Iterator[Callable[[float, str], None]]:
        """Give a function that takes how many steps are done, and what is said of them.

        Args:
            name: of a step, such as "Epoch".
            total: number of steps; None if it is not known.
            state: what is said before the first.
        """
        bar = _CellBar(name, total, state)
        try:
            yield lambda done, text: bar.show(done, total, text)
        finally:
            bar.remove()

    @contextmanager
    def show_rows(self, what: str) -> Iterator[Callable[..., None]]:
        """Give a function that takes how many rows are done and, if it is known, their total.

        Nothing is shown before its first call; `what` is done with them, such as "Reading".
        """
        bars: list[_CellBar] = []

        def tell(done: int, of: int | None = None) -> None:
            bars[:] = bars or [_CellBar(what, of, "")]
            bars[0].show(done, of, "rows")

        try:
            yield tell
        finally:
            for bar in bars:
                bar.remove()


def _draw(name: str, done: float, total: int | None, text: str) -> dict[str, str]:
    """Return a frame by its kinds of content; the page's own colours suit light and dark."""
    count = f"{done:,.0f}" if total is None else f"{done:,.0f} of {total:,}"
    value = "" if total is None else f' value="{done}" max="{total}"'
    said = escape(make_visible(text))
    bar = f"<progress{value}></progress>"
    return {
        "text/html": f"<div>{escape(name)} {count} {bar} <small>{said}</small></div>",
        "text/plain": f"{name} {count} {make_visible(text)}".strip(),
    }
