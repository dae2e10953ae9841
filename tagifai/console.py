"""What a person sees: trees, tables and progress on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

if TYPE_CHECKING:
    # For types only: the header is to be there before scikit-learn is.
    from tagifai.metrics import Performance, Scores

PLAIN_WIDTH = 100
"""Columns where there is no terminal to ask."""

SECONDS_BETWEEN_LINES = 10.0
"""About rows, where there is no terminal."""


SHOWN_EVERY = 0.2
"""Seconds between two counts of rows."""


class Settings(Protocol):
    """The `console` group."""

    verbosity: str
    style: str
    every: int


class Display:
    """Writes to standard output; `quiet` leaves out all but results.

    Args:
        quiet: results only.
        plain: no colours, bars or other control characters, even on a terminal.
        every: epochs between two plain lines.
        silent: not even results.
    """

    def __init__(self, *, quiet: bool, plain: bool, every: int, silent: bool = False) -> None:
        on_terminal = sys.stdout.isatty() and not plain
        self._quiet = quiet or silent
        self._every = every
        self._console = _Console(
            file=sys.stdout,
            force_terminal=None if on_terminal else False,
            no_color=None if on_terminal else True,
            width=None if sys.stdout.isatty() else PLAIN_WIDTH,
            highlight=False,
            markup=False,
            soft_wrap=not on_terminal,
            quiet=silent,
        )
        self._live = on_terminal and self._console.is_terminal

    @classmethod
    def of(cls, settings: Settings, *, silent: bool = False) -> Display:
        """Return the display that the `console` group describes, or one that shows nothing."""
        quiet, plain = settings.verbosity == "quiet", settings.style == "plain"
        return cls(quiet=quiet, plain=plain, every=settings.every, silent=silent)

    program: ClassVar[list[str]] = [
        *(["uv", "run"] if "UV" in os.environ else ["python"]),
        sys.argv[0],
    ]
    """How this program was called, without arguments."""

    @property
    def live(self) -> bool:
        """Whether bars may be drawn."""
        return self._live and not self._quiet

    def header(
        self, title: str, groups: Mapping[str, tuple[str | None, Mapping[str, Any]]]
    ) -> None:
        """Show what will run.

        Args:
            title: the task.
            groups: by name, the chosen option and its settings.
        """
        if self._quiet:
            return
        tree = Tree(Text(title, style="bold"), guide_style="dim")
        for name, (option, settings) in groups.items():
            label = Text.assemble((name, "cyan"), f" {option}" if option else "")
            values = ", ".join(f"{k}={_brief(v)}" for k, v in settings.items() if v is not None)
            if values:
                label.append(f"  {values}", style="dim")
            tree.add(label)
        self._console.print(tree, soft_wrap=False)

    def say(self, text: str, style: str = "") -> None:
        """Show a line of text."""
        if not self._quiet:
            self._console.print(Text(text, style=style))

    def result(self, text: str) -> None:
        """Show a line of text that is the result."""
        self._console.print(Text(text))

    @contextmanager
    def epochs(self, total: int, rows: int | None = None) -> Iterator[Epochs]:
        """Give what is told how far a training is.

        Args:
            total: epochs.
            rows: of an epoch, where they are not all trained on at once.
        """
        if self._quiet:
            yield Epochs()
        elif self._live:
            with self._bar("Epoch") as bar:
                yield _Bar(bar, bar.add_task("", total=total, state=""), rows)
        else:
            lines = _Lines(self.say, self._every, rows)
            try:
                yield lines
            finally:
                lines.finish()

    @contextmanager
    def rows(self, what: str) -> Iterator[Callable[..., None]]:
        """Give a function that is told how many rows are done and, if that is known, of how many.

        Nothing is shown before it is told something.

        Args:
            what: is done with the rows.
        """
        if self._quiet:
            yield lambda done, of=None: None
        elif self._live:
            bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                TimeRemainingColumn(compact=True),
                console=self._console,
                expand=True,
                transient=True,
            )
            task = bar.add_task(what, total=None)

            def tell(done: int, of: int | None = None) -> None:
                bar.start()
                bar.update(task, completed=done, total=of, description=_rows(what, done, of))

            try:
                yield tell
            finally:
                bar.stop()
        else:
            seldom = _Seldom(self.say)
            yield lambda done, of=None: seldom.say(_rows(what, done, of))

    @contextmanager
    def steps(self, name: str, total: int) -> Iterator[Callable[[int, str], None]]:
        """Give a function that is told how many steps are done, and which was the last.

        Args:
            name: of a step, such as "Figure".
            total: of the steps.
        """
        if not self.live or not total:
            yield lambda done, last: None
            return
        with self._bar(name) as bar:
            task = bar.add_task("", total=total, state="")
            yield lambda done, last: bar.update(task, completed=done, state=last)

    @contextmanager
    def trials(self, total: int) -> Iterator[Callable[[SearchState], None]]:
        """Give a function that is told where a search is, whenever that has changed."""
        if self._quiet:
            yield lambda state: None
        elif self._live:
            with self._trials_bar() as bar:
                task = bar.add_task("", total=total, state="")
                yield lambda state: bar.update(
                    task, completed=state.done, state=" · ".join(state.brief())
                )
        else:
            said: set[str] = set()

            def tell(state: SearchState) -> None:
                if state.event and state.event not in said:
                    said.add(state.event)
                    counts = [f"{state.done} of {total} done", *state.brief()]
                    self.say(f"{state.event} | {', '.join([*counts, *state.time_left(total)])}")

            yield tell

    def _trials_bar(self) -> Progress:
        return Progress(
            TextColumn("Trial"),
            MofNCompleteColumn(),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(compact=True),
            console=self._console,
            expand=True,
        )

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show results in rows; the last column is folded, the others are aligned to the right."""
        table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        for name in columns[:-1]:
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column(columns[-1], overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._console.print(table, soft_wrap=False)

    def ranking(
        self,
        title: str,
        names: Mapping[str, Sequence[str]],
        figures: Mapping[str, Sequence[str]],
        optional: Sequence[str] = (),
    ) -> list[str]:
        """Show named rows of figures, within the width that there is.

        Args:
            title: of the table.
            names: by column, a text a row; if there is no room they share one column, folded.
            figures: by column, a text a row, never folded.
            optional: figures that may be left out for the width, the least important first.

        Returns:
            The columns that were left out.
        """
        shown, left_out = dict(figures), []
        for column in [name for name in optional if name in figures]:
            if self._fits(_ranking(title, names, shown)):
                break
            del shown[column]
            left_out.append(column)
        in_lines = {name.replace(".", ".\n"): texts for name, texts in names.items()}
        together = {"": ["\n".join(row) for row in _pairs(names)]} if names else {}
        tables = [_ranking(title, tried, shown) for tried in (names, in_lines, together)]
        table = next((table for table in tables if self._fits(table)), tables[-1])
        self._console.print(table, soft_wrap=False)
        return left_out

    def _fits(self, table: Table) -> bool:
        unlimited = self._console.options.update(width=10_000)
        return self._console.measure(table, options=unlimited).maximum <= self._console.width

    def _bar(self, name: str) -> Progress:
        return Progress(
            TextColumn(name),
            MofNCompleteColumn(),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[state]}"),
            console=self._console,
            expand=True,
        )

    def scores(self, title: str, performance: Performance) -> None:
        """Show the scores of all rows, each class and each slice as a table."""
        table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        table.add_column("", overflow="fold")
        for name in ("precision", "recall", "f1", "samples"):
            table.add_column(name, justify="right", no_wrap=True)
        for name, scores in performance["class"].items():
            table.add_row(name, *_row(scores))
        table.add_section()
        table.add_row("overall (weighted)", *_row(performance["overall"]), style="bold")
        if performance["slices"]:
            table.add_section()
        for name, scores in performance["slices"].items():
            table.add_row(f"slice {name}", *_row(scores), style="dim")
        self._console.print(table, soft_wrap=False)
        for name, value in performance.get("metrics", {}).items():
            self.result(f"{name} = {value:.4f}")


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


