"""Progress, as a bar that is removed at the end or as a line from time to time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.constrain import Constrain
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column

SECONDS_BETWEEN_LINES = 10.0
"""Seconds between two lines about rows, where there is no terminal."""

SECONDS_BETWEEN_COUNTS = 0.2
"""Seconds between two counts of rows."""


MIN_BAR_WIDTH = 70
"""Columns of a terminal that has room for a bar beside the text."""

RESERVED_COLUMNS = 3
"""Columns that are left free: a terminal shows ^C there, which must not break the bar's line."""


class _TransientProgress(Progress):
    """Bars that are narrower than the terminal, and are removed at the end."""

    def __init__(self, *columns: ProgressColumn, console: Console) -> None:
        self._on = console
        expand = any(isinstance(column, BarColumn) for column in columns)
        super().__init__(*columns, console=console, expand=expand, transient=True)

    def get_renderables(self) -> Iterator[RenderableType]:
        yield Constrain(self.make_tasks_table(self.tasks), self._on.width - RESERVED_COLUMNS)


def make_bar(console: Console, name: str, *, left: bool = False) -> Progress:
    """Return a bar that is removed at the end.

    Args:
        console: to draw it on.
        name: of a step.
        left: show the remaining time.
    """
    columns: list[ProgressColumn] = [
        TextColumn(name),
        MofNCompleteColumn(),
        *([BarColumn(bar_width=None)] if console.width >= MIN_BAR_WIDTH else []),
        # Not as markup: it may have names from data in it.
        TextColumn(
            "{task.fields[state]}",
            markup=False,
            table_column=Column(no_wrap=True, overflow="ellipsis"),
        ),
        *([TimeRemainingColumn(compact=True)] if left else []),
    ]
    return _TransientProgress(*columns, console=console)


def make_spinner(console: Console, what: str) -> Progress:
    """Return a spinner for something without a known end."""
    made = _TransientProgress(SpinnerColumn(), TextColumn(what), console=console)
    made.add_task("", total=None)
    return made


@contextmanager
def show_row_bar(console: Console, what: str) -> Iterator[Callable[..., None]]:
    """Give a function that takes how many rows are done; its first call shows the bar."""
    made = _TransientProgress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TimeRemainingColumn(compact=True),
        console=console,
    )
    task = made.add_task(what, total=None)

    def tell(done: int, of: int | None = None) -> None:
        made.start()
        made.update(task, completed=done, total=of, description=format_row_count(what, done, of))

    try:
        yield tell
    finally:
        made.stop()


@contextmanager
def show_row_count() -> Iterator[Callable[[int], None]]:
    """Give a function that adds rows that are done; their sum is shown on standard error.

    Nothing is shown in the first second, and the count is removed at the end.
    """
    begun = time.monotonic()
    done, shown_at = 0, begun + 1 - SECONDS_BETWEEN_COUNTS

    def tell(more: int) -> None:
        nonlocal done, shown_at
        done += more
        now = time.monotonic()
        if now - shown_at >= SECONDS_BETWEEN_COUNTS:
            shown_at = now
            sys.stderr.write(f"\r{done:,} texts, {done / (now - begun):,.0f}/s\x1b[K")
            sys.stderr.flush()

    try:
        yield tell
    finally:
        if shown_at > begun + 1 - SECONDS_BETWEEN_COUNTS:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


