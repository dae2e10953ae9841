"""Show results: aligned lines, tables and progress on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tagifai.console import progress, rich_tables
from tagifai.console.progress import EpochProgress, SearchProgress
from tagifai.evaluation import summary
from tagifai.utils.excerpts import make_visible
from tagifai.utils.terminal import format_path, is_ansi_enabled, wrap_stream

if TYPE_CHECKING:
    # For types only: the header is shown before scikit-learn is imported.
    from tagifai.evaluation.metrics import Performance

log = logging.getLogger(__name__)

PLAIN_WIDTH = 100
"""Columns where the output is no terminal."""


MIN_LAST_COLUMN_WIDTH = 12
"""Least width of a table's last column; with less, all columns are folded."""


class DisplaySettings(Protocol):
    """The `console` group."""

    verbosity: str
    style: str
    every: int


class Display:
    """Writes to standard output.

    On a terminal lines are folded between words to its width; elsewhere they are not.

    Args:
        quiet: only results.
        plain: no colours, bars or other control characters, even on a terminal.
        every: epochs between two plain lines.
        silent: not even results.
    """

    def __init__(self, *, quiet: bool, plain: bool, every: int, silent: bool = False) -> None:
        self._folds = sys.stdout.isatty() and not plain
        self._draws = is_ansi_enabled(sys.stdout) and not plain
        self._quiet = quiet or silent
        self._every = every
        self._console = _Console(
            file=wrap_stream(sys.stdout),
            force_terminal=None if self._draws else False,
            no_color=None if self._draws else True,
            width=None if sys.stdout.isatty() else PLAIN_WIDTH,
            highlight=False,
            markup=False,
            soft_wrap=not self._folds,
            quiet=silent,
        )

    @classmethod
    def from_config(cls, settings: DisplaySettings, *, silent: bool = False) -> Display:
        """Return the display that the `console` group describes, or a silent one."""
        quiet, plain = settings.verbosity != "normal", settings.style == "plain"
        silent = silent or settings.verbosity == "silent"
        return cls(quiet=quiet, plain=plain, every=settings.every, silent=silent)

    @property
    def live(self) -> bool:
        """Whether bars are drawn."""
        return self._draws and not self._quiet

    # --- lines ---------------------------------------------------------------------------------

    def show_header(
        self,
        title: str,
        groups: Mapping[str, rich_tables.GroupSettings],
        chosen: Collection[str] = (),
    ) -> None:
        """Show the configuration, a line for each group; on a terminal a line ends at its width.

        Args:
            title: the task.
            groups: by name, the chosen option and its settings.
            chosen: settings that were overridden, such as "model.alpha"; they come first.
        """
        if self._quiet:
            return
        self._console.print(Text(make_visible(title), style="bold"))
        for name, group in groups.items():
            asked = {key.partition(".")[2] for key in chosen if key.startswith(f"{name}.")}
            line = rich_tables.format_setting_line(name, group, asked)
            if self._folds and not group[1]:
                self._fold(line, rich_tables.NAME_WIDTH)
            else:
                if self._folds:
                    line.truncate(self._console.width, overflow="ellipsis")
                self._console.print(line, soft_wrap=True)

    def show_line(self, text: str, style: str = "") -> None:
        """Show a line of text."""
        if not self._quiet:
            self._print_line(Text(make_visible(text), style=style))

    def show_note(self, text: str, *, result: bool = False) -> None:
        """Show a note, and log it; if it is a result, even where only results are shown."""
        log.info("Note: %s", text)
        if result or not self._quiet:
            line = Text(f"Note: {make_visible(text)}", style="yellow")
            self._print_line(line, len("Note: "))

    def show_fact(self, name: str, text: str, style: str = "", *, result: bool = False) -> None:
        """Show a name and a text.

        Args:
            name: of the fact; empty to continue the one before.
            text: of the fact.
            style: of the text.
            result: show it even where only results are shown.
        """
        if result or not self._quiet:
            self._print_line(rich_tables.format_fact(name, text, style), rich_tables.NAME_WIDTH)

    def show_copyable(self, name: str, text: str | Path, *, result: bool = False) -> None:
        """Show a path or a command in one piece, so that it can be copied.

        Args:
            name: of the fact.
            text: the path or the command.
            result: show it even where only results are shown.
        """
        if self._quiet and not result:
            return
        line = rich_tables.format_fact(name, format_path(text) if isinstance(text, Path) else text)
        if self._folds and cell_len(line.plain) > self._console.width:
            first, rest = line.divide([rich_tables.NAME_WIDTH])
            first.rstrip()
            self._console.print(first)
            self._console.print(rest, soft_wrap=True)
        else:
            self._console.print(line, soft_wrap=True)

    def show_report(self, path: Path | None) -> None:
        """Show the path of a report, or that it could not be written."""
        if path is None:
            self.show_fact("Report", "not written; the log says why", style="yellow")
        else:
            self.show_copyable("Report", path)

    def show_result(self, text: str, indent: int = 0) -> None:
        """Show a line of the result; where it is folded, further lines are indented."""
        self._print_line(Text(make_visible(text)), indent)

    def _print_line(self, line: Text, indent: int = 0) -> None:
        if self._folds and cell_len(line.plain) > self._console.width:
            self._fold(line, indent)
        else:
            self._console.print(line, soft_wrap=True)

    def _fold(self, line: Text, indent: int) -> None:
        for piece in rich_tables.wrap_line(line, self._console, indent):
            self._console.print(piece, soft_wrap=True)

    # --- progress ------------------------------------------------------------------------------

    @contextmanager
    def show_spinner(self, what: str) -> Iterator[None]:
        """Show on a terminal that something is being done in the block."""
        if not self.live:
            yield
            return
        with progress.make_spinner(self._console, what):
            yield

    @contextmanager
    def show_epoch_progress(self, total: int, rows: int | None = None) -> Iterator[EpochProgress]:
        """Give the progress of a training, which is called after each epoch.

        Args:
            total: number of epochs.
            rows: of an epoch, where they are streamed.
        """
        if self._quiet:
            yield EpochProgress()
        elif self._draws:
            with progress.make_bar(self._console, "Epoch") as bar:
                task = bar.add_task("", total=total, state="vectorizing")
                shown = progress.EpochBar(bar, task, rows)
                yield shown
            for line in shown.summarize(total):
                self.show_fact("Epochs", line)
        else:
            lines = progress.EpochLines(self.show_line, self._every, rows)
            try:
                yield lines
            finally:
                lines.finish()

    @contextmanager
    def show_row_progress(self, what: str) -> Iterator[Callable[..., None]]:
        """Give a function that takes how many rows are done and, if it is known, their total.

        Nothing is shown before its first call.

        Args:
            what: what is done with the rows, such as "Reading".
        """
        if self._quiet:
            yield lambda done, of=None: None
        elif self._draws:
            with progress.show_row_bar(self._console, what) as tell:
                yield tell
        else:
            seldom = progress.ThrottledLines(self.show_line)
            yield lambda done, of=None: seldom.show_line(progress.format_row_count(what, done, of))

    @contextmanager
    def show_step_progress(self, name: str, total: int) -> Iterator[Callable[[int, str], None]]:
        """Give a function that takes the number of steps that are done, and the name of the last.

        Args:
            name: of a step, such as "Figure".
            total: number of steps.
        """
        if not self.live or not total:
            yield lambda done, last: None
            return
        with progress.make_bar(self._console, name) as bar:
            task = bar.add_task("", total=total, state="")
            yield lambda done, last: bar.update(task, completed=done, state=make_visible(last))

    @contextmanager
    def show_trial_progress(self, total: int | None) -> Iterator[Callable[[SearchProgress], None]]:
        """Give a function that takes the progress of a search whenever it has changed.

        Args:
            total: trials of the search; None where time decides.
        """
        if self._quiet:
            yield lambda state: None
        elif self._draws:
            with progress.make_bar(self._console, "Trial", left=True) as bar:
                task = bar.add_task("", total=total, state="")
                yield lambda state: bar.update(
                    task,
                    completed=state.done,
                    state=make_visible(" · ".join(state.summarize())),
                )
        else:
            yield progress.TrialLines(self.show_line, total)

    # --- tables --------------------------------------------------------------------------------

    def show_table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show results in rows; the last column is folded, the others are aligned to the right."""
        columns = [*map(make_visible, columns)]
        rows = [[*map(make_visible, row)] for row in rows]
        table = rich_tables.make_results(columns, rows, fold=False)
        least = [[*row[:-1], row[-1][:MIN_LAST_COLUMN_WIDTH]] for row in rows]
        if self._room(rich_tables.make_results(columns, least, fold=False)) < 0:
            table = rich_tables.make_results(columns, rows, fold=True)
        self._print_table(title, table)

    def show_leaderboard(
        self,
        title: str,
        names: Mapping[str, Sequence[str]],
        numbers: Mapping[str, Sequence[str]],
        optional: Sequence[str] = (),
    ) -> list[str]:
        """Show rows of names and numbers within the width of the terminal.

        Args:
            title: of the table.
            names: by column, a text a row; in a narrow terminal they share one folded column.
            numbers: by column, a text a row, never folded.
            optional: columns of numbers that may be left out, the least important first.

        Returns:
            The columns that were left out.
        """
        names, kept = (
            {make_visible(key): [*map(make_visible, column)] for key, column in columns.items()}
            for columns in (names, numbers)
        )
        left_out = []
        for column in [name for name in optional if name in numbers]:
            if self._room(rich_tables.make_leaderboard(names, kept)) >= 0:
                break
            del kept[column]
            left_out.append(column)
        tables = list(rich_tables.make_leaderboard_variants(names, kept))
        self._print_table(title, next((t for t in tables if self._room(t) >= 0), tables[-1]))
        return left_out

    def show_scores(self, title: str, performance: Performance, metrics: Sequence[str]) -> None:
        """Show scores by class and by slice as a table, and metrics of all rows as another.

        Args:
            title: of the tables.
            performance: the scores.
            metrics: names of those of all rows; what the rows do not have is left out.
        """
        room = self._room(rich_tables.make_scores(performance))
        shown = summary.find_extreme_classes(performance["class"])
        longest = max(map(len, [*map(make_visible, shown), "overall (weighted)"]))
        name = str if room >= 0 else partial(rich_tables.wrap_name, columns=max(8, longest + room))
        self._print_table(title, rich_tables.make_scores(performance, name))
        for note in summary.describe_scores_table(performance):
            self.show_result(note)
        columns, cells = summary.build_metrics_table(performance, metrics)
        if cells:
            by_column = dict(zip(columns, zip(*cells, strict=True), strict=True))
            table = rich_tables.make_leaderboard({"": by_column.pop("")}, by_column)
            self._print_table("Metrics of all rows", table)
            for note in summary.describe_metrics_table(performance):
                self.show_result(note)

    def _room(self, table: Table) -> int:
        """Return the width that a table leaves free; negative if it is too wide."""
        unlimited = self._console.options.update(width=10_000)
        return self._console.width - self._console.measure(table, options=unlimited).maximum

    def _print_table(self, title: str, table: Table) -> None:
        if self._console.begun:
            self._console.print()
        self._print_line(Text(make_visible(title), style="bold"))
        self._console.print(table, soft_wrap=False)
        self._console.print()


class _Console(Console):
    """Goes silent when its reader has gone, because that is no reason to end a training."""

    begun = False
    """Whether something was printed."""

    def print(self, *objects: Any, **how: Any) -> None:
        self.begun = True
        super().print(*objects, **how)

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