class _Bar(Epochs):
    """Shows a bar."""

    def __init__(self, bar: Progress, task: TaskID, rows: int | None) -> None:
        self._bar = bar
        self._task = task
        self._rows = rows
        self._ended = 0
        self._losses = ""

    def __call__(self, epoch: int, train_loss: float, val_loss: float) -> None:
        self._ended = epoch + 1
        self._losses = _losses(train_loss, val_loss)
        self._bar.update(self._task, completed=self._ended, state=self._losses)

    def rows(self, done: int) -> None:
        share = done / self._rows if self._rows else 0.0
        state = " | ".join(filter(None, [_rows("", done, self._rows), self._losses]))
        self._bar.update(self._task, completed=self._ended + share, state=state)


class _Lines(Epochs):
    """Says every so many epochs, and the last one, wherever training ends."""

    def __init__(self, say: Callable[[str], None], every: int, rows: int | None = None) -> None:
        self._say = say
        self._every = every
        self._rows = rows
        self._seldom = _Seldom(say)
        self._ended = 0
        self._unsaid: str | None = None

    def __call__(self, epoch: int, train_loss: float, val_loss: float) -> None:
        self._ended = epoch + 1
        self._unsaid = f"Epoch {epoch} | {_losses(train_loss, val_loss)}"
        if epoch % self._every == 0:
            self.finish()

    def rows(self, done: int) -> None:
        self._seldom.say(_rows(f"Epoch {self._ended} |", done, self._rows))

    def finish(self) -> None:
        if self._unsaid is not None:
            self._say(self._unsaid)
        self._unsaid = None


class _Seldom:
    """Says a line if the last one was some time ago."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._last = time.monotonic()

    def say(self, line: str) -> None:
        if time.monotonic() - self._last >= SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            self._say(line)


class _Console(Console):
    """Goes silent when its reader has gone: nobody reading is no reason to end a training."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _ranking(
    title: str, names: Mapping[str, Sequence[str]], figures: Mapping[str, Sequence[str]]
) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for name in names:
        table.add_column(Text(name), overflow="fold")
    for name in figures:
        table.add_column(Text(name), justify="right", no_wrap=True)
    for row in zip(*names.values(), *figures.values(), strict=True):
        table.add_row(*(Text(cell) for cell in row))
    return table


def _pairs(columns: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Yield for each row what its cells are with the names of their columns."""
    for row in zip(*columns.values(), strict=True):
        yield [f"{name}={text}" for name, text in zip(columns, row, strict=True)]


def _row(scores: Scores) -> list[str]:
    values = [scores["precision"], scores["recall"], scores["f1"]]
    return [*(f"{value:.4f}" for value in values), str(scores["num_samples"])]


def _losses(train_loss: float, val_loss: float) -> str:
    return f"train_loss {train_loss:.5f} | val_loss {val_loss:.5f}"


def _rows(what: str, done: int, of: int | None) -> str:
    total = "" if of is None else f" of {of:,}"
    return f"{what} {done:,}{total} rows".strip()


def _brief(value: Any) -> str:
    if isinstance(value, list | tuple) and len(value) > 6:
        return f"[{len(value)} items]"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:24]}…{text[-32:]}"