@dataclass(frozen=True)
class SearchProgress:
    """The progress of a search.

    Args:
        done: trials that count.
        running: under way.
        pruned: of those done.
        failed: of those done.
        best: the best value so far and its trial, as a text; empty before the first.
        event: what has just happened, for a plain line.
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
        seconds = round(self.seconds_per_trial * (total - self.done))
        minutes, rest = divmod(seconds, 60)
        return [f"about {f'{minutes} min ' if minutes else ''}{rest} s left"]


class EpochProgress:
    """The progress of a training, which shows nothing."""

    def __call__(self, epoch: int, train_loss: float, val_loss: float) -> None:
        """Be told that an epoch has ended, with its losses."""

    def update_rows(self, done: int) -> None:
        """Be told how many rows of an epoch are done."""


class EpochBar(EpochProgress):
    """The progress of a training as a bar."""

    def __init__(self, bar: Progress, task: TaskID, rows: int | None) -> None:
        self._bar = bar
        self._task = task
        self._rows = rows
        self._ended = 0
        self._losses = self._summary = ""

    def __call__(self, epoch: int, train_loss: float, val_loss: float) -> None:
        """Be told that an epoch has ended, with its losses."""
        self._ended = epoch + 1
        self._losses = format_losses(train_loss, val_loss)
        self._summary = f"train loss {train_loss:.5f}, val {val_loss:.5f}"
        self._bar.update(self._task, completed=self._ended, state=self._losses)

    def summarize(self, total: int) -> list[str]:
        """Return the texts for a training that has ended."""
        return [f"{self._ended} of {total}, {self._summary}"] if self._ended else []

    def update_rows(self, done: int) -> None:
        """Be told how many rows of an epoch are done."""
        share = done / self._rows if self._rows else 0.0
        state = " | ".join(filter(None, [format_row_count("", done, self._rows), self._losses]))
        self._bar.update(self._task, completed=self._ended + share, state=state)


class EpochLines(EpochProgress):
    """The progress of a training as a line for every so many epochs, and for the last one."""

    def __init__(
        self, show_line: Callable[[str], None], every: int, rows: int | None = None
    ) -> None:
        self._show_line = show_line
        self._every = every
        self._rows = rows
        self._row_lines = ThrottledLines(show_line)
        self._ended = 0
        self._pending: str | None = None

    def __call__(self, epoch: int, train_loss: float, val_loss: float) -> None:
        """Be told that an epoch has ended, with its losses."""
        self._ended = epoch + 1
        self._pending = f"Epoch {epoch} | {format_losses(train_loss, val_loss)}"
        if epoch % self._every == 0:
            self.finish()

    def update_rows(self, done: int) -> None:
        """Be told how many rows of an epoch are done."""
        self._row_lines.show_line(format_row_count(f"Epoch {self._ended} |", done, self._rows))

    def finish(self) -> None:
        """Show the line of the last epoch, if it is still missing."""
        if self._pending is not None:
            self._show_line(self._pending)
        self._pending = None


class TrialLines:
    """The progress of a search as a line for each event."""

    def __init__(self, show_line: Callable[[str], None], total: int | None) -> None:
        self._show_line = show_line
        self._total = total
        self._shown_events: set[str] = set()

    def __call__(self, state: SearchProgress) -> None:
        """Show the event, if it is new."""
        if state.event and state.event not in self._shown_events:
            self._shown_events.add(state.event)
            of = "" if self._total is None else f" of {self._total}"
            counts = [f"{state.done}{of} done", *state.summarize()]
            self._show_line(
                f"{state.event} | {', '.join([*counts, *state.format_time_left(self._total)])}"
            )


class ThrottledLines:
    """Shows lines, but at most one in `SECONDS_BETWEEN_LINES`."""

    def __init__(self, show_line: Callable[[str], None]) -> None:
        self._show_line = show_line
        self._last = time.monotonic()

    def show_line(self, line: str) -> None:
        """Show a line, or leave it out."""
        if time.monotonic() - self._last >= SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            self._show_line(line)


def format_losses(train_loss: float, val_loss: float) -> str:
    """Return the losses of an epoch as a text."""
    return f"train_loss {train_loss:.5f} | val_loss {val_loss:.5f}"


def format_row_count(what: str, done: int, of: int | None) -> str:
    """Return how many rows are done as a text."""
    total = "" if of is None else f" of {of:,}"
    return f"{what} {done:,}{total} rows".strip()
