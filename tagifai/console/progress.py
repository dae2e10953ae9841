"""Progress, as a bar that is removed at the end or as a line from time to time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich import progress
from rich.console import Console, RenderableType
from rich.constrain import Constrain
from rich.table import Column

from tagifai.console.notebook import Cell
from tagifai.utils.excerpts import format_duration, make_visible

SECONDS_BETWEEN_LINES = 10.0
"""Seconds between two lines about rows, where there is no terminal."""

SECONDS_OF_SILENCE = 1.0
"""Seconds after which a line says what is being done, where there is no terminal."""

MIN_BAR_WIDTH, RESERVED_COLUMNS = 70, 3
"""Columns that a bar beside a text needs, and those that are left free for a terminal's ^C."""

Show = Callable[..., None]
"""Shows how many steps, rows or trials are done."""

ShowLine = Callable[[str], None]


class _Bar(progress.Progress):
    """A bar that is narrower than the terminal, and is removed at the end."""

    def __init__(self, *columns: progress.ProgressColumn, console: Console) -> None:
        self._on = console
        expand = any(isinstance(column, progress.BarColumn) for column in columns)
        super().__init__(*columns, console=console, expand=expand, transient=True)

    def get_renderables(self) -> Iterator[RenderableType]:
        yield Constrain(self.make_tasks_table(self.tasks), self._on.width - RESERVED_COLUMNS)


@contextmanager
def show_bar(
    console: Console | Cell | None,
    name: str,
    total: int | None,
    state: str = "",
    *,
    left: bool = False,
    show_line: ShowLine | None = None,
) -> Iterator[Show]:
    """Give a function that shows steps by a bar; without a console, by lines of those that last."""
    if isinstance(console, Cell):
        with console.show_bar(name, total, state) as show:
            yield show
        return
    if console is None and show_line is not None:
        with _show_lines(show_line, name, total) as show:
            yield show
        return
    if console is None:
        yield lambda done, text: None
        return
    # Not as markup: it may have names from data in it.
    cut = Column(no_wrap=True, overflow="ellipsis")
    columns = [
        progress.TextColumn(name),
        progress.MofNCompleteColumn(),
        *([progress.BarColumn(bar_width=None)] if console.width >= MIN_BAR_WIDTH else []),
        progress.TextColumn("{task.fields[state]}", markup=False, table_column=cut),
        *([progress.TimeRemainingColumn(compact=True)] if left else []),
    ]
    with _Bar(*columns, console=console) as bar:
        task = bar.add_task("", total=total, state=state)
        yield lambda done, text: bar.update(task, completed=done, state=make_visible(text))


@contextmanager
def _show_lines(show_line: ShowLine, name: str, total: int | None) -> Iterator[Show]:
    show_seldom = _throttle(show_line, SECONDS_OF_SILENCE)

    def tell(done: float, _: str) -> None:
        if done < (total or 0):
            show_seldom(f"{name} {done + 1:.0f} of {total}")

    with show_late(show_line, f"{name} 1 of {total}"):
        yield tell


@contextmanager
def show_late(show_line: ShowLine, what: str) -> Iterator[None]:
    """Show a line if the block takes longer than `SECONDS_OF_SILENCE`."""
    timer = threading.Timer(SECONDS_OF_SILENCE, show_line, [what])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


@contextmanager
def show_rows(console: Console | Cell | None, what: str, show_line: ShowLine) -> Iterator[Show]:
    """Give a function that draws how many rows are done; without a console, it shows lines."""
    if isinstance(console, Cell):
        with console.show_rows(what) as show:
            yield show
        return
    text, left = progress.TextColumn("{task.description}"), progress.TimeRemainingColumn(True)
    bar = _Bar(text, progress.BarColumn(None), left, console=console or Console(quiet=True))
    task, show_seldom = bar.add_task(what, total=None), _throttle(show_line)

    def tell(done: int, of: int | None = None) -> None:
        said, seconds = format_rows(what, done, of), bar.tasks[0].elapsed or 0
        show_seldom(said)
        if console is not None:
            bar.start()
            said += f", {done / seconds:,.0f}/s" if seconds > 1 else ""
            bar.update(task, completed=done, total=of, description=said)

    try:
        yield tell
    finally:
        bar.stop()


