"""Progress: how far a wait is, as a bar that goes away again or as a line from time to time."""

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
"""About rows, where there is no terminal."""

SHOWN_EVERY = 0.2
"""Seconds between two counts of rows."""


BAR_FROM = 70
"""Columns of a terminal that has room for a bar beside what there is to say."""

ECHO = 3
"""Columns that are left free: a terminal shows ^C there, and nothing of a bar is pushed down."""


class _Bars(Progress):
    """Bars that end before the terminal does, and leave nothing behind."""

    def __init__(self, *columns: ProgressColumn, console: Console) -> None:
        self._on = console
        expand = any(isinstance(column, BarColumn) for column in columns)
        super().__init__(*columns, console=console, expand=expand, transient=True)

    def get_renderables(self) -> Iterator[RenderableType]:
        yield Constrain(self.make_tasks_table(self.tasks), self._on.width - ECHO)


def bar(console: Console, name: str, *, left: bool = False) -> Progress:
    """Return a bar that leaves nothing behind.

    Args:
        console: to draw it on.
        name: of a step.
        left: show how long the rest is likely to take.
    """
    columns: list[ProgressColumn] = [
        TextColumn(name),
        MofNCompleteColumn(),
        *([BarColumn(bar_width=None)] if console.width >= BAR_FROM else []),
        TextColumn("{task.fields[state]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
        *([TimeRemainingColumn(compact=True)] if left else []),
    ]
    return _Bars(*columns, console=console)


def spinner(console: Console, what: str) -> Progress:
    """Return what turns while something is done whose end nobody knows."""
    made = _Bars(SpinnerColumn(), TextColumn(what), console=console)
    made.add_task("", total=None)
    return made


@contextmanager
def counted(console: Console, what: str) -> Iterator[Callable[..., None]]:
    """Give a function that is told of rows; there is a bar once it was told something."""
    made = _Bars(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TimeRemainingColumn(compact=True),
        console=console,
    )
    task = made.add_task(what, total=None)

    def tell(done: int, of: int | None = None) -> None:
        made.start()
        made.update(task, completed=done, total=of, description=count(what, done, of))

    try:
        yield tell
    finally:
        made.stop()


@contextmanager
def rows() -> Iterator[Callable[[int], None]]:
    """Give a function that is told of rows that are done; it shows their sum on standard error.

    Nothing is shown in the first second, and nothing is left there afterwards.
    """
    begun = time.monotonic()
    done, shown_at = 0, begun + 1 - SHOWN_EVERY

    def tell(more: int) -> None:
        nonlocal done, shown_at
        done += more
        now = time.monotonic()
        if now - shown_at >= SHOWN_EVERY:
            shown_at = now
            sys.stderr.write(f"\r{done:,} texts, {done / (now - begun):,.0f}/s\x1b[K")
            sys.stderr.flush()

    try:
        yield tell
    finally:
        if shown_at > begun + 1 - SHOWN_EVERY:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


@dataclass(frozen=True)
class SearchState:
    """Where a search is.

    Args:
        done: trials that count.
        running: under way.
        pruned: of those done.
        failed: of those done.
        best: the best value so far and its trial, as a text; empty before the first.
        event: what has just happened, for a plain line.
        seconds_a_trial: wall time from one end of a trial to the next; None if not known yet.
    """

    done: int
    running: int
    pruned: int
    failed: int
    best: str = ""
    event: str = ""
    seconds_a_trial: float | None = None

    def brief(self) -> list[str]:
        """Return what there is to say beside how many are done."""
        counts = {"running": self.running, "pruned": self.pruned, "failed": self.failed}
        return [*([self.best] if self.best else []), *(f"{n} {k}" for k, n in counts.items() if n)]

    def time_left(self, total: int) -> list[str]:
        """Return how long the rest is likely to take, if that can be said."""
        if self.seconds_a_trial is None or self.done >= total:
            return []
        seconds = round(self.seconds_a_trial * (total - self.done))
        minutes, rest = divmod(seconds, 60)
        return [f"about {f'{minutes} min ' if minutes else ''}{rest} s left"]


class Epochs:
    """Is told how far a training is, and shows nothing of it."""

    def __call__(self, epoch: int, train_loss: float, val_loss: float) -> None:
        """Be told that an epoch has ended, with its losses."""

    def rows(self, done: int) -> None:
        """Be told how many rows of an epoch are done."""


class Bar(Epochs):
    """Shows a bar."""

    def __init__(self, bar: Progress, task: TaskID, rows: int | None) -> None:
        self._bar = bar
        self._task = task
        self._rows = rows
        self._ended = 0
        self._losses = self._said = ""

    def __call__(self, epoch: int, train_loss: float, val_loss: float) -> None:
        """Be told that an epoch has ended, with its losses."""
        self._ended = epoch + 1
        self._losses = losses(train_loss, val_loss)
        self._said = f"train loss {train_loss:.5f}, val {val_loss:.5f}"
        self._bar.update(self._task, completed=self._ended, state=self._losses)

    def ended(self, total: int) -> list[str]:
        """Return what there is to say of a training that has ended."""
        return [f"{self._ended} of {total}, {self._said}"] if self._ended else []

    def rows(self, done: int) -> None:
        """Be told how many rows of an epoch are done."""
        share = done / self._rows if self._rows else 0.0
        state = " | ".join(filter(None, [count("", done, self._rows), self._losses]))
        self._bar.update(self._task, completed=self._ended + share, state=state)


class Lines(Epochs):
    """Says every so many epochs, and the last one, wherever training ends."""

    def __init__(self, say: Callable[[str], None], every: int, rows: int | None = None) -> None:
        self._say = say
        self._every = every
        self._rows = rows
        self._seldom = Seldom(say)
        self._ended = 0
        self._unsaid: str | None = None

    def __call__(self, epoch: int, train_loss: float, val_loss: float) -> None:
        """Be told that an epoch has ended, with its losses."""
        self._ended = epoch + 1
        self._unsaid = f"Epoch {epoch} | {losses(train_loss, val_loss)}"
        if epoch % self._every == 0:
            self.finish()

    def rows(self, done: int) -> None:
        """Be told how many rows of an epoch are done."""
        self._seldom.say(count(f"Epoch {self._ended} |", done, self._rows))

    def finish(self) -> None:
        """Say what is unsaid of the last epoch."""
        if self._unsaid is not None:
            self._say(self._unsaid)
        self._unsaid = None


class Trials:
    """Says what has happened in a search, once."""

    def __init__(self, say: Callable[[str], None], total: int) -> None:
        self._say = say
        self._total = total
        self._said: set[str] = set()

    def __call__(self, state: SearchState) -> None:
        """Be told where the search is."""
        if state.event and state.event not in self._said:
            self._said.add(state.event)
            counts = [f"{state.done} of {self._total} done", *state.brief()]
            self._say(f"{state.event} | {', '.join([*counts, *state.time_left(self._total)])}")


class Seldom:
    """Says a line if the last one was some time ago."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._last = time.monotonic()

    def say(self, line: str) -> None:
        """Say a line, or not."""
        if time.monotonic() - self._last >= SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            self._say(line)


def losses(train_loss: float, val_loss: float) -> str:
    """Return the losses of an epoch."""
    return f"train_loss {train_loss:.5f} | val_loss {val_loss:.5f}"


def count(what: str, done: int, of: int | None) -> str:
    """Return how many rows are done."""
    total = "" if of is None else f" of {of:,}"
    return f"{what} {done:,}{total} rows".strip()