@contextmanager
def show_rows_on_error(what: str, *, live: bool) -> Iterator[Show]:
    """Do so on standard error, where standard output is for data; live or by lines."""
    console = Console(stderr=True, highlight=False)
    show_line: ShowLine = (lambda line: None) if live else console.print
    with show_late(show_line, what), show_rows(console if live else None, what, show_line) as tell:
        yield tell


@dataclass(frozen=True)
class SearchProgress:
    """The progress of a search.

    Args:
        done, running: trials that count, and those under way.
        pruned, failed: of those done.
        best, event: the best value so far with its trial, and what has just happened, as texts.
        seconds_per_trial: wall time between the ends of two trials; None if not known yet.
    """

    done: int
    running: int
    pruned: int
    failed: int
    best: str = ""
    event: str = ""
    seconds_per_trial: float | None = None

    def summarize(self) -> list[str]:
        """Return the texts beside the number of trials that are done."""
        counts = {"running": self.running, "pruned": self.pruned, "failed": self.failed}
        return [*([self.best] if self.best else []), *(f"{n} {k}" for k, n in counts.items() if n)]

    def format_time_left(self, total: int | None) -> list[str]:
        """Return the remaining time as a text; nothing if it is not known."""
        if self.seconds_per_trial is None or total is None or self.done >= total:
            return []
        return [f"about {format_duration(self.seconds_per_trial * (total - self.done))} left"]


def follow_search(show: Show, show_line: ShowLine, total: int | None) -> Show:
    """Return a function that shows a search by a bar, and a line for each new event."""
    shown, of = {""}, "" if total is None else f" of {total}"
    show_seldom = _throttle(show_line, SECONDS_OF_SILENCE)

    def tell(state: SearchProgress) -> None:
        show(state.done, " · ".join(state.summarize()))
        if shown == {state.event}:
            show_seldom(f"{state.done}{of} done, {state.running} running")  # the first takes long
        if state.event not in shown:
            shown.add(state.event)
            said = [f"{state.done}{of} done", *state.summarize(), *state.format_time_left(total)]
            show_line(f"{state.event} | {', '.join(said)}")

    return tell


class EpochProgress:
    """Shows a training by a bar, and a line for every so many epochs and for the last one."""

    def __init__(self, show: Show, show_line: ShowLine, every: int, rows: int | None) -> None:
        self._show, self._show_line, self._show_seldom = show, show_line, _throttle(show_line)
        self._every, self._rows, self._pending = every, rows, ""
        self.ended, self.losses = 0, ""

    def __call__(self, epoch: int, train_loss: float, val_loss: float) -> None:
        """Be told that an epoch has ended, with its losses."""
        self.ended = epoch + 1
        self.losses = f"train_loss {train_loss:.5f} | val_loss {val_loss:.5f}"
        self._show(self.ended, self.losses)
        self._pending = f"Epoch {epoch} | {self.losses}"
        if epoch % self._every == 0:
            self.finish()

    def update_rows(self, done: int) -> None:
        """Be told how many rows of an epoch are done."""
        share, rows = done / self._rows if self._rows else 0.0, format_rows("", done, self._rows)
        self._show(self.ended + share, " | ".join(filter(None, [rows, self.losses])))
        self._show_seldom(f"Epoch {self.ended} | {rows}")

    def finish(self) -> None:
        """Show the line of the last epoch, if it is still missing."""
        if line := self._pending:
            self._pending = ""
            self._show_line(line)


def _throttle(show_line: ShowLine, seconds: float | None = None) -> ShowLine:
    """Return a function that shows a line at most every so many seconds."""
    shown, least = [time.monotonic()], SECONDS_BETWEEN_LINES if seconds is None else seconds

    def show(line: str) -> None:
        if time.monotonic() - shown[-1] >= least:
            shown.append(time.monotonic())
            show_line(line)

    return show


def format_rows(what: str, done: int, of: int | None) -> str:
    """Return how many rows are done as a text."""
    return f"{what} {done:,}{'' if of is None else f' of {of:,}'} rows".strip()
